"""
Reproduce the open transactions of a trace while its decisions are asked again.

A router may look at ``connections[alias].in_atomic_block``, as the page on ``replica-read-in-atomic``
recommends. A trace has no such attribute, but it has the beginning and end of each transaction. So the
connections of the asking thread, which are new and never opened, report what the recorded ones did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.connection import ConnectionDoesNotExist
from django.utils.translation import gettext as _

from dbroute_panel.inspection.guard import current_guard
from dbroute_panel.records import Decision, Event, Operation, Query, Trace, Transaction

END_OPERATIONS = (Operation.COMMIT, Operation.ROLLBACK)


class OpenTransactions:
    """
    The aliases that had an open transaction at each decision of a trace.

    ``known`` is false if queries of the trace overlap in time: several threads ran, each with separate
    connections, and the trace does not hold whose a transaction was.
    """

    def __init__(self, trace: Trace) -> None:
        events = sorted(trace.events, key=lambda event: event.id)
        self.known = not _have_overlap(trace.queries)
        self.open_aliases: dict[int, frozenset[str]] = {}
        now = _find_open_before(events)
        for event in events:
            if type(event) is Decision:
                if now:
                    self.open_aliases[event.id] = now
            elif type(event) is Transaction:
                if event.operation is Operation.BEGIN:
                    now |= {event.alias}
                elif event.operation in END_OPERATIONS:
                    now -= {event.alias}

    @contextmanager
    def override_connections(self) -> Iterator[Callable[[Decision], None]]:
        """
        Let this thread's connections report the transactions of the trace.

        Yields a function that switches to the moment of a decision. Only connections of aliases on which the
        trace has a transaction are changed; none is opened, and each is restored afterwards.
        """
        aliases = frozenset().union(*self.open_aliases.values())
        overrides = {
            alias: made for alias in sorted(aliases) if (made := self._override_connection(alias)) is not None
        }

        def switch_to(decision: Decision) -> None:
            now = self.open_aliases.get(decision.id, frozenset())
            for alias, override in overrides.items():
                override.set_open(is_open=alias in now)

        try:
            yield switch_to
        finally:
            for override in overrides.values():
                override.restore()

    def _override_connection(self, alias: str) -> _ConnectionOverride | None:
        try:
            return _ConnectionOverride(connections[alias], known=self.known)
        except (ConnectionDoesNotExist, ImproperlyConfigured):  # the trace may be of another project
            return None


class _ConnectionOverride:
    """A connection that was never opened, and reports an open transaction."""

    def __init__(self, connection: Any, *, known: bool) -> None:
        self.connection = connection
        self.cls = type(connection)
        self.undecided = None if known else _build_undecided_class(self.cls)

    def set_open(self, *, is_open: bool) -> None:
        if self.undecided is None:
            self.connection.in_atomic_block = is_open
        else:
            self.connection.__class__ = self.undecided if is_open else self.cls

    def restore(self) -> None:
        """Restore the connection, which a router may keep, and drop hooks for a commit that never comes."""
        self.connection.__class__ = self.cls
        self.connection.in_atomic_block = False
        self.connection.run_on_commit = []


def _build_undecided_class(cls: type[Any]) -> type[Any]:
    """Build a class of connections that stop a question which looks for an open transaction."""

    def in_atomic_block(self: Any) -> Any:
        if (guard := current_guard.get()) is None:
            return self.__dict__["in_atomic_block"]
        return guard.stop(
            _(
                "A router looked whether a transaction is open on %(alias)s; several threads ran then, and "
                "the trace does not hold whose it was."
            )
            % {"alias": self.alias}
        )

    return type(cls.__name__, (cls,), {"in_atomic_block": property(in_atomic_block)})


def _have_overlap(queries: list[Query]) -> bool:
    """Return whether queries ran at the same time, apart from a microsecond that rounding can lose."""
    ended = 0.0
    for query in sorted(queries, key=lambda query: query.at_us):
        if query.at_us + 1 < ended:
            return True
        ended = max(ended, query.at_us + query.duration_us)
    return False


def _find_open_before(events: list[Event]) -> frozenset[str]:
    """Return the aliases with a transaction open when the trace began: their first event is inside one."""
    before: dict[str, bool] = {}
    for event in events:
        if type(event) is Query:
            before.setdefault(event.alias, event.atomic)
        elif type(event) is Transaction:
            before.setdefault(event.alias, event.operation is not Operation.BEGIN)
    return frozenset(alias for alias, was_open in before.items() if was_open)
