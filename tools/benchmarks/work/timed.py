"""Processor time of one piece of work, without what others left for the collector."""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import process_time
from typing import TypeVar

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """(its result, seconds)"""
    gc.collect()
    start = process_time()
    result = work()
    return result, process_time() - start


def quickest(work: Callable[[], object], rounds: int = 3) -> float:
    """Milliseconds of the quickest of some rounds."""
    return min(timed(work)[1] for _ in range(rounds)) * 1000
