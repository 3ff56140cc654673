"""
One question to the real routers, and everything that can be told about the answer.

The routers really are asked, through ``django.db.router``, with a recorder of our own looking on;
so the chain is the same record as in a trace, with the source of each router's method and the
traceback of an exception added.
"""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Mapping
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
    find_action,
    find_alias,
    find_app,
    find_model,
)
from dbroute_panel.inspection.isolation import IsolationInterrupt
from dbroute_panel.masking.credentials import mask_credentials
from dbroute_panel.recording.builder import TraceBuilder
from dbroute_panel.recording.captured import CapturedDecision
from dbroute_panel.recording.frame_kinds import FRAMEWORK, classify_file
from dbroute_panel.recording.recorder import Recorder, resumed
from dbroute_panel.records import Action, Callsite, Decision, Outcome

_WRAPPER_TYPES = (
    staticmethod,
    classmethod,
    property,
    functools.cached_property,
    functools.partial,
    functools.partialmethod,
    MethodType,
)


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
    Ask the routers one question, and tell the whole chain.

    ``model``: a class, a label ("library.Book") or, for ``allow_migrate``, an app label. ``action``:
    ``db_for_read``, ``db_for_write``, ``allow_relation`` (of ``instance`` and ``other``) or
    ``allow_migrate`` (on ``db``). In the answer ``id`` is 1 and ``at_us`` 0; each step has its
    ``source`` (Callsite) and, if it raised, its ``traceback`` (text). A router's exception is an
    outcome, not raised here. Raises ``AskError`` (a ``ValueError``) where the question makes no sense.
    """
    question = find_action(action)
    call = _build_call(question, model, instance, other, db, model_name, dict(hints or {}))
    recorder = Recorder("explain", "block")
    recorder.params = True
    raised: BaseException | None = None
    try:
        try:
            with resumed(recorder):
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
    """The first decision of ``recorder``, with the sources and the traceback."""
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
    """The call of the router as Django makes it. Raises ``AskError``."""
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
    """The question about a model, as for an operation on it; or about an app, as for RunPython."""
    if isinstance(model, str):
        named = {} if model_name is None else {"model_name": model_name}
        return functools.partial(router.allow_migrate, db, find_app(model), **{**hints, **named})
    given = {**hints, "model_name": model_name or model._meta.model_name, "model": model}
    return functools.partial(router.allow_migrate, db, model._meta.app_label, **given)


def _resolve_model(model: type[Model] | str) -> type[Model]:
    """The model asked about. Raises ``AskError``."""
    found = find_model(model) if isinstance(model, str) else model
    if not hasattr(found, "_meta"):
        raise AskError(_("Give a model class or its label, not %(given)r.") % {"given": model})
    if found._meta.app_label in HIDDEN_APPS:
        raise AskError(_("%(model)s belongs to the tool, not to the project.") % {"model": found._meta.label})
    return found


def find_source(asked: Any, action: Action) -> Callsite | None:
    """File, line and name of a router's method, read without running a property; None where it has none."""
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
    """The traceback from the first frame that is not Django's or ours, as Python prints it."""
    where = error.__traceback__
    while where is not None and classify_file(where.tb_frame.f_code.co_filename) == FRAMEWORK:
        where = where.tb_next
    lines = traceback.format_exception(type(error), error, where or error.__traceback__)
    return mask_credentials("".join(lines))
