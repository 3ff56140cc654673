"""
What hangs together in a trace, looked up once for all findings: see ``Facts``.

Only a transaction whose ``begin`` is in the trace is a ``Span``.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Final, TypeVar

import msgspec

from dbroute_panel.asked import Asked, asked_about, is_passed_on
from dbroute_panel.records import (
    CommitHook,
    Database,
    Decision,
    Event,
    ExceptionRaised,
    Finding,
    InstanceRef,
    Level,
    Operation,
    Query,
    RouteKind,
    Trace,
    Transaction,
)
from dbroute_panel.sql import ROWS, returns_rows, tables_read, tables_written

BEGIN, COMMIT, ROLLBACK = Operation.BEGIN, Operation.COMMIT, Operation.ROLLBACK
SAVEPOINT, SAVEPOINT_COMMIT = Operation.SAVEPOINT, Operation.SAVEPOINT_COMMIT
SAVEPOINT_ROLLBACK = Operation.SAVEPOINT_ROLLBACK
INFO: Final = Level.INFO
WARNING: Final = Level.WARNING
ERROR: Final = Level.ERROR

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)

ASKED_ROUTES = frozenset({RouteKind.ROUTER, RouteKind.INSTANCE, RouteKind.DEFAULT})
"""The routes of queries whose alias is the answer to a question."""

HOUSEKEEPING = frozenset(
    {"admin.LogEntry", "contenttypes.ContentType", "migrations.Migration", "sessions.Session"}
)
"""Models that Django itself writes beside the user's data, by design without the user's transaction."""


ERROR_REPORTS = "django/views/debug.py"
"""The file of Django's error page and of its mail to the administrators, as a callsite has it."""


class Span:
    """One transaction of the trace: ``end`` is its commit or rollback, or None where it was still open."""

    def __init__(self, begin: Transaction) -> None:
        self.begin = begin
        self.alias = begin.alias
        self.end: Transaction | None = None
        self.writes: list[Query] = []
        self.beside: list[Span] = []
        """The transactions that were open at the same time as this one."""

    @property
    def committed(self) -> bool:
        """Whether it ended in a commit, as far as the trace goes."""
        return self.end is not None and self.end.operation is COMMIT

    @property
    def rolled_back(self) -> bool:
        """Whether it ended in a rollback."""
        return self.end is not None and self.end.operation is ROLLBACK


