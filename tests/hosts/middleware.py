"""Middleware of every kind around the pages, which looks into a database and raises where the URL says so."""

from __future__ import annotations

import gc
import threading

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from tests.hosts.markers import alook, look


class Raised(Exception):
    """On purpose."""


class Outer:
    """In front of ``TraceMiddleware``; sync and async. ``?raise=outer-before`` or ``outer-after``."""

    sync_capable = async_capable = True
    name = "outer"

    def __init__(self, get_response):
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request):
        if iscoroutinefunction(self):
            return self.in_async(request)
        self.maybe(request, "before")
        response = self.get_response(request)
        self.maybe(request, "after")
        return response

    async def in_async(self, request):
        await self.amaybe(request, "before")
        response = await self.get_response(request)
        await self.amaybe(request, "after")
        return response

    def is_asked(self, request, when):
        return request.GET.get("raise") == f"{self.name}-{when}"

    def maybe(self, request, when):
        if self.is_asked(request, when):
            threading.Timer(0.3, gc.collect).start()
            look(marker_of(request), "legacy_users")
            raise Raised(when)

    async def amaybe(self, request, when):
        if self.is_asked(request, when):
            threading.Timer(0.3, gc.collect).start()
            await alook(marker_of(request), "legacy_users")
            raise Raised(when)


class InnerSync(Outer):
    """Between ``TraceMiddleware`` and the page; Django runs it on a thread under ASGI."""

    async_capable = False
    name = "inner-sync"

    def process_view(self, request, view, args, kwargs):
        self.maybe(request, "view")

    def process_exception(self, request, exception):
        self.maybe(request, "exception")


class InnerAsync(Outer):
    """The same; Django runs it in an event loop of its own under WSGI."""

    sync_capable = False
    name = "inner-async"

    async def process_view(self, request, view, args, kwargs):
        await self.amaybe(request, "view")


def marker_of(request):
    return request.path.split("/")[2]


def asks_for_toolbar(request):
    return "toolbar" in request.GET
