"""
A decision from its question to what is handed back: the four questions in general.

A recorded call runs Django's own routing function, unchanged, on a stand-in for ``self`` whose ``routers``
are a probe in front of each real one. So Django decides what an answer is (any truthy value for
``db_for_*``, anything but None for ``allow_*``) and when to stop; the probe only notes what passed by.
"""

from __future__ import annotations

import sys
from threading import get_ident
from time import perf_counter_ns
from typing import Any

from django.db.utils import ConnectionRouter

from dbroute_panel.recording.captured import CapturedDecision, Facts
from dbroute_panel.recording.errors import describe_error
from dbroute_panel.recording.recorder import OWN, Recorder
from dbroute_panel.recording.router_proxy import Probe
from dbroute_panel.recording.snapshots import SCALAR_TYPES, capture_hint, capture_scalar, model_label
from dbroute_panel.recording.ways import asked_at
from dbroute_panel.records import Action, DecidedBy, Outcome

READ, WRITE, RELATION, MIGRATE = Action.READ, Action.WRITE, Action.RELATION, Action.MIGRATE
PASSED, RAISED = Outcome.PASSED, Outcome.RAISED
# A member of an enum is found slowly by its class, and these are needed at every decision.

DJANGOS = {action: vars(ConnectionRouter)[action.value] for action in Action}
"""Django's own routing functions."""


def decide(
    recorder: Recorder, owner: type, router: Any, action: Action, args: tuple[Any, ...], hints: dict[str, Any]
) -> Any:
    """
    Put a question to ``router``, record the chain, return the answer.

    ``owner`` is the class that watches. Where its base has a method of its own in the place of Django's, that
    is called: the one step.
    """
    name, inherited = action.value, super(owner, router)
    raw = begun(recorder, action, args, hints)
    if raw is None:
        return getattr(inherited, name)(*args, **hints)
    asking = recorder.asking[get_ident()]
    before = asking.last
    raw.start = perf_counter_ns()
    asking.decision_id, asking.last = raw.id, None
    try:
        try:
            if getattr(owner.__base__, name) is DJANGOS[action]:
                routers = router.routers
                asking.routers, raw.routers = asking.watched(routers, iter(routers), raw.parent_id)
                answer = DJANGOS[action](asking, *args, **hints)
            else:
                answer = getattr(Probe(inherited, asking), name)(*args, **hints)
        finally:
            raw.last = asking.last
            asking.decision_id, asking.last, asking.routers = raw.parent_id, before, ()
            raw.end = perf_counter_ns()
            if raw.last is not None and raw.last.router is inherited:
                raw.last.router = owner.__base__
    except BaseException as error:
        note_failure(recorder, raw, error)
        raise
    return settled(recorder, raw, answer, hints)


def begun(
    recorder: Recorder, action: Action, args: tuple[Any, ...], hints: dict[str, Any]
) -> CapturedDecision | None:
    """The decision that begins now, or None where it is not recorded."""
    try:
        about_a_model = action in (READ, WRITE)
        model = subject(recorder, args[0]) if about_a_model else None
        if model is OWN:
            return None
        arguments = kept = None
        if action is MIGRATE:
            model, arguments, kept = _migration(args, hints, recorder.answers)
        elif hints:
            kept = facts(hints, recorder.answers)
        if action is RELATION:
            arguments = facts(dict(zip(("obj1", "obj2"), args, strict=False)), recorder.answers)
        parent_id, event = recorder.parent_id, next(recorder.ids)
        site = asked_at(sys._getframe(3), event, parent_id, recorder)
        return CapturedDecision(
            event, action, model, kept, parent_id, site, 0, 0, None, (), None, args=arguments
        )
    except StopIteration:  # there are no ids left
        recorder.refuse("decision")
    except Exception:
        recorder.lost("decision")
    return None


def facts(hints: dict[str, Any], answers: dict[int, int]) -> Facts:
    """The hints of a question, as plain facts."""
    return tuple(
        [each for name, value in hints.items() for each in (str(name), capture_hint(value, answers))]
    )


def subject(recorder: Recorder, model: Any) -> str | None:
    """The label of the model that a question is about, or OWN."""
    if recorder.closed:
        raise StopIteration  # it takes no more events, and is to remember no class
    try:
        return recorder.label(model)
    except Exception:  # whatever it is, its routers may know what to do with it
        return None


def settled(recorder: Recorder, raw: CapturedDecision, answer: Any, hints: dict[str, Any]) -> Any:
    """Record what has decided; returns what is handed back."""
    try:
        raw.routers, raw.answer, last = tuple(raw.routers), capture_scalar(answer), raw.last
        # Django hands back the very object with which a router decided it.
        if last is None or last.answer is not answer or last.outcome is not PASSED:
            raw.decided_by = _decided_by(raw.action, hints)
        else:
            last.answer = raw.answer  # which may be anything, and is not to be kept
        recorder.events.append(raw)
        if raw.action is READ or raw.action is WRITE:
            # Anything that is more than a plain string stays the object that it is.
            if type(answer) is str:
                return recorder.handed_back(answer, raw)
            if issubclass(type(answer), str):
                recorder.answered(answer, raw.model, raw.id)
    except Exception:
        recorder.lost("decision")
    return answer


def note_failure(recorder: Recorder, raw: CapturedDecision, error: BaseException) -> None:
    """Record a decision that raised: a router, or Django, which could not make use of the answer."""
    try:
        raw.routers, raw.decided_by, last = tuple(raw.routers), DecidedBy.ERROR, raw.last
        if last is not None and last.outcome is PASSED and type(last.answer) not in SCALAR_TYPES:
            # Django could not even tell whether the answer is true.
            last.outcome, last.error, last.answer = (
                RAISED,
                describe_error(error),
                capture_scalar(last.answer),
            )
        recorder.events.append(raw)
    except Exception:
        recorder.lost("decision")


def _migration(
    args: tuple[Any, ...], hints: dict[str, Any], answers: dict[int, int]
) -> tuple[str | None, Facts, Facts]:
    """(model label, arguments, hints) of a question whether to migrate: the model is a hint there."""
    model_name = capture_hint(hints.get("model_name"), answers)
    arguments = (
        "db",
        capture_scalar(args[0]),
        "app_label",
        capture_scalar(args[1]),
        "model_name",
        model_name,
    )
    others = {name: value for name, value in hints.items() if name not in ("model", "model_name")}
    return model_label(hints.get("model")), arguments, facts(others, answers)


def _decided_by(action: Action, hints: dict[str, Any]) -> DecidedBy:
    """What decided a question that no router answered: Django's last resorts."""
    if action is RELATION:
        return DecidedBy.SAME_DATABASE
    if action is MIGRATE:
        return DecidedBy.ALLOWED
    state = getattr(hints.get("instance"), "_state", None)  # Django has just read it: this loads nothing
    return DecidedBy.INSTANCE if state is not None and state.db else DecidedBy.DEFAULT
