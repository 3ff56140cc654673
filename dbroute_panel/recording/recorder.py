"""
The recorder: what has happened so far in one trace, in its cheapest form.

There is one gate: ``active`` holds the recorder of this context, or None. Every tap begins with
``recording()`` and does nothing else where that is None. Events are appended as tuples of plain
facts, from any thread; records, findings and JSON are made of them later (``document.py``).
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import threading
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter_ns
from typing import Any

import msgspec

from dbroute_panel.conf import panel_settings
from dbroute_panel.credentials import log_handled
from dbroute_panel.recording.callers import Site
from dbroute_panel.recording.secrets import without_literals
from dbroute_panel.recording.snapshots import LONG, Instance, label, shortened, weight
from dbroute_panel.records import Action, Operation, Outcome, Request, Settled

logger = logging.getLogger("dbroute_panel")

OWN_APPS = frozenset({"dbroute_panel", "dbroute_panel_store", "debug_toolbar"})
"""App labels whose models are the tool's own work, which never shows up in a trace."""

OWN = "dbroute_panel.*"
"""In place of the label of such a model."""

LARGEST = 1 << 20
"""Of one statement of more bytes, with its parameters, the beginning is kept, without any value."""

ROOM = 16 * LARGEST
"""So are all statements of a trace that come after this many bytes of them."""


TEXTS = 1000
"""So many statements are looked up when the next one comes, which may be equal to one of them."""


class RawStep(msgspec.Struct, gc=False):
    """
    One router's part in a decision, as it happened. ``router`` is the router itself.

    It began when the step ``before`` it ended, which it holds: a tuple of them would be one object more.
    """

    router: Any
    outcome: Outcome
    answer: Any
    error: str | None
    end: int
    before: RawStep | None


class RawDecision(msgspec.Struct, gc=False):
    """
    A decision as it happened; times are ``perf_counter_ns()``.

    ``last`` is the step of the router that was asked last, ``rest`` the routers that were not asked.
    """

    id: int
    start: int
    end: int
    action: Action
    model: str | None
    args: dict[str, Any] | None
    hints: dict[str, Any] | None
    last: RawStep | None
    rest: tuple[Any, ...]
    settled_by: Settled
    answer: Any
    parent: int | None
    site: Site | None

    @property
    def steps(self) -> list[RawStep]:
        """The steps of the routers that were asked, in order."""
        steps, step = [], self.last
        while step is not None:
            steps.append(step)
            step = step.before
        return steps[::-1]

    @property
    def routers(self) -> list[Any]:
        """The routers, in order: one for each step of the record."""
        return [*(step.router for step in self.steps), *self.rest]


class RawQuery(msgspec.Struct, gc=False):
    """A query as it happened. ``named`` is true where the ORM ran it on an alias named in code."""

    id: int
    start: int
    end: int
    alias: str
    vendor: str
    sql: str
    params: Any
    many: bool
    model: str | None
    decision: int | None
    named: bool
    schema: bool
    saved: Instance | None
    atomic: bool
    transaction: int | None
    rowcount: int | None
    error: tuple[str, str] | None
    within: int | None
    site: Site | None


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


