"""
The lifetime of a request's trace, for the middleware and the toolbar's panel.

Whichever of the two comes first begins it, the other joins. What is recorded is delivered when the
response is closed, after it was sent; a streaming response keeps its trace open until then.
"""

from __future__ import annotations

import random
import re
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, resolve
from django.utils.crypto import salted_hmac

from dbroute_panel.conf import panel_settings, replicas
from dbroute_panel.masking.secrets import find_request_secrets, mask_tokens
from dbroute_panel.recording.captured import CapturedDecision, CapturedQuery
from dbroute_panel.recording.libraries import name_entry
from dbroute_panel.recording.recorder import Recorder, log_once, use_recorder
from dbroute_panel.recording.streams import Ending, Stream
from dbroute_panel.recording.trace_sink import sink
from dbroute_panel.recording.traces import trace
from dbroute_panel.records import NO_ROUTE, Request, Trace

TRACE_ID_HEADER: Final = "Dbroute-Trace-Id"
TIMING_HEADER: Final = "Server-Timing"
"""How long each database and the routers took, for the browser: https://www.w3.org/TR/server-timing/."""

MAX_HEADER_LENGTH: Final = 2048
"""The specification has no limit, proxies have: a longer ``Server-Timing`` is never made."""

SESSION_SALT: Final = "dbroute_panel.sessions"
SESSION_HASH_DIGITS: Final = 32

SECRET_ARGUMENTS: Final = frozenset({"token"})
"""URL arguments that open something (Django's password reset): the route is kept in place of the path."""

_draw = random.Random()  # noqa: S311 - a sample is no secret
"""Not the shared generator: a project that seeds ``random`` must get the numbers it gets without us."""

_NO_TOKEN = re.compile(r"[^A-Za-z0-9!#$%&'*+.^_`|~-]")
_UNPRINTABLE = re.compile(r"[^ -~]")


def should_record(request: HttpRequest) -> bool:
    """Return the default of ``SHOULD_RECORD``: True under ``DEBUG``, else a draw at ``SAMPLE_RATE``."""
    return settings.DEBUG or _draw.random() < panel_settings.SAMPLE_RATE


def is_wanted(request: HttpRequest) -> bool:
    """Return what ``SHOULD_RECORD`` says of the request; False where it raises (logged once)."""
    try:
        return bool(panel_settings.SHOULD_RECORD(request))
    except Exception:
        log_once("DBROUTE_PANEL['SHOULD_RECORD'] raised; the request is not recorded.")
        return False


def is_own(request: HttpRequest) -> bool:
    """
    Return whether the request is for this tool's pages or the toolbar's own URLs, which are never recorded.

    The URL is resolved only where that is possible at all: resolving may run the project's converters.
    """
    if "/dbroute_panel/trace/" not in request.path_info and not apps.is_installed("debug_toolbar"):
        return False
    match = _resolve(request)
    if match is None:
        return False
    return match.namespaces[-1:] == ["djdt"] or (
        "admin" in match.app_names and (match.url_name or "").startswith("dbroute_panel_trace_")
    )


def _resolve(request: HttpRequest, slash: str = "") -> ResolverMatch | None:
    """Return the URL pattern of the request, which Django may have found already; None without a match."""
    try:
        return request.resolver_match or resolve(request.path_info + slash, getattr(request, "urlconf", None))
    except Exception:  # Resolver404; or a URLconf that cannot be imported, which Django reports
        return None


class RequestTrace:
    """The trace of one request: ``stop()`` when there is a response, ``end()`` to deliver the trace."""

    def __init__(self, request: HttpRequest, *, shown: bool) -> None:
        self.request: HttpRequest | None = request
        self.path = request.path_info
        self.trace = trace(self.path, kind="request").begin()
        self.recorder: Recorder = self.trace._get_recorder()
        self.recorder.secrets |= find_request_secrets(request)  # while it runs, and again at the end
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
        """Whether the trace was begun elsewhere, and is ended there."""
        return self.trace.joined

    def stop(self) -> None:
        """Record no more in this context."""
        self.trace.stop()

    def end(self, outcome: HttpResponseBase | BaseException) -> None:
        """Describe the request; deliver the trace when ``outcome`` (a response) is closed. Never raises."""
        try:
            self.stop()
            # A request may refer to its response, which would then never be collected.
            request, self.request = self.request, None
            if request is None:
                return
            self.recorder.secrets |= find_request_secrets(request)
            self.recorder.session = hash_session(request)
            response = outcome if isinstance(outcome, HttpResponseBase) else None
            status = get_status(outcome)
            if self.recorder.kind == "request" and not (self.joined and self.recorder.request):
                self.recorder.request = describe_request(request, status, params=self.recorder.params)
                self.recorder.name = self.trace.name = self.recorder.request.path
                self.recorder.entry = name_entry(request)
            if self.joined:
                return
            if response is None:
                self.deliver()
                return
            if settings.DEBUG:
                response.headers[TRACE_ID_HEADER] = self.id
            self.append_timing(response)
            close: Callable[[], object] = self.deliver
            collected = close
            if response.streaming:
                ending = Ending(self.deliver)
                stream = Stream(self.recorder, ending, under_asgi=hasattr(request, "scope"))
                stream.watch(response)
                close, collected = stream.close, ending.end_response
            # Closing is the last thing a server does with a response. One that is never closed ends the trace
            # when it is collected.
            response._resource_closers.append(close)  # type: ignore[attr-defined]
            self.finalizer = weakref.finalize(response, collected)
        except Exception:
            log_once("dbroute_panel could not end the trace of %s.", self.path)

    def append_timing(self, response: HttpResponseBase) -> None:
        """Append what is recorded by now to ``Server-Timing``; the content of a stream runs later."""
        if not panel_settings.SERVER_TIMING or response.closed:
            return
        if header := append_metrics(response.headers.get(TIMING_HEADER, ""), self.recorder):
            response.headers[TIMING_HEADER] = header

    def deliver(self) -> None:
        """Finish the trace and keep it; one without events only if a page shows it."""
        if self.finalizer is not None:
            self.finalizer.detach()
        try:
            self._undelivered.pop()  # two threads may close and collect a response at the same time
        except IndexError:
            return
        try:
            self.trace.keep = bool(self.recorder.events or self.recorder.shown)
            _recall_session(self.recorder)
            self.trace.finish()
            _note_session(self.recorder, self.trace.document)
        except Exception:
            log_once("dbroute_panel could not finish the trace of %s.", self.path)


