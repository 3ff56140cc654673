"""
Databases that do not exist: what was meant for an alias that is not configured.

``connections[alias]`` raises ``ConnectionDoesNotExist`` before there is a connection to watch. The
handler makes that exception by calling its ``exception_class``; ours notes the attempt as a query that
failed, with no SQL, and hands back the very exception that Django would have raised.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter_ns
from types import FrameType
from typing import Any

from django.db import connections

from dbroute_panel.recording.callers import MODEL, QUERYSET, USER, callsite, kinds
from dbroute_panel.recording.carrier import decision_behind
from dbroute_panel.recording.recorder import RawQuery, Recorder, asking, recording
from dbroute_panel.recording.snapshots import described


def watch() -> None:
    """Begin to watch for aliases that are not configured; calling it again changes nothing."""
    raised = connections.exception_class
    if not getattr(raised, "is_watched", False):
        connections.exception_class = _noting(raised)  # type: ignore[assignment]


def _noting(original: Callable[..., Exception]) -> Callable[..., Exception]:
    def exception_class(*args: Any) -> Exception:
        error = original(*args)
        recorder = recording()
        if recorder is not None and not _is_known(error) and recorder.has_room("query"):
            try:
                _note(recorder, error, sys._getframe(1))
            except Exception:
                recorder.lost("query")
        return error

    exception_class.is_watched = True  # type: ignore[attr-defined]
    return exception_class


def _is_known(error: Exception) -> bool:
    """Whether Django met ``error`` again while handling it: ``save()`` then wants the connection's state."""
    handled = sys.exception()  # the AttributeError that __getitem__ handles, in the context of the first
    before = None if handled is None else handled.__context__
    return type(before) is type(error) and str(before) == str(error)


def _note(recorder: Recorder, error: Exception, handler: FrameType) -> None:
    """Record the attempt. ``handler`` is the frame of ``ConnectionHandler.__getitem__(alias)``."""
    alias = handler.f_locals["alias"]
    model = _model(handler.f_back)
    now = perf_counter_ns()
    recorder.events.append(
        RawQuery(
            recorder.draw_id(),
            now,
            now,
            str(alias),
            "unknown",
            "",
            None,
            False,
            None if model is None else recorder.label(model),
            decision_behind(alias, recorder.trace_id),
            model is not None,
            False,
            None,
            False,
            None,
            None,
            (type(error).__name__, described(error)),
            asking.get(),
            callsite(handler.f_back) if recorder.callsites else None,
        )
    )


def _model(frame: FrameType | None) -> Any:
    """The model whose queryset or object wanted the connection, or None where code asked for it by itself."""
    while frame is not None:
        kind = kinds[frame.f_code.co_filename]
        if kind == USER:
            return None
        if kind in (QUERYSET, MODEL):
            me = frame.f_locals.get("self")
            found = getattr(getattr(me, "queryset", me), "model", None) if kind == QUERYSET else type(me)
            if found is not None:
                return found
        frame = frame.f_back
    return None
