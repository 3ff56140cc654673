"""
Ask the real routers one question, and record the whole chain of answers.

The routers are asked through ``django.db.router`` under a recorder, so the chain is the record of a trace,
with the source of each router's method and the traceback of an exception added.
"""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

import msgspec
from django.db import router
from django.db.models import Model
from django.utils.translation import gettext as _

from dbroute_panel.environment import base_dir, relative_path
from dbroute_panel.inspection.arguments import (
    HIDDEN_APPS,
    AskError,
    ObjectSource,
    ObjectSpec,
    check_repeat,
    find_action,
    find_alias,
    find_app,
    find_model,
)
from dbroute_panel.inspection.isolation import IsolationInterrupt
from dbroute_panel.masking.credentials import mask_credentials
from dbroute_panel.recording.builder import TraceBuilder
from dbroute_panel.recording.captured import CapturedDecision
from dbroute_panel.recording.frame_kinds import FrameKind, classify_file
from dbroute_panel.recording.recorder import Recorder, use_recorder
from dbroute_panel.records import Action, Callsite, DecidedBy, Decision, Outcome

_WRAPPER_TYPES = (
    staticmethod,
    classmethod,
    property,
    functools.cached_property,
    functools.partial,
    functools.partialmethod,
    MethodType,
)


@dataclass(frozen=True)
class Question:
    """
    A question as a form or a command line puts it.

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
    """The first decision in full, and the counts of all answers, most frequent first."""

    decision: Decision
    counts: list[AnswerCount]


def ask(question: Question) -> Answers:
    """
    Ask the routers ``question.repeat`` times.

    Objects are built once for all repetitions: a real row costs one query.

    Raises:
        AskError: The question makes no sense.
    """
    action = find_action(question.action)
    check_repeat(question.repeat)
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
    """Count how often each answer was given, most frequent first."""
    counts: dict[tuple[bool, Any], int] = {}
    for decision in decisions:
        raised = decision.decided_by is DecidedBy.ERROR
        answer = (
            next((step.error for step in decision.steps if step.error), None) if raised else decision.answer
        )
        counts[raised, answer] = counts.get((raised, answer), 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    return [AnswerCount(answer=answer, count=count, raised=raised) for (raised, answer), count in ordered]


def explain(
    model: type[Model] | str,
    action: str,
    *,
    instance: Any = None,
    other: Any = None,
    db: str | None = None,
    model_name: str | None = None,
    hints: Mapping[str, Any] | None = None,
) -> Decision:
    """
    Ask the routers one question, and return the whole chain of their answers.

    An exception of a router is an outcome of the chain and is not raised.

    Args:
        model: A class, a label ("library.Book") or, for ``allow_migrate``, an app label.
        action: ``db_for_read``, ``db_for_write``, ``allow_relation`` or ``allow_migrate``.
        instance: The hint ``instance``; for ``allow_relation`` the first object.
        other: The second object of ``allow_relation``.
        db: The alias that ``allow_migrate`` is asked about.
        model_name: For ``allow_migrate``, if it is not that of ``model``.
        hints: Further hints by name.

    Returns:
        A ``Decision`` with ``id`` 1 and ``at_us`` 0. Each step has the ``source`` (Callsite) of the router's
        method and, if it raised, its ``traceback`` (text).

    Raises:
        AskError: The question makes no sense. It is a ``ValueError``.
    """
    question = find_action(action)
    call = _build_call(question, model, instance, other, db, model_name, dict(hints or {}))
    recorder = Recorder("explain", "block")
    recorder.params = True
    raised: BaseException | None = None
    try:
        try:
            with use_recorder(recorder):
                call()
        except (KeyboardInterrupt, IsolationInterrupt):
            raise
        except BaseException as error:  # whatever a router raises, SystemExit too, is its answer
            raised = error
        return _build_decision(recorder, question, raised)
    finally:
        raised = None  # no cycle: exception -> traceback -> this frame -> exception
        recorder.close(None)  # nor one of the probes


def _build_decision(recorder: Recorder, question: Action, raised: BaseException | None) -> Decision:
    """Build the first decision of ``recorder`` with sources and traceback. Raises ``AskError``."""
    raw = next((event for event in recorder.events if event.id == 1), None)
    if not isinstance(raw, CapturedDecision):
        raise AskError(
            _("The routers cannot be asked: %(error)s") % {"error": mask_credentials(str(raised))}
        ) from raised
    if raised is not None and not any(step.outcome is Outcome.RAISED for step in raw.steps):
        raise AskError(
            _("No router raised, but Django cannot answer: %(error)s")
            % {"error": mask_credentials(repr(raised))}
        ) from raised
    decision = TraceBuilder(recorder).decision(raw)
    steps = tuple(
        msgspec.structs.replace(
            step,
            source=find_source(asked, question),
            traceback=_format_traceback(raised) if raised and step.outcome is Outcome.RAISED else None,
        )
        for step, asked in zip(decision.steps, raw.chain, strict=True)
    )
    return msgspec.structs.replace(decision, at_us=0, steps=steps)


def _build_call(
    action: Action,
    model: type[Model] | str,
    instance: Any,
    other: Any,
    db: str | None,
    model_name: str | None,
    hints: dict[str, Any],
) -> functools.partial[Any]:
    """Build the call of the router as Django makes it. Raises ``AskError``."""
    found = (
        _resolve_model(model)
        if action is not Action.MIGRATE or not isinstance(model, str) or "." in model
        else None
    )
    if action is Action.MIGRATE:
        if instance is not None or other is not None:
            raise AskError(_("allow_migrate is asked about a database, not about objects."))
        if db is None:
            raise AskError(_("allow_migrate is asked about a database: give db."))
        return _build_migrate_call(find_alias(db), found or str(model), model_name, hints)
    if db is not None or model_name is not None:
        raise AskError(
            _("db and model_name belong to allow_migrate, not to %(action)s.") % {"action": action}
        )
    if action is Action.RELATION:
        if instance is None or other is None:
            raise AskError(_("allow_relation is asked about two objects: give instance and other."))
        return functools.partial(router.allow_relation, instance, other, **hints)
    if other is not None:
        raise AskError(_("other belongs to allow_relation, not to %(action)s.") % {"action": action})
    if instance is not None:
        hints["instance"] = instance
    return functools.partial(getattr(router, action), found, **hints)


def _build_migrate_call(
    db: str, model: type[Model] | str, model_name: str | None, hints: dict[str, Any]
) -> functools.partial[Any]:
    """Build the call about a model, as for an operation on it; or about an app, as for ``RunPython``."""
    if isinstance(model, str):
        named = {} if model_name is None else {"model_name": model_name}
        return functools.partial(router.allow_migrate, db, find_app(model), **{**hints, **named})
    given = {**hints, "model_name": model_name or model._meta.model_name, "model": model}
    return functools.partial(router.allow_migrate, db, model._meta.app_label, **given)


def _resolve_model(model: type[Model] | str) -> type[Model]:
    """Return the model that is asked about. Raises ``AskError``."""
    found = find_model(model) if isinstance(model, str) else model
    if not hasattr(found, "_meta"):
        raise AskError(_("Give a model class or its label, not %(given)r.") % {"given": model})
    if found._meta.app_label in HIDDEN_APPS:
        raise AskError(_("%(model)s belongs to the tool, not to the project.") % {"model": found._meta.label})
    return found


def find_source(asked: Any, action: Action) -> Callsite | None:
    """Return where a router's method is defined, without running a property; None if it has none."""
    try:
        method = inspect.getattr_static(asked, action)
        for attribute in ("__func__", "func", "fget"):  # static method, partial or cached property, property
            if isinstance(method, _WRAPPER_TYPES):
                method = getattr(method, attribute, method)
        code = inspect.unwrap(method).__code__
    except (AttributeError, ValueError):  # no such method, or no function behind it
        return None
    return Callsite(
        file=relative_path(code.co_filename, base_dir()), line=code.co_firstlineno, function=code.co_qualname
    )


def _format_traceback(error: BaseException) -> str:
    """Format the traceback as Python does, from the first frame that is neither Django's nor ours."""
    where = error.__traceback__
    while where is not None and classify_file(where.tb_frame.f_code.co_filename) is FrameKind.FRAMEWORK:
        where = where.tb_next
    lines = traceback.format_exception(type(error), error, where or error.__traceback__)
    return mask_credentials("".join(lines))
