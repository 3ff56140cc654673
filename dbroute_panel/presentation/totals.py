"""How much of what is in a trace: the numbers of its headline and of each database."""

from __future__ import annotations

import msgspec

from dbroute_panel.records import Query, Trace

from .palette import Palette, Swatch


class DatabaseTotals(msgspec.Struct, frozen=True, kw_only=True):
    """One database's part: number of queries, how many of them wrote, and their time."""

    database: Swatch
    queries: int
    writes: int
    duration_us: float


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over a whole trace; ``shares`` has the databases that were queried, in order of DATABASES."""

    events: int
    queries: int
    decisions: int
    transactions: int
    query_us: float
    shares: tuple[DatabaseTotals, ...]
    findings: int
    dropped: int

    @property
    def databases(self) -> int:
        return len(self.shares)


def compute_totals(trace: Trace, palette: Palette | None = None) -> Totals:
    """The totals of ``trace``."""
    palette = palette or Palette(trace.databases)
    queries = trace.queries
    decisions = len(trace.decisions)
    by_alias: dict[str, list[Query]] = {}
    for query in queries:
        by_alias.setdefault(query.alias, []).append(query)
    shares = tuple(
        DatabaseTotals(
            database=palette[alias],
            queries=len(by_alias[alias]),
            writes=sum(query.writes for query in by_alias[alias]),
            duration_us=sum(query.duration_us for query in by_alias[alias]),
        )
        for alias in palette.order(set(by_alias))
    )
    return Totals(
        events=len(trace.events),
        queries=len(queries),
        decisions=decisions,
        transactions=len(trace.transactions),
        query_us=sum(share.duration_us for share in shares),
        shares=shares,
        findings=len(trace.findings),
        dropped=sum(msgspec.structs.astuple(trace.dropped)),
    )
