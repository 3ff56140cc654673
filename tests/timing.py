"""
How long a piece of our own code takes, for tests that promise a bound.

What else the machine does is not what is measured: the time is the processor's, for this thread, of the
quickest of some rounds, without the work of coverage and of collecting what other tests left.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import thread_time


@contextmanager
def untraced() -> Iterator[None]:
    tracer = sys.gettrace()
    sys.settrace(None)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        sys.settrace(tracer)


def quickest(run: Callable[[], object], *, enough: float = 0.0, rounds: int = 9) -> float:
    """The processor seconds of the quickest round; no further round once one took less than ``enough``."""
    best = float("inf")
    with untraced():
        for _ in range(rounds):
            start = thread_time()
            run()
            best = min(best, thread_time() - start)
            if best < enough:
                break
    return best
