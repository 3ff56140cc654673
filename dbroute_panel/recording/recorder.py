"""
The recorder of one trace, to which every tap appends events in their cheapest form.

``active`` holds the recorder of this context, or None. Every tap begins with ``recording()`` and does nothing
else if that is None. Events are appended from any thread, as ``captured.py`` defines them.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from operator import length_hint
from sys import getrefcount, intern
from threading import get_ident
from time import perf_counter_ns
from types import FrameType
from typing import Any

from dbroute_panel.conf import panel_settings
from dbroute_panel.masking.credentials import log_exception
from dbroute_panel.masking.secrets import mask_literals
from dbroute_panel.recording.answers import UNSHARED_REFERENCES, Aliases, SharedAlias
from dbroute_panel.recording.captured import (
    KINDS,
    CapturedCallsite,
    CapturedDecision,
    CapturedEvent,
    CapturedException,
    Seen,
)
from dbroute_panel.recording.router_proxy import RouterStandIn
from dbroute_panel.recording.snapshots import MAX_TEXT_LENGTH, estimate_bytes, model_label, shorten
from dbroute_panel.recording.stack import find_callsite
from dbroute_panel.records import Action, Request, SessionWrite

logger = logging.getLogger("dbroute_panel")

OWN_APPS = frozenset({"dbroute_panel", "dbroute_panel_store", "debug_toolbar"})
"""App labels of the tool's own models, which no trace shows."""

OWN = "dbroute_panel.*"
"""Stands in the place of the label of such a model."""

HISTORICAL_MODULE = "__fake__"
"""The module of the models that migrations see (``django/db/migrations/state.py``)."""

MAX_STATEMENT_BYTES = 1 << 20
"""Larger statements, with their parameters, are truncated and lose their values."""

MAX_SQL_BYTES = 16 * MAX_STATEMENT_BYTES
"""SQL budget of a trace; statements beyond it are truncated, too."""

SMALL_PARAMETERS_BYTES = 512
"""Smaller parameters of a known statement are not charged to the budget: their event takes more."""


MAX_TEXTS = 1000
"""Maximum distinct statements interned."""


NO_DECISION = CapturedDecision(0, Action.READ, None, None, None, None, None, 0, 0)


