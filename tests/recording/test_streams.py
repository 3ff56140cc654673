"""
Streaming responses whose client goes away, and those that fail, under Django's own handlers.

The client is gone while the server waits for it, so that a generator stops at its ``yield``; real servers
(``tests/hosts``) rather cancel it in the middle of a step.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from contextlib import closing

import pytest
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import StreamingHttpResponse
from django.test import RequestFactory
from django.urls import path

from dbroute_panel.recording import streams
from dbroute_panel.recording.requests import begin
from dbroute_panel.recording.trace_sink import sink
from dbroute_panel.recording.traces import trace
from example_site.library.models import Tag
from tests.waiting import PATIENCE_SECONDS


def tags(alias):
    return str(Tag.objects.using(alias).count())


def tags_apart(alias):
    with closing(connections[alias]):
        return tags(alias)


apart = sync_to_async(tags_apart, thread_sensitive=False)
"""A query on a thread of its own: asgiref lets nobody use the request's thread when the request is over."""

held = []
"""What outlives its request: generators that somebody else has, contexts."""

started, gone = threading.Event(), threading.Event()


async def parts():
    try:
        while True:
            yield await apart("primary")
    finally:
        await apart("archive")
        await asyncio.sleep(0.05)
        await asyncio.gather(apart("archive"), apart("archive"))


async def around(content):
    async for part in content:
        yield part


class Parts:
    """An async iterator that is no generator."""

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await apart("primary")


async def keeps_its_context():
    try:
        yield await apart("primary")
    finally:
        held.append(contextvars.copy_context())


async def raising():
    yield await apart("primary")
    raise LookupError("in the middle")


async def ending_the_loop():
    yield await apart("primary")
    await asyncio.get_running_loop().shutdown_default_executor()
    raise LookupError("at the end")


def sync_raising():
    yield tags_apart("primary")
    raise LookupError("in the middle")


def sync_going_on():
    yield tags_apart("primary")
    started.set()
    assert gone.wait(PATIENCE_SECONDS)
    yield tags_apart("archive")


def streamed(make):
    async def view(request):
        return StreamingHttpResponse(make())

    return view


def hold(content):
    held.append(content)
    return content


urlpatterns = [
    path("endless/", streamed(parts)),
    path("wrapped/", streamed(lambda: around(around(parts())))),
    path("somebody-elses/", streamed(lambda: hold(parts()))),
    path("no-generator/", streamed(Parts)),
    path("keeps-its-context/", streamed(keeps_its_context)),
    path("raising/", streamed(raising)),
    path("ending-the-loop/", streamed(ending_the_loop)),
    path("sync-raising/", streamed(sync_raising)),
    path("sync-going-on/", streamed(sync_going_on)),
]


@pytest.fixture
def without_gc():
    """What waits for the garbage collector waits in vain."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture(autouse=True)
def kept(site, settings, monkeypatch):
    """The traces that are handed to the store."""
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
    kept = []
    monkeypatch.setattr(sink, "keep", kept.append)
    yield kept
    held.clear()
    started.clear()
    gone.clear()


async def get(path, after=100, leaves=None):
    """Ask for ``path``, take so many messages, and be gone while the server waits with the next one."""
    sent, leaves = [], leaves or asyncio.Event()
    waiting = iter([{"type": "http.request"}])

    async def receive():
        for message in waiting:
            return message
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if len(sent) > after:
            leaves.set()
            await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    await get_asgi_application()(scope, receive, send)


pytestmark = pytest.mark.filterwarnings(
    "ignore:StreamingHttpResponse must consume synchronous iterators:Warning",
    # Of a request whose response raised Django 5.2 does not close the body either.
    "ignore:Unclosed file:ResourceWarning",
)


async def delivered(kept):
    """Where the only trace has queries, as soon as it is there."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not kept:  # noqa: ASYNC110 - the end of a trace is no event of this loop
            await asyncio.sleep(0.01)
    (document,) = kept
    return [query.alias for query in document.queries]


@pytest.mark.parametrize("path", ["/endless/", "/wrapped/"])
async def test_the_end_of_an_async_generator_whose_client_has_gone_is_in_its_trace(
    kept, path, without_gc, monkeypatch
):
    # Without the garbage collector the context is not let go of: asgiref keeps the GeneratorExit.
    monkeypatch.setattr(streams, "CLOSING_TIMEOUT_SECONDS", 3.0)
    await get(path, after=2)
    assert kept == []  # the response is closed, the generator is not yet
    async with trace("of somebody else", keep=False) as another:
        assert await delivered(kept) == ["primary", "primary", "archive", "archive", "archive"]
    assert another.events == []


