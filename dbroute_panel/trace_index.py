"""
Look up what belongs together in a trace: decisions of queries, transactions, findings, replicas.

Findings, pages and exports each need a few of the lookups, for up to 10,000 events. So each is one pass over
the events, made when it is first asked for.
"""

from __future__ import annotations

from functools import cached_property
from operator import attrgetter
from typing import Final

import msgspec

from dbroute_panel.asked import Asked, asked_about
from dbroute_panel.records import (
    CommitHook,
    Decision,
    Event,
    ExceptionRaised,
    Finding,
    Operation,
    Query,
    Trace,
    Transaction,
)
from dbroute_panel.sql import ROWS, returns_rows

_ENDS: Final = frozenset({Operation.COMMIT, Operation.ROLLBACK})

_Key = tuple[str, int | None]
"""The alias and number of a transaction."""


class TransactionSpan(msgspec.Struct, eq=False):
    """
    One transaction of an alias. ``number`` is that of the trace, None for the one from before it.

    ``begin`` and ``end`` (its commit or rollback) are None where it was open before or after the trace.
    Of one that began in the trace, ``writes`` are the queries that changed something in it, ``beside`` the
    transactions that were open at the same time.
    """

    alias: str
    number: int | None
    begin: Transaction | None = None
    end: Transaction | None = None
    writes: list[Query] = []
    beside: list[TransactionSpan] = []

    @property
    def at_us(self) -> int:
        """When it began, in microseconds from the trace's start."""
        return self.begin.at_us if self.begin is not None else 0

    @property
    def committed(self) -> bool:
        """Whether it ended in a commit, as far as the trace goes."""
        return self.end is not None and self.end.operation is Operation.COMMIT

    @property
    def rolled_back(self) -> bool:
        """Whether it ended in a rollback."""
        return self.end is not None and self.end.operation is Operation.ROLLBACK

    @property
    def by_orm(self) -> bool:
        """Whether Django's ORM opened it, for the one call that it was in."""
        return bool(self.begin and self.begin.by_orm)

    @property
    def edges(self) -> list[Transaction]:
        """Its begin and its end, as far as they are in the trace."""
        return [event for event in (self.begin, self.end) if event is not None]


Spans = tuple[TransactionSpan, ...]


