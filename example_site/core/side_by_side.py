"""Pages that query in every way that Django has, and always for the ``marker`` in their URL."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context

from asgiref.sync import sync_to_async
from django.db import connections
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from example_site.library.models import Book, Person
from example_site.users.models import User


def searches(marker: str) -> list[QuerySet]:
    """On a replica and on legacy_users by decision of the routers, and on archive."""
    return [
        Book.objects.filter(title=marker),
        User.objects.filter(username=marker),
        Person.objects.using("archive").filter(name=marker),
    ]


def answer(counts: list[int]) -> HttpResponse:
    return HttpResponse(str(counts), content_type="text/plain")


def plain(request: HttpRequest, marker: str) -> HttpResponse:
    return answer([search.count() for search in searches(marker)])


async def in_async(request: HttpRequest, marker: str) -> HttpResponse:
    return answer([await search.acount() for search in searches(marker)])


async def gathered(request: HttpRequest, marker: str) -> HttpResponse:
    return answer(await asyncio.gather(*(search.acount() for search in searches(marker))))


def count_on_a_thread(search: QuerySet) -> int:
    """Nobody else closes the connections that a thread of one's own has opened."""
    try:
        return search.count()
    finally:
        connections.close_all()


async def on_threads(request: HttpRequest, marker: str) -> HttpResponse:
    count = sync_to_async(count_on_a_thread, thread_sensitive=False)
    return answer(await asyncio.gather(*(count(search) for search in searches(marker))))


def streamed(request: HttpRequest, marker: str) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        for search in searches(marker):
            yield f"{search.count()}\n"

    return StreamingHttpResponse(parts(), content_type="text/plain")


async def async_streamed(request: HttpRequest, marker: str) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[str]:
        for search in searches(marker):
            yield f"{await search.acount()}\n"

    return StreamingHttpResponse(parts(), content_type="text/plain")


def copied_context(request: HttpRequest, marker: str) -> HttpResponse:
    def search() -> None:
        counts.extend(count_on_a_thread(search) for search in searches(marker))

    counts: list[int] = []
    thread = threading.Thread(target=copy_context().run, args=(search,))
    thread.start()
    thread.join()
    return answer(counts)


VIEWS = {
    "plain": plain,
    "async": in_async,
    "gathered": gathered,
    "threads": on_threads,
    "streamed": streamed,
    "async-streamed": async_streamed,
    "copied-context": copied_context,
}

STREAMS = {"WSGI": "streamed", "ASGI": "async-streamed"}
"""Each host can stream one kind of content piece by piece; Django reads the other to its end, and warns."""


def views_of(host: str) -> list[str]:
    """The names of the views that are made for it."""
    return [name for name in VIEWS if name not in STREAMS.values() or name == STREAMS[host]]


urlpatterns = [path(f"{name}/<slug:marker>/", view, name=name) for name, view in VIEWS.items()]
