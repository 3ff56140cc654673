"""Several threads that do the same thing at the same moment."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def together(work: Callable[[], Result], threads: int = 8) -> list[Result]:
    """What ``work()`` returned in each of them; raises what it raised. They take turns as often as can be."""
    barrier = threading.Barrier(threads)

    def run() -> Result:
        barrier.wait()
        return work()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(threads) as pool:
            return [one.result() for one in [pool.submit(run) for _ in range(threads)]]
    finally:
        sys.setswitchinterval(before)
