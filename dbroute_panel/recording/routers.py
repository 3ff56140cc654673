"""
Watching the router: the whole chain of every decision, by Django's own rules.

``django.db.router`` keeps its identity; only its class becomes a subclass of what it was. Nothing is ever put
into ``router.routers``, which is read afresh at every call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import get_ident
from time import perf_counter_ns
from typing import Any

from dbroute_panel.recording.answers import EACH, SharedAlias
from dbroute_panel.recording.captured import CapturedDecision
from dbroute_panel.recording.decisions import DJANGOS, decide, facts, note_failure, settled, subject
from dbroute_panel.recording.recorder import OWN, OWN_APPS, active
from dbroute_panel.recording.ways import asked_at
from dbroute_panel.records import Action

_active, _frame = active.get, sys._getframe


def _asking_for(  # noqa: C901 - few calls, because it runs for every question
    owner: Any, action: Action
) -> Callable[..., Any]:
    """
    The method of ``owner`` that asks for an alias.

    It is ``decide()`` for what happens all the time, with few calls: Django's own function asks, and hands
    back the plain string that a router has answered.
    """
    base, name, djangos = owner.__base__, action.value, DJANGOS[action]

    # Django's own parameter names, because they work as keywords: router.db_for_read(model=Book).
    # ``others`` are for a method of the project's in the place of Django's, which takes none.
    def ask(self: Any, model: Any, *others: Any, **hints: Any) -> Any:  # noqa: C901
        recorder = _active()
        if getattr(base, name) is not djangos or others:
            if recorder is None:
                return getattr(super(owner, self), name)(model, *others, **hints)
            return decide(recorder, owner, self, action, (model, *others), hints)
        if recorder is None:
            return djangos(self, model, **hints) if hints else djangos(self, model)
        asking = recorder.asking[get_ident()]
        outer, before = asking.decision_id, asking.last
        known, about = recorder.subject
        event = site = kept = None
        left: Any = ()
        try:
            if known is not model:
                about = subject(recorder, model)
            if about is not OWN:
                if hints:
                    kept = facts(hints, recorder.answers)
                event = next(recorder.ids)
                site = asked_at(_frame(1), event, outer, recorder)
        except StopIteration:  # there are no ids left
            recorder.refuse("decision")
        except Exception:
            recorder.lost("decision")
            event = None
        if event is None:
            return djangos(self, model, **hints) if hints else djangos(self, model)
        start = perf_counter_ns()
        # From here on no interrupt gets past what puts them back.
        asking.decision_id, asking.last = event, None
        try:
            left = iter(routers := self.routers)
            if routers is asking.source:
                asking.routers = map(asking.__getitem__, map(id, left))
            else:
                asking.routers, left = asking.watched(routers, left, outer)
            answer = djangos(asking, model, **hints) if hints else djangos(asking, model)
        except BaseException as error:
            last = asking.last
            asking.decision_id, asking.last, asking.routers = outer, before, ()
            end = perf_counter_ns()
            raw = CapturedDecision(event, action, about, kept, outer, site, start, end, last, left, None)
            note_failure(recorder, raw, error)
            raise
        last = asking.last
        asking.decision_id, asking.last, asking.routers = outer, before, ()
        if type(answer) is not str or last is None or last.answer is not answer:
            end = perf_counter_ns()
            raw = CapturedDecision(event, action, about, kept, outer, site, start, end, last, left, None)
            return settled(recorder, raw, answer, hints)
        # Django hands back the very object with which a router decided it.
        try:
            alias = answer[0] + recorder.aliases[answer]  # a string of its own
            raw = CapturedDecision(
                event,
                action,
                about,
                kept,
                outer,
                site,
                start,
                last.end,
                last,
                tuple(left),
                alias,
            )
            recorder.events.append(raw)
            recorder.answers[id(alias)] = event
            if not event % EACH:
                recorder.let_go()
            return alias
        except SharedAlias:
            end = perf_counter_ns()
            raw = CapturedDecision(event, action, about, kept, outer, site, start, end, last, left, None)
            return settled(recorder, raw, answer, hints)
        except Exception:
            recorder.lost("decision")
        return answer

    ask.__name__, ask.__qualname__ = name, f"Watched.{name}"
    return ask


def watched(base: Any) -> type:
    """The subclass of a router class whose four questions are recorded while a trace is active."""

    class Watched(base):  # type: ignore[misc]
        is_watched = True

        def allow_relation(self, obj1: Any, obj2: Any, *others: Any, **hints: Any) -> Any:
            if (recorder := _active()) is None:
                return super().allow_relation(obj1, obj2, *others, **hints)
            return decide(recorder, Watched, self, Action.RELATION, (obj1, obj2, *others), hints)

        def allow_migrate(self, db: Any, app_label: Any, *others: Any, **hints: Any) -> Any:
            recorder = _active()
            if recorder is None or (type(app_label) is str and app_label in OWN_APPS):
                return super().allow_migrate(db, app_label, *others, **hints)
            return decide(recorder, Watched, self, Action.MIGRATE, (db, app_label, *others), hints)

    for action in (Action.READ, Action.WRITE):
        setattr(Watched, action.value, _asking_for(Watched, action))
    Watched.__name__ = Watched.__qualname__ = f"Watched{base.__name__}"
    return Watched


def watch(router: Any) -> None:
    """Begin to watch a router, once: its class becomes a subclass of what it was."""
    if not getattr(type(router), "is_watched", False):
        router.__class__ = watched(type(router))
