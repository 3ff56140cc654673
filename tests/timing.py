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
from time import monotonic, sleep, thread_time

PATIENCE = 30.0
"""For how many seconds a bound may be missed before it counts."""


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
    """
    The processor seconds of the quickest round; no further round once one took less than ``enough``.

    Where it did not, there are more for a while: what else runs on the processor is in its caches, too.
    """
    best = float("inf")
    end = monotonic() + (PATIENCE if enough else 0.0)
    with untraced():
        while rounds > 0 or monotonic() < end:
            rounds -= 1
            start = thread_time()
            run()
            best = min(best, thread_time() - start)
            if best < enough:
                break
            if rounds < 0:
                sleep(0.2)
    return best
