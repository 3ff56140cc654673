"""From when to when was which transaction open, and what happened inside it?"""

from __future__ import annotations

from typing import Final

import msgspec

from dbroute_panel.records import CommitHook, ExceptionRaised, Operation, Query, Trace, Transaction

_ENDS: Final = frozenset({Operation.COMMIT, Operation.ROLLBACK})


class Span(msgspec.Struct, eq=False):
    """
    One transaction of an alias. ``number`` is its number in the trace; None if it was open before it.

    ``began`` and ``ended`` are its events; None where that was not recorded, and then it lasts from the
    trace's start or until its end. Times in microseconds from the trace's start.
    """

    alias: str
    number: int | None
    began: Transaction | None
    ended: Transaction | None
    at_us: int
    end_us: float

    @property
    def first(self) -> int:
        """Comes before the ids of everything inside."""
        return self.began.id if self.began else 0


class Transactions:
    """
    The transactions of a trace: ``spans`` in order of their beginning, ``around`` each event by its id.

    The document does not say which savepoint an event is about, so that ``savepoints`` are points of time.
    """

    def __init__(self, trace: Trace) -> None:
        self.end_us = max(
            [trace.duration_us, *(event.at_us + getattr(event, "duration_us", 0.0) for event in trace.events)]
        )
        self.savepoints: list[Transaction] = []
        self._open: dict[tuple[str, int | None], Span] = {}
        self.around: dict[int, Span] = {}
        ends = [one for one in trace.transactions if one.operation in _ENDS]
        for alias in {one.alias for one in ends if one.transaction_number is None}:
            self._span(alias, None)
        for event in trace.events:
            if isinstance(event, Transaction):
                self._note(event)
            elif isinstance(event, Query):
                if event.atomic:
                    self._inside(event)
            elif isinstance(event, (CommitHook, ExceptionRaised)):
                self._beside(event)
        self.spans = sorted(self._open.values(), key=lambda span: span.first)

    def _note(self, event: Transaction) -> None:
        if event.operation is Operation.BEGIN:
            span = self._span(event.alias, event.transaction_number)
            span.began, span.at_us = event, event.at_us
        elif event.operation in _ENDS:
            span = self._span(event.alias, event.transaction_number)
            span.ended, span.end_us = event, event.at_us
        else:
            self.savepoints.append(event)
            self._inside(event)

    def _beside(self, event: CommitHook | ExceptionRaised) -> None:
        """What is no part of a transaction, but about it."""
        if event.alias is not None and event.transaction_number is not None:
            self.around[event.id] = self._span(event.alias, event.transaction_number)

    def _inside(self, event: Query | Transaction) -> None:
        """An event without a number is inside where a transaction from before the trace is open."""
        if event.transaction_number is not None:
            self.around[event.id] = self._span(event.alias, event.transaction_number)
        elif (before := self._open.get((event.alias, None))) is not None and before.ended is None:
            self.around[event.id] = before

    def _span(self, alias: str, number: int | None) -> Span:
        known = self._open.get((alias, number))
        if known is None:
            known = self._open[alias, number] = Span(alias, number, None, None, 0, self.end_us)
        return known