async def test_a_generator_that_somebody_else_has_goes_on(kept):
    await get("/somebody-elses/", after=2)
    assert await delivered(kept) == ["primary", "primary"]
    (content,) = held
    assert await anext(content) == "4"
    await content.aclose()
    assert len(kept[0].queries) == 2


async def test_an_iterator_that_is_no_generator_ends_with_its_response(kept):
    await get("/no-generator/", after=2)
    assert await delivered(kept) == ["primary", "primary"]


async def test_what_keeps_the_context_delays_the_trace_and_no_more(kept, monkeypatch):
    monkeypatch.setattr(streams, "CLOSING_TIMEOUT_SECONDS", 0.2)
    await get("/keeps-its-context/", after=1)
    assert await delivered(kept) == ["primary"]
    assert len(held) == 1


def test_a_context_that_is_kept_longer_than_the_loop_does_no_harm(kept, monkeypatch):
    monkeypatch.setattr(streams, "CLOSING_TIMEOUT_SECONDS", 0.1)

    async def request():
        await get("/keeps-its-context/", after=1)
        await delivered(kept)

    asyncio.run(request())
    assert len(held) == 1
    held.clear()
    gc.collect()
    assert len(kept) == 1


async def test_a_stream_that_fails_while_the_loop_ends_is_kept(kept):
    with pytest.raises(LookupError, match="at the end"):
        await get("/ending-the-loop/")
    assert [len(document.queries) for document in kept] == [1]


def test_a_response_that_is_closed_when_its_loop_is_over_is_kept(kept):
    recorded = begin(ASGIRequest({"method": "GET", "path": "/", "headers": []}, None))
    response = StreamingHttpResponse(parts())
    recorded.end(response)
    loop = asyncio.new_event_loop()
    steps = aiter(response)
    assert loop.run_until_complete(anext(steps)) == b"4"
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert kept == []
    response.close()
    assert [len(document.queries) for document in kept] == [1]


@pytest.mark.parametrize("path", ["/raising/", "/sync-raising/"])
@pytest.mark.filterwarnings(
    "ignore:Unclosed file:ResourceWarning"
)  # Django closes the request's body neither
async def test_django_closes_no_response_whose_content_raised_but_its_trace_is_kept(kept, path, without_gc):
    with pytest.raises(LookupError, match="in the middle"):
        await get(path)
    assert await delivered(kept) == ["primary"]


async def test_a_thread_that_reads_a_sync_stream_on_for_a_client_that_has_gone(kept):
    leaves = asyncio.Event()
    request = asyncio.create_task(get("/sync-going-on/", leaves=leaves))
    await asyncio.to_thread(started.wait, PATIENCE_SECONDS)
    leaves.set()
    await asyncio.sleep(0.2)
    gone.set()
    await request
    assert await delivered(kept) == ["primary", "archive"]


async def test_content_that_is_read_on_after_its_response_was_closed_is_at_its_end(kept):
    recorded = begin(ASGIRequest({"method": "GET", "path": "/", "headers": []}, None))
    response = StreamingHttpResponse(parts())
    recorded.end(response)
    steps = aiter(response)
    assert await anext(steps) == b"4"
    await sync_to_async(response.close)()
    assert await delivered(kept) == ["primary", "archive", "archive", "archive"]
    assert [part async for part in steps] == []


@pytest.mark.parametrize("soon", [True, False])
async def test_a_response_and_our_own_generator_that_are_both_closed_wait_for_the_same_end(kept, soon):
    """Which of them is closed first is for Python to say: from 3.14 on it lets go of a generator earlier."""
    recorded = begin(ASGIRequest({"method": "GET", "path": "/", "headers": []}, None))
    response = StreamingHttpResponse(parts())
    recorded.end(response)
    steps = response._iterator
    assert await anext(steps) == "4"
    response.close()
    if not soon:
        await asyncio.sleep(0)  # what the response has left to the loop comes first
    await steps.aclose()
    assert await delivered(kept) == ["primary", "archive", "archive", "archive"]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous iterators:Warning")
def test_an_async_stream_that_fails_under_wsgi_goes_on_until_it_is_closed(kept):
    recorded = begin(RequestFactory().get("/"))
    response = StreamingHttpResponse(raising())
    response._resource_closers.append(lambda: tags("archive"))
    recorded.end(response)
    with pytest.raises(LookupError, match="in the middle"):
        list(response)
    assert kept == []
    response.close()
    (document,) = kept
    assert [query.alias for query in document.queries] == ["primary", "archive"]


def test_a_response_that_is_closed_and_collected_at_once_is_delivered_once(kept):
    recorded = begin(RequestFactory().get("/"), shown=True)
    response = StreamingHttpResponse(["a"])
    recorded.end(response)
    threads = [threading.Thread(target=recorded.deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    response.close()
    assert len(kept) == 1
