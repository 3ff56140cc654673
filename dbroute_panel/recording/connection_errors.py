"""
Record attempts to reach a database that is not configured or does not answer.

There is no connection yet that could be watched, and no statement. The attempt is recorded as a query that
failed, without SQL, and Django's exception stays as it is: ``ConnectionDoesNotExist`` for an unknown alias,
``ImproperlyConfigured`` for a ``default`` left ``{}`` (Django's dummy backend), and what a driver raises.

``django.db.connections`` keeps its identity; its class becomes a subclass of what it was, as the router's
does. There ``exception_class`` is a function that records the failure where Django's own lookup calls it, and
for all other code (``except connections.exception_class``) the class that it was. A lookup costs no more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, wraps
from time import perf_counter_ns
from types import FrameType
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.dummy.base import DatabaseWrapper as DummyWrapper
from django.utils.connection import BaseConnectionHandler

from dbroute_panel.recording.captured import CapturedQuery
from dbroute_panel.recording.errors import describe_error
from dbroute_panel.recording.frame_kinds import FrameFilter, FrameKind, get_code
from dbroute_panel.recording.query_source import complete_source, find_connecting_sender
from dbroute_panel.recording.recorder import OWN, recording
from dbroute_panel.recording.snapshots import capture_scalar
from dbroute_panel.recording.stack import next_frame

_MODELS = FrameFilter(FrameKind.USER, FrameKind.QUERYSET, FrameKind.MODEL)
_LOOKUP = get_code(BaseConnectionHandler.__getitem__)


def watch() -> None:
    """Watch for databases that cannot be reached. Calling it again changes nothing."""
    handler = type(connections)
    if not getattr(handler, "is_watched", False):
        watched = {"is_watched": True, "exception_class": _Raised(connections.exception_class)}
        connections.__class__ = type(f"Watched{handler.__name__}", (handler,), watched)
    for backend, names in (
        (BaseDatabaseWrapper, ["connect"]),
        (DummyWrapper, ["_cursor", "ensure_connection"]),
    ):
        for name in names:
            method = getattr(backend, name)
            if not getattr(method, "is_watched", False):
                setattr(backend, name, _wrap_failing(method))


class _Raised:
    """``exception_class`` of the handler of connections; no data descriptor, so that it can still be set."""

    def __init__(self, raised: type[Exception]) -> None:
        self.raised = raised

    def __get__(self, handler: object, owner: type) -> Callable[..., Exception]:
        if handler is not None and sys._getframe(1).f_code is _LOOKUP:
            return partial(_unknown, self.raised)
        return self.raised


def _unknown(raised: type[Exception], *args: Any) -> Exception:
    error = raised(*args)
    lookup = sys._getframe(1)  # BaseConnectionHandler.__getitem__(self, alias)
    # While save() handles the error it wants the connection's state, and meets the same error again.
    handled = sys.exception()
    before = None if handled is None else handled.__context__
    if type(before) is not type(error) or str(before) != str(error):
        _note(error, lookup.f_locals.get("alias"), "unknown", lookup)
    return error


def _wrap_failing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method of a backend class to record its failure; there is no connection yet to hook into."""

    @wraps(original)
    def method(self: BaseDatabaseWrapper, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        except Exception as error:
            _note(error, self.alias, self.vendor, sys._getframe(1), self)
            raise

    method.is_watched = True  # type: ignore[attr-defined]
    return method


def _note(error: Exception, alias: Any, vendor: str, frame: FrameType, connection: object = None) -> None:
    """Record the attempt, if a trace is active, searching from ``frame`` outwards."""
    recorder = recording()
    if recorder is None:
        return
    try:
        source = find_connecting_sender(frame, connection)
        complete_source(source, recorder)
        model = _find_model(frame) if source.compiler is None else source.model
        label = None if model is None else recorder.label(model)
        if label is not OWN and (event := recorder.draw("query")):
            now, using = perf_counter_ns(), getattr(source.compiler, "using", alias)
            recorder.events.append(
                CapturedQuery(
                    event,
                    capture_scalar(alias),
                    vendor,
                    "",
                    None,
                    False,
                    label,
                    recorder.answers.get(id(using)),
                    label is not None,
                    False,
                    None,
                    recorder.parent_id,
                    source.callsite,
                    now,
                    now,
                    told=source.route,
                    error=(type(error).__name__, describe_error(error)),
                )
            )
    except Exception:
        recorder.lost("query")


def _find_model(frame: FrameType | None) -> Any:
    """Return the model whose queryset or object wanted the connection, where there is no compiler yet."""
    here = next_frame(frame, _MODELS)
    while here is not None and (kind := _MODELS[here.f_code.co_filename]) is not FrameKind.USER:
        me = here.f_locals.get("self")
        is_query = kind is FrameKind.QUERYSET
        found = getattr(getattr(me, "queryset", me), "model", None) if is_query else type(me)
        if found is not None:
            return found
        here = next_frame(here.f_back, _MODELS)
    return None
