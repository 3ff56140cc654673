from __future__ import annotations

import asyncio
import inspect
import json

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.core.handlers.wsgi import WSGIHandler
from django.test import AsyncClient, Client, RequestFactory

from dbroute_panel.middleware import TraceMiddleware
from dbroute_panel.recording.recorder import active
from dbroute_panel.recording.traces import trace
from dbroute_panel.stores import Filter
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def served(site, store, settings):
    """The views of ``tests.recording.urls`` behind the middleware, in the way that a server calls them."""
    settings.ROOT_URLCONF = "tests.recording.urls"
    settings.MIDDLEWARE = [
        "dbroute_panel.middleware.TraceMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ]
    yield
    assert active.get() is None


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


def last(store):
    """The trace that was kept last, in full; and it is the only one."""
    [summary] = store.summaries(Filter())
    return store.get(summary.id)


def aliases(document):
    return [query.alias for query in document.queries]


# Sync


def test_a_request_leaves_a_trace(client, store):
    response = client.get("/books/3/?q=1")
    document = last(store)
    assert (document.kind, document.name) == ("request", "/books/3/")
    assert (document.request.method, document.request.path, document.request.status) == (
        "GET",
        "/books/3/",
        200,
    )
    assert document.request.view == "tests.recording.urls.plain"
    assert response.headers["Dbroute-Trace-Id"] == document.id
    assert aliases(document) == ["primary"]


@pytest.mark.parametrize(("path", "status"), [("/fails/", 500), ("/missing/", 404)])
def test_requests_that_fail_are_recorded_with_their_status(client, store, path, status):
    assert client.get(path).status_code == status
    document = last(store)
    assert document.request.status == status
    assert aliases(document)[0] == "primary"


def test_an_exception_that_leaves_the_middleware_is_status_500(store):
    def get_response(request):
        from tests.recording.urls import fails

        return fails(request)

    with pytest.raises(ValueError, match="broken"):
        TraceMiddleware(get_response)(RequestFactory().get("/plain/"))
    assert last(store).request.status == 500


def test_a_request_without_events_is_not_kept(client, store):
    assert client.get("/empty/").status_code == 200
    assert store.count() == 0


def test_a_request_that_is_not_wanted_leaves_nothing(client, store, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SHOULD_RECORD": lambda request: False}
    response = client.get("/plain/")
    assert response.content == b"4"
    assert "Dbroute-Trace-Id" not in response.headers
    assert store.count() == 0


def test_the_tools_own_pages_are_not_recorded_even_inside_of_a_trace(client, store):
    client.force_login(superuser())
    with trace("test", keep=False) as t:
        assert client.get("/admin/dbroute_panel/trace/").status_code == 200
    assert t.events == []
    client.get("/admin/dbroute_panel/trace/")
    assert store.count() == 0


def test_the_admin_of_the_project_is_recorded(client, store):
    client.force_login(superuser())
    assert client.get("/admin/library/book/").status_code == 200
    assert "library.Book" in {query.model for query in last(store).queries}


def superuser():
    from django.contrib.auth.models import User

    return User.objects.using("auth_db").get(username="admin")


def test_a_redirect_to_the_path_with_a_slash_does_not_keep_a_token(client, store):
    assert client.get("/reset/MQ/abc-123").status_code == 301
    client.get("/reset/MQ/abc-123/")
    assert "abc-123" not in json.dumps([store.get(s.id).to_dict() for s in store.summaries(Filter())])
    assert last(store).name == "reset/<uidb64>/<token>/"


def test_atomic_requests_are_transactions_of_the_trace(client, store, settings, monkeypatch):
    from django.db import connections

    monkeypatch.setitem(connections.settings["primary"], "ATOMIC_REQUESTS", True)
    client.get("/plain/")
    document = last(store)
    assert [event.operation.value for event in document.transactions] == ["begin", "commit"]
    assert (document.queries[0].atomic, document.queries[0].transaction_number) == (True, 1)


def test_a_stream_keeps_its_trace_open_until_it_is_closed(client, store):
    response = client.get("/streams/")
    assert store.count() == 0
    assert active.get() is None
    content = response.streaming_content
    next(content)
    assert active.get() is None
    with trace("another", keep=False) as another:
        pass
    assert not another.joined
    assert len(b"".join(content)) > 0
    document = last(store)
    assert aliases(document) == ["primary"] * 5 + ["archive"]
    assert {query.callsite.function for query in document.queries} == {"rows"}


def test_a_client_that_leaves_a_stream_early_ends_it(store):
    handler = WSGIHandler()
    environ = RequestFactory()._base_environ(PATH_INFO="/streams/")
    response = handler(environ, lambda status, headers: None)
    next(iter(response))
    response.close()
    assert aliases(last(store)) == ["primary", "primary", "archive"]


def test_a_stream_that_fails_in_the_middle_keeps_what_it_did(store):
    handler = WSGIHandler()
    response = handler(RequestFactory()._base_environ(PATH_INFO="/streams-and-fails/"), lambda *args: None)
    with pytest.raises(ValueError, match="in the middle"):
        list(response)
    response.close()
    assert aliases(last(store)) == ["primary"]


def test_a_stream_of_a_list_is_the_same(client, store):
    assert b"".join(client.get("/streams-a-list/").streaming_content) == b"ab"
    assert store.count() == 0


def test_a_file_is_left_for_the_server_to_send(store):
    class Wrapper:
        def __init__(self, response, block_size):
            self.file, self.close = response, response.close

    handler = WSGIHandler()
    environ = RequestFactory()._base_environ(PATH_INFO="/file/", **{"wsgi.file_wrapper": Wrapper})
    sent = handler(environ, lambda status, headers: None)
    assert isinstance(sent, Wrapper)
    assert sent.file.read() == b"content"
    assert store.count() == 0
    sent.close()
    assert aliases(last(store)) == ["primary"]


def test_a_file_reads_as_it_would(client, store):
    response = client.get("/file/")
    assert response.getvalue() == b"content"
    response.close()
    assert aliases(last(store)) == ["primary"]


def test_a_response_that_a_template_makes_has_its_queries_at_the_template(store, settings):
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {"books.html": "<ul>\n{% for book in books %}\n<li>{{ book.author }}{% endfor %}"},
                    )
                ]
            },
        }
    ]
    Client().get("/template/")
    queries = last(store).queries
    assert [query.callsite.template for query in queries] == [("books.html", 2)] + [("books.html", 3)] * 8


