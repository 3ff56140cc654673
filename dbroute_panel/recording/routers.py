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
from typing import Any

from django.db.utils import ConnectionRouter

from dbroute_panel.recording.callers import callsite
from dbroute_panel.recording.carrier import Carrier, carry
from dbroute_panel.recording.recorder import OWN_APPS, RawDecision, RawStep, Recorder, active, asking
from dbroute_panel.recording.snapshots import described, hint, label, scalar
from dbroute_panel.records import Action, Outcome, Settled


class Chain:
    """
    The stand-in for the router in one decision, and the probe in front of each of its routers.

    Django's routing functions read ``self.routers`` and, of each, one attribute. They get this
    object every time, which passes that attribute on to the router whose turn it is.
    """

    __slots__ = ("_ask", "_method", "_router", "exhausted", "real", "steps")

    def __init__(self, real: Any) -> None:
        self.real = real
        self.steps: list[RawStep] = []
        self.exhausted = False

    @property
    def routers(self) -> Iterator[Chain]:
        for router in self.real.routers:
            self._router = router
            yield self
        self.exhausted = True

    def __getattr__(self, action: str) -> Callable[..., Any]:
        start = perf_counter_ns()
        try:
            self._method = getattr(self._router, action)
        except AttributeError:
            self.note(Outcome.NO_METHOD, None, None, 0)
            raise
        except BaseException as error:  # a property named like the method: Django lets it out too
            self.note(Outcome.RAISED, None, described(error), perf_counter_ns() - start)
            raise
        return self.ask

    def ask(self, *args: Any, **hints: Any) -> Any:
        start = perf_counter_ns()
        try:
            answer = self._method(*args, **hints)
        except BaseException as error:
            self.note(Outcome.RAISED, None, described(error), perf_counter_ns() - start)
            raise
        self.note(Outcome.PASSED, scalar(answer), None, perf_counter_ns() - start)
        return answer

    def note(self, outcome: Outcome, answer: Any, error: str | None, duration: int) -> None:
        self.steps.append(RawStep(self._router, outcome, answer, error, duration))

    def complete(self) -> list[RawStep]:
        """
        The steps with what became of each router.

        Whether the last answer settled the matter is seen from what Django did: it asked nobody else.
        """
        steps = self.steps
        if self.exhausted:
            return steps
        if steps and steps[-1].outcome is Outcome.PASSED:
            steps[-1] = steps[-1]._replace(outcome=Outcome.ANSWERED)
        for router in list(self.real.routers)[len(steps) :]:
            steps.append(RawStep(router, Outcome.NOT_ASKED, None, None, 0))
        return steps


class Overridden(Chain):
    """The chain of a router class that overrides Django's method: it is called as it is, and is one step."""

    __slots__ = ("original",)

    def __init__(self, real: Any, original: Callable[..., Any]) -> None:
        super().__init__(real)
        self.original = original

    def __call__(self, *args: Any, **hints: Any) -> Any:
        self._router = type(self.real).__mro__[1]  # what its class was before it was watched
        self._method = self.original.__get__(self.real)
        return self.ask(*args, **hints)

    def complete(self) -> list[RawStep]:
        return [
            step._replace(outcome=Outcome.ANSWERED) if step.outcome is Outcome.PASSED else step
            for step in self.steps
        ]


def decide(
    recorder: Recorder,
    router: Any,
    original: Callable[..., Any],
    action: Action,
    args: tuple[Any, ...],
    hints: dict[str, Any],
) -> Any:
    """Put one question to ``router``, record its chain, and hand back the answer."""
    if not recorder.has_room("decision"):
        return original(router, *args, **hints)
    try:
        facts = _facts(recorder, action, args, hints)
        if getattr(ConnectionRouter, action) is original:
            chain = Chain(router)
            question = original
            call: tuple[Any, ...] = (chain, *args)
        else:
            chain = question = Overridden(router, original)
            call = args
        event = recorder.draw_id()
        parent = asking.get()
    except Exception:
        recorder.lost("decision")
        return original(router, *args, **hints)
    answer: Any = None
    failed = True
    token = asking.set(event)
    start = perf_counter_ns()
    try:
        answer = question(*call, **hints)
        failed = False
    finally:
        end = perf_counter_ns()
        asking.reset(token)
        try:
            settled = Settled.ERROR if failed else _settled_by(chain, action, hints)
            model, arguments, kept, site = facts
            recorder.events.append(
                RawDecision(
                    event,
                    start,
                    end,
                    action,
                    model,
                    arguments,
                    kept,
                    chain.complete(),
                    settled,
                    scalar(answer),
                    parent,
                    site,
                )
            )
            if not failed and action.names_alias:
                answer = _carried(recorder, answer, event)
        except Exception:
            recorder.lost("decision")
    return answer


