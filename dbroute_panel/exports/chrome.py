"""
Trace Event Format, which https://ui.perfetto.dev, speedscope and chrome://tracing open.

A trace is a process (``pid``) whose clock begins at 0. On its first lane (``tid``) it is one slice; then
come the routers, then each database that was used, with its transactions around the queries in them.
Savepoints, functions given to ``on_commit()`` and exceptions are points of time. An
arrow leads from a decision to each of its queries. ``args`` of a slice is its event as the JSON export has
it, with the codes of the findings about it (``findings``) and, where the decision behind a query was about
another model, that model (``decision_model``). See https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.

A viewer draws what lies inside another slice as called by it. So slices that overlap without one being
inside the other by what is known of them (two queries on two threads) get a lane each.

The document has starts in whole microseconds, cut off, and durations in nanoseconds: by these numbers a
query may end some hundred nanoseconds after the next one began. The slices are moved to where all of it can
be: each starts at most one microsecond later than the document says, still inside the microsecond that it
names, and what encloses others is at most that much longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, Final

import msgspec
from django.utils.translation import gettext_lazy

from dbroute_panel.exports.base import Format
from dbroute_panel.records import CommitHook, Decision, Event, ExceptionRaised, Query, Trace, Transaction
from dbroute_panel.sql import summarize
from dbroute_panel.trace_index import TraceIndex, TransactionSpan

Json = dict[str, Any]

CHUNK_EVENTS: Final = 500
"""The number of events in a piece of the file."""

MICROSECOND_NS: Final = 1000


class Lane(msgspec.Struct, eq=False):
    """``row`` are its outermost slices, ``tid`` is its number in the file."""

    name: str
    tid: int = 0
    row: list[Slice] = []


class Slice(msgspec.Struct, eq=False, kw_only=True):
    """
    A piece of time, in nanoseconds from the trace's start: ``at`` and ``length`` as the document has them.

    ``fixed_end``: its end was recorded by itself, also in whole microseconds, and does not move with its
    start. ``start`` and ``end`` are where it lies on its ``lane``; ``row`` are the slices it lies among,
    ``inner`` those inside it, ``outer`` the one around it.
    """

    at: int
    length: int
    content: dict[str, Any]
    fixed_end: bool = False
    start: int = 0
    end: int = 0
    lane: Lane = msgspec.UNSET  # type: ignore[assignment]  # until it is put on one
    outer: Slice | None = None
    row: list[Slice] = []
    inner: list[Slice] = []

    def enclosing(self) -> Iterator[Slice]:
        """Yield this slice and those around it, the innermost first."""
        around: Slice | None = self
        while around is not None:
            yield around
            around = around.outer

    def can_end(self, end: int) -> bool:
        """Return whether it can end there: less than a microsecond late, and with none after it."""
        return end <= self.end or (self.row[-1] is self and end < self.at + self.length + MICROSECOND_NS)

    def place(self, row: list[Slice], outer: Slice | None, after: int) -> bool:
        """Put it at the end of ``row``, inside ``outer``; do nothing and return False if it does not fit."""
        free = max(self.at, row[-1].end if row else 0, outer.start if outer else 0)
        start = max(free, after) if after < self.at + MICROSECOND_NS else free
        end = max(start, self.at + self.length) if self.fixed_end else start + self.length
        enclosing = list(outer.enclosing()) if outer else []
        if start >= self.at + MICROSECOND_NS or not all(one.can_end(end) for one in enclosing):
            return False
        for one in enclosing:
            one.end = max(one.end, end)
        self.start, self.end, self.outer, self.row = start, end, outer, row
        row.append(self)
        return True


class LaneGroup:
    """The lanes of one database, or of the routers. Its ``slices`` are added in order of their start."""

    def __init__(self, name: str, note: str = "") -> None:
        self.name = name
        self.note = note
        self.lanes: list[Lane] = []
        self.slices: list[Slice] = []

    def add(self, piece: Slice, outer: Slice | None = None, after: int = 0) -> Slice:
        """
        Place ``piece`` inside of ``outer`` if it fits there, else on the first lane that is free.

        ``after``: it did not begin before that; ignored where it did, by a microsecond or more.
        """
        self.slices.append(piece)
        if outer is not None and piece.place(outer.inner, outer, after):
            piece.lane = outer.lane
            return piece
        free = next((lane for lane in self.lanes if piece.place(lane.row, None, after)), None)
        if free is None:
            free = self.add_lane()
            piece.place(free.row, None, after)
        piece.lane = free
        return piece

    def add_lane(self) -> Lane:
        """Add another lane: ``primary``, then ``primary (2)``."""
        number = len(self.lanes) + 1
        self.lanes.append(Lane(f"{self.name} ({number}){self.note}" if number > 1 else self.name + self.note))
        return self.lanes[-1]


def write(traces: Iterable[Trace]) -> Iterator[bytes]:
    """Yield one JSON object. Holds one trace at a time."""
    yield b'{"displayTimeUnit":"ms","traceEvents":[\n'
    arrow_ids, separator = count(1), b""
    for pid, trace in enumerate(traces, 1):
        events = list(_Process(pid, trace, arrow_ids).events())
        for first in range(0, len(events), CHUNK_EVENTS):
            part = events[first : first + CHUNK_EVENTS]
            yield separator + b",\n".join(msgspec.json.encode(event) for event in part)
            separator = b",\n"
    yield b"\n]}\n"


class _Process:
    """The events of one trace. ``arrow_ids`` are unique in the file."""

    def __init__(self, pid: int, trace: Trace, arrow_ids: Iterator[int]) -> None:
        self.pid = pid
        self.trace = trace
        self.arrow_ids = arrow_ids
        self.index = TraceIndex(trace)
        self.routers = LaneGroup("routers")
        self.databases: dict[str, LaneGroup] = {}
        for alias, database in trace.databases.items():
            primary = database.replica_of
            self.databases[alias] = LaneGroup(alias, f", replica of {primary}" if primary else "")
        self.slices: dict[int, Slice] = {}  # of each decision and query, by its id
        self.blocks: dict[TransactionSpan, Slice] = {}
        self.trace_lane = Lane("trace", tid=1)
        self.points: list[tuple[Lane, Transaction | CommitHook | ExceptionRaised]] = []
        self.place_all()

    def place_all(self) -> None:
        """Place everything that has a duration, in order of its start."""
        spans = self.index.all_spans
        began = {span.begin.id: span for span in spans if span.begin is not None}
        edges = {span.end.id for span in spans if span.end is not None}
        for span in spans:
            if span.begin is None:
                self.add_block(span)
        for event in self.trace.events:
            if isinstance(event, Decision):
                self.add_decision(event)
            elif isinstance(event, Query):
                self.add_query(event)
            elif event.id in began:
                self.add_block(began[event.id])
            elif event.id not in edges:
                self.add_point(event)
        for tid, lane in enumerate(self.lanes(), 2):
            lane.tid = tid

    def add_decision(self, event: Decision) -> None:
        name = " ".join(filter(None, (event.action, event.model)))
        outer = self.slices.get(event.parent_id or 0)
        self.slices[event.id] = self.routers.add(self.make_slice(event, name, "routing"), outer)

    def add_query(self, event: Query) -> None:
        around = self.index.span_around.get(event.id)
        cause = self.slices.get(event.decision_id or 0)
        piece = self.make_slice(event, summarize(event.sql).text or "(no statement)", "sql")
        outer = self.blocks.get(around) if around else None
        self.slices[event.id] = self.group_of(event.alias).add(piece, outer, cause.end if cause else 0)

    def make_slice(self, event: Decision | Query, name: str, category: str) -> Slice:
        return Slice(
            at=event.at_us * 1000,
            length=round(event.duration_us * 1000),
            content={"name": name, "cat": category, "args": self.args_of(event)},
        )

    def add_block(self, span: TransactionSpan) -> None:
        args = {
            "alias": span.alias,
            "transaction_number": span.number,
            "began": span.begin,
            "ended": span.end,
        }
        piece = Slice(
            at=span.at_us * 1000,
            length=max(0, round((self.index.span_end_us(span) - span.at_us) * 1000)),
            content={"name": "transaction", "cat": "transaction", "args": args},
            fixed_end=True,
        )
        self.blocks[span] = self.group_of(span.alias).add(piece)

    def add_point(self, event: Transaction | CommitHook | ExceptionRaised) -> None:
        """Add a point. The document does not say which savepoint ends which, so that they are points too."""
        around = self.index.span_around.get(event.id)
        if event.alias is None:
            lane = self.trace_lane
        elif around is not None and around in self.blocks:
            lane = self.blocks[around].lane
        else:
            group = self.group_of(event.alias)
            lane = group.lanes[0] if group.lanes else group.add_lane()
        self.points.append((lane, event))

    def group_of(self, alias: str) -> LaneGroup:
        return self.databases.setdefault(alias, LaneGroup(alias))

    def lanes(self) -> Iterator[Lane]:
        for group in (self.routers, *self.databases.values()):
            yield from group.lanes

    def args_of(self, event: Event) -> Json:
        """Return the event as the JSON export has it, and what is said of it elsewhere: see the module."""
        args: Json = msgspec.to_builtins(event)
        if isinstance(event, Query) and (decision := self.index.decision_of(event)) is not None:
            args |= {"decision_model": decision.model} if decision.model != event.model else {}
        codes = [finding.code for finding in self.index.findings_of.get(event.id, ())]
        return args | {"findings": codes} if codes else args

    def events(self) -> Iterator[Json]:
        """Yield names of the lanes, then slices, outer ones before inner ones, then points and arrows."""
        yield from self.name_events()
        whole = msgspec.to_builtins(msgspec.structs.replace(self.trace, events=[]))
        del whole["events"]
        title = f"{self.trace.kind} {self.trace.name}"
        yield self.make_event("X", 1, 0, name=title, cat="trace", dur=self.trace.duration_us, args=whole)
        for group in (self.routers, *self.databases.values()):
            for piece in group.slices:
                duration = (piece.end - piece.start) / 1000
                yield self.make_event("X", piece.lane.tid, piece.start, dur=duration, **piece.content)
        for lane, event in self.points:
            at, args = event.at_us * 1000, self.args_of(event)
            name, category = _name_point(event)
            yield self.make_event("i", lane.tid, at, name=name, cat=category, s="t", args=args)
        for query in self.trace.queries:
            if query.decision_id in self.slices:
                yield from self.arrow_events(self.slices[query.decision_id], self.slices[query.id])

    def name_events(self) -> Iterator[Json]:
        trace = self.trace
        for name, args in (
            ("process_name", {"name": f"{trace.kind} {trace.name}"}),
            ("process_labels", {"labels": f"{trace.id}, {trace.started_at}"}),
            ("process_sort_index", {"sort_index": self.pid}),
        ):
            yield self.make_event("M", 1, name=name, args=args)
        for lane in (self.trace_lane, *self.lanes()):
            yield self.make_event("M", lane.tid, name="thread_name", args={"name": lane.name})
            yield self.make_event("M", lane.tid, name="thread_sort_index", args={"sort_index": lane.tid})

    def arrow_events(self, decision: Slice, query: Slice) -> Iterator[Json]:
        """
        Yield both ends of an arrow, if there is a moment for each.

        A viewer ties an end to the innermost slice at that moment, and no arrow leads back in time. Where
        there is no arrow, ``args`` of the query names the decision too.
        """
        begin = decision.start
        for inner in decision.inner:
            if inner.start <= begin:
                begin = inner.end
        if begin < max(decision.end, decision.start + 1) and begin <= query.start:
            ends = {"name": "answer", "cat": "routing", "id": next(self.arrow_ids)}
            yield self.make_event("s", decision.lane.tid, begin, **ends)
            yield self.make_event("f", query.lane.tid, query.start, bp="e", **ends)

    def make_event(self, phase: str, tid: int, at: int | None = None, **fields: Any) -> Json:
        moment = {} if at is None else {"ts": at / 1000}
        return {"ph": phase, "pid": self.pid, "tid": tid, **moment, **fields}


def _name_point(event: Transaction | CommitHook | ExceptionRaised) -> tuple[str, str]:
    """Return the name and the category of a point."""
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
