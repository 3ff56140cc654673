"""
Build the list of events, and the rows of one page.

A query is a row, so is a transaction event. Decisions that led to no query come in between; two or
more in a row are folded into one line, unless the filter asks for questions. First the events are
cut into units (cheap, all of them), then only the units of one page become ``Row``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch
from typing import Any, Final

import msgspec
from django.core.paginator import Paginator

from dbroute_panel.asked import is_passed_on
from dbroute_panel.records import Callsite, CommitHook, Decision, Event, ExceptionRaised, Query, Transaction

from . import explain_text, formatting
from .filters import SORT_BY_DURATION, DeciderGroup, EventFilter, EventMatcher
from .index import Index
from .palette import Swatch

ROWS_PER_PAGE: Final = 100
FOLD_SIZE: Final = 100
"""Questions that an opened fold shows at a time."""

_TABLE_PATTERN = re.compile(
    r"""\b(?:FROM|INTO|UPDATE|TABLE)\s+(?:ONLY\s+|IF\s+(?:NOT\s+)?EXISTS\s+)?((?:["`\[]?[\w$-]+["`\]]?\.)*["`\[]?[\w$-]+)""",
    re.IGNORECASE,
)
_UNQUOTED = str.maketrans("", "", '"`[]')


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """
    One line: ``kind`` is ``query``, ``decision``, ``transaction``, ``on_commit``, ``exception`` or ``fold``.

    Times in microseconds.

    ``anchors``: ids of other events that this row shows too, so that links to them arrive here.
    """

    id: int
    kind: str
    at_us: int
    what: str
    database: Swatch | None = None
    outcome: str = ""
    why: str = ""
    by: str = ""
    duration_us: float | None = None
    where: str = ""
    site: str = ""
    callsite: Callsite | None = None
    transaction_number: int | None = None
    parent_id: int | None = None
    error: bool = False
    level: str = ""
    anchors: tuple[int, ...] = ()
    count: int = 1
    more: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its id as text: quick to write, and never with a separator for thousands."""
        return str(self.id)


class RowPage(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one page, of ``units`` rows in all; ``matched`` events passed the filter."""

    rows: tuple[Row, ...]
    number: int
    pages: int
    units: int
    matched: int


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """
    The rows inside a fold, ``FOLD_SIZE`` at a time.

    ``first`` is the id of the fold's row; ``before`` and ``after`` are ids to ask for, or None.
    """

    first: int
    rows: tuple[Row, ...]
    total: int
    before: int | None
    after: int | None


Unit = tuple[Event, ...]


class Listing:
    """The units of a trace that pass a filter, and the pages and folds they make."""

    def __init__(self, index: Index, event_filter: EventFilter | None = None) -> None:
        self.index = index
        self.event_filter = event_filter or EventFilter()
        self.units: list[Unit] = list(_iter_units(index, self.event_filter))

    def page_with(self, event: int) -> int | None:
        """The number of the page that has ``event``; None if it is unknown or the filter hides it."""
        for place, unit in enumerate(self.units):
            if any(inside.id == event for inside in unit):
                return place // ROWS_PER_PAGE + 1
        return None

    def page(self, number: int = 1) -> RowPage:
        """Return page ``number``, from 1; the first or last one for a number that is too low or too high."""
        paginator = Paginator(self.units, ROWS_PER_PAGE)
        page = paginator.get_page(max(number, 1))
        return RowPage(
            rows=tuple(_build_row(self.index, unit) for unit in page),
            number=page.number,
            pages=paginator.num_pages,
            units=paginator.count,
            matched=sum(map(len, self.units)),
        )

    def first(self, events: int) -> Iterator[tuple[Row, tuple[Row, ...]]]:
        """The rows of the first ``events`` events of the list, each with the rows that are folded into it."""
        for unit in self.units:
            if events <= 0:
                return
            inside = unit[:events] if len(unit) > 1 else ()
            yield _build_row(self.index, unit), tuple(_build_row(self.index, (event,)) for event in inside)
            events -= len(unit)

    def fold(self, event: int) -> Fold | None:
        """The part of a fold that has ``event``; None if it is in none."""
        unit = next((unit for unit in self.units if len(unit) > 1 and any(e.id == event for e in unit)), None)
        if unit is None:
            return None
        start = next(i for i, inside in enumerate(unit) if inside.id == event) // FOLD_SIZE * FOLD_SIZE
        end = start + FOLD_SIZE
        return Fold(
            first=unit[0].id,
            rows=tuple(_build_row(self.index, (inside,)) for inside in unit[start:end]),
            total=len(unit),
            before=unit[start - FOLD_SIZE].id if start else None,
            after=unit[end].id if end < len(unit) else None,
        )


def _iter_units(index: Index, event_filter: EventFilter) -> Iterator[Unit]:
    """Yield units in the order of the filter; by duration, folded questions come last."""
    matches = EventMatcher(index, event_filter)
    events: Iterable[Event] = index.trace.events
    if event_filter.sort == SORT_BY_DURATION:
        events = sorted(events, key=_event_duration, reverse=True)  # of equals, the one that came first
    fold: list[Event] = []
    for event in events:
        if isinstance(event, Decision):
            if event.id in index.queries_of or not matches(event):
                continue
            if not event_filter.unfolded:
                fold.append(event)
                continue
        elif not matches(event):
            continue
        if fold and not event_filter.sort:
            yield tuple(fold)
            fold = []
        yield (event,)
    if fold:
        yield tuple(fold)


def _event_duration(event: Event) -> float:
    return event.duration_us if isinstance(event, (Decision, Query)) else -1.0


def _build_row(index: Index, unit: Unit) -> Row:
    return _build_event_row(unit[0], index) if len(unit) == 1 else _build_fold_row(index, unit)


@singledispatch
def _build_event_row(event: Event, index: Index) -> Row:
    """Build the row of one event. A kind of event is added by registering one function."""
    raise TypeError(type(event))


def _common_fields(event: Event, index: Index) -> dict[str, Any]:
    site = event.callsite
    return {
        "id": event.id,
        "at_us": event.at_us,
        "where": formatting.place(site),
        "site": formatting.truncate_start(formatting.full_place(site)) if site else "",
        "callsite": site,
        "level": index.level_of(event.id) or "",
    }


@_build_event_row.register
def _build_query_row(event: Query, index: Index) -> Row:
    decision = index.decision_of(event)
    return Row(
        kind="query",
        database=index.palette[event.alias],
        why=explain_text.summarize_query(event, decision, index.router_names),
        by=DeciderGroup.OTHER_MODEL if is_passed_on(event, decision) else str(event.route),
        what=summarize_statement(event),
        duration_us=event.duration_us,
        transaction_number=event.transaction_number,
        parent_id=event.parent_id,
        error=event.error is not None,
        anchors=(decision.id,) if decision and index.row_of(decision.id) == event.id else (),
        **_common_fields(event, index),
    )


@_build_event_row.register
def _build_transaction_row(event: Transaction, index: Index) -> Row:
    return Row(
        kind="transaction",
        database=index.palette[event.alias],
        what=str(event.operation).upper().replace("_", " "),
        transaction_number=event.transaction_number,
        **_common_fields(event, index),
    )


@_build_event_row.register
def _build_hook_row(event: CommitHook, index: Index) -> Row:
    return Row(
        kind="on_commit",
        database=index.palette[event.alias],
        why=explain_text.summarize_hook(event),
        what=formatting.hook(event),
        transaction_number=event.transaction_number,
        **_common_fields(event, index),
    )


@_build_event_row.register
def _build_exception_row(event: ExceptionRaised, index: Index) -> Row:
    return Row(
        kind="exception",
        database=index.palette[event.alias] if event.alias is not None else None,
        why=explain_text.summarize_exception(event),
        what=formatting.truncate(event.error, 120),
        transaction_number=event.transaction_number,
        error=True,
        **_common_fields(event, index),
    )


@_build_event_row.register
def _build_decision_row(event: Decision, index: Index) -> Row:
    alias = event.answer if event.action.names_alias and isinstance(event.answer, str) else None
    return Row(
        kind="decision",
        database=index.palette[alias] if alias else None,
        outcome=formatting.outcome(event),
        why=explain_text.summarize_decision(event, index.router_names),
        by=str(event.decided_by),
        what=formatting.question(event),
        duration_us=event.duration_us,
        parent_id=event.parent_id,
        error=event.decided_by == "error",
        **_common_fields(event, index),
    )


def _build_fold_row(index: Index, unit: Sequence[Event]) -> Row:
    questions = [event for event in unit if isinstance(event, Decision)]
    asked = Counter(f"{decision.action} → {formatting.outcome(decision)}" for decision in questions)
    levels = [level for event in unit if (level := index.level_of(event.id))]
    return Row(
        id=unit[0].id,
        kind="fold",
        at_us=unit[0].at_us,
        what="",
        duration_us=sum(decision.duration_us for decision in questions),
        level=max(levels, key=lambda level: level.rank, default=""),
        error=any(decision.decided_by == "error" for decision in questions),
        count=len(unit),
        more=tuple(f"{text} ×{n}" if n > 1 else text for text, n in asked.most_common(3)),
    )


def summarize_statement(query: Query) -> str:
    """``UPDATE library_book``: the operation and its first table; without one, how the statement begins."""
    found = _TABLE_PATTERN.search(query.sql, 0, 20_000)
    if found:
        return f"{query.operation} {found[1].translate(_UNQUOTED)}"
    if query.model:
        return f"{query.operation} {query.model}".lstrip()
    return formatting.truncate(" ".join(query.sql[:200].split()), 60)
