"""
Define what a finding function is, and what it is given: the facts of a trace.

``Facts`` is a ``TraceIndex`` that also says how things are called in a message.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Final, TypeVar

import msgspec

from dbroute_panel.asked import is_passed_on
from dbroute_panel.records import Decision, Finding, InstanceRef, Level, Query, RouteKind, Trace, Transaction
from dbroute_panel.sql import tables_read, tables_written
from dbroute_panel.trace_index import TraceIndex, TransactionSpan

INFO: Final = Level.INFO
WARNING: Final = Level.WARNING
ERROR: Final = Level.ERROR

MAX_KEY_CHARACTERS: Final = 60
MAX_ERROR_CHARACTERS: Final = 200

ASKED_ROUTES: Final = frozenset({RouteKind.ROUTER, RouteKind.INSTANCE, RouteKind.DEFAULT})
"""The routes of queries whose alias is the answer to a question."""

HOUSEKEEPING: Final = frozenset(
    {"admin.LogEntry", "contenttypes.ContentType", "migrations.Migration", "sessions.Session"}
)
"""Models that Django itself writes beside the user's data, by design without the user's transaction."""

ERROR_REPORTS: Final = "django/views/debug.py"
"""The file of Django's error page and of its mail to the administrators, as a callsite has it."""

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


class Facts(TraceIndex):
    """
    A trace with its lookups, and the names of what is in it. ``trace`` is the Trace itself.

    ``redacted``: the names have no keys, and of errors the class alone.
    """

    def __init__(self, trace: Trace, *, redacted: bool = False) -> None:
        super().__init__(trace)
        self.redacted = redacted

    @functools.cached_property
    def failed_at(self) -> int | None:
        """The id of the exception of which Django made the response of the request, or None."""
        failures = (event.id for event, _ in self.raised if event.ended == "trace")
        return None if self.request is None else next(failures, None)

    def is_routed(self, query: Query) -> bool:
        """Return whether another answer to a question about its model would have sent ``query`` elsewhere."""
        decision = self.decision_of(query)
        return query.route in ASKED_ROUTES if decision is None else not is_passed_on(query, decision)

    def is_after_failure(self, query: Query) -> bool:
        """
        Return whether ``query`` ran after the exception of which Django made the response, or told of one.

        Then it is of Django's error page, or of its mail to the administrators: both show every queryset that
        is in a frame, so that it is read, whatever the user's code had in mind with it. In the trace of a
        block or test, and where code logs an exception that it has caught, only their own line tells.
        """
        if self.failed_at is not None and query.id > self.failed_at:
            return True
        return query.callsite is not None and query.callsite.file == ERROR_REPORTS

    def label(self, ref: InstanceRef) -> str:
        """Return ``library.Book #42``, or ``library.Book`` where the key is not known or not to be shown."""
        known = ref.pk is not None and ref.pk != "***" and not self.redacted
        return f"{ref.model} #{_truncate(str(ref.pk), MAX_KEY_CHARACTERS)}" if known else ref.model

    def subject(self, query: Query) -> str:
        """Return what a query is about: the object being saved, else its model, else its table."""
        if query.instance is not None:
            return self.label(query.instance)
        return self.model(query)

    def model(self, query: Query) -> str:
        """Return the model of a query, else its table."""
        if query.model is not None:
            return query.model
        tables = tables_written(query.sql) if query.writes else tables_read(query.sql)
        return f'the table "{tables[0]}"' if tables else "raw SQL"

    def question(self, decision: Decision) -> str:
        """Return the question as ``db_for_write(library.Book)``."""
        return f"{decision.action}({decision.model or ''})"

    def subjects(self, queries: Iterable[Query]) -> str:
        """Return what queries on one model or table are about: one object by its key; of more, how many."""
        queries = list(queries)
        names = {self.subject(query) for query in queries}
        name = names.pop() if len(names) == 1 else self.model(queries[0])
        return name if len(queries) == 1 else f"{name} ({len(queries)} queries)"

    def error(self, text: str | None) -> str:
        """Return an error in one line; the exception's class alone in a redacted message."""
        lines = (text or "an error").splitlines()
        return lines[0].partition(":")[0] if self.redacted else _truncate(lines[0], MAX_ERROR_CHARACTERS)


def _truncate(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def is_housekeeping(query: Query) -> bool:
    """Return whether it is Django's own bookkeeping: sessions, content types, the admin's log, migrations."""
    return query.model in HOUSEKEEPING or query.route is RouteKind.SCHEMA


def begins_of(spans: Iterable[TransactionSpan]) -> list[Transaction]:
    """Return the first events of transactions, each once."""
    return list({span.begin.id: span.begin for span in spans if span.begin is not None}.values())


def decisions_of(trace: Facts, queries: Iterable[Query]) -> list[Decision]:
    """Return the decisions behind queries, each once."""
    return list({one.id: one for query in queries if (one := trace.decision_of(query)) is not None}.values())


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
    Return a decorator that gives the findings of a function their code and level.

    It registers nothing: a project names its functions in ``DBROUTE_PANEL["FINDINGS"]``.

    Args:
        code: Stable, in lower case with hyphens, as ``"archive-written"``.
        level: ``"info"``, ``"warning"`` or ``"error"``.

    Raises:
        ValueError: There is no such level.
    """
    known = Level(level)
    return lambda function: FindingFunction(code, known, function)


def group_by(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Return the items in groups with the same key, in the order in which they came."""
    groups: dict[Key, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(groups)
