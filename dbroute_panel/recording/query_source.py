"""
Find where a query comes from: who sends it, the user's line, and the ``save()`` that it is part of.

The sender (a compiler of the ORM, a ``RawQuery``, the connection itself, or a raw cursor) is told by the
objects that are at work in the frames, and not by what their functions are called: the compiler that has this
very cursor, and executes with it. So a frame of the project's or a library's in between does not matter (an
execute wrapper, a method of the cursor that was replaced, a proxy of the cursor), and a query that user code
sends with its own cursor while the compiler is at work is not that of the compiler.

``find_query_source()`` is the reference. Most queries need no walk of their own (``_fastpath``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from inspect import CO_VARARGS
from types import CodeType, FrameType, MemberDescriptorType
from typing import Any, Final

import msgspec
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.query_utils import DeferredAttribute
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.query import RawQuery

from dbroute_panel.recording.captured import CapturedCallsite
from dbroute_panel.recording.frame_kinds import FrameFilter, FrameKind, classify_file, get_code
from dbroute_panel.recording.lookups import find_lookup_decision
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.recording.stack import next_frame
from dbroute_panel.records import RouteKind

_WITH_WRAPPERS = get_code(CursorWrapper._execute_with_wrappers)  # type: ignore[attr-defined]
# Since Django 6.1: the objects of one queryset get a deferred field together.
_FETCH_MANY = get_code(getattr(DeferredAttribute, "fetch_many", None))

_ENDS = (FrameKind.USER, FrameKind.THREAD, FrameKind.HANDLER)
_SENDERS = FrameFilter(*_ENDS, FrameKind.CURSOR, FrameKind.COMPILER, FrameKind.RAW, FrameKind.LIBRARY)
_ORIGINS = FrameFilter(*_ENDS, FrameKind.MODEL, FrameKind.SCHEMA, FrameKind.DEFERRED, FrameKind.LIBRARY)
_CONNECTING = FrameFilter(FrameKind.COMPILER, FrameKind.RAW, FrameKind.HANDLER, FrameKind.THREAD)

HOUSEKEEPERS: Final[set[CodeType]] = set()
"""The code of ours around what a connection does for a transaction (``transactions``), called with it."""


class QuerySource(msgspec.Struct):
    """
    Where a query comes from.

    ``compiler``: the compiler or ``RawQuery`` that sends it, which is at work in ``frame``; None of a raw
    cursor, which is used in ``frame``. ``saved``: the object whose ``save()`` it is. ``route``: of a query
    that a schema editor sends, or that gets a deferred field for several objects.
    """

    compiler: Any
    frame: FrameType | None
    model: Any = None
    decision_id: int | None = None
    callsite: CapturedCallsite | None = None
    saved: Any = None
    route: RouteKind | None = None


def find_query_source(
    recorder: Recorder, frame: FrameType | None, cursor: object, connection: Any, sql: object
) -> QuerySource:
    """
    Return where a query comes from.

    Args:
        frame: What calls ``cursor`` (``find_cursor_caller()``).
        sql: The statement, as it was given to the cursor.
    """
    source = find_sender(frame, cursor, connection, sql)
    complete_source(source, recorder)
    if source.route is None:
        if source.compiler is None:
            source.decision_id = find_lookup_decision(frame, connection.alias, recorder.answers)
        if source.decision_id is None and recorder.answered_as:
            source.decision_id = recorder.decision_of(getattr(source.compiler, "using", None), source.model)
    return source


def complete_source(  # noqa: C901 - one loop over all kinds of frames
    source: QuerySource, recorder: Recorder
) -> None:
    """Find all about a query whose sender is known, from its frame outwards to the user's first one."""
    compiler = source.compiler
    # What a library sends while an object is saved is not that save().
    saves = compiler is not None
    here = source.frame
    while (here := next_frame(here, _ORIGINS)) is not None:
        kind = _ORIGINS[here.f_code.co_filename]
        if kind in _ENDS:
            break
        if kind is FrameKind.MODEL:
            if saves and here.f_code.co_name == "_save_table":
                source.saved, saves = here.f_locals.get("self"), False
        elif kind is FrameKind.LIBRARY:
            saves = False
        elif kind is FrameKind.SCHEMA and compiler is None:
            source.route = RouteKind.SCHEMA
        elif here.f_code is _FETCH_MANY and compiler is not None:
            source.route = RouteKind.PEERS
        here = here.f_back
    if compiler is not None:
        if source.route is not RouteKind.PEERS:
            source.decision_id = recorder.answers.get(id(getattr(compiler, "using", None)))
        try:
            source.model = compiler.query.model
        except AttributeError:  # a RawQuery does not know its model
            source.model = _find_raw_model(source.frame, here)
    source.callsite = recorder.find_callsite(source.frame)


def _find_raw_model(frame: FrameType | None, end: FrameType | None) -> Any:
    """Return the model of ``Model.objects.raw()``, whose iterable or queryset is at work before ``end``."""
    while frame is not None and frame is not end:
        if classify_file(frame.f_code.co_filename) is FrameKind.QUERYSET:
            me = frame.f_locals.get("self")
            return getattr(getattr(me, "queryset", me), "model", None)
        frame = frame.f_back
    return None


def get_receiver(frame: FrameType) -> Any:
    """Return the first argument of the function in ``frame``: of a method, its object."""
    code, names = frame.f_code, frame.f_locals
    if code.co_argcount:
        return names.get(code.co_varnames[0])
    if code.co_flags & CO_VARARGS and (rest := names.get(code.co_varnames[code.co_kwonlyargcount])):
        return rest[0]
    return None


