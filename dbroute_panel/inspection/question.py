"""
A question as a form or a command line puts it: in words, asked once or many times.

Objects are made for each question, not each time it is asked: a real row is read by one query.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.utils.translation import gettext as _

from dbroute_panel.inspection.arguments import AskError, ObjectSource, ObjectSpec, find_action, find_model
from dbroute_panel.inspection.explain import explain
from dbroute_panel.records import Action, DecidedBy, Decision


@dataclass(frozen=True)
class Question:
    """
    ``model``: a label, or for ``allow_migrate`` an app label. ``other_model`` is the label of
    ``other``, the second object of ``allow_relation``. ``repeat``: how often to ask, 1 to 1000.
    """

    model: str
    action: str
    db: str | None = None
    model_name: str | None = None
    instance: ObjectSpec = field(default_factory=ObjectSpec)
    other_model: str | None = None
    other: ObjectSpec = field(default_factory=ObjectSpec)
    hints: dict[str, Any] = field(default_factory=dict)
    repeat: int = 1


class AnswerCount(msgspec.Struct, frozen=True):
    """How often an answer was given. ``answer`` is ``Class: message`` where the routers raised."""

    answer: Any
    count: int
    raised: bool = False


@dataclass(frozen=True)
class Answers:
    """The first decision in full, and the shares of all answers, most frequent first."""

    decision: Decision
    counts: list[AnswerCount]


def ask(question: Question) -> Answers:
    """Ask the routers, ``repeat`` times. Raises ``AskError`` where the question makes no sense."""
    action = find_action(question.action)
    if not 1 <= question.repeat <= 1000:
        raise AskError(_("Ask 1 to 1000 times, not %(repeat)d.") % {"repeat": question.repeat})
    objects: dict[str, Any] = {}
    if question.instance.source is not ObjectSource.NONE:
        if action is Action.MIGRATE:
            raise AskError(_("allow_migrate is asked about a database, not about objects."))
        objects["instance"] = question.instance.build(find_model(question.model))
    if question.other_model:
        objects["other"] = question.other.build(find_model(question.other_model))
    decisions = [
        explain(
            question.model,
            action,
            db=question.db or None,
            model_name=question.model_name or None,
            hints=question.hints,
            **objects,
        )
        for again in range(question.repeat)
    ]
    return Answers(decisions[0], count_answers(decisions))


def count_answers(decisions: list[Decision]) -> list[AnswerCount]:
    """How often each answer was given, most frequent first."""
    counts: dict[tuple[bool, Any], int] = {}
    for decision in decisions:
        raised = decision.decided_by is DecidedBy.ERROR
        answer = (
            next((step.error for step in decision.steps if step.error), None) if raised else decision.answer
        )
        counts[raised, answer] = counts.get((raised, answer), 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    return [AnswerCount(answer=answer, count=count, raised=raised) for (raised, answer), count in ordered]
