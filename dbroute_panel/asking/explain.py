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
from typing import Any

import msgspec
from django.db import router
from django.db.models import Model
from django.utils.translation import gettext as _

from dbroute_panel.asking.aside import Stopped
from dbroute_panel.asking.subjects import AskError, find_action, find_alias, find_app, find_model
from dbroute_panel.recording.callers import FRAMEWORK, kind_of
from dbroute_panel.recording.document import Writer, relative
from dbroute_panel.recording.recorder import RawDecision, Recorder, asking, resumed
from dbroute_panel.records import Action, Callsite, Decision, Outcome


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
    call = _call(question, model, instance, other, db, model_name, dict(hints or {}))
    recorder = Recorder("explain", "block")
    recorder.params = True
    raised: BaseException | None = None
    token = asking.set(None)
    try:
        with resumed(recorder):
            call()
    except (KeyboardInterrupt, Stopped):
        raise
    except BaseException as error:  # whatever a router raises, SystemExit too, is its answer
        raised = error
    finally:
        asking.reset(token)
    raw = next((event for event in recorder.events if event.id == 1), None)
    if not isinstance(raw, RawDecision):
        raise AskError(_("The routers cannot be asked: %(error)s") % {"error": raised}) from raised
    if raised is not None and not any(step.outcome is Outcome.RAISED for step in raw.steps):
        raise AskError(
            _("No router raised, but Django cannot answer: %(error)r") % {"error": raised}
        ) from raised
    decision = Writer(recorder).decision(raw)
    steps = [
        msgspec.structs.replace(
            step,
            source=source_of(asked.router, question),
            traceback=_traceback(raised) if raised and step.outcome is Outcome.RAISED else None,
        )
        for step, asked in zip(decision.steps, raw.steps, strict=True)
    ]
    return msgspec.structs.replace(decision, at_us=0, steps=steps)


def _call(
    action: Action,
    model: type[Model] | str,
    instance: Any,
    other: Any,
    db: str | None,
    model_name: str | None,
    hints: dict[str, Any],
) -> functools.partial[Any]:
    """The call of the router as Django makes it. Raises ``AskError``."""
    if action is Action.MIGRATE:
        if db is None:
            raise AskError(_("allow_migrate is asked about a database: give db."))
        find_alias(db)
        if isinstance(model, str) and "." not in model:
            if model_name is not None:
                hints["model_name"] = model_name
            return functools.partial(router.allow_migrate, db, find_app(model), **hints)
        found = find_model(model) if isinstance(model, str) else model
        named = {"model_name": model_name or found._meta.model_name, "model": found}
        return functools.partial(router.allow_migrate, db, found._meta.app_label, **{**hints, **named})
    if db is not None or model_name is not None:
        raise AskError(
            _("db and model_name belong to allow_migrate, not to %(action)s.") % {"action": action}
        )
    found = find_model(model) if isinstance(model, str) else model
    if action is Action.RELATION:
        if instance is None or other is None:
            raise AskError(_("allow_relation is asked about two objects: give instance and other."))
        return functools.partial(router.allow_relation, instance, other, **hints)
    if other is not None:
        raise AskError(_("other belongs to allow_relation, not to %(action)s.") % {"action": action})
    if instance is not None:
        hints["instance"] = instance
    return functools.partial(getattr(router, action), found, **hints)


def source_of(asked: Any, action: Action) -> Callsite | None:
    """File, line and name of a router's method, read without running a property; None where it has none."""
    try:
        method = inspect.getattr_static(asked, action)
    except AttributeError:
        return None
    if isinstance(method, property):
        method = method.fget
    while not hasattr(method, "__code__"):
        method = getattr(method, "__func__", None) or getattr(method, "func", None)
        if method is None:
            return None
    code = inspect.unwrap(method).__code__
    return Callsite(file=relative(code.co_filename), line=code.co_firstlineno, function=code.co_qualname)


def _traceback(error: BaseException) -> str:
    """The traceback from the first frame that is not Django's or ours, as Python prints it."""
    where = error.__traceback__
    while where is not None and kind_of(where.tb_frame.f_code.co_filename) == FRAMEWORK:
        where = where.tb_next
    return "".join(traceback.format_exception(type(error), error, where or error.__traceback__))