class Recorder:
    """The events of one trace. It is closed once, and takes no event afterwards."""

    def __init__(self, name: str, kind: str) -> None:
        self.trace_id = uuid.uuid4().hex
        self.name = name
        self.kind = kind
        self.request: Request | None = None
        self.entry = ""  # the entry of what the content of a stream runs, after the request
        self.secrets: frozenset[str] = frozenset()
        self.started_at = dt.datetime.now(dt.UTC)
        self.started = perf_counter_ns()
        self.ended: int | None = None
        self.closed = False
        self.shown = False
        self.events: list[CapturedEvent] = []
        self.add_event = self.events.append
        self.dropped = dict.fromkeys(KINDS.values(), 0)
        self.transactions: dict[str, int] = {}
        self.aliases = Aliases()
        # The decision of each alias that was returned, by id(). Its event keeps the string.
        self.answers: dict[int, int] = {}
        self.looked_through = (0, 0)
        # Aliases that were returned as they are, because a router answered a str subclass (an enum) or a
        # string that Python shares ("a"), by id(): (answer, latest decision by model). The answer is kept,
        # so that no other object gets its id.
        self.answered_as: dict[int, tuple[Any, dict[str | None, int]]] = {}
        # By id(), because hashing a class could run code of its metaclass. Each class is kept, so that no
        # other object gets its id.
        self.labels: dict[int, str] = {}
        self.models: list[Any] = []
        self.historical: dict[int, str] = {}
        self.session: str | None = None
        self.session_writes: tuple[SessionWrite, ...] = ()
        self.subject: tuple[Any, str | None] = (None, None)
        # Of exceptions that have left something: see exceptions.py. ``entered``: the latest id when the last
        # atomic() on an alias began.
        self.raised: list[Seen] = []
        self.refusal: tuple[int, CapturedException | None] = (0, None)
        self.entered: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.text = ""
        self.pending_decision = NO_DECISION  # of _fastpath: the latest, until a query comes
        self.stand_ins = _StandIns()
        self.bytes_left = MAX_SQL_BYTES
        self.limit = panel_settings.MAX_EVENTS
        self.ids = self._drawn = iter(range(1, self.limit + 1))
        self.params = panel_settings.RECORD_PARAMS
        self.callsites = panel_settings.CALLSITES
        self.find_callsite = find_callsite if self.callsites else _find_no_callsite
        self.in_request = kind == "request"
        _live[self.trace_id] = self

    @property
    def latest(self) -> int:
        """The id that was drawn last, or 0."""
        return self.limit - length_hint(self._drawn)

    @property
    def parent_id(self) -> int | None:
        """The id of the decision whose routers this thread is asking, or None."""
        decision = self.stand_ins[get_ident()].decision
        return None if decision is None else decision.id

    def draw(self, kind: str) -> int:
        """Return an id for the event that starts now; 0 if there is no room for it, which is counted."""
        event = next(self.ids, 0)
        if not event:
            self.refuse(kind)
        return event

    def refuse(self, kind: str) -> None:
        """Count an event for which there is no room, unless the trace has ended."""
        if not self.closed:
            self.drop(kind)

    def drop(self, kind: str) -> None:
        """Count an event that is not kept."""
        with _counting:
            self.dropped[kind] += 1

    def label(self, model: Any) -> str | None:
        """
        Return the label of a model, or OWN for the tool's models. Django would build it each time.

        The latest is kept in ``subject`` as one tuple (model, label), because threads share it.
        """
        if model is None:
            return None
        if (name := self.labels.get(id(model))) is None:
            name = _label(model)
            # An object in the place of its class may be a new one each time.
            if not issubclass(type(model), type) or name is None:
                return name
            self.models.append(model)
            if type.__getattribute__(model, "__module__") == HISTORICAL_MODULE:
                name = name.encode().decode()  # a new string, which the builder recognises by its id()
                self.historical[id(name)] = name
            self.labels[id(model)] = name
        if name is not OWN:
            self.subject = model, name
        return name

    def fit(self, sql: str, params: Any, vendor: str) -> tuple[str, Any]:
        """
        Return a statement and its parameters; beyond the budget only its beginning, without strings.

        Equal statements are one text, charged once.
        """
        known = self.texts.get(sql)
        size = (0 if params is None else estimate_bytes(params)) + (
            0 if known is not None else estimate_bytes(sql)
        )
        if size <= MAX_STATEMENT_BYTES and size <= self.bytes_left:
            self.bytes_left -= size
            if known is not None:
                return known, params
            if len(self.texts) < MAX_TEXTS:
                self.texts[sql] = sql
            return sql, params
        return shorten(mask_literals(sql[:MAX_TEXT_LENGTH], vendor), len(sql)), None

    def hand_back(self, answer: str, raw: CapturedDecision) -> str:
        """The alias that a decision hands back: a string of its own, by which its queries are known."""
        try:
            rest = self.aliases[answer]
        except SharedAlias:
            self.note_shared_answer(answer, raw)
            return answer
        alias = raw.answer = answer[0] + rest
        self.answers[id(alias)] = raw.id
        return alias

    def release_answers(self) -> None:
        """
        Let go of the answers that only their events have: no query can come with one any more.

        Each is looked at twice. What waits for the garbage collector may be gone the second time.
        """
        first, second = self.looked_through
        self.looked_through = second, len(self.events)
        for raw in self.events[first : self.looked_through[1]]:
            if (
                type(raw) is CapturedDecision
                and getrefcount(raw.answer) <= UNSHARED_REFERENCES
                and self.answers.pop(id(raw.answer), None) is not None
            ):
                raw.asker = None  # before its answer becomes the one string that all code has for the alias
                raw.answer = intern(raw.answer)

    def note_shared_answer(self, answer: Any, raw: CapturedDecision) -> None:
        """Remember which decision answered an alias that is not its alone."""
        _answer, decisions = self.answered_as.setdefault(id(answer), (answer, {}))
        decisions[raw.model] = decisions[None] = raw.id

    def decision_of(self, alias: Any, model: Any) -> int | None:
        """Return the latest decision that answered a shared alias: about ``model``, else of all; or None."""
        if (known := self.answered_as.get(id(alias))) is None:
            return None
        return known[1].get(self.label(model), known[1][None])

    def lost(self, kind: str) -> None:
        """Count an event lost to an error of ours, and log the error being handled, once per process."""
        self.drop(kind)
        log_once("dbroute_panel could not record a %s; the request goes on.", kind)

    def begin_transaction(self, alias: str) -> int:
        """Return the number of the transaction that begins on ``alias``: from 1, per alias."""
        with _counting:
            number = self.transactions[alias] = self.transactions.get(alias, 0) + 1
        return number

    def close(self, ended: int | None) -> None:
        """Take no more events: the trace ended at ``ended`` (``perf_counter_ns()``)."""
        self.ended = ended
        self.closed = True
        self.ids, self.pending_decision = iter(range(0)), NO_DECISION  # the taps ask for an id alone
        # These refer to the user's classes and enums; a context copied to a thread may keep us for long.
        self.labels.clear()
        self.models.clear()
        self.subject = (None, None)
        self.aliases.clear()
        self.answers.clear()
        self.answered_as.clear()
        self.raised.clear()
        self.texts.clear()
        for stand_in in list(self.stand_ins.values()):
            stand_in.end()

    def forget(self) -> None:
        """
        Release the events once the document is built; a block that joined the trace still has the list.

        A thread or task that outlives the trace may keep its context, and thereby this recorder, as long as
        the process lives: with ``sys.flags.thread_inherit_context`` every thread of a pool does.
        """
        self.events, self.text = [], ""
        self.add_event = self.events.append


