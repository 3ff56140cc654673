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

_active = active.get

DJANGOS = frozenset(
    {
        ConnectionRouter.db_for_read,
        ConnectionRouter.db_for_write,
        ConnectionRouter.allow_relation,
        ConnectionRouter.allow_migrate,
    }
)
"""Django's own routing functions, which read ``self.routers`` and, of each router, one attribute."""


ROUTER, ERROR = Settled.ROUTER, Settled.ERROR
READ, WRITE, RELATION = Action.READ, Action.WRITE, Action.RELATION
PASSED, ANSWERED, RAISED, NO_METHOD = Outcome.PASSED, Outcome.ANSWERED, Outcome.RAISED, Outcome.NO_METHOD
# A member of an enum is found slowly by its class, and these are needed at every decision.


def _passed_on(action: str) -> property:
    def method(chain: Chain) -> Callable[..., Any]:
        try:
            chain.method = getattr(chain.router, action)
        except AttributeError:
            chain.note(NO_METHOD)
            raise
        except BaseException as error:  # a property named like the method: Django lets it out too
            chain.note(RAISED, error=error)
            raise
        return chain.ask

    return property(method)


class Chain:
    """
    The stand-in for the router in one decision, and the probe in front of each of its routers.

    Django's routing functions get this object as every router: the attribute they read of it is
    passed on to the router whose turn it is. A step lasts from the end of the one before.
    """

    __slots__ = ("clock", "exhausted", "listed", "method", "real", "router", "steps")

    router: Any
    method: Callable[..., Any]

    db_for_read = _passed_on("db_for_read")
    db_for_write = _passed_on("db_for_write")
    allow_relation = _passed_on("allow_relation")
    allow_migrate = _passed_on("allow_migrate")

    def __init__(self, real: Any) -> None:
        self.real = real
        self.listed: Any = ()
        self.steps: list[RawStep] = []
        self.exhausted = False
        self.clock = perf_counter_ns()

    @property
    def routers(self) -> Iterator[Chain]:
        # Not in the generator, which would make a RuntimeError of a StopIteration while routers are made.
        self.listed = self.real.routers
        return self.turns()

    def turns(self) -> Iterator[Chain]:
        for router in self.listed:
            self.router = router
            yield self
        self.exhausted = True

    def ask(self, *args: Any, **hints: Any) -> Any:
        try:
            answer = self.method(*args, **hints)
        except BaseException as error:
            self.note(RAISED, error=error)
            raise
        now = perf_counter_ns()
        plain = answer if answer is None or type(answer) is str else scalar(answer)
        self.steps.append(RawStep(self.router, PASSED, plain, None, now - self.clock))
        self.clock = now
        return answer

    def note(self, outcome: Outcome, *, error: BaseException | None = None) -> None:
        now = perf_counter_ns()
        message = None if error is None else described(error)
        self.steps.append(RawStep(self.router, outcome, None, message, now - self.clock))
        self.clock = now

    def settle(self, error: BaseException | None) -> tuple[Any, ...]:
        """
        Say of the last step what became of it, and return the routers that were not asked.

        Whether the last answer settled the matter is seen from what Django did: it asked nobody else.
        """
        if self.exhausted:
            return ()
        steps = self.steps
        if steps and (last := steps[-1]).outcome is PASSED:
            last.outcome = ANSWERED
            if error is not None:  # Django could not even tell whether the answer is true
                last.outcome, last.error = RAISED, described(error)
        return tuple(self.listed)[len(steps) :]


class Overridden(Chain):
    """The chain of a router class that overrides Django's method: it is called as it is, and is one step."""

    __slots__ = ()

    def __init__(self, real: Any, original: Any) -> None:
        super().__init__(real)
        self.router = type(real).__mro__[1]  # what its class was before it was watched
        self.method = original

    __call__ = Chain.ask


