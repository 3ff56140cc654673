"""Work on a finished trace: judge it, keep it, write it in every format."""

from __future__ import annotations

from functools import cache

from msgspec.structs import replace

from dbroute_panel import findings
from dbroute_panel.exports import FORMATS
from dbroute_panel.records import Trace, dumps, loads
from dbroute_panel.sql import fingerprint, tables_read, tables_written
from dbroute_panel.stores import get_store
from tests.traces import a_busy_trace
from tools.benchmarks.work.timed import quickest, timed


@cache
def busy(events: int) -> Trace:
    """
    Return a trace with many models and lines, reads, writes, transactions, and its findings.

    It is read from JSON, as from a store, so that no two events share an object.
    """
    trace = loads(dumps(a_busy_trace(events)))
    database = next(iter(trace.databases.values()))
    databases = dict.fromkeys(("primary", "replica1", "replica2"), database)
    return replace(trace, databases=databases, findings=findings.find(trace))


def judged(events: int) -> dict[str, float]:
    """Return the milliseconds of all findings, with empty caches of statements."""

    def find() -> None:
        for cached in (tables_read, tables_written, fingerprint):
            cached.cache_clear()
        findings.find(trace)

    trace = busy(events)
    return {"ms": quickest(find)}


def stored(events: int) -> dict[str, float]:
    """Return the milliseconds of saving and of opening a trace."""
    trace, store = busy(events), get_store()
    return {"save": quickest(lambda: store.save(trace)), "get": quickest(lambda: store.get(trace.id))}


def exported(name: str, events: int) -> dict[str, float]:
    """Return the MB a second and the kB of a file of one trace."""
    trace = busy(events)
    written, seconds = timed(lambda: sum(map(len, FORMATS[name].write([trace]))))
    return {"rate": written / 1e6 / seconds, "kB": written / 1000}
