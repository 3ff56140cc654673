"""
A trace as OpenTelemetry's spans, for the file and for the live export alike; nothing of an SDK's is here.

Under one span of the whole trace (SERVER for a request) lie a CLIENT span a query and an INTERNAL span a
decision and a transaction. A query lies in its transaction, or in the decision whose router ran it, and
links to the decision that sent it there. Names are those of the stable semantic conventions
(https://opentelemetry.io/docs/specs/semconv/db/), and ``django.db.alias`` and ``dbroute.*`` beside them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

import msgspec

from dbroute_panel.asked import is_passed_on
from dbroute_panel.exports.semconv import (
    NOWHERE,
    Attribute,
    Place,
    given,
    in_words,
    name_of,
    of_answer,
    of_callsite,
    of_database,
    of_error,
    of_point,
    of_request,
    of_statement,
    shown,
)
from dbroute_panel.records import CommitHook, Decision, ExceptionRaised, Outcome, Query, Trace, Transaction
from dbroute_panel.sql import summarize
from dbroute_panel.trace_index import TraceIndex, TransactionSpan

SCOPE: Final = "dbroute_panel"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Kind(enum.IntEnum):
    """By the numbers of OTLP."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a span. ``at`` in nanoseconds since 1970."""

    name: str
    at: int
    attributes: dict[str, Attribute]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """
    One span. Ids are 16 hex digits; ``parent`` is None for the span of the whole trace.

    ``start`` and ``end`` in nanoseconds since 1970. ``link`` is the id of another span of this trace.
    ``error`` is None where nothing failed.
    """

    id: str
    parent: str | None
    name: str
    kind: Kind
    start: int
    end: int
    attributes: dict[str, Attribute]
    moments: list[Moment] = []
    link: str | None = None
    error: str | None = None


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """A span of somebody else's around the whole trace; ``remote``: it is of another process."""

    trace_id: str
    span_id: str
    remote: bool


def spans_of(
    trace: Trace, places: Mapping[str, Place] | None = None, parent: Parent | None = None
) -> Iterator[Span]:
    """The spans of ``trace``, the one of the whole first; ``places`` by alias, where they are known."""
    spans = _Spans(trace, places or {})
    yield spans.whole(parent)
    for block in spans.index.all_spans:
        yield spans.transaction(block)
    for event in trace.events:
        if isinstance(event, Query):
            yield spans.query(event)
        elif isinstance(event, Decision):
            yield spans.decision(event)


