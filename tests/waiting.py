"""
Waiting for what threads, processes and servers do, on a machine that may have much else to do.

No test measures how long something takes: that is ``make bench``. What is promised of it here is counted
(``tools.benchmarks.counting``), or told by an event: what came first is known, whenever it came.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 180.0
"""How long a test waits for what comes in a moment. Only a test that fails waits so long."""

ENDLESS_SECONDS = 60.0
"""Of the processor: hundreds of times what is allowed to take them."""


def until(true: Callable[[], T], *, pause: float = 0.01) -> T:
    """What ``true`` returns, as soon as that is true. Raises ``TimeoutError``."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := true()):
        if time.monotonic() > end:
            raise TimeoutError(f"{true} is still {found!r} after {PATIENCE_SECONDS:g} s")
        time.sleep(pause)
    return found


@contextmanager
def no_trap() -> Iterator[None]:
    """
    The block ends, as anything does whose work grows with its input and no faster.

    That of a regular expression is done in C, where nobody can count it: the input has to be so long that a
    trap would take minutes or hours, where a tenth of a second is enough. Then this raises ``TimeoutError``.
    Only seconds of the processor count, those that it takes from this process for others do not.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"It has not ended after {ENDLESS_SECONDS:g} seconds of the processor.")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, ENDLESS_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
