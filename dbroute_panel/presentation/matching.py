"""
Match the events of two traces that belong together.

Queries are matched, and decisions that led to none; a decision that led to queries is seen in theirs.
First what is the same statement from the same line of code; of what is left over, the same line with another
statement (an ``IN`` with more values); then the same statement from another line (the file was edited in
between). A statement is the text of its SQL, without the values; a line is file, line and the template's
line, for one model and one operation.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import msgspec

from dbroute_panel.asked import is_passed_on
from dbroute_panel.records import Action, Decision, InstanceRef, Query

from . import formatting
from .index import Index
from .rows import summarize_statement


class MatchKind(enum.StrEnum):
    """What two groups of uses have in common; NOTHING is what one trace has alone."""

    BOTH = "both"
    LINE = "line"
    STATEMENT = "statement"
    NOTHING = "nothing"


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """
    A query, or a decision that led to none.

    ``place`` is where it went (an alias, or another answer), ``by`` who decided that: the kind of route, the
    router if it was one, and the question's model where that is not the query's. ``line`` is None where no
    line was recorded.
    """

    event: Query | Decision
    what: str
    statement: tuple[Any, ...]
    line: tuple[Any, ...] | None
    place: str
    by: tuple[str, str | None, str | None]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Uses of A and B that belong together; one side is empty if ``matched`` is NOTHING."""

    matched: MatchKind
    a: list[Use]
    b: list[Use]


def list_uses(index: Index) -> list[Use]:
    """Return all that can be compared in a trace, in order."""
    return [
        _build_use(index, event)
        for event in index.trace.events
        if isinstance(event, Query) or (isinstance(event, Decision) and event.id not in index.queries_of)
    ]


def match_uses(a: list[Use], b: list[Use]) -> Iterator[Pair]:
    """Yield pairs; every use of both lists is in exactly one."""
    for matched, key in MATCH_PASSES:
        groups_a, groups_b = _group(a, key), _group(b, key)
        both = [found for found in groups_a if found is not None and found in groups_b]
        for found in both:
            yield Pair(matched=matched, a=groups_a.pop(found), b=groups_b.pop(found))
        a = [use for group in groups_a.values() for use in group]
        b = [use for group in groups_b.values() for use in group]
    for group in _group(a, _line_and_statement, alone=True).values():
        yield Pair(matched=MatchKind.NOTHING, a=group, b=[])
    for group in _group(b, _line_and_statement, alone=True).values():
        yield Pair(matched=MatchKind.NOTHING, a=[], b=group)


def _line_and_statement(use: Use) -> Hashable:
    return None if use.line is None else (use.line, use.statement)


MATCH_PASSES: list[tuple[MatchKind, Callable[[Use], Hashable]]] = [
    (MatchKind.BOTH, _line_and_statement),
    (MatchKind.LINE, lambda use: use.line),
    (MatchKind.STATEMENT, lambda use: use.statement),
]


def _group(
    uses: Iterable[Use], key: Callable[[Use], Hashable], *, alone: bool = False
) -> dict[Hashable, list[Use]]:
    """Group by key; uses without one form a group, or if ``alone`` one for each statement."""
    groups: dict[Hashable, list[Use]] = {}
    for use in uses:
        found = key(use)
        groups.setdefault(use.statement if found is None and alone else found, []).append(use)
    return groups


def _build_use(index: Index, event: Query | Decision) -> Use:
    if isinstance(event, Query):
        decision = index.decision_of(event)
        does, subject, text = event.operation, event.model or summarize_statement(event), event.sql
        about = decision.model if decision is not None and is_passed_on(event, decision) else None
        place, by = event.alias, (str(event.route), decision.router if decision else None, about)
        shown = summarize_statement(event)
    else:
        does, subject, text = str(event.action), event.model or "", _describe_question(event)
        place, by = formatting.outcome(event), (str(event.decided_by), event.router, None)
        shown = f"{event.action}({text})"
    site = event.callsite
    return Use(
        event=event,
        what=shown,
        statement=(type(event), does, subject, text),
        line=(type(event), does, subject, site.file, site.line, site.template) if site else None,
        place=place,
        by=by,
    )


def _describe_question(decision: Decision) -> str:
    """Describe the question without the keys of objects, which differ between traces."""
    arguments = decision.args or {}
    if decision.action is Action.RELATION:
        both = (arguments.get("obj1"), arguments.get("obj2"))
        return ", ".join(ref.model if isinstance(ref, InstanceRef) else formatting.value(ref) for ref in both)
    if decision.action is Action.MIGRATE:
        asked = (arguments.get(name) for name in ("db", "app_label", "model_name"))
        return ", ".join(str(value) for value in asked if value is not None)
    return decision.model or ""
