"""
The spans of a trace, for the file and for the live export alike. No OpenTelemetry package is imported here.

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
    UNKNOWN_SERVER,
    Attribute,
    ServerInfo,
    answer_attributes,
    callsite_attributes,
    database_attributes,
    describe_point,
    describe_step,
    describe_value,
    drop_none,
    error_attributes,
    name_request,
    request_attributes,
    statement_attributes,
)
from dbroute_panel.records import CommitHook, Decision, ExceptionRaised, Outcome, Query, Trace, Transaction
from dbroute_panel.sql import summarize
from dbroute_panel.trace_index import TraceIndex, TransactionSpan

SCOPE: Final = "dbroute_panel"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SpanKind(enum.IntEnum):
    """The kinds of spans, by the numbers of OTLP."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True):
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
    kind: SpanKind
    start: int
    end: int
    attributes: dict[str, Attribute]
    events: list[SpanEvent] = []
    link: str | None = None
    error: str | None = None


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """A span of the project's around the whole trace; ``remote``: it is of another process."""

    trace_id: str
    span_id: str
    remote: bool


def build_spans(
    trace: Trace, servers: Mapping[str, ServerInfo] | None = None, parent: Parent | None = None
) -> Iterator[Span]:
    """Yield the spans of ``trace``, the one of the whole first; ``servers`` are those known, by alias."""
    builder = _SpanBuilder(trace, servers or {})
    yield builder.build_whole(parent)
    for block in builder.index.all_spans:
        yield builder.build_transaction(block)
    for event in trace.events:
        if isinstance(event, Query):
            yield builder.build_query(event)
        elif isinstance(event, Decision):
            yield builder.build_decision(event)


