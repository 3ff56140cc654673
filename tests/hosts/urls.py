"""Pages that look into several databases in every way there is, each look with the marker in the URL."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

from asgiref.sync import sync_to_async
from debug_toolbar.toolbar import debug_toolbar_urls
from django.contrib import admin
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from dbroute_panel import trace
from dbroute_panel.recording.recorder import active
from dbroute_panel.stores import get_store
from example_site.library.models import Tag
from tests.hosts.markers import ALIASES, alook, look
from tests.waiting import PATIENCE_SECONDS

BIG = b"x" * 2**18
"""A part of a stream that no socket's buffer holds for long."""


def page(text="done"):
    return HttpResponse(f"<html><body>{text}</body></html>")


def sync(request, marker):
    for alias in ALIASES:
        look(marker, alias)
    return page()


async def in_async(request, marker):
    for alias in ALIASES:
        await alook(marker, alias)
    return page()


async def gathered(request, marker):
    await asyncio.gather(*(alook(marker, alias) for alias in ALIASES))
    return page()


async def threads(request, marker):
    unsafe = sync_to_async(look, thread_sensitive=False)
    await asyncio.gather(*(unsafe(marker, alias) for alias in ALIASES))
    await sync_to_async(look)(marker, "primary")
    return page()


async def tasks(request, marker):
    async with asyncio.TaskGroup() as group:
        for alias in ALIASES:
            group.create_task(alook(marker, alias))
    return page()


# Streams


def stream(request, marker):
    look(marker, "primary")

    def parts():
        for alias in ALIASES:
            yield f"{look(marker, alias)}\n"

    return StreamingHttpResponse(parts())


async def astream(request, marker):
    await alook(marker, "primary")

    async def parts():
        for alias in ALIASES:
            yield f"{await alook(marker, alias)}\n"
        await asyncio.gather(alook(marker, "primary"), alook(marker, "routed"))

    return StreamingHttpResponse(parts())


def endless(request, marker):
    def parts():
        try:
            while True:
                look(marker, "primary")
                yield BIG
        finally:
            look(marker, "legacy_users")

    return StreamingHttpResponse(parts())


async def aendless(request, marker):
    async def parts():
        try:
            while True:
                await alook(marker, "primary")
                yield BIG
        finally:
            await alook(marker, "legacy_users")
            await asyncio.sleep(0.05)
            await asyncio.gather(alook(marker, "archive"), alook(marker, "routed"))

    return StreamingHttpResponse(parts())


async def nested(request, marker):
    """A generator around a generator, as a middleware that compresses makes it."""

    async def inner():
        try:
            while True:
                await alook(marker, "primary")
                yield BIG
        finally:
            await alook(marker, "legacy_users")

    async def outer():
        async for part in inner():
            yield part

    return StreamingHttpResponse(outer())


def waits_in_sync_view(request, marker):
    look(marker, "primary")
    time.sleep(1)
    look(marker, "archive")
    return page()


async def waits_in_stream(request, marker):
    async def parts():
        try:
            await alook(marker, "primary")
            yield "first\n"
            await asyncio.sleep(60)
            yield "never\n"
        finally:
            await alook(marker, "legacy_users")

    return StreamingHttpResponse(parts())


async def waits_in_view(request, marker):
    await alook(marker, "primary")
    try:
        await asyncio.sleep(60)
    finally:
        await alook(marker, "legacy_users")


def breaks_off(request, marker):
    def parts():
        yield f"{look(marker, 'primary')}\n"
        raise LookupError("in the middle of a stream, on purpose")

    return StreamingHttpResponse(parts())


async def abreaks_off(request, marker):
    async def parts():
        yield f"{await alook(marker, 'primary')}\n"
        raise LookupError("in the middle of a stream, on purpose")

    return StreamingHttpResponse(parts())


# Threads


def context_thread(request, marker):
    """A thread with the context of the request, which is done before the page is."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(look, marker, "primary"))
    thread.start()
    look(marker, "archive")
    thread.join()
    return page()


def outliving_thread(request, marker):
    """A thread with the context of the request. It looks before that is answered, and when it is kept."""
    trace_id = active.get().trace_id
    looked, context = threading.Event(), contextvars.copy_context()

    def work():
        look(marker, "primary")
        looked.set()
        while get_store().get(trace_id) is None:
            time.sleep(0.01)
        look(marker, "archive")
        with trace(f"after {marker}"):
            Tag.objects.using("archive").create(name=marker)

    threading.Thread(target=context.run, args=(work,)).start()
    looked.wait(PATIENCE_SECONDS)
    return page()


def bare_thread(request, marker):
    """A thread without the context of the request."""
    thread = threading.Thread(target=look, args=(marker, "primary"))
    thread.start()
    look(marker, "archive")
    thread.join()
    return page()


# Failures and transactions


def fails(request, marker):
    look(marker, "primary")
    raise LookupError("a view that fails, on purpose")


async def afails(request, marker):
    await alook(marker, "primary")
    raise LookupError("a view that fails, on purpose")


def atomic(request, marker):
    look(marker, "primary")
    look(marker, "archive")
    return page()


def atomic_fails(request, marker):
    look(marker, "primary")
    look(marker, "archive")
    raise LookupError("a view in a transaction that fails, on purpose")


@transaction.non_atomic_requests(using="archive")
def half_atomic(request, marker):
    return atomic(request, marker)


def bare(view):
    """The view without the transactions of ATOMIC_REQUESTS, which Django refuses for an async one."""
    return transaction.non_atomic_requests(using="archive")(
        transaction.non_atomic_requests(using="new_users")(view)
    )


urlpatterns = [
    path("sync/<marker>/", bare(sync)),
    path("async/<marker>/", bare(in_async)),
    path("gathered/<marker>/", bare(gathered)),
    path("threads/<marker>/", bare(threads)),
    path("tasks/<marker>/", bare(tasks)),
    path("stream/<marker>/", bare(stream)),
    path("astream/<marker>/", bare(astream)),
    path("endless/<marker>/", bare(endless)),
    path("aendless/<marker>/", bare(aendless)),
    path("nested/<marker>/", bare(nested)),
    path("waits-in-stream/<marker>/", bare(waits_in_stream)),
    path("waits-in-view/<marker>/", bare(waits_in_view)),
    path("waits-in-sync-view/<marker>/", bare(waits_in_sync_view)),
    path("breaks-off/<marker>/", bare(breaks_off)),
    path("abreaks-off/<marker>/", bare(abreaks_off)),
    path("context-thread/<marker>/", bare(context_thread)),
    path("outliving-thread/<marker>/", bare(outliving_thread)),
    path("bare-thread/<marker>/", bare(bare_thread)),
    path("fails/<marker>/", bare(fails)),
    path("afails/<marker>/", bare(afails)),
    path("atomic/<marker>/", atomic),
    path("atomic-fails/<marker>/", atomic_fails),
    path("half-atomic/<marker>/", half_atomic),
    path("admin/", admin.site.urls),
    *debug_toolbar_urls(),
]
