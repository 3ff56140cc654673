"""
Who sends a statement: a compiler of the ORM, a ``RawQuery``, the connection itself, or somebody's raw cursor?

Told by the objects that are at work in the frames, and not by what their functions are called: the compiler
that has this very cursor, and executes with it. So a frame of the project's or a library's in between does
not matter (an execute wrapper, a method of the cursor that was replaced, a proxy of the cursor), and a query
that somebody sends with a cursor of his own while the compiler is at work is not that of the compiler.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from inspect import CO_VARARGS
from types import CodeType, FrameType, MemberDescriptorType
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.query import RawQuery

from dbroute_panel.recording.frame_kinds import (
    COMPILER,
    CURSOR,
    HANDLER,
    LIBRARY,
    OF_SENDERS,
    RAW,
    THREAD,
    USER,
    classify_file,
    get_code,
    meet,
)

_WITH_WRAPPERS = get_code(CursorWrapper._execute_with_wrappers)  # type: ignore[attr-defined]

Sender = tuple[Any, FrameType | None]
"""(the compiler or RawQuery that sends a query, the frame where it is at work), or (None, None)."""

HOUSEKEEPERS: Final[set[CodeType]] = set()
"""The code of ours around what a connection does for a transaction (``transactions``), called with it."""


def receiver(frame: FrameType) -> Any:
    """The first argument of the function in ``frame``: of a method, the object that it is called on."""
    code, names = frame.f_code, frame.f_locals
    if code.co_argcount:
        return names.get(code.co_varnames[0])
    if code.co_flags & CO_VARARGS and (rest := names.get(code.co_varnames[code.co_kwonlyargcount])):
        return rest[0]
    return None


def caller_of(cursor: object, frame: FrameType) -> FrameType | None:
    """
    The frame that had ``cursor`` execute a statement, looking from one of its execute wrappers outwards.

    Between are other execute wrappers and methods of the cursor, which a project may have replaced.
    """
    here: FrameType | None = frame
    while here is not None and receiver(here) is not cursor:
        here = here.f_back
    here = here or frame
    while here is not None and receiver(here) is cursor:
        here = here.f_back
    return here


def is_connecting(frame: FrameType | None, connection: object) -> bool:
    """Whether ``connect()`` of the connection is at work in ``frame``, through its own methods alone."""
    while frame is not None and receiver(frame) is connection:
        if frame.f_code.co_name == "connect":
            return True
        frame = frame.f_back
    return False


def is_housekeeping(frame: FrameType | None, cursor: object, connection: object) -> bool:
    """
    Whether what calls a cursor in ``frame`` is its connection, to connect or for a transaction.

    What execute wrappers and receivers of signals send meanwhile is not: their frames lie between.
    """
    while frame is not None and _is_proxy(frame, cursor):
        frame = frame.f_back
    while frame is not None and receiver(frame) is connection:
        if frame.f_code in HOUSEKEEPERS or frame.f_code.co_name == "connect":
            return True
        frame = frame.f_back
    return False


def sender_of(  # noqa: C901 - one loop, because it runs for every frame
    caller: FrameType | None, cursor: object, connection: object, sql: object
) -> Sender:
    """Who has ``cursor`` execute ``sql``, looking from what called the cursor outwards."""
    here: Any = caller
    known = OF_SENDERS
    while here is not None:
        try:
            while not (kind := known[here.f_code.co_filename]):
                here = here.f_back
        except KeyError:
            meet(here.f_code.co_filename)
            continue
        except AttributeError:
            break  # that was the outermost
        if kind == COMPILER:
            if "cursor" in here.f_code.co_varnames and _executes(here, cursor, connection, sql):
                return receiver(here), here
        elif kind == RAW:
            me = receiver(here)
            if issubclass(type(me), RawQuery) and (
                _leads_to(me.__dict__.get("cursor"), cursor)
                or (me.sql is sql and here.f_locals.get("connection") is connection)
            ):
                return me, here
        elif kind in (LIBRARY, USER):
            if issubclass(type(me := receiver(here)), SQLCompiler) and me.connection is connection:
                values = here.f_locals.values()
                if any(value is cursor or value is sql for value in values) and not _prepares(here, me, sql):
                    return me, here
        elif kind != CURSOR or here.f_code is _WITH_WRAPPERS:
            break  # another statement is executed meanwhile, or there a request or thread begins
        here = here.f_back
    return None, None


def connecting_for(frame: FrameType | None, connection: object) -> Sender:
    """Who wants a cursor of ``connection``, which connects in ``frame`` for that."""
    here: Any = frame
    while here is not None:
        kind = classify_file(here.f_code.co_filename)
        names = here.f_locals if kind in (COMPILER, RAW) else {}
        if kind == COMPILER:
            me = receiver(here)
            # Other methods of a compiler put its SQL together, where a field may send a query of its own.
            wants = "cursor" in here.f_code.co_varnames and "cursor" not in names
            return (me, here) if wants and me.connection is connection else (None, None)
        if kind == RAW and names.get("connection") is connection:
            return receiver(here), here
        if kind in (HANDLER, THREAD):
            break
        here = here.f_back
    return None, None


def _executes(frame: FrameType, cursor: object, connection: object, sql: object) -> bool:
    """Whether the compiler in ``frame``, a method of Django's, executes with ``cursor``, or a proxy of it."""
    names = frame.f_locals
    if _leads_to(names.get("cursor"), cursor):
        return True
    me = receiver(frame)
    return names.get("sql") is sql and issubclass(type(me), SQLCompiler) and me.connection is connection


def _prepares(frame: FrameType, compiler: object, sql: object) -> bool:
    """
    Whether somebody's compiler executes in ``frame`` what is not the SQL that it has put together.

    That is what is sent while its ``as_sql()`` is at work, or a text that stands in its code as it is.
    """
    if any(constant is sql for constant in frame.f_code.co_consts):
        return True
    here: FrameType | None = frame
    while here is not None and receiver(here) is compiler:
        if here.f_code.co_name == "as_sql":
            return True
        here = here.f_back
    return False


def _is_proxy(frame: FrameType, cursor: object) -> bool:
    """Whether a method of somebody's proxy of ``cursor`` is at work in ``frame``."""
    return classify_file(frame.f_code.co_filename) in (LIBRARY, USER) and _leads_to(receiver(frame), cursor)


def _leads_to(value: object, cursor: object, depth: int = 2) -> bool:
    """Whether ``value`` is ``cursor``, or an object that has it: a project may hand out proxies."""
    if value is cursor:
        return True
    if depth == 0 or issubclass(type(value), (CursorWrapper, BaseDatabaseWrapper)):
        return False
    return any(_leads_to(part, cursor, depth - 1) for part in _parts(value))


def _parts(value: object) -> Iterator[object]:
    """The attributes that an object has itself, read without any code of the project's."""
    with suppress(AttributeError):
        yield from list(object.__getattribute__(value, "__dict__").values())
    for cls in type(value).__mro__:
        for member in list(vars(cls).values()):
            if type(member) is MemberDescriptorType:  # of __slots__
                with suppress(AttributeError):
                    yield member.__get__(value)
