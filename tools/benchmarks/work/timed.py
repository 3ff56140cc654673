"""Measure the processor time of a piece of work, after a garbage collection."""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import process_time
from typing import TypeVar

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return (result, seconds)."""
    gc.collect()
    start = process_time()
    result = work()
    return result, process_time() - start


def quickest(work: Callable[[], object], rounds: int = 3) -> float:
    """Return the milliseconds of the quickest round."""
    return min(timed(work)[1] for _ in range(rounds)) * 1000