class Facts:
    """
    A trace, and what hangs together in it. ``trace`` is the Trace itself.

    ``events`` in order of their start, and of these ``queries``, ``decisions``, ``transactions``;
    ``writes``, the queries that write; ``changes``, those of them that did change something, as far as
    the record tells; ``spans``, the transactions that began in the trace; ``inside``, the queries that
    ran while some of them were open, each with these, and so ``hooks`` (given to ``on_commit()``) and
    ``raised`` (exceptions), with none where none was open; ``undone``: the id of the rollback event that
    undid a change, by the id of the query; ``primaries``: of each replica, by alias; ``concurrent``:
    whether queries overlapped in time, so that several threads ran, and whose a transaction was is not
    known; ``failed_at``: the id of the exception of which Django made the response of the request, or None.
    """

    def __init__(self, trace: Trace, *, redacted: bool = False) -> None:
        self.trace = trace
        self.name, self.kind, self.request = trace.name, trace.kind, trace.request
        self.databases, self.routers = trace.databases, trace.routers
        self.session_writes = trace.session_writes
        self.redacted = redacted
        self.events: list[Event] = sorted(trace.events, key=attrgetter("id"))
        self.queries: list[Query] = []
        self.decisions = [event for event in self.events if type(event) is Decision]
        self.transactions: list[Transaction] = []
        self.writes: list[Query] = []
        self.changes: list[Query] = []
        self.spans: list[Span] = []
        self.undone: dict[int, int] = {}
        self.concurrent = False
        self.primaries = _primaries(trace.databases)
        self.inside: list[tuple[Query, tuple[Span, ...]]] = []
        self.hooks: list[tuple[CommitHook, tuple[Span, ...]]] = []
        self.raised: list[tuple[ExceptionRaised, tuple[Span, ...]]] = []
        self._decisions = {decision.id: decision for decision in self.decisions}
        self._read()
        failures = (event.id for event, _ in self.raised if event.ended == "trace")
        self.failed_at = None if trace.request is None else next(failures, None)

    # What belongs to what

    def decision(self, number: int | None) -> Decision | None:
        """The decision with this id, or None where the trace has none."""
        return None if number is None else self._decisions.get(number)

    def decision_of(self, query: Query) -> Decision | None:
        """The decision whose answer is the alias of ``query``; see ``asked()`` for what it was about."""
        return self.decision(query.decision_id)

    def asked(self, query: Query) -> Asked | None:
        """What that decision was about, compared with the model of ``query``; None without a decision."""
        decision = self.decision_of(query)
        return None if decision is None else asked_about(query, decision)

    def is_routed(self, query: Query) -> bool:
        """Whether another answer to a question about its model would have sent ``query`` elsewhere."""
        decision = self.decision_of(query)
        return query.route in ASKED_ROUTES if decision is None else not is_passed_on(query, decision)

    def is_after_failure(self, query: Query) -> bool:
        """
        Whether ``query`` ran after the exception of which Django made the response, or told of one.

        Then it is of Django's error page, or of its mail to the administrators: both show every queryset that
        is in a frame, so that it is read, whatever the user's code had in mind with it. In the trace of a
        block or test, and where code logs an exception that it has caught, only their own line tells.
        """
        if self.failed_at is not None and query.id > self.failed_at:
            return True
        return query.callsite is not None and query.callsite.file == ERROR_REPORTS

    def primary_of(self, alias: str) -> str:
        """The primary of the replica group that ``alias`` is in; itself, where none is declared."""
        return self.primaries.get(alias, alias)

    # How it is called in a message

    def named(self, ref: InstanceRef) -> str:
        """``library.Book #42``, or ``library.Book`` where the key is not known or not to be shown."""
        known = ref.pk is not None and ref.pk != "***" and not self.redacted
        return f"{ref.model} #{_cut(str(ref.pk), 60)}" if known else ref.model

    def subject(self, query: Query) -> str:
        """What a query is about: the object being saved, else its model, else its table."""
        if query.instance is not None:
            return self.named(query.instance)
        return self.model(query)

    def model(self, query: Query) -> str:
        """The model of a query, else its table."""
        if query.model is not None:
            return query.model
        tables = tables_written(query.sql) if query.writes else tables_read(query.sql)
        return f'the table "{tables[0]}"' if tables else "raw SQL"

    def question(self, decision: Decision) -> str:
        """``db_for_write(library.Book)``."""
        return f"{decision.action}({decision.model or ''})"

    def subjects(self, queries: Iterable[Query]) -> str:
        """What queries on one model or table are about: one object by its key; of more, how many."""
        queries = list(queries)
        names = {self.subject(query) for query in queries}
        name = names.pop() if len(names) == 1 else self.model(queries[0])
        return name if len(queries) == 1 else f"{name} ({len(queries)} queries)"

    def error(self, text: str | None) -> str:
        """An error in one line; the exception's class alone in a redacted message."""
        lines = (text or "an error").splitlines()
        return lines[0].partition(":")[0] if self.redacted else _cut(lines[0], 200)

    # Reading the events once

    def _read(self) -> None:
        # Of what happens here 10,000 times, as little as possible.
        alive: dict[tuple[str, int | None], _Alive] = {}
        now: tuple[Span, ...] = ()
        ended = 0.0
        queries = self.queries
        for event in self.events:
            if type(event) is Query:
                queries.append(event)
                began = event.at_us
                if began + 1 < ended:
                    self.concurrent = True
                if (end := began + event.duration_us) > ended:
                    ended = end
                if now:
                    self.inside.append((event, now))
                if event.writes:
                    self._write(event, alive)
            elif type(event) is Transaction:
                self.transactions.append(event)
                self._move(event, alive)
                now = tuple(one.span for one in alive.values() if one.span is not None)
            elif type(event) is CommitHook:
                self.hooks.append((event, now))
            elif type(event) is ExceptionRaised:
                self.raised.append((event, now))

    def _write(self, query: Query, alive: dict[tuple[str, int | None], _Alive]) -> None:
        self.writes.append(query)
        if _changes(query):
            self.changes.append(query)
            if query.atomic:
                _of(alive, query).write(query)

    def _move(self, event: Transaction, alive: dict[tuple[str, int | None], _Alive]) -> None:
        if event.operation is BEGIN:
            span = Span(event)
            for other in alive.values():
                if other.span is not None:
                    other.span.beside.append(span)
                    span.beside.append(other.span)
            self.spans.append(span)
            alive[event.alias, event.transaction_number] = _Alive(span)
            return
        one = _of(alive, event)
        if event.operation in (ROLLBACK, SAVEPOINT_ROLLBACK):
            self.undone.update((query.id, event.id) for query in one.undo(event.operation))
        if event.operation in (COMMIT, ROLLBACK):
            if one.span is not None:
                one.span.end = event
            del alive[event.alias, event.transaction_number]
        elif event.operation is SAVEPOINT:
            one.savepoints.append(len(one.pending))
        elif event.operation is SAVEPOINT_COMMIT:
            del one.savepoints[-1:]