class TraceIndex:
    """A trace, and what belongs together in it. ``trace`` is the Trace itself."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.name, self.kind, self.request = trace.name, trace.kind, trace.request
        self.databases, self.routers = trace.databases, trace.routers
        self.session_writes = trace.session_writes

    # Events

    @cached_property
    def events(self) -> list[Event]:
        """All events, in order of their start."""
        return sorted(self.trace.events, key=attrgetter("id"))

    @cached_property
    def by_id(self) -> dict[int, Event]:
        """The events by id."""
        return {event.id: event for event in self.trace.events}

    @cached_property
    def queries(self) -> list[Query]:
        """The queries, in order of their start."""
        return [event for event in self.events if type(event) is Query]

    @cached_property
    def decisions(self) -> list[Decision]:
        """The decisions, in order of their start."""
        return [event for event in self.events if type(event) is Decision]

    @cached_property
    def transactions(self) -> list[Transaction]:
        """The openings and endings of transactions and savepoints, in order."""
        return [event for event in self.events if type(event) is Transaction]

    @cached_property
    def last_end_us(self) -> float:
        """The end of the last event, in microseconds from the start; an event may outlast its trace."""
        ends = [event.at_us + getattr(event, "duration_us", 0.0) for event in self.trace.events]
        return max([self.trace.duration_us, *ends])

    # Decisions, findings, replicas, writes

    def decision(self, number: int | None) -> Decision | None:
        """Return the decision with this id, or None where the trace has none."""
        event = None if number is None else self.by_id.get(number)
        return event if type(event) is Decision else None

    def decision_of(self, query: Query) -> Decision | None:
        """Return the decision whose answer is the alias of ``query``; ``asked()`` says what it was about."""
        return self.decision(query.decision_id)

    def asked(self, query: Query) -> Asked | None:
        """Return what that decision was about, compared with the model of ``query``; None without one."""
        decision = self.decision_of(query)
        return None if decision is None else asked_about(query, decision)

    @cached_property
    def queries_of(self) -> dict[int, list[Query]]:
        """The queries that ran on the answer of each decision, by its id."""
        found: dict[int, list[Query]] = {}
        for query in self.trace.queries:
            if query.decision_id is not None:
                found.setdefault(query.decision_id, []).append(query)
        return found

    @cached_property
    def findings_of(self) -> dict[int, list[Finding]]:
        """The findings about each event, by its id."""
        found: dict[int, list[Finding]] = {}
        for finding in self.trace.findings:
            for number in finding.events:
                found.setdefault(number, []).append(finding)
        return found

    @cached_property
    def primaries(self) -> dict[str, str]:
        """The primary of each replica, by alias. A chain of replicas without an end has no primary."""
        found: dict[str, str] = {}
        for alias in self.databases:
            seen, here = {alias}, alias
            while (database := self.databases.get(here)) is not None and database.replica_of is not None:
                here = database.replica_of
                if here in seen:
                    here = alias
                    break
                seen.add(here)
            if here != alias:
                found[alias] = here
        return found

    def primary_of(self, alias: str) -> str:
        """Return the primary of the replica group that ``alias`` is in; itself, where none is declared."""
        return self.primaries.get(alias, alias)

    @cached_property
    def writes(self) -> list[Query]:
        """The queries that write."""
        return [query for query in self.queries if query.writes]

    @cached_property
    def changes(self) -> list[Query]:
        """The writes that changed something, which did not fail and did not report that they found no row."""
        return [
            query
            for query in self.writes
            if query.error is None
            and (query.rowcount != 0 or query.operation not in ROWS or returns_rows(query.sql))
        ]

    @cached_property
    def change_ids(self) -> frozenset[int]:
        """The ids of ``changes``."""
        return frozenset(query.id for query in self.changes)

    # Transactions

    @cached_property
    def concurrent(self) -> bool:
        """Whether queries overlapped, so that several threads ran and transactions have no known owner."""
        ended = 0.0
        for query in self.queries:
            began = query.at_us
            if began + 1 < ended:
                return True
            if (end := began + query.duration_us) > ended:
                ended = end
        return False

    @cached_property
    def _history(self) -> _History:
        return _History(self.events, self.change_ids)

    @property
    def spans(self) -> list[TransactionSpan]:
        """The transactions that began in the trace."""
        return self._history.spans

    @property
    def inside(self) -> list[tuple[Query, Spans]]:
        """The queries that ran while some of ``spans`` were open, each with these."""
        return self._history.inside

    @property
    def hooks(self) -> list[tuple[CommitHook, Spans]]:
        """The functions given to ``on_commit()``, each with those of ``spans`` that were open."""
        return self._history.hooks

    @property
    def raised(self) -> list[tuple[ExceptionRaised, Spans]]:
        """The exceptions, each with those of ``spans`` that were open."""
        return self._history.raised

    @property
    def undone(self) -> dict[int, int]:
        """The id of the rollback that undid a change, by the id of the query."""
        return self._history.undone

    @property
    def all_spans(self) -> list[TransactionSpan]:
        """All transactions in order of their begin, those that were open before the trace first."""
        return self._placed[0]

    @property
    def span_around(self) -> dict[int, TransactionSpan]:
        """The transaction that a query, savepoint, hook or exception belongs to, by the id of the event."""
        return self._placed[1]

    @cached_property
    def _placed(self) -> tuple[list[TransactionSpan], dict[int, TransactionSpan]]:
        spans: dict[_Key, TransactionSpan] = {(span.alias, span.number): span for span in self.spans}
        around: dict[int, TransactionSpan] = {}
        for end in self.transactions:
            if end.transaction_number is None and end.operation in _ENDS:  # it was open before the trace
                spans.setdefault((end.alias, None), TransactionSpan(end.alias, None))
        for event in self.events:
            if isinstance(event, Decision) or event.alias is None:
                continue
            if isinstance(event, Query) and not event.atomic:
                continue
            key = event.alias, event.transaction_number
            if type(event) is Transaction and event.operation in _ENDS:
                spans.setdefault(key, TransactionSpan(*key)).end = event
            elif type(event) is Transaction and event.operation is Operation.BEGIN:
                continue
            elif event.transaction_number is not None:
                around[event.id] = spans.setdefault(key, TransactionSpan(*key))
            elif type(event) in (Query, Transaction) and (span := spans.get(key)) and span.end is None:
                around[event.id] = span
        return sorted(spans.values(), key=lambda span: span.begin.id if span.begin else 0), around

    def span_end_us(self, span: TransactionSpan) -> float:
        """Return the end of ``span``, in microseconds from the trace's start; of an open one that of all."""
        return span.end.at_us if span.end is not None else self.last_end_us