class Recorder:
    """The events of one trace. It is closed once, and takes no event afterwards."""

    def __init__(self, name: str, kind: str) -> None:
        self.trace_id = uuid.uuid4().hex
        self.name = name
        self.kind = kind
        self.request: Request | None = None
        self.secrets: frozenset[str] = frozenset()
        self.started_at = dt.datetime.now(dt.UTC)
        self.started = perf_counter_ns()
        self.ended: int | None = None
        self.closed = False
        self.shown = False
        self.events: list[RawEvent] = []
        self.ids = itertools.count(1)
        self.latest = 0
        self.dropped = dict.fromkeys(KINDS.values(), 0)
        self.transactions: dict[str, int] = {}
        # Aliases that a router answered as a str subclass (an enum) and that had to be handed back as
        # they are, by identity: (answer, latest decision by model). The answer is kept, so that its id
        # stays its own.
        self.answered_as: dict[int, tuple[Any, dict[str | None, int]]] = {}
        self.labels: dict[Any, str | None] = {}
        self.texts: dict[str, str] = {}
        self.room = ROOM
        self.limit = panel_settings.MAX_EVENTS
        self.params = panel_settings.RECORD_PARAMS
        self.callsites = panel_settings.CALLSITES
        _live[self.trace_id] = self

    def draw_id(self) -> int:
        """The id of the event that starts now."""
        self.latest = drawn = next(self.ids)
        return drawn

    def has_room(self, kind: str) -> bool:
        """Whether another event is kept; where not, it is counted as dropped."""
        if self.latest < self.limit:
            return True
        self.drop(kind)
        return False

    def drop(self, kind: str) -> None:
        """Count an event that is not kept."""
        with _counting:
            self.dropped[kind] += 1

    def label(self, model: Any) -> str | None:
        """The label of a model, which Django would put together anew each time; of the tool's own OWN."""
        if not issubclass(type(model), type):  # an object in place of its class: to hash it may run a query
            return _label(model)
        try:
            return self.labels[model]
        except KeyError:
            name = self.labels[model] = _label(model)
            return name
        except TypeError:  # a metaclass with an __eq__ of its own
            return _label(model)

    def fit(self, sql: str, params: Any, vendor: str) -> tuple[str, Any]:
        """
        A statement and its parameters; where there is no room left its beginning, without any string.

        Equal statements are one text, which takes room once.
        """
        known = self.texts.get(sql)
        if known is not None and not params:
            return known, params
        size = (0 if params is None else weight(params)) + (0 if known is not None else weight(sql))
        if size <= LARGEST and size <= self.room:
            self.room -= size
            if known is not None:
                return known, params
            if len(self.texts) < TEXTS:
                self.texts[sql] = sql
            return sql, params
        return shortened(without_literals(sql[:LONG], vendor), len(sql)), None

    def answered(self, answer: Any, model: str | None, decision: int) -> None:
        """Remember which decision answered an alias that cannot carry it."""
        decisions = self.answered_as.setdefault(id(answer), (answer, {}))[1]
        decisions[model] = decisions[None] = decision

    def decision_of(self, alias: Any, model: str | None) -> int | None:
        """The decision that answered such an alias: the latest about ``model``, else the latest of all."""
        if (known := self.answered_as.get(id(alias))) is None:
            return None
        return known[1].get(model, known[1][None])

    def lost(self, kind: str) -> None:
        """Count an event that an error of ours cost, and log the error being handled, once per process."""
        self.drop(kind)
        complain("dbroute_panel could not record a %s; the request goes on.", kind)

    def begin_transaction(self, alias: str) -> int:
        """The number of the transaction that begins on ``alias``: from 1, per alias."""
        with _counting:
            number = self.transactions[alias] = self.transactions.get(alias, 0) + 1
        return number

    def close(self, ended: int | None) -> None:
        """Take no more events: the trace ended at ``ended`` (``perf_counter_ns()``)."""
        self.ended = ended
        self.closed = True
        # Classes and enums of the user's: a context that was copied to a thread may hold us for long.
        self.labels.clear()
        self.answered_as.clear()
        self.texts.clear()


def _label(model: Any) -> str | None:
    name = label(model)
    return OWN if name is not None and name.partition(".")[0] in OWN_APPS else name


active: ContextVar[Recorder | None] = ContextVar("dbroute_panel_recorder", default=None)
"""The recorder of this context. A context copied to a thread may still hold a closed one."""

asking: ContextVar[int | None] = ContextVar("dbroute_panel_decision", default=None)
"""The id of the decision whose routers are being asked in this context."""

_live: weakref.WeakValueDictionary[str, Recorder] = weakref.WeakValueDictionary()
_counting = threading.Lock()
_complaints: set[str] = set()


def recording() -> Recorder | None:
    """The recorder that takes events in this context, or None."""
    recorder = active.get()
    return None if recorder is None or recorder.closed else recorder


def live(trace_id: str) -> Recorder | None:
    """The recorder of a trace that this process is still recording, or None."""
    recorder = _live.get(trace_id)
    return None if recorder is None or recorder.closed else recorder


@contextmanager
def resumed(recorder: Recorder | None) -> Iterator[None]:
    """Make ``recorder`` the active one inside the block (None: nothing is recorded)."""
    token = active.set(recorder)
    try:
        yield
    finally:
        active.reset(token)


def complain(message: str, *args: object) -> None:
    """Log the exception being handled, with its traceback: each message once per process."""
    if message not in _complaints:
        _complaints.add(message)
        log_handled(logger, logging.ERROR, message, *args)