# Async


async def test_an_async_request_leaves_a_trace(store):
    response = await AsyncClient().get("/gathering/")
    document = last(store)
    assert response.headers["Dbroute-Trace-Id"] == document.id
    assert document.request.view == "tests.recording.urls.gathering"
    assert aliases(document) == ["primary", "primary"]
    assert {(q.callsite.file, q.callsite.function) for q in document.queries} == {
        ("tests/recording/urls.py", "gathering")
    }


@pytest.mark.parametrize(("path", "status"), [("/fails/", 500), ("/missing/", 404), ("/plain/", 200)])
async def test_async_requests_are_recorded_with_their_status(store, path, status):
    response = await AsyncClient(raise_request_exception=False).get(path)
    assert response.status_code == last(store).request.status == status


async def test_an_exception_that_leaves_the_async_middleware_is_status_500(store):
    async def get_response(request):
        from example_site.library.models import Tag

        await Tag.objects.using("primary").acount()
        raise ValueError("broken")

    middleware = TraceMiddleware(get_response)
    assert inspect.iscoroutinefunction(middleware.get_response)
    with pytest.raises(ValueError, match="broken"):
        await middleware(RequestFactory().get("/plain/"))
    assert last(store).request.status == 500


async def test_an_async_request_that_is_not_wanted_leaves_nothing(store, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SHOULD_RECORD": lambda request: False}
    assert (await AsyncClient().get("/plain/")).content == b"4"
    assert store.count() == 0


async def test_the_tools_own_pages_are_not_recorded_in_async_either(store):
    async with trace("test", keep=False) as t:
        response = await AsyncClient().get("/admin/dbroute_panel/trace/")
    assert response.status_code == 302
    assert t.events == []


async def test_requests_side_by_side_do_not_mix(store):
    client = AsyncClient()
    paths = ["/plain/", "/gathering/", "/two/"] * 4
    await asyncio.gather(*(client.get(path) for path in paths))
    documents = [store.get(summary.id) for summary in store.summaries(Filter())]
    assert sorted((document.name, len(document.queries)) for document in documents) == sorted(
        [("/plain/", 1), ("/gathering/", 2), ("/two/", 2)] * 4
    )


def asgi(path):
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": [(b"host", b"testserver")],
        "query_string": b"",
    }
    return ApplicationCommunicator(get_asgi_application(), scope)


async def test_an_async_stream_keeps_its_trace_open(store):
    communicator = asgi("/streams-async/")
    await communicator.send_input({"type": "http.request"})
    start = await communicator.receive_output(5)
    assert start["status"] == 200
    body = b""
    while (part := await communicator.receive_output(5)).get("more_body"):
        body += part["body"]
    await communicator.wait(PATIENCE_SECONDS)
    assert body
    document = last(store)
    assert aliases(document) == ["primary"] * 5
    assert {query.callsite.function for query in document.queries} == {"rows"}


async def test_a_client_that_leaves_an_async_stream_early_ends_it(store):
    communicator = asgi("/streams-async/")
    await communicator.send_input({"type": "http.request"})
    await communicator.receive_output(5)
    await communicator.receive_output(5)
    await communicator.send_input({"type": "http.disconnect"})
    await communicator.wait(PATIENCE_SECONDS)
    assert 1 <= len(last(store).queries) <= 5