class _OpenTransaction:
    """A transaction while the events are read; ``span`` is None where it began before the trace."""

    def __init__(self, span: TransactionSpan | None = None) -> None:
        self.span = span
        self.pending: list[Query] = []
        self.savepoints: list[int] = []
        """How many changes were pending at each savepoint that is still there."""

    def add(self, query: Query) -> None:
        self.pending.append(query)
        if self.span is not None:
            self.span.writes.append(query)

    def undo(self, operation: Operation) -> list[Query]:
        """Take back all, or what came after the last savepoint; Django releases that with a commit."""
        since = self.savepoints[-1] if operation is Operation.SAVEPOINT_ROLLBACK and self.savepoints else 0
        undone = self.pending[since:]
        del self.pending[since:]
        return undone


class _History:
    """What happened in which transaction, read once from the events in order."""

    def __init__(self, events: list[Event], change_ids: frozenset[int]) -> None:
        self.spans: list[TransactionSpan] = []
        self.inside: list[tuple[Query, Spans]] = []
        self.hooks: list[tuple[CommitHook, Spans]] = []
        self.raised: list[tuple[ExceptionRaised, Spans]] = []
        self.undone: dict[int, int] = {}
        self._open: dict[_Key, _OpenTransaction] = {}
        now: Spans = ()
        for event in events:  # 10,000 of them: the fewer calls, the better
            if type(event) is Query:
                if now:
                    self.inside.append((event, now))
                if event.atomic and event.id in change_ids:
                    self._find(event).add(event)
            elif type(event) is Transaction:
                self._move(event)
                now = tuple(one.span for one in self._open.values() if one.span is not None)
            elif type(event) is CommitHook:
                self.hooks.append((event, now))
            elif type(event) is ExceptionRaised:
                self.raised.append((event, now))

    def _move(self, event: Transaction) -> None:
        if event.operation is Operation.BEGIN:
            span = TransactionSpan(event.alias, event.transaction_number, event)
            for other in self._open.values():
                if other.span is not None:
                    other.span.beside.append(span)
                    span.beside.append(other.span)
            self.spans.append(span)
            self._open[event.alias, event.transaction_number] = _OpenTransaction(span)
            return
        one = self._find(event)
        if event.operation in (Operation.ROLLBACK, Operation.SAVEPOINT_ROLLBACK):
            self.undone.update((query.id, event.id) for query in one.undo(event.operation))
        if event.operation in _ENDS:
            if one.span is not None:
                one.span.end = event
            del self._open[event.alias, event.transaction_number]
        elif event.operation is Operation.SAVEPOINT:
            one.savepoints.append(len(one.pending))
        elif event.operation is Operation.SAVEPOINT_COMMIT:
            del one.savepoints[-1:]

    def _find(self, event: Query | Transaction) -> _OpenTransaction:
        return self._open.setdefault((event.alias, event.transaction_number), _OpenTransaction())
