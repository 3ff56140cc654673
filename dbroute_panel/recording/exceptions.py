"""
Record exceptions that leave an ``atomic()`` block or end a trace: one event each, of the outermost it left.

What Django refuses because the databases do not fit is recorded also where it is caught.

No exception, traceback or frame is kept. An exception is recognised, where it leaves the next block, by its
``id()`` and by its traceback, which grows at the front by each frame that it leaves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from time import perf_counter_ns
from types import FrameType, ModuleType, TracebackType
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.fields import related_descriptors
from django.db.models.lookups import In
from django.db.transaction import TransactionManagementError
from msgspec import structs

from dbroute_panel.environment import DJANGO_FOLDER
from dbroute_panel.recording.captured import CapturedCallsite, CapturedException, Seen
from dbroute_panel.recording.errors import (
    DatabaseMismatch,
    describe_error,
    find_mismatch,
    is_as_sql,
    read_lock,
)
from dbroute_panel.recording.frame_kinds import FrameKind, classify_file
from dbroute_panel.recording.libraries import LibraryLines
from dbroute_panel.recording.recorder import Recorder, recording
from dbroute_panel.recording.stack import find_callsite, find_libraries

MAX_SEEN = 20
"""Maximum exceptions remembered; hardly more propagate at the same time."""

Function = Callable[..., Any]

GENERIC_FIELDS: Final = "django.contrib.contenttypes.fields"
"""Imported only in a project with generic relations."""

_GENERATORS = CO_GENERATOR | CO_ASYNC_GENERATOR


def note_left_atomic(recorder: Recorder, error: BaseException, alias: str, number: int | None) -> None:
    """Record that ``error`` left an ``atomic()`` on ``alias``, in transaction ``number`` of this trace."""
    try:
        raw = _find_seen(recorder, error, alias) or _record(recorder, error)
        if raw is not None:
            raw.ended, raw.alias, raw.transaction_number = "atomic", alias, number
    except Exception:
        recorder.lost("exception")


def note_ended_trace(recorder: Recorder, error: BaseException, *, whole: bool = True) -> int | None:
    """
    Record that ``error`` ended the trace; return the id of its event, or None.

    Args:
        recorder: The recorder of the trace.
        error: The exception.
        whole: False where it ended only a block that had joined the trace.
    """
    if type(error) is SystemExit and not error.code:
        return None  # how a command ends with success
    try:
        raw = _find_seen(recorder, error, None) or _record(recorder, error)
        if raw is None:
            return None
        if whole:
            raw.ended = "trace"
        return raw.id
    except Exception:
        recorder.lost("exception")
        return None


def note_refused(error: BaseException) -> None:
    """Record that Django refuses something because the databases do not fit, even if ``error`` is caught."""
    if (recorder := recording()) is None:
        return
    try:
        about = _find_mismatch(error)
        if (
            about is not None
            and about.other not in (None, about.using)
            and not _find_seen(recorder, error, None)
        ):
            _record(recorder, error)
    except Exception:
        recorder.lost("exception")


def note_lock_refused(recorder: Recorder, frame: FrameType) -> None:
    """Record that ``SQLCompiler.as_sql()``, running in ``frame``, is going to refuse a lock in autocommit."""
    try:
        if event := recorder.draw("exception"):
            name = TransactionManagementError.__name__
            place = CapturedCallsite(frame.f_code, frame.f_lasti, entry="")
            raw = CapturedException(event, perf_counter_ns(), (name, name), None, None, None, None, place)
            raw.site = recorder.find_callsite(frame)
            raw.model, raw.using, raw.other = read_lock(frame.f_locals)
            recorder.events.append(raw)
            recorder.refusal = id(frame), raw
    except Exception:
        recorder.lost("exception")


def note_entered(recorder: Recorder, alias: str) -> None:
    """Note that an ``atomic()`` on ``alias`` begins: an exception that leaves it is later."""
    recorder.entered[alias] = recorder.latest


def _record(recorder: Recorder, error: BaseException) -> CapturedException | None:
    expected = _pop_expected(recorder, error)
    event = recorder.draw("exception") if expected is None else expected.id
    if not event:
        return None
    site, raised_at = _find_places(error.__traceback__)
    name = type(error).__name__
    message = describe_error(error)
    if expected is not None:
        raw = expected
        raw.error, raw.raised_at = (name, message), raised_at
    else:
        raw = CapturedException(event, perf_counter_ns(), (name, message), None, None, None, None, raised_at)
        recorder.events.append(raw)
    if recorder.callsites:
        raw.site = site
    if (about := _find_mismatch(error)) is not None:
        raw.model, raw.using, raw.other = about
    _remember(recorder, error, raw)
    return raw


def _pop_expected(recorder: Recorder, error: BaseException) -> CapturedException | None:
    """Return the event recorded when Django was about to raise ``error``, or None."""
    frame, raw = recorder.refusal
    last = _get_last_line(error)
    if raw is None or last is None or id(last.tb_frame) != frame or not is_as_sql(last.tb_frame.f_code):
        return None
    recorder.refusal = (0, None)
    return raw


def _remember(recorder: Recorder, error: BaseException, raw: CapturedException) -> None:
    traceback = _identify(error.__traceback__)
    kept = _identify(_skip_generators(error.__traceback__))
    recorder.raised.append(Seen(id(error), traceback, kept, _get_position(error.__traceback__), raw))
    del recorder.raised[:-MAX_SEEN]


def _find_seen(recorder: Recorder, error: BaseException, alias: str | None) -> CapturedException | None:
    """Return the event of ``error`` if it has left something before, and note that it leaves this, too."""
    if not recorder.raised:
        return None
    traceback, position = _identify(error.__traceback__), _get_position(error.__traceback__)
    for number, seen in enumerate(recorder.raised):
        if seen.identity != id(error) or traceback[len(traceback) - len(seen.kept) :] != seen.kept:
            continue
        # In a loop the next exception may have the same id(), and its traceback too. One instruction ends
        # several blocks only in an ExitStack, where none of them has just begun.
        again = traceback == seen.traceback and position == seen.position
        if again and (alias is None or recorder.entered.get(alias, 0) >= seen.raw.id):
            return None
        recorder.raised[number] = seen._replace(traceback=traceback, position=position)
        return seen.raw
    return None


def _find_mismatch(error: BaseException) -> DatabaseMismatch | None:
    line = _get_last_line(error)
    with suppress(AttributeError, KeyError):  # a replaced object is not what Django's would be
        return None if line is None else find_mismatch(error, line.tb_frame)
    return None


def _get_last_line(error: BaseException) -> TracebackType | None:
    """Return the line of the traceback where ``error`` was raised."""
    line = error.__traceback__
    while line is not None and line.tb_next is not None:
        line = line.tb_next
    return line


def _iterate_lines(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _identify(traceback: TracebackType | None) -> tuple[tuple[int, int], ...]:
    return tuple((id(line), line.tb_lasti) for line in _iterate_lines(traceback))


def _get_position(traceback: TracebackType | None) -> int:
    return -1 if traceback is None else traceback.tb_frame.f_lasti


def _skip_generators(traceback: TracebackType | None) -> TracebackType | None:
    """Return the traceback without the generators at its front, but for the line that raised."""
    while traceback is not None and traceback.tb_next is not None:
        if not traceback.tb_frame.f_code.co_flags & _GENERATORS:
            break
        traceback = traceback.tb_next
    return traceback


def _find_places(traceback: TracebackType | None) -> tuple[CapturedCallsite | None, CapturedCallsite | None]:
    """
    Return the innermost line of the user's, and the line where the exception came out of Django.

    The first is a library's line where there is none of the user's; the second is None if the user's code
    raised.
    """
    libraries, raised_at = LibraryLines(), None
    for line in reversed(list(_iterate_lines(traceback))):
        code = line.tb_frame.f_code
        if classify_file(code.co_filename) is FrameKind.USER:
            return _get_callsite(line), raised_at
        if raised_at is None and code.co_filename.replace("\\", "/").startswith(DJANGO_FOLDER):
            raised_at = CapturedCallsite(code, line.tb_lasti, entry="")
        if libraries.meet(line.tb_frame, line.tb_lasti):
            break
    else:  # the callers of the code that raised go on
        outer = traceback and traceback.tb_frame.f_back
        callsite = find_callsite(outer)
        if callsite is not None and callsite.entry is None:
            return callsite, raised_at
        find_libraries(outer, libraries)
    return libraries.find_callsite(), raised_at


def _get_callsite(line: TracebackType) -> CapturedCallsite | None:
    """Return a line of a traceback, with the template that was being rendered."""
    found = find_callsite(line.tb_frame)
    return found and structs.replace(found, instruction=line.tb_lasti)


def on_request_exception(sender: Any, **kwargs: Any) -> None:
    """Receive ``got_request_exception``: Django answers an exception with status 500."""
    error, recorder = sys.exception(), recording()
    if error is not None and recorder is not None:
        note_ended_trace(recorder, error, whole=recorder.in_request)


# What Django refuses before it sends any SQL


def watch_refusals() -> None:
    """Watch where Django refuses what does not fit the database. Calling it again changes nothing."""
    _wrap(In, "process_rhs", _note_refusal)
    _wrap(related_descriptors, "create_reverse_many_to_one_manager", _wrap_add)
    if (generic := sys.modules.get(GENERIC_FIELDS)) is not None:
        _wrap(generic, "create_generic_related_manager", _wrap_add)
    _wrap(BaseDatabaseWrapper, "get_autocommit", _note_lock)


def _wrap(owner: type | ModuleType, name: str, wrapper: Callable[[Function], Function]) -> None:
    function = getattr(owner, name)
    if not getattr(function, "is_watched", False):
        wrapped: Any = wrapper(function)
        wrapped.is_watched = True
        setattr(owner, name, wrapped)


def _note_refusal(original: Function) -> Function:
    @wraps(original)
    def method(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except ValueError as error:
            note_refused(error)
            raise

    return method


def _wrap_add(original: Function) -> Function:
    """Wrap ``add()`` of the classes of related managers that a function makes."""

    @wraps(original)
    def make(*args: Any, **kwargs: Any) -> Any:
        manager = original(*args, **kwargs)
        _wrap(manager, "add", _note_refusal)
        return manager

    return make


def _note_lock(original: Function) -> Function:
    """
    Wrap ``get_autocommit()``, which ``SQLCompiler.as_sql()`` calls for a lock alone, right before it raises.

    A wrapper of ``as_sql()`` would run for every query.
    """

    @wraps(original)
    def get_autocommit(self: BaseDatabaseWrapper) -> Any:
        autocommit = original(self)
        if autocommit and (recorder := recording()) is not None:
            caller = sys._getframe(1)
            if is_as_sql(caller.f_code) and self.features.supports_transactions:
                note_lock_refused(recorder, caller)
        return autocommit

    return get_autocommit
