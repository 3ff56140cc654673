"""
Measure what the wrapper and the router cost while nothing is recorded: too little to see between processes.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import process_time

from django.db import connection, router
from django.db.utils import ConnectionRouter

from tools.benchmarks.project.models import Book

CALLS = 10_000
TURNS = 10


def difference() -> dict[str, float]:
    """
    Return the microseconds that recording adds to a query and a router call, and those of a plain ``call``.
    """
    connection.ensure_connection()
    with connection.cursor() as cursor:
        ours, none = [*connection.execute_wrappers], []
        if not ours:
            raise RuntimeError("The connection is not watched.")

        def query() -> None:
            cursor._execute_with_wrappers("SELECT 1", (), False, _nothing)

        def wrapped(wrappers: list[object]) -> Callable[[], None]:
            def begin() -> None:
                connection.execute_wrappers = wrappers

            return begin

        with_us, without = _in_turn((wrapped(ours), query), (wrapped(none), query))
        connection.execute_wrappers = ours
    plain = ConnectionRouter(router.routers)
    if type(router) is ConnectionRouter:
        raise RuntimeError("The router is not watched.")
    watched, unwatched = _in_turn(
        (_begin, lambda: router.db_for_write(Book)), (_begin, lambda: plain.db_for_write(Book))
    )
    return {"query": with_us - without, "router": watched - unwatched, "call": unwatched}


def _nothing(*args: object) -> None:
    return


def _begin() -> None:
    return


def _in_turn(*works: tuple[Callable[[], None], Callable[[], object]]) -> list[float]:
    """Return the microseconds a call of each work, the quickest of some turns."""
    best = [float("inf")] * len(works)
    for _ in range(TURNS):
        for index, (begin, call) in enumerate(works):
            begin()
            gc.collect()
            start = process_time()
            for _call in range(CALLS):
                call()
            best[index] = min(best[index], process_time() - start)
    return [seconds * 1e6 / CALLS for seconds in best]