class _SpanBuilder:
    """Builds the spans of one trace."""

    def __init__(self, trace: Trace, servers: Mapping[str, ServerInfo]) -> None:
        self.trace = trace
        self.servers = servers
        self.start = (datetime.fromisoformat(trace.started_at) - EPOCH) // timedelta(microseconds=1) * 1000
        self.index = TraceIndex(trace)
        self.points: dict[TransactionSpan | None, list[Transaction | CommitHook | ExceptionRaised]] = {}
        for event in self.index.events:
            if isinstance(event, Transaction) and "savepoint" not in event.operation:
                continue
            if isinstance(event, Transaction | CommitHook | ExceptionRaised):
                self.points.setdefault(self.index.span_around.get(event.id), []).append(event)

    def make_id(self, what: str, number: object = "") -> str:
        """
        Return the id of a span, the same each time.

        An OpenTelemetry trace may have spans of other origin too, so that counting from 1 would not do.
        """
        return blake2b(f"{self.trace.id} {what} {number}".encode(), digest_size=8).hexdigest()

    def to_unix_ns(self, microseconds: float) -> int:
        return self.start + round(microseconds * 1000)

    def build_whole(self, parent: Parent | None) -> Span:
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
            attributes |= error_attributes(ended_by)
        return Span(
            id=self.make_id("trace"),
            parent=parent.span_id if parent else None,
            name=name_request(request) if request else trace.name,
            kind=SpanKind.SERVER if entered else SpanKind.INTERNAL,
            start=self.start,
            end=self.to_unix_ns(trace.duration_us),
            attributes=attributes | (request_attributes(request) if request else {}),
            events=self.list_findings() + self.list_points(None),
            error="" if failed and ended_by is None else ended_by,
        )

    def list_findings(self) -> list[SpanEvent]:
        """Return each finding, at the time of the first event that it is about."""
        at = {event.id: event.at_us for event in self.trace.events}
        return [
            SpanEvent(
                name="dbroute.finding",
                at=self.to_unix_ns(min((at[id] for id in finding.events if id in at), default=0)),
                attributes={
                    "dbroute.finding.code": finding.code,
                    "dbroute.finding.level": finding.level,
                    "dbroute.finding.message": finding.message,
                },
            )
            for finding in self.trace.findings
        ]

    def build_transaction(self, block: TransactionSpan) -> Span:
        attributes: dict[str, Attribute] = {"django.db.alias": block.alias}
        if block.number is not None:
            attributes["dbroute.transaction.number"] = block.number
        if block.end is not None:
            attributes["dbroute.transaction.end"] = block.end.operation
        if block.begin is None:
            attributes["dbroute.transaction.began_before"] = True
        return Span(
            id=self.make_id("transaction", f"{block.number} {block.alias}"),
            parent=self.make_id("trace"),
            name=f"transaction {block.alias}",
            kind=SpanKind.INTERNAL,
            start=self.to_unix_ns(block.at_us),
            end=self.to_unix_ns(max(block.at_us, self.index.span_end_us(block))),
            attributes=attributes | callsite_attributes(block.begin.callsite if block.begin else None),
            events=self.list_points(block),
        )

    def list_points(self, block: TransactionSpan | None) -> list[SpanEvent]:
        """
        Return what has no duration: savepoints, functions given to ``on_commit()``, exceptions.

        Those of the transaction ``block``, or those outside of any for None.
        """
        return [self.build_point(event) for event in self.points.get(block, ())]

    def build_point(self, event: Transaction | CommitHook | ExceptionRaised) -> SpanEvent:
        name, said = describe_point(event)
        about = drop_none({"django.db.alias": event.alias}) | said | self.finding_attributes(event.id)
        return SpanEvent(
            name=name, at=self.to_unix_ns(event.at_us), attributes=about | callsite_attributes(event.callsite)
        )

    def build_decision(self, event: Decision) -> Span:
        error = next((step.error for step in event.steps if step.outcome is Outcome.RAISED), None)
        attributes: dict[str, Attribute] = {"dbroute.event": event.id, "dbroute.action": event.action}
        attributes |= drop_none({"dbroute.model": event.model})
        attributes |= answer_attributes(event)
        attributes["dbroute.steps"] = [describe_step(step) for step in event.steps]
        for name, values in (("dbroute.args", event.args), ("dbroute.hints", event.hints)):
            if values:
                attributes[name] = [f"{key}={describe_value(value)}" for key, value in values.items()]
        return Span(
            id=self.make_id("event", event.id),
            parent=self.make_id("trace")
            if event.parent_id is None
            else self.make_id("event", event.parent_id),
            name=" ".join(filter(None, (event.action, event.model))),
            kind=SpanKind.INTERNAL,
            start=self.to_unix_ns(event.at_us),
            end=self.to_unix_ns(event.at_us + event.duration_us),
            attributes=attributes
            | self.finding_attributes(event.id)
            | error_attributes(error)
            | callsite_attributes(event.callsite),
            error=error,
        )

    def build_query(self, event: Query) -> Span:
        said = statement_attributes(event, summarize(event.sql))
        decision = self.index.decision_of(event)
        around = self.index.span_around.get(event.id)
        if event.parent_id is not None:
            parent = self.make_id("event", event.parent_id)
        elif around is not None:
            parent = self.make_id("transaction", f"{around.number} {around.alias}")
        else:
            parent = self.make_id("trace")
        return Span(
            id=self.make_id("event", event.id),
            parent=parent,
            name=str(said.get("db.query.summary", event.alias)),
            kind=SpanKind.CLIENT,
            start=self.to_unix_ns(event.at_us),
            end=self.to_unix_ns(event.at_us + event.duration_us),
            attributes=database_attributes(
                event.alias,
                self.trace.databases.get(event.alias),
                self.servers.get(event.alias, UNKNOWN_SERVER),
            )
            | said
            | drop_none(
                {
                    "dbroute.event": event.id,
                    "dbroute.route": event.route,
                    "dbroute.model": event.model,
                    "dbroute.writes": event.writes,
                    "dbroute.transaction.number": event.transaction_number,
                    "dbroute.rowcount": event.rowcount,
                }
            )
            | self.asked_attributes(event, decision)
            | self.finding_attributes(event.id)
            | error_attributes(event.error, event.error_code)
            | callsite_attributes(event.callsite),
            link=self.make_id("event", decision.id) if decision else None,
            error=event.error,
        )

    def asked_attributes(self, query: Query, decision: Decision | None) -> dict[str, Attribute]:
        """
        Return who sent a query there, and the model they were asked about where that was not its own.

        The router of an answer about another model decided nothing about this one: the link leads to it.
        """
        if decision is None:
            return {}
        about = drop_none(
            {"dbroute.decision.model": decision.model if decision.model != query.model else None}
        )
        return about if is_passed_on(query, decision) else answer_attributes(decision) | about

    def finding_attributes(self, event: int) -> dict[str, Attribute]:
        codes = [finding.code for finding in self.index.findings_of.get(event, ())]
        return {"dbroute.findings": codes} if codes else {}
