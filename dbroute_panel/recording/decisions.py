"""
Record decisions: the reference for all four questions that Django puts to its routers.

A recorded call runs Django's own routing function, unchanged, on a stand-in for ``self`` whose ``routers``
are a proxy in front of each real one. So Django decides what an answer is (any truthy value for
``db_for_*``, anything but None for ``allow_*``) and when to stop; the proxy only notes what passed by.

``_fastpath`` does the same with fewer calls for what is asked at almost every query.
"""

from __future__ import annotations

from threading import get_ident
from time import perf_counter_ns
from types import FrameType
from typing import Any

from django.db.models.query import QuerySet
from django.db.utils import ConnectionRouter

from dbroute_panel.recording.captured import CapturedDecision, Facts
from dbroute_panel.recording.errors import describe_error
from dbroute_panel.recording.frame_kinds import get_code
from dbroute_panel.recording.recorder import OWN, Recorder
from dbroute_panel.recording.router_proxy import RouterProxy
from dbroute_panel.recording.snapshots import SCALAR_TYPES, capture_hint, capture_scalar, model_label
from dbroute_panel.records import Action, DecidedBy, Outcome

# A member of an enum is found slowly by its class, and these are needed at every decision.
READ, WRITE, RELATION, MIGRATE = Action.READ, Action.WRITE, Action.RELATION, Action.MIGRATE
PASSED, RAISED = Outcome.PASSED, Outcome.RAISED

DJANGO_FUNCTIONS = {action: vars(ConnectionRouter)[action.value] for action in Action}
QUERYSET_DB = get_code(QuerySet.db.fget)  # type: ignore[attr-defined]


def decide(
    recorder: Recorder,
    owner: type,
    router: Any,
    action: Action,
    args: tuple[Any, ...],
    hints: dict[str, Any],
    frame: FrameType,
) -> Any:
    """
    Put a question to ``router``, record the chain, and return the answer.

    Args:
        owner: The class that watches. Where its base has another method than Django's, that is called and is
            the one step.
        frame: What asks.
    """
    name, inherited = action.value, super(owner, router)
    stand_in = recorder.stand_ins[get_ident()]
    parent = stand_in.decision
    decision = begin_decision(recorder, action, args, hints, frame, parent)
    if decision is None:
        return getattr(inherited, name)(*args, **hints)
    stand_in.decision = decision
    try:
        try:
            if getattr(owner.__base__, name) is DJANGO_FUNCTIONS[action]:
                unasked = iter(routers := router.routers)
                stand_in.routers, decision.routers = stand_in.make_proxies(routers, unasked, parent)
                answer = DJANGO_FUNCTIONS[action](stand_in, *args, **hints)
            else:
                answer = getattr(RouterProxy(inherited, stand_in), name)(*args, **hints)
        finally:
            stand_in.decision, stand_in.routers = parent, ()
            decision.end = perf_counter_ns()
            if decision.last is not None and decision.last.router is inherited:
                decision.last.router = owner.__base__
    except BaseException as error:
        record_failure(recorder, decision, error)
        raise
    return record_answer(recorder, decision, answer, hints)


def begin_decision(
    recorder: Recorder,
    action: Action,
    args: tuple[Any, ...],
    hints: dict[str, Any],
    frame: FrameType,
    parent: CapturedDecision | None,
) -> CapturedDecision | None:
    """Return the decision that begins now in the midst of ``parent``, or None where it is not recorded."""
    try:
        arguments = captured_hints = None
        model_label = find_label(recorder, args[0] if action in (READ, WRITE) else None)
        if model_label is OWN:
            return None
        if action is MIGRATE:
            model_label, arguments, captured_hints = _capture_migration(args, hints, recorder.answers)
        elif hints:
            captured_hints = capture_hints(hints, recorder.answers)
        if action is RELATION:
            arguments = capture_hints(dict(zip(("obj1", "obj2"), args, strict=False)), recorder.answers)
        if frame.f_code is QUERYSET_DB and (outer := frame.f_back) is not None:
            frame = outer  # QuerySet.db has returned when the query is sent
        return CapturedDecision(
            next(recorder.ids),
            action,
            model_label,
            captured_hints,
            None if parent is None else parent.id,
            recorder.find_callsite(frame),
            frame.f_code,
            id(frame),
            perf_counter_ns(),
            args=arguments,
        )
    except Exception as error:
        note_unrecorded(recorder, error)
    return None


def note_unrecorded(recorder: Recorder, error: Exception) -> None:
    """Count a decision that could not be recorded, for ``error``, which is being handled."""
    if isinstance(error, StopIteration):  # there are no ids left
        recorder.refuse("decision")
    else:
        recorder.lost("decision")


def capture_hints(hints: dict[str, Any], answers: dict[int, int]) -> Facts:
    """Return the hints of a question as plain values."""
    return tuple(
        [each for name, value in hints.items() for each in (str(name), capture_hint(value, answers))]
    )


def find_label(recorder: Recorder, model: Any) -> str | None:
    """Return the label of the model that a question is about; OWN where nothing is to be recorded of it."""
    if recorder.closed:  # it is to remember no class
        return OWN
    try:
        return recorder.label(model)
    except Exception:  # whatever it is, its routers may know what to do with it
        return None


def record_answer(recorder: Recorder, decision: CapturedDecision, answer: Any, hints: dict[str, Any]) -> Any:
    """Record a decision that was made; return what is handed back."""
    try:
        step = decision.last
        decision.routers, decision.answer = tuple(decision.routers), capture_scalar(answer)
        # Django hands back the very object with which a router decided it.
        if step is None or step.answer is not answer or step.outcome is not PASSED:
            decision.decided_by = _find_decider(decision.action, hints)
        else:
            step.answer = decision.answer  # which may be anything, and is not to be kept
        recorder.events.append(decision)
        if decision.action is READ or decision.action is WRITE:
            # Anything that is more than a plain string stays the object that it is.
            if type(answer) is str:
                return recorder.hand_back(answer, decision)
            if issubclass(type(answer), str):
                recorder.note_shared_answer(answer, decision)
    except Exception:
        recorder.lost("decision")
    return answer


def record_failure(recorder: Recorder, decision: CapturedDecision, error: BaseException) -> None:
    """Record a decision that raised: a router, or Django, which could not make use of the answer."""
    try:
        decision.routers, decision.decided_by, step = tuple(decision.routers), DecidedBy.ERROR, decision.last
        if step is not None and step.outcome is PASSED and type(step.answer) not in SCALAR_TYPES:
            # Django could not even tell whether the answer is true.
            step.outcome, step.error, step.answer = RAISED, describe_error(error), capture_scalar(step.answer)
        recorder.events.append(decision)
    except Exception:
        recorder.lost("decision")


def _capture_migration(
    args: tuple[Any, ...], hints: dict[str, Any], answers: dict[int, int]
) -> tuple[str | None, Facts, Facts]:
    """Return (model label, arguments, hints) of a question whether to migrate: the model is a hint there."""
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
    return model_label(hints.get("model")), arguments, capture_hints(others, answers)


def _find_decider(action: Action, hints: dict[str, Any]) -> DecidedBy:
    """Return what decided a question that no router answered: one of Django's last resorts."""
    if action is RELATION:
        return DecidedBy.SAME_DATABASE
    if action is MIGRATE:
        return DecidedBy.ALLOWED
    state = getattr(hints.get("instance"), "_state", None)  # Django has just read it: this loads nothing
    return DecidedBy.INSTANCE if state is not None and state.db else DecidedBy.DEFAULT
