"""Count what is in a trace, in all and for each database, and divide a bar by database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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


BAR_WIDTH: Final = 200
MIN_SEGMENT_WIDTH: Final = 4
"""Wide enough to be seen and pointed at, for one query of thousands."""


class BarSegment(msgspec.Struct, frozen=True, kw_only=True):
    """One database: how many of the queries ran there, and its part of the bar."""

    database: Swatch
    queries: int
    x: int
    width: int


def build_usage_bar(queries: Mapping[str, int], palette: Palette) -> tuple[BarSegment, ...]:
    """``queries`` by alias, in order of ``DATABASES``; their parts fill the bar, whatever the counts."""
    aliases = palette.order({alias for alias, count in queries.items() if count})
    if not aliases:
        return ()
    least = min(MIN_SEGMENT_WIDTH, BAR_WIDTH // len(aliases))
    free = BAR_WIDTH - least * len(aliases)
    total = sum(queries[alias] for alias in aliases)
    shares, before = [], 0
    for place, alias in enumerate(aliases):
        x = place * least + free * before // total
        before += queries[alias]
        end = (place + 1) * least + free * before // total
        shares.append(BarSegment(database=palette[alias], queries=queries[alias], x=x, width=end - x))
    return tuple(shares)
