"""
Shortcuts for what happens at almost every query. They record the same events as the reference does.

``tests/recording/test_fastpath.py`` holds that: it records its programs with ``ENABLED`` and without. A query
with its decision takes 599 instructions of the interpreter (``make bench`` counts them); without both
shortcuts it takes 1,382.

- ``find_pending_compiler()`` saves 574, in the place of ``query_source.find_query_source()``: a query that
  follows its decision within one method of Django's has the callsite of the decision.
- ``_shorten()`` saves 209: it is ``decisions.decide()`` for Django's own ``db_for_read()`` and
  ``db_for_write()``, in one function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from threading import get_ident
from time import perf_counter_ns
from typing import Any

from django.db.models.sql.compiler import SQLCompiler

from dbroute_panel.recording.answers import ANSWERS_BETWEEN_CHECKS, SharedAlias
from dbroute_panel.recording.captured import CapturedDecision
from dbroute_panel.recording.decisions import (
    DJANGO_FUNCTIONS,
    QUERYSET_DB,
    capture_hints,
    find_label,
    note_unrecorded,
    record_answer,
    record_failure,
)
from dbroute_panel.recording.frame_kinds import get_code
from dbroute_panel.recording.recorder import OWN, active
from dbroute_panel.recording.stack import CALLSITES
from dbroute_panel.records import Action

ENABLED = True
"""Whether routers that are watched from now on get the shortcuts, without which none is taken."""

_EXECUTE_SQL = get_code(SQLCompiler.execute_sql)
_active, _frame = active.get, sys._getframe


def find_pending_compiler(decision: CapturedDecision, cursor: object) -> Any:
    """
    Return the compiler of the query that our caller, the execute wrapper, records if it follows ``decision``.

    Most methods of a queryset ask, make a compiler with the answer and call its ``execute_sql()``, so that is
    the fourth frame from here, or the fifth with Django's debug cursor. The compiler's alias has to be the
    string that is the answer of the decision. The method has to be in the frame that asked: neither in one
    inside of it, where an expression sends a query, nor in a later one with the same ``id()``, whose code is
    another. And it has to be Django's: other code is at work at its own line, and may send at another one.
    """
    try:
        frame: Any = _frame(4)
        if frame.f_code is not _EXECUTE_SQL and (frame := frame.f_back).f_code is not _EXECUTE_SQL:
            return None
        names = frame.f_locals
        if (
            names["cursor"] is cursor
            and (compiler := names["self"]).using is decision.answer
            and id(outer := frame.f_back) == decision.asker_frame
            and outer.f_code is decision.asker
            and CALLSITES[decision.asker.co_filename] is None
        ):
            return compiler
    except (AttributeError, KeyError, ValueError):  # the stack is not as deep, or there is no cursor yet
        pass
    return None


def install(watched: Any) -> None:
    """Put the shortcuts in the place of two methods of a class of routers that is watched."""
    if ENABLED:
        for action in (Action.READ, Action.WRITE):
            setattr(watched, action.value, _shorten(watched, action))


def _shorten(  # noqa: C901 - few calls, because it runs for every question
    watched: Any, action: Action
) -> Callable[..., Any]:
    """Return what does the same as the method of ``watched`` for ``action``, with few calls."""
    name, django_function = action.value, DJANGO_FUNCTIONS[action]
    base, reference = watched.__base__, getattr(watched, name)

    def ask(self: Any, model: Any, *others: Any, **hints: Any) -> Any:  # noqa: C901
        if others or getattr(base, name) is not django_function:
            return reference(self, model, *others, **hints)
        if (recorder := _active()) is None:
            return django_function(self, model, **hints) if hints else django_function(self, model)
        known, model_label = recorder.subject  # which is not the tool's own
        if known is not model and (model_label := find_label(recorder, model)) is OWN:
            return django_function(self, model, **hints)
        stand_in = recorder.stand_ins[get_ident()]
        parent: Any = stand_in.decision
        try:
            frame = _frame(1)
            if frame.f_code is QUERYSET_DB and (outer := frame.f_back) is not None:
                frame = outer
            decision: CapturedDecision | None = CapturedDecision(
                next(recorder.ids),
                action,
                model_label,
                capture_hints(hints, recorder.answers) if hints else None,
                parent and parent.id,
                recorder.find_callsite(frame),
                frame.f_code,
                id(frame),
                perf_counter_ns(),
            )
        except Exception as error:
            note_unrecorded(recorder, error)
            decision = None
        if decision is None:
            return django_function(self, model, **hints)
        stand_in.decision = decision  # from here on no interrupt gets past what puts it back
        try:
            unasked = iter(routers := self.routers)
            if routers is stand_in.source:
                stand_in.routers = map(stand_in.__getitem__, map(id, unasked))
            else:
                stand_in.routers, unasked = stand_in.make_proxies(routers, unasked, parent)
            decision.routers = unasked
            answer = django_function(stand_in, model, **hints) if hints else django_function(stand_in, model)
        except BaseException as error:
            stand_in.decision = parent
            stand_in.routers = ()
            decision.end = perf_counter_ns()
            record_failure(recorder, decision, error)
            raise
        stand_in.decision = parent
        stand_in.routers = ()
        step = decision.last
        if type(answer) is str and step is not None and step.answer is answer:
            try:
                alias = answer[0] + recorder.aliases[answer]
                decision.end = step.end
                decision.routers = tuple(unasked)
                decision.answer = alias
                recorder.add_event(decision)
                recorder.answers[id(alias)] = decision.id
                recorder.pending_decision = decision
                if not decision.id % ANSWERS_BETWEEN_CHECKS:
                    recorder.release_answers()
                return alias
            except SharedAlias:
                pass
            except Exception:
                recorder.lost("decision")
                return answer
        decision.end = perf_counter_ns()
        alias = record_answer(recorder, decision, answer, hints)
        if recorder.answers.get(id(alias)) == decision.id:
            recorder.pending_decision = decision
        return alias

    return wraps(reference)(ask)