class _Spans:
    """Makes the spans of one trace."""

    def __init__(self, trace: Trace, places: Mapping[str, Place]) -> None:
        self.trace = trace
        self.places = places
        self.start = (datetime.fromisoformat(trace.started_at) - EPOCH) // timedelta(microseconds=1) * 1000
        self.index = TraceIndex(trace)
        self.points: dict[TransactionSpan | None, list[Transaction | CommitHook | ExceptionRaised]] = {}
        for event in self.index.events:
            if isinstance(event, Transaction) and "savepoint" not in event.operation:
                continue
            if isinstance(event, Transaction | CommitHook | ExceptionRaised):
                self.points.setdefault(self.index.span_around.get(event.id), []).append(event)

    def id(self, what: str, number: object = "") -> str:
        """
        The id of a span, the same each time.

        Others may make spans in the same OpenTelemetry trace, so that a count from 1 would not do.
        """
        return blake2b(f"{self.trace.id} {what} {number}".encode(), digest_size=8).hexdigest()

    def at(self, microseconds: float) -> int:
        return self.start + round(microseconds * 1000)

    def whole(self, parent: Parent | None) -> Span:
        trace, request = self.trace, self.trace.request
        entered = request is not None and (parent is None or parent.remote)
        attributes: dict[str, Attribute] = {
            "dbroute.trace.id": trace.id,
            "dbroute.trace.kind": trace.kind,
            "dbroute.routers": list(trace.routers),
        }
        for kind, count in msgspec.structs.asdict(trace.dropped).items():
            if count:
                attributes[f"dbroute.dropped.{kind}"] = count
        failed = request is not None and (request.status or 0) >= 500
        ended_by = next((event.error for event in trace.exceptions if event.ended == "trace"), None)
        if request is None:
            attributes |= of_error(ended_by)
        return Span(
            id=self.id("trace"),
            parent=parent.span_id if parent else None,
            name=name_of(request) if request else trace.name,
            kind=Kind.SERVER if entered else Kind.INTERNAL,
            start=self.start,
            end=self.at(trace.duration_us),
            attributes=attributes | (of_request(request) if request else {}),
            moments=self.findings() + self.moments(None),
            error="" if failed and ended_by is None else ended_by,
        )

    def findings(self) -> list[Moment]:
        """When the first event happened that a finding is about."""
        at = {event.id: event.at_us for event in self.trace.events}
        return [
            Moment(
                name="dbroute.finding",
                at=self.at(min((at[id] for id in finding.events if id in at), default=0)),
                attributes={
                    "dbroute.finding.code": finding.code,
                    "dbroute.finding.level": finding.level,
                    "dbroute.finding.message": finding.message,
                },
            )
            for finding in self.trace.findings
        ]

    def transaction(self, block: TransactionSpan) -> Span:
        attributes: dict[str, Attribute] = {"django.db.alias": block.alias}
        if block.number is not None:
            attributes["dbroute.transaction.number"] = block.number
        if block.end is not None:
            attributes["dbroute.transaction.end"] = block.end.operation
        if block.begin is None:
            attributes["dbroute.transaction.began_before"] = True
        return Span(
            id=self.id("transaction", f"{block.number} {block.alias}"),
            parent=self.id("trace"),
            name=f"transaction {block.alias}",
            kind=Kind.INTERNAL,
            start=self.at(block.at_us),
            end=self.at(max(block.at_us, self.index.span_end_us(block))),
            attributes=attributes | of_callsite(block.begin.callsite if block.begin else None),
            moments=self.moments(block),
        )

    def moments(self, block: TransactionSpan | None) -> list[Moment]:
        """
        What has no duration: savepoints, functions given to ``on_commit()``, exceptions.

        Of a transaction; of none, for None.
        """
        return [self.moment(event) for event in self.points.get(block, ())]

    def moment(self, event: Transaction | CommitHook | ExceptionRaised) -> Moment:
        name, said = of_point(event)
        about = given({"django.db.alias": event.alias}) | said | self.found(event.id)
        return Moment(name=name, at=self.at(event.at_us), attributes=about | of_callsite(event.callsite))

    def decision(self, event: Decision) -> Span:
        error = next((step.error for step in event.steps if step.outcome is Outcome.RAISED), None)
        attributes: dict[str, Attribute] = {"dbroute.event": event.id, "dbroute.action": event.action}
        attributes |= given({"dbroute.model": event.model})
        attributes |= of_answer(event)
        attributes["dbroute.steps"] = [in_words(step) for step in event.steps]
        for name, values in (("dbroute.args", event.args), ("dbroute.hints", event.hints)):
            if values:
                attributes[name] = [f"{key}={shown(value)}" for key, value in values.items()]
        return Span(
            id=self.id("event", event.id),
            parent=self.id("trace") if event.parent_id is None else self.id("event", event.parent_id),
            name=" ".join(filter(None, (event.action, event.model))),
            kind=Kind.INTERNAL,
            start=self.at(event.at_us),
            end=self.at(event.at_us + event.duration_us),
            attributes=attributes | self.found(event.id) | of_error(error) | of_callsite(event.callsite),
            error=error,
        )

    def query(self, event: Query) -> Span:
        said = of_statement(event, summarize(event.sql))
        decision = self.index.decision_of(event)
        around = self.index.span_around.get(event.id)
        if event.parent_id is not None:
            parent = self.id("event", event.parent_id)
        elif around is not None:
            parent = self.id("transaction", f"{around.number} {around.alias}")
        else:
            parent = self.id("trace")
        return Span(
            id=self.id("event", event.id),
            parent=parent,
            name=str(said.get("db.query.summary", event.alias)),
            kind=Kind.CLIENT,
            start=self.at(event.at_us),
            end=self.at(event.at_us + event.duration_us),
            attributes=of_database(
                event.alias, self.trace.databases.get(event.alias), self.places.get(event.alias, NOWHERE)
            )
            | said
            | given(
                {
                    "dbroute.event": event.id,
                    "dbroute.route": event.route,
                    "dbroute.model": event.model,
                    "dbroute.writes": event.writes,
                    "dbroute.transaction.number": event.transaction_number,
                    "dbroute.rowcount": event.rowcount,
                }
            )
            | self.asked(event, decision)
            | self.found(event.id)
            | of_error(event.error, event.error_code)
            | of_callsite(event.callsite),
            link=self.id("event", decision.id) if decision else None,
            error=event.error,
        )

    def asked(self, query: Query, decision: Decision | None) -> dict[str, Attribute]:
        """
        Who sent a query there, and what they were asked about where that was not its model.

        The router of an answer about another model decided nothing about this one: the link leads to it.
        """
        if decision is None:
            return {}
        about = given({"dbroute.decision.model": decision.model if decision.model != query.model else None})
        return about if is_passed_on(query, decision) else of_answer(decision) | about

    def found(self, event: int) -> dict[str, Attribute]:
        codes = [finding.code for finding in self.index.findings_of.get(event, ())]
        return {"dbroute.findings": codes} if codes else {}
