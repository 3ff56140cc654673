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
from time import perf_counter_ns
from typing import Any, Final

import msgspec
from django.db.models.base import ModelBase
from django.db.utils import ConnectionRouter

from dbroute_panel.recording.callers import callsite
from dbroute_panel.recording.carrier import Carrier, carry
from dbroute_panel.recording.recorder import OWN, OWN_APPS, RawDecision, RawStep, Recorder, active, asking
from dbroute_panel.recording.snapshots import described, hint, label, scalar
from dbroute_panel.records import Action, Outcome, Settled

_active = active.get
_asking, _ask, _asked_before = asking.get, asking.set, asking.reset

ROUTER, ERROR = Settled.ROUTER, Settled.ERROR
READ, WRITE, RELATION, MIGRATE = Action.READ, Action.WRITE, Action.RELATION, Action.MIGRATE
# Each with its name as a plain string, because an enum's member is slow to look an attribute up by, and with
# Django's own routing function, which reads ``self.routers`` and, of each router, that one attribute.
_READ: Final = (READ, "db_for_read", ConnectionRouter.db_for_read)
_WRITE: Final = (WRITE, "db_for_write", ConnectionRouter.db_for_write)
_RELATION: Final = (RELATION, "allow_relation", ConnectionRouter.allow_relation)
_MIGRATE: Final = (MIGRATE, "allow_migrate", ConnectionRouter.allow_migrate)
PASSED, ANSWERED, RAISED, NO_METHOD = Outcome.PASSED, Outcome.ANSWERED, Outcome.RAISED, Outcome.NO_METHOD
# A member of an enum is found slowly by its class, and these are needed at every decision.

_NOBODY: Iterator[object] = iter(())

_NOTHING = object()
"""Stands for a router without the method: Django finds out by itself that this has none either."""


class _Raising:
    """Stands for a router whose attribute raises something else: Django meets the very exception."""

    def __init__(self, error: BaseException) -> None:
        self.errors = [error]

    def __getattr__(self, name: str) -> Any:
        raise self.errors.pop()  # kept in no frame of the traceback, which would be a cycle


class Chain(msgspec.Struct):
    """
    The stand-in for the router in one decision, and the probe in front of each of its routers.

    Django's routing functions get this object as every router that has the method they ask for, and
    whichever of the four they ask, ``ask()`` passes it on to the router whose turn it is. A step lasts from
    the end of the one before.
    """

    router: Any = None
    method: Any = None
    last: RawStep | None = None
    left: Iterator[Any] = _NOBODY
    routers: Iterator[object] = _NOBODY
    exhausted: bool = False

    def ask(self, *args: Any, **hints: Any) -> Any:
        try:
            answer = self.method(*args, **hints) if hints else self.method(*args)
        except BaseException as error:
            self.note(RAISED, described(error))
            raise
        plain = answer if answer is None or type(answer) is str else scalar(answer)
        self.last = RawStep(self.router, PASSED, plain, None, perf_counter_ns(), self.last)
        return answer

    db_for_read = db_for_write = allow_relation = allow_migrate = __call__ = ask

    def note(self, outcome: Outcome, error: str | None = None) -> None:
        self.last = RawStep(self.router, outcome, None, error, perf_counter_ns(), self.last)

    def settle(self, error: BaseException | None) -> None:
        """
        Say of the last step of a chain not exhausted what became of it.

        Whether the last answer settled the matter is seen from what Django did: it asked nobody else.
        """
        if (last := self.last) is not None and last.outcome is PASSED:
            last.outcome = ANSWERED
            if error is not None:  # Django could not even tell whether the answer is true
                last.outcome, last.error = RAISED, described(error)


def turns(chain: Chain, action: str) -> Iterator[object]:
    """What Django is given for each router that it asks for: the chain, when it is that router's turn."""
    for router in chain.left:
        chain.router = router
        probe: object = chain
        try:
            chain.method = getattr(router, action)
        except AttributeError:
            chain.note(NO_METHOD)
            probe = _NOTHING
        except BaseException as error:  # a property named like the method: Django lets it out too
            chain.note(RAISED, described(error))
            probe = _Raising(error)
        yield probe
    chain.exhausted = True


