"""
Build what an opened row shows: chain, hints, SQL, parameters and place of one event.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Final

import msgspec
from django.utils.translation import gettext_lazy

from dbroute_panel.asked import Asked, asked_about
from dbroute_panel.records import (
    Callsite,
    CommitHook,
    Decision,
    Event,
    ExceptionRaised,
    Finding,
    InstanceRef,
    Outcome,
    Query,
    Transaction,
)

from . import explain_text, formatting, highlight
from .highlight import CodeSpan
from .index import Index, ShortNames
from .palette import Swatch

MAX_LISTED: Final = 10

_OUTCOME_LABELS = {
    Outcome.ANSWERED: gettext_lazy("answered"),
    Outcome.PASSED: gettext_lazy("passed"),
    Outcome.NO_METHOD: gettext_lazy("no method"),
    Outcome.RAISED: gettext_lazy("raised"),
    Outcome.NOT_ASKED: gettext_lazy("not asked"),
}


class EventLink(msgspec.Struct, frozen=True):
    """Another event of the trace."""

    id: int
    text: str


class ChainStep(msgspec.Struct, frozen=True, kw_only=True):
    """One router: what it said and how long it took."""

    router: str
    path: str
    outcome: str
    label: str
    answer: str = ""
    error: str = ""
    duration_us: float | None = None
    source: Callsite | None = None
    traceback: str = ""


class DetailItem(msgspec.Struct, frozen=True, kw_only=True):
    """A hint, an argument or the saved object: ``note`` says where its ``_state.db`` comes from."""

    name: str
    value: str
    note: str = ""
    origin: EventLink | None = None


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """
    A decision in full: the question, who said what, what decided it, and the objects involved.

    ``id`` is 0 for one that is not of a trace.
    """

    id: int
    question: str
    decided_by: str
    steps: tuple[ChainStep, ...]
    arguments: tuple[DetailItem, ...]
    hints: tuple[DetailItem, ...]
    duration_us: float
    parent: EventLink | None = None
    site: Callsite | None = None


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """
    One event in full. ``chain`` is None where no router was asked; ``sql`` is empty for a decision.

    ``about_other``: the question of ``chain`` is not about the query's own model, as ``sentence`` says.
    """

    id: int
    kind: str
    sentence: str = ""
    chain: Chain | None = None
    about_other: bool = False
    database: Swatch | None = None
    sql: tuple[CodeSpan, ...] = ()
    statement: str = ""
    params: tuple[str, ...] = ()
    params_kept: bool = True
    many: bool = False
    instance: DetailItem | None = None
    atomic: bool = False
    transaction_number: int | None = None
    rowcount: int | None = None
    error: str = ""
    parent: EventLink | None = None
    site: Callsite | None = None
    queries: tuple[EventLink, ...] = ()
    findings: tuple[Finding, ...] = ()
    raised_at: Callsite | None = None

    @property
    def place(self) -> str:
        """``library/views.py:88``, or "" where it is not known."""
        return formatting.full_place(self.site) if self.site is not None else ""

    @property
    def entry(self) -> str:
        """``, in GET admin:index`` behind a library's line; else ""."""
        return formatting.with_entry(self.site, "") if self.site is not None else ""

    @property
    def origin(self) -> str:
        """``django/db/models/sql/compiler.py:841`` of an exception, or ""."""
        return formatting.full_place(self.raised_at) if self.raised_at is not None else ""


def build_detail(index: Index, event: Event, *, format_sql: bool = True) -> Detail:
    """Build the detail of ``event``; with ``format_sql`` off, its SQL is as sent, and cut sooner."""
    return _build_event_detail(event, index, format_sql)


@singledispatch
def _build_event_detail(event: Event, index: Index, format_sql: bool) -> Detail:
    """Build the detail of one event. A kind of event is added by registering one function."""
    raise TypeError(type(event))


def _common_fields(event: Event, index: Index) -> dict[str, Any]:
    return {"id": event.id, "site": event.callsite, "findings": tuple(index.findings_in_row(event.id))}


@_build_event_detail.register
def _build_query_detail(event: Query, index: Index, format_sql: bool) -> Detail:
    decision = index.decision_of(event)
    return Detail(
        kind="query",
        sentence=explain_text.explain_query(event, decision),
        chain=build_chain(decision, index.router_names, index) if decision else None,
        about_other=decision is not None and asked_about(event, decision) is not Asked.SAME_MODEL,
        database=index.palette[event.alias],
        sql=highlight.format_sql(event.sql) if format_sql else highlight.plain_sql(event.sql, 600),
        statement=event.sql if len(event.sql) <= highlight.MAX_SHOWN_LENGTH else "",
        params=_format_params(event.params, event.many),
        params_kept=event.params is not None,
        many=event.many,
        instance=_build_item("", event.instance, index) if event.instance else None,
        atomic=event.atomic,
        transaction_number=event.transaction_number,
        # A driver counts the rows of RETURNING as they are fetched: at the time of the record, none were.
        rowcount=event.rowcount if "RETURNING" not in event.sql[-200:].upper() else None,
        error=formatting.error(event),
        parent=_link_event(index, event.parent_id) if event.parent_id is not None else None,
        **_common_fields(event, index),
    )


