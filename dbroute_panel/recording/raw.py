"""
What happened, in the form that is cheapest to append: plain facts, of which records are made later.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dbroute_panel.recording.sites import Site
from dbroute_panel.recording.snapshots import Instance
from dbroute_panel.records import Action, Operation, Outcome, Settled


class RawStep(msgspec.Struct, gc=False):
    """
    One router's part in a decision, as it happened. ``router`` is the router itself.

    It began when the step ``before`` it ended, which it holds: a list of them would be one object more.
    """

    router: Any
    before: Any
    outcome: Outcome = Outcome.PASSED
    answer: Any = None
    error: str | None = None
    end: int = 0


class RawDecision(msgspec.Struct, gc=False):
    """
    A decision as it happened; times are ``perf_counter_ns()``.

    ``last`` is the step of the router that was asked last, ``routers`` those that were not asked.
    """

    id: int
    action: Action
    model: str | None
    args: dict[str, Any] | None
    hints: dict[str, Any] | None
    parent: int | None
    site: Site | None
    start: int = 0
    end: int = 0
    last: RawStep | None = None
    routers: Any = ()
    settled_by: Settled = Settled.ERROR
    answer: Any = None

    @property
    def steps(self) -> list[RawStep]:
        """The steps of the routers that were asked, in order."""
        steps, step = [], self.last
        while step is not None:
            steps.append(step)
            step = step.before
        return steps[::-1]

    @property
    def chain(self) -> list[Any]:
        """The routers, in order: one for each step of the record."""
        return [*(step.router for step in self.steps), *self.routers]


class RawQuery(msgspec.Struct, gc=False):
    """
    A query as it happened. ``named`` is true where the ORM ran it on an alias named in code.

    ``params`` may be marshalled (``snapshots.parameters()`` makes them of it).
    """

    id: int
    alias: str
    vendor: str
    sql: str
    params: Any
    many: bool
    model: str | None
    decision: int | None
    named: bool
    atomic: bool
    within: int | None
    site: Site | None
    start: int = 0
    end: int = 0
    rowcount: Any = None
    transaction: int | None = None
    schema: bool = False
    saved: Instance | None = None
    error: tuple[str, str] | None = None


class RawTransaction(msgspec.Struct, gc=False):
    """The opening or ending of a transaction or savepoint, as it happened."""

    id: int
    start: int
    alias: str
    operation: Operation
    transaction: int | None
    site: Site | None


RawEvent = RawDecision | RawQuery | RawTransaction

KINDS: dict[type, str] = {RawDecision: "decision", RawQuery: "query", RawTransaction: "transaction"}