def _carried(recorder: Recorder, answer: Any, event: int) -> Any:
    """The alias as a carrier; anything that is more than a plain string stays the object that it is."""
    if type(answer) is str or type(answer) is Carrier:
        return carry(answer, recorder.trace_id, event)
    if isinstance(answer, str):
        recorder.answered_as[id(answer)] = (answer, event)
    return answer


def _facts(
    recorder: Recorder, action: Action, args: tuple[Any, ...], hints: dict[str, Any]
) -> tuple[Any, ...]:
    """(model label, args, hints, callsite) of a question, as plain facts."""
    trace = recorder.trace_id
    site = callsite(sys._getframe(3)) if recorder.callsites else None
    kept = {str(name): hint(value, trace) for name, value in hints.items()}
    if action.names_alias:
        return label(args[0]), None, kept, site
    if action is Action.RELATION:
        return None, {"obj1": hint(args[0], trace), "obj2": hint(args[1], trace)}, kept, site
    kept.pop("model", None)
    arguments = {
        "db": scalar(args[0]),
        "app_label": scalar(args[1]),
        "model_name": kept.pop("model_name", None),
    }
    return label(hints.get("model")), arguments, kept, site


def _settled_by(chain: Chain, action: Action, hints: dict[str, Any]) -> Settled:
    """What settled an answered question: Django's last resorts, seen from that nobody was left to ask."""
    if not chain.exhausted:
        return Settled.ROUTER
    if action is Action.RELATION:
        return Settled.SAME_DATABASE
    if action is Action.MIGRATE:
        return Settled.ALLOWED
    state = getattr(hints.get("instance"), "_state", None)  # Django has just read it: this loads nothing
    return Settled.INSTANCE if state is not None and state.db else Settled.DEFAULT


def _is_own(model: Any) -> bool:
    return getattr(getattr(model, "_meta", None), "app_label", None) in OWN_APPS


def watched(base: type) -> type:
    """The subclass of a router class whose four questions are recorded while a trace is active."""
    read, write = base.db_for_read, base.db_for_write  # type: ignore[attr-defined]
    relation, migrate = base.allow_relation, base.allow_migrate  # type: ignore[attr-defined]

    # Django's own parameter names, because they work as keywords: router.db_for_read(model=Book).
    def db_for_read(self: Any, model: Any, **hints: Any) -> Any:
        recorder = active.get()
        if recorder is None or recorder.closed or _is_own(model):
            return read(self, model, **hints)
        return decide(recorder, self, read, Action.READ, (model,), hints)

    def db_for_write(self: Any, model: Any, **hints: Any) -> Any:
        recorder = active.get()
        if recorder is None or recorder.closed or _is_own(model):
            return write(self, model, **hints)
        return decide(recorder, self, write, Action.WRITE, (model,), hints)

    def allow_relation(self: Any, obj1: Any, obj2: Any, **hints: Any) -> Any:
        recorder = active.get()
        if recorder is None or recorder.closed:
            return relation(self, obj1, obj2, **hints)
        return decide(recorder, self, relation, Action.RELATION, (obj1, obj2), hints)

    def allow_migrate(self: Any, db: Any, app_label: Any, **hints: Any) -> Any:
        recorder = active.get()
        if recorder is None or recorder.closed or app_label in OWN_APPS:
            return migrate(self, db, app_label, **hints)
        return decide(recorder, self, migrate, Action.MIGRATE, (db, app_label), hints)

    namespace = {
        "__module__": __name__,
        "db_for_read": db_for_read,
        "db_for_write": db_for_write,
        "allow_relation": allow_relation,
        "allow_migrate": allow_migrate,
        "is_watched": True,
    }
    return type(f"Watched{base.__name__}", (base,), namespace)


def watch(router: Any) -> None:
    """Begin to watch a router, once: its class becomes a subclass of what it was."""
    if not getattr(type(router), "is_watched", False):
        router.__class__ = watched(type(router))