class _Alive:
    """A transaction while the events are read; ``span`` is None where it began before the trace."""

    def __init__(self, span: Span | None) -> None:
        self.span = span
        self.pending: list[Query] = []
        self.savepoints: list[int] = []
        """How many changes were pending at each savepoint that is still there."""

    def write(self, query: Query) -> None:
        self.pending.append(query)
        if self.span is not None:
            self.span.writes.append(query)

    def undo(self, operation: Operation) -> list[Query]:
        """Take back all, or what came after the last savepoint; Django releases that with a commit."""
        since = self.savepoints[-1] if operation is SAVEPOINT_ROLLBACK and self.savepoints else 0
        undone = self.pending[since:]
        del self.pending[since:]
        return undone


def _of(alive: dict[tuple[str, int | None], _Alive], event: Query | Transaction) -> _Alive:
    key = (event.alias, event.transaction_number)
    if key not in alive:
        alive[key] = _Alive(None)
    return alive[key]


def _changes(query: Query) -> bool:
    """Whether a write changed something: not if it failed, and not if it says that it found no row."""
    if query.error is not None:
        return False
    return query.rowcount != 0 or query.operation not in ROWS or returns_rows(query.sql)


def is_housekeeping(query: Query) -> bool:
    """Whether it is Django's own bookkeeping: sessions, content types, the admin's log, migrations."""
    return query.model in HOUSEKEEPING or query.route is RouteKind.SCHEMA


def _primaries(databases: Mapping[str, Database]) -> dict[str, str]:
    """Each replica with the primary at the end of its chain; a chain without an end is no replica's."""
    found = {}
    for alias in databases:
        seen, here = {alias}, alias
        while (database := databases.get(here)) is not None and (of := database.replica_of) is not None:
            if of in seen:
                here = alias
                break
            seen.add(of)
            here = of
        if here != alias:
            found[alias] = here
    return found


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


Function = Callable[[Facts], Iterable[Finding]]


class FindingFunction:
    """A function with a ``code`` and a ``level``, which every finding that it yields gets."""

    def __init__(self, code: str, level: Level, function: Function) -> None:
        functools.update_wrapper(self, function)
        self.code = code
        self.level = level
        self.function = function

    def __call__(self, trace: Facts) -> Iterator[Finding]:
        for found in self.function(trace):
            yield msgspec.structs.replace(found, code=self.code, level=self.level)


def finding(code: str, *, level: Level | str) -> Callable[[Function], FindingFunction]:
    """
    Say what code and level (``"info"``, ``"warning"``, ``"error"``) the findings of a function have.

    Raises ``ValueError`` for another level. It registers nothing: a project names its functions in
    ``DBROUTE_PANEL["FINDINGS"]``.
    """
    named = Level(level)
    return lambda function: FindingFunction(code, named, function)


def by(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """The items in groups with the same key, in the order in which they came."""
    groups: dict[Key, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(groups)
