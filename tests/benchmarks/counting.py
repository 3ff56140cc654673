"""
How much is called in a piece of work: a number that is the same on every machine and at every load.

Counted are the calls of functions, those in Python and those in C. A time is never the same twice; a second
walk up the frames or a ``repr()`` of a model is always some calls more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType


def calls(work: Callable[[], object]) -> int:
    """How many functions ``work`` calls on this thread, with all that these call."""
    counted = 0

    def noted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(noted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted
