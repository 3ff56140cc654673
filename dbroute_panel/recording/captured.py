"""The events of a trace in memory, as is cheapest to append. ``builder`` makes records of them."""

from __future__ import annotations

from types import CodeType
from typing import Any, Literal, NamedTuple

import msgspec

from dbroute_panel.masking.values import CapturedInstance
from dbroute_panel.records import Action, DecidedBy, HookOutcome, Operation, Outcome, RouteKind

Facts = tuple[Any, ...]
"""
Names and their values in turn. The garbage collector need not look into a tuple of plain values; from Python
3.14 on it looks into every dict.
"""


class CapturedCallsite(msgspec.Struct, gc=False, eq=False):
    """
    A line of code, as ``instruction`` of ``code``; ``stack.locate()`` finds its number when it is wanted.

    ``template``: the tag (template, line) that was being rendered. ``code`` is None where no Python but
    Django's is at work: the place is that of the tag, in ``file``. ``entry``: at a line of a library's, what
    Django had called, as ``GET admin:index``, or ""; None at a line of the user's.
    """

    code: CodeType | None
    instruction: int
    template: tuple[str, int] | None = None
    entry: str | None = None
    file: str = ""


class CapturedStep(msgspec.Struct, gc=False):
    """
    One router's part in a decision. ``router`` is the router itself.

    It ended at ``end`` and began when the step ``before`` it ended, which it refers to: a list would be one
    more object. The decision knows whether this answer decided.
    """

    router: Any
    answer: Any
    end: int
    before: CapturedStep | None
    outcome: Outcome = Outcome.PASSED
    error: str | None = None


class CapturedDecision(msgspec.Struct, gc=False):
    """
    A decision as it happened; times are ``perf_counter_ns()``.

    ``asker``: the code of the function that asked, ``asker_frame`` the ``id()`` of its frame. ``last`` is the
    step of the router that was asked last, ``routers`` those that were not asked.
    """

    id: int
    action: Action
    model: str | None
    hints: Facts | None
    parent_id: int | None
    site: CapturedCallsite | None
    asker: CodeType | None
    asker_frame: int
    start: int
    end: int = 0
    last: CapturedStep | None = None
    routers: tuple[Any, ...] = ()
    answer: Any = None
    decided_by: DecidedBy = DecidedBy.ROUTER
    args: Facts | None = None

    @property
    def steps(self) -> list[CapturedStep]:
        """The steps of the routers that were asked, in order."""
        steps, step = [], self.last
        while step is not None:
            steps.append(step)
            step = step.before
        return steps[::-1]

    @property
    def chain(self) -> list[Any]:
        """All routers, in order: one for each step of the record."""
        return [*(step.router for step in self.steps), *self.routers]


class CapturedQuery(msgspec.Struct, gc=False):
    """
    A query as it happened. ``named`` is true where the ORM ran it on an alias named in code. ``told`` is the
    route where the frames told it.

    ``params`` may be marshalled (``snapshots.parameters()`` makes them of it).
    """

    id: int
    alias: str
    vendor: str
    sql: str
    params: Any
    many: bool
    model: str | None
    decision_id: int | None
    named: bool
    atomic: bool
    transaction_number: int | None
    parent_id: int | None
    site: CapturedCallsite | None
    start: int
    end: int = 0
    rowcount: Any = None
    told: RouteKind | None = None
    saved: CapturedInstance | None = None
    error: tuple[str, str] | None = None
    error_code: str | int | None = None


class CapturedTransaction(msgspec.Struct, gc=False):
    """The opening or ending of a transaction or savepoint, as it happened."""

    id: int
    start: int
    alias: str
    operation: Operation
    transaction_number: int | None
    site: CapturedCallsite | None
    by_orm: bool = False


class CapturedCommitHook(msgspec.Struct, gc=False):
    """A function given to ``on_commit()``; ``outcome`` and ``end`` are set when it runs or is discarded."""

    id: int
    start: int
    alias: str
    function: str
    robust: bool
    atomic: bool
    transaction_number: int | None
    site: CapturedCallsite | None
    outcome: HookOutcome = HookOutcome.PENDING
    end: int | None = None


class CapturedException(msgspec.Struct, gc=False):
    """
    An exception as it left the first boundary; ``ended``, ``alias`` and the number follow at the next ones.

    ``error`` is (class, ``Class: message``).
    """

    id: int
    start: int
    error: tuple[str, str]
    ended: Literal["trace", "atomic"] | None
    alias: str | None
    transaction_number: int | None
    site: CapturedCallsite | None
    raised_at: CapturedCallsite | None
    model: str | None = None
    using: str | None = None
    other: str | None = None


class Seen(NamedTuple):
    """
    Identifies an exception that left something, without keeping it.

    ``position`` is the instruction of the frame around what it left, which in a loop is that of the next
    exception, too. ``kept`` is the part of the traceback that stays: ``contextlib`` removes the frames of the
    generators that an exception was thrown into.
    """

    identity: int
    traceback: tuple[tuple[int, int], ...]
    kept: tuple[tuple[int, int], ...]
    position: int
    raw: CapturedException


CapturedEvent = (
    CapturedDecision | CapturedQuery | CapturedTransaction | CapturedCommitHook | CapturedException
)

KINDS: dict[type, str] = {
    CapturedDecision: "decision",
    CapturedQuery: "query",
    CapturedTransaction: "transaction",
    CapturedCommitHook: "on_commit",
    CapturedException: "exception",
}
