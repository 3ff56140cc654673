"""
Which events of a trace are alike, so that one can stand for the others? And what has each of its own?
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from dbroute_panel.records import CommitHook, Decision, Event, ExceptionRaised, InstanceRef, Query

from . import formatting
from .index import Index
from .rows import Row


def group_key(index: Index, row: Row) -> Hashable:
    """The same for events of the same line of code, SQL, answers and steps; ``row`` is the event's."""
    event = index.events[row.id]
    if isinstance(event, Query):
        decision = index.decision_of(event)
        asked = None if decision is None else _question_key(decision)
        saved = event.instance and _instance_key(event.instance)
        return (
            event.sql,
            event.route,
            event.many,
            event.atomic,
            event.parent_id,
            saved,
            asked,
            *_place_key(event, row),
        )
    if isinstance(event, Decision):
        return (_question_key(event), event.parent_id, *_place_key(event, row))
    if isinstance(event, CommitHook):
        return (event.function, event.robust, event.outcome, *_place_key(event, row))
    if isinstance(event, ExceptionRaised):
        return (event.error, event.ended, event.raised_at, *_place_key(event, row))
    return (event.operation, *_place_key(event, row))


def _place_key(event: Event, row: Row) -> tuple[Hashable, ...]:
    return (row.database.alias if row.database else "", event.callsite)


def _question_key(decision: Decision) -> Hashable:
    """The question and who said what."""
    values = {**(decision.args or {}), **decision.hints}
    return (
        decision.action,
        decision.model,
        decision.decided_by,
        repr(decision.answer),
        tuple((step.router, step.outcome, repr(step.answer), step.error) for step in decision.steps),
        tuple((name, repr(_instance_key(value))) for name, value in values.items()),
        decision.callsite,
    )


def _instance_key(value: Any) -> Any:
    """An object by all but its key; of what ``values()`` shows the name alone would do, too."""
    return (value.model, value.state_db, value.adding) if isinstance(value, InstanceRef) else value


def own_values(index: Index, event: Event) -> str:
    """What an event has of its own: parameters, and the keys of the objects in question."""
    asked = event if isinstance(event, Decision) else None
    if isinstance(event, Query):
        asked = index.decision_of(event)
    given = [*(asked.args or {}).values(), *asked.hints.values()] if asked is not None else []
    objects = [formatting.instance(value) for value in given if isinstance(value, InstanceRef)]
    if isinstance(event, Query):
        if event.instance is not None:
            objects.append(formatting.instance(event.instance))
        if event.params:
            shown = (
                [f"{k}={v}" for k, v in event.params.items()]
                if isinstance(event.params, dict)
                else event.params
            )
            objects.insert(0, ", ".join(map(str, shown)))
    if not isinstance(event, Decision) and event.transaction_number is not None:
        objects.append(f"T{event.transaction_number}")
    return "; ".join(dict.fromkeys(objects))
