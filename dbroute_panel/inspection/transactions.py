"""
The transactions that were open when a recorded decision was asked, stood in for while it is asked again.

A router may look at ``connections[alias].in_atomic_block``, as the page on ``replica-read-in-atomic``
recommends. The record has no such attribute, but it has each transaction's beginning and end. So the
connections of the asking thread, which are new and never opened, say what the recorded ones said.
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
    Which aliases had a transaction open, at each decision of a trace.

    ``known`` is false where queries of the trace overlap in time: several threads ran then, each with
    connections of its own, and the trace does not tell whose a transaction was.
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
        Let this thread's connections say what those of the trace said.

        Yields a function that turns to the moment of a decision. Only connections of aliases on which the
        trace has a transaction are touched, none is opened, and each is afterwards as it was made.
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
    """A connection that was never opened, and says that a transaction is open."""

    def __init__(self, connection: Any, *, known: bool) -> None:
        self.connection = connection
        self.known = known
        self.cls = type(connection)
        self.undecided = None if known else _build_undecided_class(self.cls)

    def set_open(self, *, is_open: bool) -> None:
        if self.undecided is None:
            self.connection.in_atomic_block = is_open
        else:
            self.connection.__class__ = self.undecided if is_open else self.cls

    def restore(self) -> None:
        """A router may have kept the connection, or left hooks on it for a commit that never comes."""
        self.connection.__class__ = self.cls
        self.connection.in_atomic_block = False
        self.connection.run_on_commit = []


def _build_undecided_class(cls: type[Any]) -> type[Any]:
    """A class of connections that stop a question which looks whether a transaction is open."""

    def in_atomic_block(self: Any) -> Any:
        if (watch := current_guard.get()) is None:
            return self.__dict__["in_atomic_block"]
        return watch.stop(
            _(
                "A router looked whether a transaction is open on %(alias)s; several threads ran then, and "
                "the trace does not hold whose it was."
            )
            % {"alias": self.alias}
        )

    return type(cls.__name__, (cls,), {"in_atomic_block": property(in_atomic_block)})


def _have_overlap(queries: list[Query]) -> bool:
    """Whether queries ran at the same time; a microsecond is lost where times are rounded."""
    ended = 0.0
    for query in sorted(queries, key=lambda query: query.at_us):
        if query.at_us + 1 < ended:
            return True
        ended = max(ended, query.at_us + query.duration_us)
    return False


def _find_open_before(events: list[Event]) -> frozenset[str]:
    """The aliases on which a transaction was open when the trace began: their first event was inside one."""
    before: dict[str, bool] = {}
    for event in events:
        if type(event) is Query:
            before.setdefault(event.alias, event.atomic)
        elif type(event) is Transaction:
            before.setdefault(event.alias, event.operation is not Operation.BEGIN)
    return frozenset(alias for alias, was_open in before.items() if was_open)
