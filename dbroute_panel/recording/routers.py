"""
Watching the router: the whole chain of every decision, by Django's own rules.

``django.db.router`` keeps its identity; only its class becomes a subclass of what it was. A
recorded call runs Django's own routing function, unchanged, on a stand-in for ``self`` whose
``routers`` are a probe in front of each real one. So Django decides what an answer is (any truthy
value for ``db_for_*``, anything but None for ``allow_*``) and when to stop; the probe only notes
what passed by. Nothing is ever put into ``router.routers``, which is read afresh at every call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import repeat
from time import perf_counter_ns
from typing import Any

from django.db.utils import ConnectionRouter

from dbroute_panel.recording.callers import asked_at
from dbroute_panel.recording.carrier import Carrier, carry
from dbroute_panel.recording.raw import RawDecision, RawStep
from dbroute_panel.recording.recorder import OWN, OWN_APPS, Recorder, active, here
from dbroute_panel.recording.snapshots import SCALARS, described, hint, label, scalar
from dbroute_panel.records import Action, Outcome, Settled

_active, _frame = active.get, sys._getframe

ROUTER = Settled.ROUTER
READ, WRITE, RELATION, MIGRATE = Action.READ, Action.WRITE, Action.RELATION, Action.MIGRATE
PASSED, ANSWERED, RAISED, NO_METHOD = Outcome.PASSED, Outcome.ANSWERED, Outcome.RAISED, Outcome.NO_METHOD
# A member of an enum is found slowly by its class, and these are needed at every decision.

_NOBODY: Iterator[Any] = iter(())

Question = tuple[type, Action, str, Callable[..., Any], bool]
"""
One of the four questions: (the class that watches, action, its name, Django's own function, about a model).

The name is a plain string, because an enum's member is slow to look an attribute up by. What is asked about a
model is answered with an alias.
"""


class Probe(RawStep, gc=False):
    """
    What Django gets in the place of a router whose turn it is, and the record of what became of it.

    It has every method: where the router has none Django goes on to the next one, and so it does where the
    answer is None. ``before`` is the decision until the router is asked.
    """

    def fail(self, error: BaseException) -> None:
        self.outcome, self.error, self.end = RAISED, type(error).__name__, perf_counter_ns()
        with suppress(Exception):  # ours must not take the place of the router's
            self.error = described(error)


def _asking_for(name: str) -> Callable[..., Any]:
    """The method ``name`` of a probe: that of its router, which is looked up when Django would look it up."""

    def ask(self: Probe, /, *args: Any, **hints: Any) -> Any:
        decision = self.before
        self.before, decision.last = decision.last, self
        try:
            method = getattr(self.router, name)
        except AttributeError:
            self.outcome, self.end = NO_METHOD, perf_counter_ns()
            return None
        except BaseException as error:  # a property named like the method: Django lets it out too
            self.fail(error)
            raise
        try:
            answer = method(*args, **hints) if hints else method(*args)
        except BaseException as error:
            self.fail(error)
            raise
        self.end = perf_counter_ns()
        if answer is not None:
            self.answer = answer
        return answer

    return ask


for _each in Action:
    setattr(Probe, _each.value, _asking_for(_each.value))


def decide(  # noqa: C901 - few calls, because it runs for every question
    recorder: Recorder, router: Any, question: Question, args: tuple[Any, ...], hints: dict[str, Any]
) -> Any:
    """
    Put one question to ``router``, record the chain, return the answer.

    Where the router's class has a method of its own in the place of Django's, that is called: the one step.
    """
    owner, action, name, djangos, about_a_model = question
    raw = arguments = kept = site = model = None
    try:
        if about_a_model and (model := recorder.labels.get(id(args[0]))) is None:
            model = _subject(recorder, args[0])
        if model is not OWN:
            if hints or not about_a_model:
                model, arguments, kept = _facts(recorder.trace_id, action, model, args, hints)
            event, parent = next(recorder.ids), here.decision
            if recorder.callsites:
                recorder.asked = asked = asked_at(_frame(2), event, parent)
                site = asked[4]
            raw = RawDecision(event, action, model, arguments, kept, parent, site)
    except StopIteration:  # there are no ids left
        recorder.refuse("decision")
    except Exception:
        recorder.lost("decision")
    if raw is None:
        return getattr(super(owner, router), name)(*args, **hints)
    here.decision = raw.id
    left: Iterator[Any] = _NOBODY
    raw.start = perf_counter_ns()
    try:
        if getattr(owner.__base__, name) is djangos:
            left = iter(router.routers)
            raw.routers = map(Probe, left, repeat(raw))
            answer = djangos(raw, *args, **hints) if hints else djangos(raw, *args)
        else:
            probe = Probe(super(owner, router), raw)
            try:
                answer = getattr(probe, name)(*args, **hints)
            finally:
                probe.router = owner.__base__
    except BaseException as error:
        raw.end = perf_counter_ns()
        here.decision = raw.parent
        _note_failure(recorder, raw, left, error)
        raise
    raw.end = perf_counter_ns()
    here.decision = raw.parent
    try:
        raw.routers = tuple(left)  # no cycle: decision -> map -> repeat -> decision
        last, kind = raw.last, type(answer)
        plain = answer if kind is str else scalar(answer)
        if last is not None and last.answer is answer and last.outcome is PASSED:
            # Django hands back the very object with which a router settled it.
            raw.settled_by, last.outcome, last.answer = ROUTER, ANSWERED, plain
        else:
            raw.settled_by = _settled_by(action, hints)
        raw.answer = plain
        recorder.events.append(raw)
        if about_a_model:
            # Anything that is more than a plain string stays the object that it is.
            if kind is str or kind is Carrier:
                return carry(answer, recorder.trace_id, raw.id)
            if issubclass(kind, str):
                recorder.answered(answer, model, raw.id)
    except Exception:
        recorder.lost("decision")
    return answer


def _note_failure(recorder: Recorder, raw: RawDecision, left: Iterator[Any], error: BaseException) -> None:
    """Record a decision that raised: a router, or Django, which could not make use of the answer."""
    try:
        raw.routers = tuple(left)
        last = raw.last
        if last is not None and last.outcome is PASSED and type(last.answer) not in SCALARS:
            # Django could not even tell whether the answer is true.
            last.outcome, last.error = RAISED, described(error)
        recorder.events.append(raw)
    except Exception:
        recorder.lost("decision")


def _facts(
    trace: str, action: Action, model: str | None, args: tuple[Any, ...], hints: dict[str, Any]
) -> tuple[str | None, dict[str, Any] | None, dict[str, Any] | None]:
    """(model label, args, hints) of a question, as plain facts."""
    kept = {str(name): hint(value, trace) for name, value in hints.items()} if hints else None
    if action is READ or action is WRITE:
        return model, None, kept
    if action is RELATION:
        return None, {"obj1": hint(args[0], trace), "obj2": hint(args[1], trace)}, kept
    named: dict[str, Any] = kept or {}
    named.pop("model", None)
    arguments = {
        "db": scalar(args[0]),
        "app_label": scalar(args[1]),
        "model_name": named.pop("model_name", None),
    }
    return label(hints.get("model")), arguments, named


def _settled_by(action: Action, hints: dict[str, Any]) -> Settled:
    """What settled a question that no router answered: Django's last resorts."""
    if action is RELATION:
        return Settled.SAME_DATABASE
    if action is MIGRATE:
        return Settled.ALLOWED
    state = getattr(hints.get("instance"), "_state", None)  # Django has just read it: this loads nothing
    return Settled.INSTANCE if state is not None and state.db else Settled.DEFAULT


def _subject(recorder: Recorder, model: Any) -> str | None:
    """The label of the model that a question is about, or OWN."""
    if recorder.closed:
        raise StopIteration  # it takes no more events, and is to remember no class
    try:
        return recorder.label(model)
    except Exception:  # whatever it is, its routers may know what to do with it
        return None


def watched(base: Any) -> type:
    """The subclass of a router class whose four questions are recorded while a trace is active."""

    class Watched(base):  # type: ignore[misc]
        is_watched = True

        # Django's own parameter names, because they work as keywords: router.db_for_read(model=Book).
        def db_for_read(self, model: Any, **hints: Any) -> Any:
            if (recorder := _active()) is None:
                return super().db_for_read(model, **hints) if hints else super().db_for_read(model)
            return decide(recorder, self, read, (model,), hints)

        def db_for_write(self, model: Any, **hints: Any) -> Any:
            if (recorder := _active()) is None:
                return super().db_for_write(model, **hints) if hints else super().db_for_write(model)
            return decide(recorder, self, write, (model,), hints)

        def allow_relation(self, obj1: Any, obj2: Any, **hints: Any) -> Any:
            if (recorder := _active()) is None:
                return super().allow_relation(obj1, obj2, **hints)
            return decide(recorder, self, relation, (obj1, obj2), hints)

        def allow_migrate(self, db: Any, app_label: Any, **hints: Any) -> Any:
            recorder = _active()
            if recorder is None or (type(app_label) is str and app_label in OWN_APPS):
                return super().allow_migrate(db, app_label, **hints)
            return decide(recorder, self, migrate, (db, app_label), hints)

    read, write, relation, migrate = (
        (Watched, action, action.value, vars(ConnectionRouter)[action.value], action in (READ, WRITE))
        for action in (READ, WRITE, RELATION, MIGRATE)
    )
    Watched.__name__ = Watched.__qualname__ = f"Watched{base.__name__}"
    return Watched


def watch(router: Any) -> None:
    """Begin to watch a router, once: its class becomes a subclass of what it was."""
    if not getattr(type(router), "is_watched", False):
        router.__class__ = watched(type(router))
