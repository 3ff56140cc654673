"""
Who sends a statement: which frame had the cursor execute it, and is it the connection's own housekeeping?

Told by the objects that are at work in the frames, and not by what their functions are called: any of them
may be wrapped or replaced by the project's code.
"""

from __future__ import annotations

from inspect import CO_VARARGS
from types import CodeType, FrameType
from typing import Any, Final

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


def is_housekeeping(frame: FrameType | None, connection: object) -> bool:
    """
    Whether what calls a cursor in ``frame`` is its connection, to connect or for a transaction.

    What execute wrappers and receivers of signals send meanwhile is not: their frames lie between.
    """
    while frame is not None and receiver(frame) is connection:
        if frame.f_code in HOUSEKEEPERS or frame.f_code.co_name == "connect":
            return True
        frame = frame.f_back
    return False