def decide(
    recorder: Recorder,
    router: Any,
    original: Any,
    action: Action,
    args: tuple[Any, ...],
    hints: dict[str, Any],
) -> Any:
    """Put one question to ``router`` by its ``original`` method, record the chain, return the answer."""
    if recorder.latest >= recorder.limit:
        recorder.drop("decision")
        return original(*args, **hints)
    try:
        site = callsite(sys._getframe(2)) if recorder.callsites else None
        model, arguments, kept = _facts(recorder, action, args, hints)
        function = getattr(original, "__func__", None)
        if function in DJANGOS:
            chain, question = Chain(router), function
            args = (chain, *args)
        else:
            chain = question = Overridden(router, original)
        event = recorder.draw_id()
        token = asking.set(event)
    except Exception:
        recorder.lost("decision")
        return original(*args, **hints)
    answer: Any = None
    failure: BaseException | None = None
    start = chain.clock = perf_counter_ns()
    try:
        answer = question(*args, **hints)
    except BaseException as error:
        failure = error
        raise
    finally:
        end = perf_counter_ns()
        asking.reset(token)
        try:
            rest = chain.settle(failure)
            settled = (
                ERROR if failure is not None else _settled_by(action, hints) if chain.exhausted else ROUTER
            )
            recorder.events.append(
                RawDecision(
                    event,
                    start,
                    end,
                    action,
                    model,
                    arguments,
                    kept,
                    chain.steps,
                    rest,
                    settled,
                    answer if type(answer) is str else scalar(answer),
                    None if token.old_value is token.MISSING else token.old_value,
                    site,
                )
            )
            if action is READ or action is WRITE:
                answer = _carried(recorder, answer, model, event)
        except Exception:
            recorder.lost("decision")
        failure = None  # no cycle: exception -> traceback -> this frame -> exception
    return answer


def _carried(recorder: Recorder, answer: Any, model: str | None, event: int) -> Any:
    """The alias as a carrier; anything that is more than a plain string stays the object that it is."""
    if type(answer) is str or type(answer) is Carrier:
        return carry(answer, recorder.trace_id, event)
    if issubclass(type(answer), str):
        recorder.answered(answer, model, event)
    return answer


def _facts(
    recorder: Recorder, action: Action, args: tuple[Any, ...], hints: dict[str, Any]
) -> tuple[str | None, dict[str, Any] | None, dict[str, Any] | None]:
    """(model label, args, hints) of a question, as plain facts."""
    trace = recorder.trace_id
    kept = {str(name): hint(value, trace) for name, value in hints.items()} if hints else None
    if action is READ or action is WRITE:
        return recorder.label(args[0]), None, kept
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
    if action is Action.MIGRATE:
        return Settled.ALLOWED
    state = getattr(hints.get("instance"), "_state", None)  # Django has just read it: this loads nothing
    return Settled.INSTANCE if state is not None and state.db else Settled.DEFAULT


def _is_own(model: Any) -> bool:
    try:
        return _is_own_app(getattr(getattr(model, "_meta", None), "app_label", None))
    except Exception:  # whatever it is, its routers may know what to do with it
        return False


def _is_own_app(label: Any) -> bool:
    return type(label) is str and label in OWN_APPS


def watched(base: Any) -> type:
    """The subclass of a router class whose four questions are recorded while a trace is active."""

    class Watched(base):  # type: ignore[misc]
        is_watched = True

        # Django's own parameter names, because they work as keywords: router.db_for_read(model=Book).
        def db_for_read(self, model: Any, **hints: Any) -> Any:
            if (recorder := _active()) is None or recorder.closed or _is_own(model):
                return super().db_for_read(model, **hints) if hints else super().db_for_read(model)
            return decide(recorder, self, super().db_for_read, READ, (model,), hints)

        def db_for_write(self, model: Any, **hints: Any) -> Any:
            if (recorder := _active()) is None or recorder.closed or _is_own(model):
                return super().db_for_write(model, **hints) if hints else super().db_for_write(model)
            return decide(recorder, self, super().db_for_write, WRITE, (model,), hints)

        def allow_relation(self, obj1: Any, obj2: Any, **hints: Any) -> Any:
            if (recorder := _active()) is None or recorder.closed:
                return super().allow_relation(obj1, obj2, **hints)
            return decide(recorder, self, super().allow_relation, RELATION, (obj1, obj2), hints)

        def allow_migrate(self, db: Any, app_label: Any, **hints: Any) -> Any:
            if (recorder := _active()) is None or recorder.closed or _is_own_app(app_label):
                return super().allow_migrate(db, app_label, **hints)
            return decide(recorder, self, super().allow_migrate, Action.MIGRATE, (db, app_label), hints)

    Watched.__name__ = Watched.__qualname__ = f"Watched{base.__name__}"
    return Watched


def watch(router: Any) -> None:
    """Begin to watch a router, once: its class becomes a subclass of what it was."""
    if not getattr(type(router), "is_watched", False):
        router.__class__ = watched(type(router))