def find_cursor_caller(cursor: object, frame: FrameType) -> FrameType | None:
    """
    Return the frame that had ``cursor`` execute a statement, outwards from one of its execute wrappers.

    Between are other execute wrappers and methods of the cursor, which a project may have replaced.
    """
    here: FrameType | None = frame
    while here is not None and get_receiver(here) is not cursor:
        here = here.f_back
    here = here or frame
    while here is not None and get_receiver(here) is cursor:
        here = here.f_back
    return here


def is_connecting(frame: FrameType | None, connection: object) -> bool:
    """Return whether ``connect()`` of a connection is at work in ``frame``, through its methods alone."""
    while frame is not None and get_receiver(frame) is connection:
        if frame.f_code.co_name == "connect":
            return True
        frame = frame.f_back
    return False


def is_housekeeping(frame: FrameType | None, cursor: object, connection: object) -> bool:
    """
    Return whether what calls a cursor in ``frame`` is its connection, to connect or for a transaction.

    What execute wrappers and receivers of signals send meanwhile is not: their frames lie between.
    """
    while frame is not None and _is_proxy(frame, cursor):
        frame = frame.f_back
    while frame is not None and get_receiver(frame) is connection:
        if frame.f_code in HOUSEKEEPERS or frame.f_code.co_name == "connect":
            return True
        frame = frame.f_back
    return False


def find_sender(frame: FrameType | None, cursor: object, connection: object, sql: object) -> QuerySource:
    """Return who has ``cursor`` execute ``sql``, looking from ``frame``, which calls the cursor, outwards."""
    here = frame
    while (here := next_frame(here, _SENDERS)) is not None:
        kind = _SENDERS[here.f_code.co_filename]
        if kind is FrameKind.COMPILER:
            if "cursor" in here.f_code.co_varnames and _executes(here, cursor, connection, sql):
                return QuerySource(get_receiver(here), here)
        elif kind is FrameKind.RAW:
            me = get_receiver(here)
            if issubclass(type(me), RawQuery) and (
                _leads_to(me.__dict__.get("cursor"), cursor)
                or (me.sql is sql and here.f_locals.get("connection") is connection)
            ):
                return QuerySource(me, here)
        elif kind in (FrameKind.LIBRARY, FrameKind.USER):
            if issubclass(type(me := get_receiver(here)), SQLCompiler) and me.connection is connection:
                values = here.f_locals.values()
                if any(value is cursor or value is sql for value in values) and not _prepares(here, me, sql):
                    return QuerySource(me, here)
        elif kind is not FrameKind.CURSOR or here.f_code is _WITH_WRAPPERS:
            break  # another statement is executed meanwhile, or there a request or thread begins
        here = here.f_back
    return QuerySource(None, frame)


def find_connecting_sender(frame: FrameType | None, connection: object) -> QuerySource:
    """Return who wants a cursor of ``connection``, which connects in ``frame`` for that."""
    here = frame
    while (here := next_frame(here, _CONNECTING)) is not None:
        kind = _CONNECTING[here.f_code.co_filename]
        if kind is FrameKind.COMPILER:
            me, code = get_receiver(here), here.f_code
            # Other methods of a compiler put its SQL together, where a field may send a query.
            wants = "cursor" in code.co_varnames and "cursor" not in here.f_locals
            return (
                QuerySource(me, here) if wants and me.connection is connection else QuerySource(None, frame)
            )
        if kind is not FrameKind.RAW:
            break
        if here.f_locals.get("connection") is connection:
            return QuerySource(get_receiver(here), here)
        here = here.f_back
    return QuerySource(None, frame)


def _executes(frame: FrameType, cursor: object, connection: object, sql: object) -> bool:
    """Return whether Django's compiler in ``frame`` executes with ``cursor``, or a proxy of it."""
    names = frame.f_locals
    if _leads_to(names.get("cursor"), cursor):
        return True
    me = get_receiver(frame)
    return names.get("sql") is sql and issubclass(type(me), SQLCompiler) and me.connection is connection


def _prepares(frame: FrameType, compiler: object, sql: object) -> bool:
    """
    Return whether a compiler of other code executes in ``frame`` another statement than its own.

    That is what is sent while its ``as_sql()`` is at work, or a text that stands in its code as it is.
    """
    if any(constant is sql for constant in frame.f_code.co_consts):
        return True
    here: FrameType | None = frame
    while here is not None and get_receiver(here) is compiler:
        if here.f_code.co_name == "as_sql":
            return True
        here = here.f_back
    return False


def _is_proxy(frame: FrameType, cursor: object) -> bool:
    """Return whether a method of a proxy of ``cursor`` is at work in ``frame``."""
    kind = classify_file(frame.f_code.co_filename)
    return kind in (FrameKind.LIBRARY, FrameKind.USER) and _leads_to(get_receiver(frame), cursor)


def _leads_to(value: object, cursor: object, depth: int = 2) -> bool:
    """Return whether ``value`` is ``cursor``, or an object that has it: a project may hand out proxies."""
    if value is cursor:
        return True
    if depth == 0 or issubclass(type(value), (CursorWrapper, BaseDatabaseWrapper)):
        return False
    return any(_leads_to(part, cursor, depth - 1) for part in _iter_attributes(value))


def _iter_attributes(value: object) -> Iterator[object]:
    """Yield the attributes that an object has itself, read without any code of the project's."""
    with suppress(AttributeError):
        yield from list(object.__getattribute__(value, "__dict__").values())
    for cls in type(value).__mro__:
        for member in list(vars(cls).values()):
            if type(member) is MemberDescriptorType:  # of __slots__
                with suppress(AttributeError):
                    yield member.__get__(value)
