"""
How much is done in a piece of work: numbers that are the same on every machine and at every load.

Counted are the calls of functions, those in Python and those in C, or the instructions of the interpreter. A
time is never the same twice; a second walk up the frames or a ``repr()`` of a model is always some calls
more.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Trace = Callable[[FrameType, str, Any], Any]


@contextmanager
def untraced() -> Iterator[None]:
    """Without what coverage does meanwhile, and without collecting what other tests have left."""
    tracer, collecting = sys.gettrace(), gc.isenabled()
    sys.settrace(None)
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
        sys.settrace(tracer)


def calls(work: Callable[[], object]) -> int:
    """How many functions ``work`` calls on this thread, with all that these call."""
    counted = 0

    def noted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    with untraced():
        sys.setprofile(noted)
        try:
            work()
        finally:
            sys.setprofile(before)
    return counted


def instructions(work: Callable[[], object], folder: str) -> tuple[int, int]:
    """
    How many instructions ``work`` takes on this thread: (of files in ``folder``, of all others).

    It is done twice: from Python 3.12 on, a function is prepared for that when it is first called so.
    """
    ours = others = 0

    def traced(frame: FrameType, event: str, argument: object) -> Trace:
        nonlocal ours, others
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            if frame.f_code.co_filename.startswith(folder):
                ours += 1
            else:
                others += 1
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        work()
        ours = others = 0
        work()
    finally:
        sys.settrace(before)
    return ours, others
