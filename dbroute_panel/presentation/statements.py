"""
Which statements ran again and again? The queries of a listing, identical ones on one database as one line.

Counted for all of them, and written out for those of one page alone.
"""

from __future__ import annotations

from typing import Final

import msgspec

from dbroute_panel.records import Query

from . import formatting
from .filters import SORT_BY_DURATION
from .highlight import CodeSpan
from .index import Index
from .palette import Swatch
from .rows import Listing, summarize_statement
from .sql import format_sql

GROUPS_PER_PAGE: Final = 50
MAX_SQL_LENGTH: Final = 160


class StatementGroup(msgspec.Struct, frozen=True, kw_only=True):
    """
    One statement on one database. ``id`` is that of the query that ran it first.

    ``share`` is its percentage of the time of all queries in the listing, ``most`` that of the runs of the
    most frequent group. ``where`` is the place in the code, if it is one; else there are ``places``.
    """

    id: int
    database: Swatch
    what: str
    sql: str
    count: int
    duration_us: float
    share: float
    most: float
    where: str
    places: int
    errors: int
    level: str

    @property
    def key(self) -> str:
        """Its id as text, never with a separator for thousands."""
        return str(self.id)

    @property
    def mean_us(self) -> float:
        return self.duration_us / self.count


class StatementPage(msgspec.Struct, frozen=True, kw_only=True):
    """The groups of one page, of ``groups`` in all, made of ``queries`` that took ``duration_us``."""

    rows: tuple[StatementGroup, ...]
    number: int
    pages: int
    groups: int
    queries: int
    duration_us: float


def paginate_statements(listing: Listing, number: int = 1) -> StatementPage:
    """
    Page ``number``, from 1, of the statements in ``listing``.

    What took most time together is first where the listing is sorted by duration; else what ran first.
    """
    found: dict[tuple[str, str], list[Query]] = {}
    for unit in listing.units:
        event = unit[0]
        if isinstance(event, Query):
            found.setdefault((event.alias, event.sql), []).append(event)
    times = {key: sum(query.duration_us for query in group) for key, group in found.items()}
    keys = list(found)
    if listing.wanted.sort == SORT_BY_DURATION:
        keys.sort(key=lambda key: times[key], reverse=True)
    pages = max(1, -(-len(keys) // GROUPS_PER_PAGE))
    number = min(max(number, 1), pages)
    whole_us = sum(times.values())
    most = max(map(len, found.values()), default=1)
    shown = keys[(number - 1) * GROUPS_PER_PAGE : number * GROUPS_PER_PAGE]
    return StatementPage(
        rows=tuple(_build_group(listing.index, found[key], times[key], whole_us, most) for key in shown),
        number=number,
        pages=pages,
        groups=len(keys),
        queries=sum(map(len, found.values())),
        duration_us=whole_us,
    )


def format_statement(query: Query) -> tuple[CodeSpan, ...]:
    """The statement of a group that is open."""
    return format_sql(query.sql)


def _build_group(
    index: Index, queries: list[Query], duration_us: float, whole_us: float, most: int
) -> StatementGroup:
    first = min(queries, key=lambda query: query.id)
    sites = {query.callsite for query in queries}
    levels = [level for query in queries if (level := index.level_of(query.id))]
    return StatementGroup(
        id=first.id,
        database=index.palette[first.alias],
        what=summarize_statement(first),
        sql=formatting.truncate(" ".join(first.sql[: 2 * MAX_SQL_LENGTH].split()), MAX_SQL_LENGTH),
        count=len(queries),
        duration_us=duration_us,
        share=100 * duration_us / whole_us if whole_us else 0.0,
        most=100 * len(queries) / most,
        where=formatting.place(first.callsite) if len(sites) == 1 else "",
        places=len(sites),
        errors=sum(query.error is not None for query in queries),
        level=max(levels, key=lambda level: level.rank, default=""),
    )
