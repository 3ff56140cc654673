"""
Which lines does the list of events have, and which of them are on this page?

A query is a row, so is a transaction event. Decisions that led to no query come in between; two or
more in a row are folded into one line, unless somebody asks for questions. First the events are
cut into units (cheap, all of them), then only the units of one page become ``Row``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from dbroute_panel.records import Decision, Event, Query, Transaction

from . import why, words
from .index import Index
from .palette import Swatch

PAGE: Final = 100
FOLDED: Final = 100
"""So many questions of one fold are shown when it is opened."""

_TABLE = re.compile(
    r"""\b(?:FROM|INTO|UPDATE|TABLE)\s+(?:ONLY\s+|IF\s+(?:NOT\s+)?EXISTS\s+)?((?:["`\[]?[\w$-]+["`\]]?\.)*["`\[]?[\w$-]+)""",
    re.IGNORECASE,
)
_UNQUOTED = str.maketrans("", "", '"`[]')


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The filter; "" means all. ``questions``: decisions without a query are rows of their own;
    ``findings``: only rows that a finding is about; ``from_us`` and ``to_us``: only what went on between
    the two, in microseconds from the trace's start."""

    text: str = ""
    alias: str = ""
    route: str = ""
    model: str = ""
    action: str = ""
    questions: bool = False
    findings: bool = False
    from_us: int | None = None
    to_us: int | None = None

    @property
    def unfolded(self) -> bool:
        return self.questions or self.findings or bool(self.action)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """
    One line: ``kind`` is ``query``, ``decision``, ``transaction`` or ``fold``. Times in microseconds.

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
    transaction: int | None = None
    within: int | None = None
    error: bool = False
    level: str = ""
    anchors: tuple[int, ...] = ()
    count: int = 1
    more: tuple[str, ...] = ()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one page, of ``units`` rows in all; ``matched`` events passed the filter."""

    rows: tuple[Row, ...]
    number: int
    pages: int
    units: int
    matched: int


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """
    The rows inside a fold, ``FOLDED`` at a time.

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

    def __init__(self, index: Index, wanted: Wanted | None = None) -> None:
        self.index = index
        self.units: list[Unit] = list(_units(index, wanted or Wanted()))

    def page_with(self, event: int) -> int | None:
        """The number of the page that has ``event``; None if it is unknown or the filter hides it."""
        for place, unit in enumerate(self.units):
            if any(inside.id == event for inside in unit):
                return place // PAGE + 1
        return None

    def page(self, number: int = 1) -> Page:
        """The rows of page ``number``, from 1; one that is too low or too high is the first or last."""
        pages = max(1, -(-len(self.units) // PAGE))
        number = min(max(number, 1), pages)
        shown = self.units[(number - 1) * PAGE : number * PAGE]
        return Page(
            rows=tuple(_row(self.index, unit) for unit in shown),
            number=number,
            pages=pages,
            units=len(self.units),
            matched=sum(map(len, self.units)),
        )

    def first(self, events: int) -> Iterator[tuple[Row, tuple[Row, ...]]]:
        """The rows of the first ``events`` events of the list, each with the rows that are folded into it."""
        for unit in self.units:
            if events <= 0:
                return
            inside = unit[:events] if len(unit) > 1 else ()
            yield _row(self.index, unit), tuple(_row(self.index, (event,)) for event in inside)
            events -= len(unit)

    def fold(self, event: int) -> Fold | None:
        """The part of a fold that has ``event``; None if it is in none."""
        unit = next((unit for unit in self.units if len(unit) > 1 and any(e.id == event for e in unit)), None)
        if unit is None:
            return None
        start = next(i for i, inside in enumerate(unit) if inside.id == event) // FOLDED * FOLDED
        end = start + FOLDED
        return Fold(
            first=unit[0].id,
            rows=tuple(_row(self.index, (inside,)) for inside in unit[start:end]),
            total=len(unit),
            before=unit[start - FOLDED].id if start else None,
            after=unit[end].id if end < len(unit) else None,
        )


def _units(index: Index, wanted: Wanted) -> Iterator[Unit]:
    fold: list[Event] = []
    for event in index.trace.events:
        if isinstance(event, Decision):
            if event.id in index.queries_of or not _matches(index, event, wanted):
                continue
            if not wanted.unfolded:
                fold.append(event)
                continue
        elif not _matches(index, event, wanted):
            continue
        if fold:
            yield tuple(fold)
            fold = []
        yield (event,)
    if fold:
        yield tuple(fold)


def _matches(index: Index, event: Event, wanted: Wanted) -> bool:
    if wanted.findings and index.level_of(event.id) is None:
        return False
    if wanted.alias and wanted.alias != _alias(event):
        return False
    if not _meanwhile(index, event, wanted):
        return False
    decision = event if isinstance(event, Decision) else None
    if isinstance(event, Query):
        decision = index.decision_of(event)
        if wanted.route and event.route != wanted.route:
            return False
    elif wanted.route and (decision is None or decision.settled_by != wanted.route):
        return False
    if wanted.action and (decision is None or decision.action != wanted.action):
        return False
    if wanted.model and getattr(event, "model", None) != wanted.model:
        return False
    return not wanted.text or wanted.text.casefold() in _text(event, decision).casefold()


def _meanwhile(index: Index, event: Event, wanted: Wanted) -> bool:
    """Whether it went on in the wanted time; with ``questions``, the decision in a query's row counts too."""
    if wanted.from_us is None and wanted.to_us is None:
        return True
    shown: list[Event] = [event]
    if wanted.questions and isinstance(event, Query) and (decision := index.decision_of(event)) is not None:
        shown.append(decision)
    return any(
        (wanted.to_us is None or one.at_us < wanted.to_us)
        and (
            wanted.from_us is None
            or one.at_us >= wanted.from_us
            or one.at_us + getattr(one, "duration_us", 0.0) > wanted.from_us
        )
        for one in shown
    )


def _alias(event: Event) -> str:
    if not isinstance(event, Decision):
        return event.alias
    if event.action.names_alias:
        return str(event.answer)
    return str((event.args or {}).get("db", ""))


def _text(event: Event, decision: Decision | None) -> str:
    """What the free text filter looks at."""
    site = event.callsite
    parts = [f"{site.file}:{site.line} {site.function} {site.template or ''}"] if site else []
    if isinstance(event, Query):
        parts += [event.sql, event.model or "", event.alias, event.error or ""]
    elif isinstance(event, Transaction):
        parts += [str(event.operation), event.alias]
    if decision is not None:
        parts += [decision.router or "", words.question(decision), str(decision.answer)]
        parts += [step.error for step in decision.steps if step.error]
    return "\n".join(parts)


def _row(index: Index, unit: Unit) -> Row:
    event = unit[0]
    if len(unit) > 1:
        return _fold(index, unit)
    level = index.level_of(event.id)
    site = event.callsite
    where, full = words.place(site), words.full_place(site) if site else ""
    if isinstance(event, Query):
        decision = index.decision_of(event)
        return Row(
            id=event.id,
            kind="query",
            at_us=event.at_us,
            database=index.palette[event.alias],
            why=why.short(event, decision, index.routers),
            by=str(event.route),
            what=what(event),
            duration_us=event.duration_us,
            where=where,
            site=full,
            transaction=event.transaction,
            within=event.within,
            error=event.error is not None,
            level=level or "",
            anchors=(decision.id,) if decision and index.row_of(decision.id) == event.id else (),
        )
    if isinstance(event, Transaction):
        return Row(
            id=event.id,
            kind="transaction",
            at_us=event.at_us,
            database=index.palette[event.alias],
            what=str(event.operation).upper().replace("_", " "),
            where=where,
            site=full,
            transaction=event.transaction,
            level=level or "",
        )
    alias = event.answer if event.action.names_alias and isinstance(event.answer, str) else None
    return Row(
        id=event.id,
        kind="decision",
        at_us=event.at_us,
        database=index.palette[alias] if alias else None,
        outcome=words.outcome(event),
        why=why.short_decision(event, index.routers),
        by=str(event.settled_by),
        what=words.question(event),
        duration_us=event.duration_us,
        where=where,
        site=full,
        within=event.parent,
        error=event.settled_by == "error",
        level=level or "",
    )


def _fold(index: Index, unit: Sequence[Event]) -> Row:
    questions = [event for event in unit if isinstance(event, Decision)]
    asked = Counter(f"{decision.action} → {words.outcome(decision)}" for decision in questions)
    levels = [level for event in unit if (level := index.level_of(event.id))]
    return Row(
        id=unit[0].id,
        kind="fold",
        at_us=unit[0].at_us,
        what="",
        duration_us=sum(decision.duration_us for decision in questions),
        level=max(levels, key=lambda level: level.rank, default=""),
        error=any(decision.settled_by == "error" for decision in questions),
        count=len(unit),
        more=tuple(f"{text} ×{n}" if n > 1 else text for text, n in asked.most_common(3)),
    )


def what(query: Query) -> str:
    """``UPDATE library_book``: the operation and its first table; without one, how the statement begins."""
    found = _TABLE.search(query.sql, 0, 20_000)
    if found:
        return f"{query.operation} {found[1].translate(_UNQUOTED)}"
    if query.model:
        return f"{query.operation} {query.model}"
    return words.cut(" ".join(query.sql[:200].split()), 60)
