"""Record requests, with or without the toolbar: put ``TraceMiddleware`` first in ``MIDDLEWARE``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from dbroute_panel.recording import requests

GetResponse = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class TraceMiddleware:
    """
    Traces each request that ``SHOULD_RECORD`` selects, also those that fail. Put it first.

    Works in sync and in async; the tool's own pages are never recorded.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response: Any = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self.is_async:
            return self.__acall__(request)
        if requests.is_own(request):
            with requests.mute():
                return self.get_response(request)
        recorded = requests.begin(request) if requests.is_wanted(request) else None
        if recorded is None:
            return self.get_response(request)
        try:
            response = self.get_response(request)
        except BaseException as error:
            recorded.end(error)
            raise
        recorded.end(response)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        if requests.is_own(request):
            with requests.mute():
                return await self.get_response(request)  # type: ignore[no-any-return]
        recorded = requests.begin(request) if requests.is_wanted(request) else None
        if recorded is None:
            return await self.get_response(request)  # type: ignore[no-any-return]
        try:
            response: HttpResponseBase = await self.get_response(request)
        except BaseException as error:
            recorded.end(error)
            raise
        recorded.end(response)
        return response
