"""
The lifetime of a request's trace, for the middleware and for the toolbar's panel.

Whichever of the two comes first begins it, the other joins. What is recorded is delivered when the
response is closed, after it was sent; a streaming response keeps its trace open until then.
"""

from __future__ import annotations

import random
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, resolve

from dbroute_panel.conf import panel_settings
from dbroute_panel.masking.secrets import find_request_secrets, mask_tokens
from dbroute_panel.recording import server_timing, sessions
from dbroute_panel.recording.libraries import entry_of
from dbroute_panel.recording.recorder import Recorder, complain, resumed
from dbroute_panel.recording.streams import Ending, Stream
from dbroute_panel.recording.traces import trace
from dbroute_panel.records import NO_ROUTE, Request

HEADER = "Dbroute-Trace-Id"

SECRET_ARGUMENTS = frozenset({"token"})
"""URL arguments that open something (Django's password reset): the route is kept in place of the path."""

_draw = random.Random()  # noqa: S311 - a sample is no secret
"""A generator of our own: the user's seeded ``random`` must give what it gives without us."""


def should_record(request: HttpRequest) -> bool:
    """The default of ``SHOULD_RECORD``: under ``DEBUG`` always, else a draw at ``SAMPLE_RATE``."""
    return settings.DEBUG or _draw.random() < panel_settings.SAMPLE_RATE


def wanted(request: HttpRequest) -> bool:
    """What ``SHOULD_RECORD`` says of the request; no, where it raises (logged once)."""
    try:
        return bool(panel_settings.SHOULD_RECORD(request))
    except Exception:
        complain("DBROUTE_PANEL['SHOULD_RECORD'] raised; the request is not recorded.")
        return False


def is_own(request: HttpRequest) -> bool:
    """
    Whether the request is to this tool's pages or to the toolbar's own URLs, which are never recorded.

    It resolves the URL only where that can be: resolving may run converters of the user's.
    """
    if "/dbroute_panel/trace/" not in request.path_info and not apps.is_installed("debug_toolbar"):
        return False
    match = _resolved(request)
    if match is None:
        return False
    return match.namespaces[-1:] == ["djdt"] or (
        "admin" in match.app_names and (match.url_name or "").startswith("dbroute_panel_trace_")
    )


def _resolved(request: HttpRequest, slash: str = "") -> ResolverMatch | None:
    """The URL pattern of the request: Django's own finding if it has one already; None without a match."""
    try:
        return request.resolver_match or resolve(request.path_info + slash, getattr(request, "urlconf", None))
    except Exception:  # Resolver404; or a URLconf that cannot be imported, which Django will report itself
        return None


class RequestTrace:
    """The trace of one request: ``stop()`` when the response is there, ``end()`` to deliver it."""

    def __init__(self, request: HttpRequest, *, shown: bool) -> None:
        self.request: HttpRequest | None = request
        self.path = request.path_info
        self.trace = trace(self.path, kind="request").begin()
        self.recorder: Recorder = self.trace._begun()
        self.recorder.secrets |= find_request_secrets(
            request
        )  # for who looks at it meanwhile; again at the end
        self.finalizer: weakref.finalize[..., HttpResponseBase] | None = None
        self._undelivered = [True]
        if shown:
            self.recorder.shown = True

    @property
    def id(self) -> str:
        """The id of the trace, 32 hex digits."""
        return self.recorder.trace_id

    @property
    def joined(self) -> bool:
        """Whether somebody else began the trace, and will end it."""
        return self.trace.joined

    def stop(self) -> None:
        """Record no more of this context: the response (or the exception) is there."""
        self.trace.stop()

    def end(self, outcome: HttpResponseBase | BaseException) -> None:
        """Describe the request, and deliver the trace as soon as ``outcome`` is done with. Never raises."""
        try:
            self.stop()
            # Not kept any longer: a request may lead to its response, which would then never be collected.
            request, self.request = self.request, None
            if request is None:
                return
            self.recorder.secrets |= find_request_secrets(request)
            self.recorder.session = sessions.session_of(request)
            response = outcome if isinstance(outcome, HttpResponseBase) else None
            status = status_of(outcome)
            if self.recorder.kind == "request" and not (self.joined and self.recorder.request):
                self.recorder.request = described(request, status, params=self.recorder.params)
                self.recorder.name = self.trace.name = self.recorder.request.path
                self.recorder.entry = entry_of(request)
            if self.joined:
                return
            if response is None:
                self.deliver()
                return
            if settings.DEBUG:
                response.headers[HEADER] = self.id
            self.time(response)
            close: Callable[[], object] = self.deliver
            collected = close
            if response.streaming:
                ending = Ending(self.deliver)
                stream = Stream(self.recorder, ending, under_asgi=hasattr(request, "scope"))
                stream.watch(response)
                close, collected = stream.close, ending.response_is_over
            # Closing is the last thing a server does with a response. One that never closes it, or a
            # response that is thrown away, ends the trace when it is collected.
            response._resource_closers.append(close)  # type: ignore[attr-defined]
            self.finalizer = weakref.finalize(response, collected)
        except Exception:
            complain("dbroute_panel could not end the trace of %s.", self.path)

    def time(self, response: HttpResponseBase) -> None:
        """Append to ``Server-Timing`` what is recorded by now: of a stream, nothing of what it will do."""
        if not panel_settings.SERVER_TIMING or response.closed:
            return
        if header := server_timing.appended(response.headers.get(server_timing.HEADER, ""), self.recorder):
            response.headers[server_timing.HEADER] = header

    def deliver(self) -> None:
        """Finish the trace and hand it to the store; without events only if somebody shows it."""
        if self.finalizer is not None:
            self.finalizer.detach()
        try:
            self._undelivered.pop()  # a response may be closed and collected at once, on two threads
        except IndexError:
            return
        try:
            self.trace.keep = bool(self.recorder.events or self.recorder.shown)
            sessions.recall(self.recorder)
            self.trace.finish()
            sessions.note(self.recorder, self.trace.document)
        except Exception:
            complain("dbroute_panel could not finish the trace of %s.", self.path)


def begin(request: HttpRequest, *, shown: bool = False) -> RequestTrace | None:
    """
    Begin to record a request, or join the trace that is active; None for the tool's own pages.

    ``shown``: a page shows the trace, so it is kept even if it is empty. Never raises.
    """
    try:
        return None if is_own(request) else RequestTrace(request, shown=shown)
    except Exception:
        complain("dbroute_panel could not begin to record %s.", request.path_info)
        return None


def status_of(outcome: HttpResponseBase | BaseException) -> int | None:
    """What the client got; None if nothing: it went away, and its view was cancelled, or the server stops."""
    if isinstance(outcome, HttpResponseBase):
        return outcome.status_code
    return 500 if isinstance(outcome, Exception) else None


def described(request: HttpRequest, status: int | None, *, params: bool) -> Request:
    """The facts about a request: its path, or where values are not kept (or open something) its route."""
    match = _resolved(request)
    path, route, view = request.path, NO_ROUTE, None
    if match is not None:
        route, view = match.route, match._func_path
    else:
        match = _resolved(request, slash="/")  # CommonMiddleware redirects there, with all that the path has
    secret = match is not None and not SECRET_ARGUMENTS.isdisjoint(match.kwargs)
    path = mask_tokens(path) if params and not secret else route
    return Request(method=request.method or "", path=path, view=view, status=status)


def muted() -> AbstractContextManager[None]:
    """Record nothing inside the block: for the tool's own pages inside somebody's trace."""
    return resumed(None)