def decide(  # noqa: C901 - few calls, because it runs for every question
    recorder: Recorder,
    router: Any,
    question: tuple[Action, str, Callable[..., Any]],
    overriding: Callable[..., Any] | None,
    model: str | None,
    args: tuple[Any, ...],
    hints: dict[str, Any],
) -> Any:
    """
    Put one question to ``router``, record the chain, return the answer.

    ``overriding`` is the method that the router's class has in the place of Django's own, bound, or None: its
    chain is one step. ``model`` is the label of the model that the question is about.
    """
    action, name, original = question
    if recorder.latest >= recorder.limit:
        recorder.drop("decision")
        return _asked(router, original, overriding, args, hints)
    try:
        arguments = kept = None
        about_a_model = action is READ or action is WRITE
        if hints or not about_a_model:
            model, arguments, kept = _facts(recorder.trace_id, action, model, args, hints)
        site = callsite(sys._getframe(2)) if recorder.callsites else None
        parent = _asking()
        chain = Chain()
        recorder.latest = event = next(recorder.ids)
        token = _ask(event)
    except Exception:
        recorder.lost("decision")
        return _asked(router, original, overriding, args, hints)
    answer: Any = None
    failure: BaseException | None = None
    start = perf_counter_ns()
    try:
        if overriding is None:
            chain.left = iter(router.routers)
            chain.routers = turns(chain, name)
            answer = original(chain, *args, **hints) if hints else original(chain, *args)
        else:
            chain.router = type(router).__mro__[1]  # what its class was before it was watched
            chain.method = overriding
            answer = chain(*args, **hints)
    except BaseException as error:
        failure = error
        raise
    finally:
        end = perf_counter_ns()
        _asked_before(token)
        try:
            chain.routers = _NOBODY  # no cycle: chain -> generator -> its frame -> chain
            rest: tuple[Any, ...] = ()
            if not chain.exhausted:
                rest = tuple(chain.left)
                chain.settle(failure)
            settled = ROUTER
            if failure is not None:
                settled = ERROR
            elif chain.exhausted:
                settled = _settled_by(action, hints)
            kind = type(answer)
            recorder.events.append(
                RawDecision(
                    event,
                    start,
                    end,
                    action,
                    model,
                    arguments,
                    kept,
                    chain.last,
                    rest,
                    settled,
                    answer if kind is str else scalar(answer),
                    parent,
                    site,
                )
            )
            if about_a_model:
                # Anything that is more than a plain string stays the object that it is.
                if kind is str or kind is Carrier:
                    answer = carry(answer, recorder.trace_id, event)
                elif issubclass(kind, str):
                    recorder.answered(answer, model, event)
        except Exception:
            recorder.lost("decision")
        failure = None  # no cycle: exception -> traceback -> this frame -> exception
    return answer


def _asked(
    router: Any,
    original: Callable[..., Any],
    overriding: Callable[..., Any] | None,
    args: tuple[Any, ...],
    hints: dict[str, Any],
) -> Any:
    """The answer to a question that is not recorded."""
    return original(router, *args, **hints) if overriding is None else overriding(*args, **hints)


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
            if (
                (recorder := _active()) is None
                or recorder.closed
                or (
                    about := (type(model) is ModelBase and recorder.labels.get(model))
                    or _subject(recorder, model)
                )
                is OWN
            ):
                return super().db_for_read(model, **hints) if hints else super().db_for_read(model)
            overriding = None if base.db_for_read is _READ[2] else super().db_for_read
            return decide(recorder, self, _READ, overriding, about, (model,), hints)

        def db_for_write(self, model: Any, **hints: Any) -> Any:
            if (
                (recorder := _active()) is None
                or recorder.closed
                or (
                    about := (type(model) is ModelBase and recorder.labels.get(model))
                    or _subject(recorder, model)
                )
                is OWN
            ):
                return super().db_for_write(model, **hints) if hints else super().db_for_write(model)
            overriding = None if base.db_for_write is _WRITE[2] else super().db_for_write
            return decide(recorder, self, _WRITE, overriding, about, (model,), hints)

        def allow_relation(self, obj1: Any, obj2: Any, **hints: Any) -> Any:
            if (recorder := _active()) is None or recorder.closed:
                return super().allow_relation(obj1, obj2, **hints)
            overriding = None if base.allow_relation is _RELATION[2] else super().allow_relation
            return decide(recorder, self, _RELATION, overriding, None, (obj1, obj2), hints)

        def allow_migrate(self, db: Any, app_label: Any, **hints: Any) -> Any:
            own = type(app_label) is str and app_label in OWN_APPS
            if (recorder := _active()) is None or recorder.closed or own:
                return super().allow_migrate(db, app_label, **hints)
            overriding = None if base.allow_migrate is _MIGRATE[2] else super().allow_migrate
            return decide(recorder, self, _MIGRATE, overriding, None, (db, app_label), hints)

    Watched.__name__ = Watched.__qualname__ = f"Watched{base.__name__}"
    return Watched


def watch(router: Any) -> None:
    """Begin to watch a router, once: its class becomes a subclass of what it was."""
    if not getattr(type(router), "is_watched", False):
        router.__class__ = watched(type(router))
