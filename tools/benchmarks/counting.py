"""
Count the work of a piece of code: numbers that are the same on every machine, whatever its load.

What is counted are calls of functions, written in Python or C, or instructions of the interpreter. A time is
never the same twice; a second walk up the frames or a ``repr()`` of a model always adds the same number of
calls.
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
def suspend_tracing() -> Iterator[None]:
    """Switch off coverage's tracing and garbage collection during the block."""
    tracer, collecting = sys.gettrace(), gc.isenabled()
    sys.settrace(None)
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
        sys.settrace(tracer)


def count_calls(work: Callable[[], object]) -> int:
    """Return how many functions ``work`` calls on this thread, directly and indirectly."""
    counted = 0

    def noted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    with suspend_tracing():
        sys.setprofile(noted)
        try:
            work()
        finally:
            sys.setprofile(before)
    return counted


def count_instructions(work: Callable[[], object], folder: str) -> tuple[int, int]:
    """
    Return how many instructions ``work`` takes on this thread: (in files of ``folder``, in all others).

    ``work`` runs twice, because Python 3.12 and newer specialise a function at its first traced call.
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
