"""
Group events that are alike, so that one can stand for the others, and queries by statement.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

import msgspec
from django.core.paginator import Paginator

from dbroute_panel.records import CommitHook, Decision, Event, ExceptionRaised, InstanceRef, Query

from . import formatting
from .filters import SORT_BY_DURATION
from .highlight import CodeSpan, format_sql
from .index import Index
from .palette import Swatch
from .rows import Listing, Row, summarize_statement


def group_key(index: Index, row: Row) -> Hashable:
    """Return a key that events of the same line, SQL, answers and steps share; ``row`` is the event's."""
    event = index.by_id[row.id]
    if isinstance(event, Query):
        decision = index.decision_of(event)
        asked = None if decision is None else _question_key(decision)
        saved = event.instance and _instance_key(event.instance)
        return (
            event.sql,
            event.route,
            event.many,
            event.atomic,
            event.parent_id,
            saved,
            asked,
            *_place_key(event, row),
        )
    if isinstance(event, Decision):
        return (_question_key(event), event.parent_id, *_place_key(event, row))
    if isinstance(event, CommitHook):
        return (event.function, event.robust, event.outcome, *_place_key(event, row))
    if isinstance(event, ExceptionRaised):
        return (event.error, event.ended, event.raised_at, *_place_key(event, row))
    return (event.operation, *_place_key(event, row))


def _place_key(event: Event, row: Row) -> tuple[Hashable, ...]:
    return (row.database.alias if row.database else "", event.callsite)


def _question_key(decision: Decision) -> Hashable:
    """The question and who said what."""
    values = {**(decision.args or {}), **decision.hints}
    return (
        decision.action,
        decision.model,
        decision.decided_by,
        repr(decision.answer),
        tuple((step.router, step.outcome, repr(step.answer), step.error) for step in decision.steps),
        tuple((name, repr(_instance_key(value))) for name, value in values.items()),
        decision.callsite,
    )


def _instance_key(value: Any) -> Any:
    """Return an object without its key, which ``own_values()`` shows."""
    return (value.model, value.state_db, value.adding) if isinstance(value, InstanceRef) else value


def own_values(index: Index, event: Event) -> str:
    """Return what differs between events that are alike: parameters, and the keys of objects."""
    asked = event if isinstance(event, Decision) else None
    if isinstance(event, Query):
        asked = index.decision_of(event)
    given = [*(asked.args or {}).values(), *asked.hints.values()] if asked is not None else []
    objects = [formatting.instance(value) for value in given if isinstance(value, InstanceRef)]
    if isinstance(event, Query):
        if event.instance is not None:
            objects.append(formatting.instance(event.instance))
        if event.params:
            shown = (
                [f"{k}={v}" for k, v in event.params.items()]
                if isinstance(event.params, dict)
                else event.params
            )
            objects.insert(0, ", ".join(map(str, shown)))
    if not isinstance(event, Decision) and event.transaction_number is not None:
        objects.append(f"T{event.transaction_number}")
    return "; ".join(dict.fromkeys(objects))


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
    if listing.event_filter.sort == SORT_BY_DURATION:
        keys.sort(key=lambda key: times[key], reverse=True)
    paginator = Paginator(keys, GROUPS_PER_PAGE)
    page = paginator.get_page(max(number, 1))
    whole_us = sum(times.values())
    most = max(map(len, found.values()), default=1)
    return StatementPage(
        rows=tuple(_build_group(listing.index, found[key], times[key], whole_us, most) for key in page),
        number=page.number,
        pages=paginator.num_pages,
        groups=paginator.count,
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
