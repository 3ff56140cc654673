"""Record traces of any length, and measure time and memory."""

from __future__ import annotations

import gc
import resource
import sys
import tracemalloc
from time import process_time

from django.conf import settings
from django.db import connection, router
from django.test import override_settings

from dbroute_panel import trace
from tools.benchmarks.project.models import Book
from tools.benchmarks.work.requests import one


def of(events: int, times: int) -> dict[str, float]:
    """
    Return the milliseconds of recording ``events`` events and of ending their trace.

    Half of them are queries, half their decisions. No database answers, so that only the recording can grow.
    """
    recording = ending = 0.0
    chosen = settings.DBROUTE_PANEL | {"MAX_EVENTS": 1_000_000}
    with override_settings(DBROUTE_PANEL=chosen), connection.cursor() as cursor:
        connection.ensure_connection()
        for _ in range(times):
            gc.collect()
            start = process_time()
            recorded = trace("growth", keep=False).begin()
            for number in range(events // 2):
                router.db_for_read(Book)
                cursor._execute_with_wrappers(SELECT, (number,), False, _answered)
            recorded.stop()
            middle = process_time()
            recorded.finish()
            ending += process_time() - middle
            recording += middle - start
            if len(recorded.document.events) != events:
                raise RuntimeError(f"{len(recorded.document.events)} events, not {events}.")
    return {"recording": recording * 1000 / times, "ending": ending * 1000 / times}


SELECT = 'SELECT "project_book"."id" FROM "project_book" WHERE "project_book"."id" = %s LIMIT 21'


def _answered(*args: object) -> None:
    return


def memory(queries: int) -> dict[str, float]:
    """
    Return the bytes that an event takes while its trace is recorded, with everything that belongs to it.
    """
    with trace("once", keep=False):
        Book.objects.get(pk=1)
    gc.collect()
    tracemalloc.start()
    try:
        recorded = trace("memory", keep=False).begin()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(queries):
            Book.objects.get(pk=number % 100 + 1)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        recorded.stop()
        events = len(recorded.events)
    finally:
        tracemalloc.stop()
    return {"event": (after - before) / events}


def peak(queries: int) -> dict[str, float]:
    """Return the MiB by which the process grows in a request of ``queries`` queries, recorded or counted."""
    one("/books/100/")
    gc.collect()
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    one(f"/books/{queries}/")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"mebibytes": (after - before) * unit / (1 << 20)}