class _StandIns(dict[int, RouterStandIn]):
    """The stand-in of each thread. No router is a coroutine, and a context variable is slow to set."""

    def __missing__(self, thread: int) -> RouterStandIn:
        stand_in = self[thread] = RouterStandIn()
        return stand_in


def _find_no_callsite(frame: FrameType | None) -> CapturedCallsite | None:
    return None


def _label(model: Any) -> str | None:
    name = model_label(model)
    return OWN if name is not None and name.partition(".")[0] in OWN_APPS else name


active: ContextVar[Recorder | None] = ContextVar("dbroute_panel_recorder", default=None)
"""The recorder of this context. A context copied to a thread may still hold a closed one."""


_live: weakref.WeakValueDictionary[str, Recorder] = weakref.WeakValueDictionary()
_counting = threading.Lock()
_complaints: set[str] = set()


def recording() -> Recorder | None:
    """Return the recorder that takes events in this context, or None."""
    recorder = active.get()
    return None if recorder is None or recorder.closed else recorder


def find_live_recorder(trace_id: str) -> Recorder | None:
    """Return the recorder of a trace that this process is still recording, or None."""
    recorder = _live.get(trace_id)
    return None if recorder is None or recorder.closed else recorder


@contextmanager
def use_recorder(recorder: Recorder | None) -> Iterator[None]:
    """Make ``recorder`` the active one inside the block; with None nothing is recorded."""
    token = active.set(recorder)
    try:
        yield
    finally:
        active.reset(token)


def log_once(message: str, *args: object) -> None:
    """Log the exception being handled, with its traceback: each message once per process."""
    if message not in _complaints:
        _complaints.add(message)
        log_exception(logger, logging.ERROR, message, *args)