def begin(request: HttpRequest, *, shown: bool = False) -> RequestTrace | None:
    """
    Begin to record a request, or join the active trace. Never raises.

    Args:
        request: The request.
        shown: Whether a page shows the trace, which is kept then even if it is empty.

    Returns:
        The trace, or None for the tool's own pages.
    """
    try:
        return None if is_own(request) else RequestTrace(request, shown=shown)
    except Exception:
        log_once("dbroute_panel could not begin to record %s.", request.path_info)
        return None


def get_status(outcome: HttpResponseBase | BaseException) -> int | None:
    """Return the status that the client got; None if it went away or the server stops."""
    if isinstance(outcome, HttpResponseBase):
        return outcome.status_code
    return 500 if isinstance(outcome, Exception) else None


def describe_request(request: HttpRequest, status: int | None, *, params: bool) -> Request:
    """Return the facts about a request. Where values are secret or not kept, its route replaces its path."""
    match = _resolve(request)
    path, route, view = request.path, NO_ROUTE, None
    if match is not None:
        route, view = match.route, match._func_path
    else:
        match = _resolve(request, slash="/")  # CommonMiddleware redirects there with the same path
    secret = match is not None and not SECRET_ARGUMENTS.isdisjoint(match.kwargs)
    path = mask_tokens(path) if params and not secret else route
    return Request(method=request.method or "", path=path, view=view, status=status)


def mute() -> AbstractContextManager[None]:
    """Record nothing inside the block, for the tool's own pages inside a trace."""
    return use_recorder(None)


# Server-Timing


def append_metrics(before: str, recorder: Recorder) -> str:
    """Return the ``Server-Timing`` header ``before`` with as many of our metrics as there is room for."""
    header = before
    for metric in _list_metrics(recorder):
        longer = f"{header}, {metric}" if header else metric
        if len(longer) <= MAX_HEADER_LENGTH:
            header = longer
    return header


def _list_metrics(recorder: Recorder) -> list[str]:
    """Return the metric of the routers, then one of each alias that was queried, the slowest first."""
    routing = [0, 0]
    aliases: dict[str, list[int]] = {}
    for raw in recorder.events[:]:
        if type(raw) is CapturedQuery:
            total = aliases.setdefault(raw.alias, [0, 0])
        elif (
            type(raw) is CapturedDecision and raw.parent_id is None
        ):  # the time of an inner one is in the outer's
            total = routing
        else:
            continue
        total[0] += 1
        total[1] += raw.end - raw.start
    slowest = sorted(aliases.items(), key=_duration, reverse=True)
    if not (slowest or routing[0]):
        return []
    return [
        _format_metric("routing", "routing", "decision", *routing),
        *(_format_metric(f"db-{alias}", alias, "query", *total) for alias, total in slowest),
    ]


def _format_metric(name: str, title: str, what: str, count: int, nanoseconds: int) -> str:
    """Return ``db-primary;dur=1.234;desc="primary: 3 queries"``: milliseconds; ASCII, so not translated."""
    plural = {"decision": "decisions", "query": "queries"}[what]
    description = f"{title}: {count} {what if count == 1 else plural}"
    quoted = _UNPRINTABLE.sub("?", description).replace("\\", "\\\\").replace('"', '\\"')
    return f'{_NO_TOKEN.sub("_", name)};dur={nanoseconds / 1e6:.3f};desc="{quoted}"'


def _duration(item: tuple[str, list[int]]) -> int:
    return item[1][1]


# Sessions


def hash_session(request: HttpRequest) -> str | None:
    """
    Return a hash of the request's session; None without one, and where ``FOLLOW_SESSIONS`` is off.

    It opens no session, and without ``SECRET_KEY`` it does not tell whose it was.
    """
    if not panel_settings.FOLLOW_SESSIONS:
        return None
    session = getattr(request, "session", None)
    # Its key is known without loading it: from the cookie, or since it was saved.
    if not isinstance(session, SessionBase) or not (key := session.session_key):
        return None
    return salted_hmac(SESSION_SALT, key, algorithm="sha256").hexdigest()[:SESSION_HASH_DIGITS]


def _recall_session(recorder: Recorder) -> None:
    """Give a recorder what its session wrote before, if it read from a replica at all."""
    primaries = replicas()
    if recorder.session is None or not any(
        type(event) is CapturedQuery and event.alias in primaries for event in recorder.events[:]
    ):
        return
    with use_recorder(None):  # this may be another trace's context, as where the trace is kept
        recorder.session_writes = sink.recall_session(recorder.session, recorder.started_at.timestamp())


def _note_session(recorder: Recorder, trace: Trace) -> None:
    """Let what the trace of a session wrote be remembered for its next requests."""
    if recorder.session is not None:
        with use_recorder(None):
            sink.note_session(recorder.session, trace)