@_build_event_detail.register
def _build_transaction_detail(event: Transaction, index: Index, format_sql: bool) -> Detail:
    return Detail(
        kind="transaction",
        database=index.palette[event.alias],
        transaction_number=event.transaction_number,
        **_common_fields(event, index),
    )


@_build_event_detail.register
def _build_hook_detail(event: CommitHook, index: Index, format_sql: bool) -> Detail:
    return Detail(
        kind="on_commit",
        sentence=explain_text.explain_hook(event),
        database=index.palette[event.alias],
        atomic=event.atomic,
        transaction_number=event.transaction_number,
        **_common_fields(event, index),
    )


@_build_event_detail.register
def _build_exception_detail(event: ExceptionRaised, index: Index, format_sql: bool) -> Detail:
    return Detail(
        kind="exception",
        sentence=explain_text.explain_exception(event),
        database=index.palette[event.alias] if event.alias is not None else None,
        atomic=event.alias is not None,
        transaction_number=event.transaction_number,
        error=event.error,
        raised_at=event.raised_at,
        **_common_fields(event, index),
    )


@_build_event_detail.register
def _build_decision_detail(event: Decision, index: Index, format_sql: bool) -> Detail:
    return Detail(
        kind="decision",
        chain=build_chain(event, index.router_names, index),
        queries=tuple(
            _link_event(index, query.id) for query in index.queries_of.get(event.id, ())[:MAX_LISTED]
        ),
        **_common_fields(event, index),
    )


def build_chain(decision: Decision, routers: ShortNames, index: Index | None = None) -> Chain:
    """Build a decision in full; without ``index`` (the sandbox) nothing links to other events."""
    arguments = decision.args or {}
    return Chain(
        id=decision.id if index else 0,
        question=formatting.question(decision),
        decided_by=explain_text.explain_decision(decision, routers),
        steps=tuple(
            ChainStep(
                router=routers(step.router),
                path=step.router,
                outcome=step.outcome.value,
                label=str(_OUTCOME_LABELS[step.outcome]),
                answer=formatting.answer(step.answer) if step.outcome is Outcome.ANSWERED else "",
                error=step.error or "",
                duration_us=step.duration_us
                if step.outcome not in (Outcome.NOT_ASKED, Outcome.NO_METHOD)
                else None,
                source=step.source,
                traceback=step.traceback or "",
            )
            for step in decision.steps
        ),
        arguments=tuple(_build_item(name, value, index) for name, value in arguments.items()),
        hints=tuple(_build_item(name, value, index) for name, value in decision.hints.items()),
        duration_us=decision.duration_us,
        parent=_link_event(index, decision.parent_id) if index and decision.parent_id is not None else None,
        site=decision.callsite,
    )


def _build_item(name: str, value: Any, index: Index | None) -> DetailItem:
    if not isinstance(value, InstanceRef):
        return DetailItem(name=name, value=formatting.value(value))
    origin = _link_event(index, value.origin_id) if index and index.decision(value.origin_id) else None
    return DetailItem(
        name=name,
        value=formatting.instance(value),
        note=explain_text.explain_state_db(value, index),
        origin=origin,
    )


def _link_event(index: Index, number: int | None) -> EventLink:
    event = index.by_id.get(number or 0)
    if isinstance(event, Decision):
        return EventLink(number or 0, formatting.question(event))
    return EventLink(number or 0, "")


def _format_params(params: tuple[Any, ...] | dict[str, Any] | None, many: bool) -> tuple[str, ...]:
    """One line a parameter; with ``many`` one line a set, the first ``MAX_LISTED``."""
    if not params:
        return ()
    if isinstance(params, dict):
        return tuple(f"{name} = {formatting.truncate(str(value))}" for name, value in params.items())
    if many:
        return tuple(
            formatting.truncate(", ".join(map(str, _format_param_set(one)))) for one in params[:MAX_LISTED]
        )
    return tuple(formatting.truncate(str(value)) for value in params[:200])


def _format_param_set(one: Any) -> list[Any]:
    if isinstance(one, dict):
        return [f"{name} = {value}" for name, value in one.items()]
    return list(one) if isinstance(one, (list, tuple)) else [one]
