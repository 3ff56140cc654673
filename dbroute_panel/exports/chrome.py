"""
Trace Event Format, which https://ui.perfetto.dev, speedscope and chrome://tracing open.

A trace is a process (``pid``) whose clock begins at 0. On its first lane (``tid``) it is one slice; then
come the routers, then each database that was used, with its transactions around the queries in them.
Savepoints, functions given to ``on_commit()`` and exceptions are points of time. An
arrow leads from a decision to each of its queries. ``args`` of a slice is its event as the JSON export has
it, with the codes of the findings about it (``findings``) and, where the decision behind a query was about
another model, that model (``decision_model``). See https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, Final

import msgspec
from django.utils.translation import gettext_lazy

from dbroute_panel.exports.base import Format
from dbroute_panel.exports.lanes import Lane, Lanes, Slice
from dbroute_panel.exports.statement import read
from dbroute_panel.exports.transaction_spans import Span, Transactions
from dbroute_panel.records import CommitHook, Decision, Event, ExceptionRaised, Query, Trace, Transaction

Json = dict[str, Any]

TOGETHER: Final = 500
"""So many events are handed over at a time."""


def write(traces: Iterable[Trace]) -> Iterator[bytes]:
    """One JSON object. Holds one trace at a time."""
    yield b'{"displayTimeUnit":"ms","traceEvents":[\n'
    flows, before = count(1), b""
    for pid, trace in enumerate(traces, 1):
        events = list(_Process(pid, trace, flows).events())
        for first in range(0, len(events), TOGETHER):
            part = events[first : first + TOGETHER]
            yield before + b",\n".join(msgspec.json.encode(event) for event in part)
            before = b",\n"
    yield b"\n]}\n"


class _Process:
    """One trace. ``flows`` gives arrows their ids, which are unique in the file."""

    def __init__(self, pid: int, trace: Trace, flows: Iterator[int]) -> None:
        self.pid = pid
        self.trace = trace
        self.flows = flows
        self.transactions = Transactions(trace)
        self.routers = Lanes("routers")
        self.databases: dict[str, Lanes] = {}
        for alias, database in trace.databases.items():
            primary = database.replica_of
            self.databases[alias] = Lanes(alias, f", replica of {primary}" if primary else "")
        self.decisions = {decision.id: decision for decision in trace.decisions}
        self.slices: dict[int, Slice] = {}  # of each decision and query, by its id
        self.blocks: dict[Span, Slice] = {}
        self.whole = Lane("trace", tid=1)
        self.marks: list[tuple[Lane, Transaction | CommitHook | ExceptionRaised]] = []
        self.codes: dict[int, list[str]] = {}
        for finding in trace.findings:
            for event in finding.events:
                self.codes.setdefault(event, []).append(finding.code)
        self.lay()

    def lay(self) -> None:
        """Find a place for everything that has a duration, in order of its start."""
        spans = self.transactions.spans
        began = {span.began.id: span for span in spans if span.began is not None}
        edges = {span.ended.id for span in spans if span.ended is not None}
        for span in spans:
            if span.began is None:
                self.block(span)
        for event in self.trace.events:
            if isinstance(event, Decision):
                self.decision(event)
            elif isinstance(event, Query):
                self.query(event)
            elif event.id in began:
                self.block(began[event.id])
            elif event.id not in edges:
                self.mark(event)
        for tid, lane in enumerate(self.lanes(), 2):
            lane.tid = tid

    def decision(self, event: Decision) -> None:
        name = " ".join(filter(None, (event.action, event.model)))
        outer = self.slices.get(event.parent or 0)
        self.slices[event.id] = self.routers.put(self.slice(event, name, "routing"), outer)

    def query(self, event: Query) -> None:
        around = self.transactions.around.get(event.id)
        cause = self.slices.get(event.decision or 0)
        piece = self.slice(event, read(event.sql).summary or "(no statement)", "sql")
        outer = self.blocks.get(around) if around else None
        self.slices[event.id] = self.of(event.alias).put(piece, outer, cause.end if cause else 0)

    def slice(self, event: Decision | Query, name: str, category: str) -> Slice:
        return Slice(
            at=event.at_us * 1000,
            length=round(event.duration_us * 1000),
            content={"name": name, "cat": category, "args": self.args(event)},
        )

    def block(self, span: Span) -> None:
        args = {"alias": span.alias, "transaction": span.number, "began": span.began, "ended": span.ended}
        piece = Slice(
            at=span.at_us * 1000,
            length=max(0, round((span.end_us - span.at_us) * 1000)),
            content={"name": "transaction", "cat": "transaction", "args": args},
            from_to=True,
        )
        self.blocks[span] = self.of(span.alias).put(piece)

    def mark(self, event: Transaction | CommitHook | ExceptionRaised) -> None:
        """
        What has no duration. The document does not say which savepoint ends which, so that they are points.
        """
        around = self.transactions.around.get(event.id)
        if event.alias is None:
            lane = self.whole
        elif around is not None and around in self.blocks:
            lane = self.blocks[around].lane
        else:
            lanes = self.of(event.alias)
            lane = lanes.lanes[0] if lanes.lanes else lanes.add()
        self.marks.append((lane, event))

    def of(self, alias: str) -> Lanes:
        return self.databases.setdefault(alias, Lanes(alias))

    def lanes(self) -> Iterator[Lane]:
        for lanes in (self.routers, *self.databases.values()):
            yield from lanes.lanes

    def args(self, event: Event) -> Json:
        """The event as the JSON export has it, and what is said of it elsewhere: see the module."""
        args: Json = msgspec.to_builtins(event)
        if isinstance(event, Query) and (decision := self.decisions.get(event.decision or 0)) is not None:
            args |= {"decision_model": decision.model} if decision.model != event.model else {}
        return args | {"findings": self.codes[event.id]} if event.id in self.codes else args

    # Writing

    def events(self) -> Iterator[Json]:
        """Names of the lanes, then slices, outer ones before inner ones, then points and arrows."""
        yield from self.names()
        whole = msgspec.to_builtins(msgspec.structs.replace(self.trace, events=[]))
        del whole["events"]
        title = f"{self.trace.kind} {self.trace.name}"
        yield self.event("X", 1, 0, name=title, cat="trace", dur=self.trace.duration_us, args=whole)
        for lanes in (self.routers, *self.databases.values()):
            for piece in lanes.slices:
                duration = (piece.end - piece.start) / 1000
                yield self.event("X", piece.lane.tid, piece.start, dur=duration, **piece.content)
        for lane, event in self.marks:
            at, args = event.at_us * 1000, self.args(event)
            name, category = _named(event)
            yield self.event("i", lane.tid, at, name=name, cat=category, s="t", args=args)
        for query in self.trace.queries:
            if query.decision in self.slices:
                yield from self.arrow(self.slices[query.decision], self.slices[query.id])

    def names(self) -> Iterator[Json]:
        trace = self.trace
        for name, args in (
            ("process_name", {"name": f"{trace.kind} {trace.name}"}),
            ("process_labels", {"labels": f"{trace.id}, {trace.started_at}"}),
            ("process_sort_index", {"sort_index": self.pid}),
        ):
            yield self.event("M", 1, name=name, args=args)
        for lane in (self.whole, *self.lanes()):
            yield self.event("M", lane.tid, name="thread_name", args={"name": lane.name})
            yield self.event("M", lane.tid, name="thread_sort_index", args={"sort_index": lane.tid})

    def arrow(self, decision: Slice, query: Slice) -> Iterator[Json]:
        """
        A viewer ties an end of an arrow to the innermost slice at that moment, and time goes on.

        Where there is no such moment there is no arrow: ``args`` of the query names the decision too.
        """
        begin = decision.start
        for inner in decision.inner:
            if inner.start <= begin:
                begin = inner.end
        if begin < max(decision.end, decision.start + 1) and begin <= query.start:
            ends = {"name": "answer", "cat": "routing", "id": next(self.flows)}
            yield self.event("s", decision.lane.tid, begin, **ends)
            yield self.event("f", query.lane.tid, query.start, bp="e", **ends)

    def event(self, phase: str, tid: int, at: int | None = None, **fields: Any) -> Json:
        moment = {} if at is None else {"ts": at / 1000}
        return {"ph": phase, "pid": self.pid, "tid": tid, **moment, **fields}


def _named(event: Transaction | CommitHook | ExceptionRaised) -> tuple[str, str]:
    """(name, category) of a point of time."""
    if isinstance(event, Transaction):
        return event.operation, "transaction"
    if isinstance(event, CommitHook):
        return f"on_commit {event.function}", "on_commit"
    return event.error.partition(":")[0], "exception"


FORMAT = Format(
    name="chrome",
    label="Chrome trace",
    purpose=gettext_lazy("A timeline for Perfetto, speedscope and chrome://tracing"),
    content_type="application/json",
    extension="trace.json",  # speedscope takes .chrome.json for an older format, and fails
    write=write,
)
