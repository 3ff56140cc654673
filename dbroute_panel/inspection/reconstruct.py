"""
A recorded decision as a question again: its models, objects and hints, made anew without a query.

A trace holds few facts about an object (``InstanceRef``). Whatever else a router wants to read of
it cannot be told, and a guess would be answered as if it were the truth: that stops the question.
What nobody can see is a router that asks whether an object *has* an attribute which the project's
code gave it at run time: ``getattr(instance, "tenant", None)`` is None here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import Model
from django.db.models.base import ModelState
from django.db.models.query_utils import DeferredAttribute
from django.utils.translation import gettext as _

from dbroute_panel.inspection.guard import current_guard
from dbroute_panel.inspection.patches import Patches
from dbroute_panel.masking import MASK
from dbroute_panel.recording.snapshots import SCALAR_TYPES
from dbroute_panel.records import Action, Decision, InstanceRef, TypeRef


class NotReplayableError(Exception):
    """The question cannot be asked again; the message says why, and names no key."""


class DecisionRebuilder:
    """Today's models by their labels, and questions about them."""

    def __init__(self) -> None:
        models = apps.get_models(include_auto_created=True, include_swapped=True)
        self.models: dict[str, Any] = {model._meta.label: model for model in models}
        # The database cache asks with something that only looks like a model.
        self.models["django_cache.CacheEntry"] = BaseDatabaseCache("", {}).cache_model_class

    def rebuild_call(self, decision: Decision) -> Callable[[], Any]:
        """The call of Django's router that was recorded, with new objects. Raises ``NotReplayableError``."""
        hints = {name: self._rebuild_value(value, name) for name, value in decision.hints.items()}
        args = decision.args or {}
        if decision.action.names_alias:
            method, model = getattr(router, decision.action), self._get_model(decision.model)
            return lambda: method(model, **hints)
        if decision.action is Action.RELATION:
            first, second = (self._rebuild_object(args.get(name), name) for name in ("obj1", "obj2"))
            return lambda: router.allow_relation(first, second, **hints)
        db, app_label = (self._get_text(args.get(name), name) for name in ("db", "app_label"))
        if args.get("model_name") is not None:
            hints["model_name"] = self._get_text(args["model_name"], "model_name")
        if decision.model is not None:
            hints["model"] = self._get_model(decision.model)
        return lambda: router.allow_migrate(db, app_label, **hints)

    def _get_model(self, label: str | None) -> Any:
        if label is None:
            raise NotReplayableError(_("The trace does not say which model was asked about."))
        try:
            return self.models[label]
        except KeyError:
            raise NotReplayableError(_("There is no model %(label)r.") % {"label": label}) from None

    def _rebuild_value(self, value: Any, name: str) -> Any:
        """The hint or argument ``name``."""
        if isinstance(value, InstanceRef):
            return self._rebuild_instance(value)
        if isinstance(value, TypeRef):
            raise NotReplayableError(
                _("Of %(name)r the trace holds only its type, %(type)s.") % {"name": name, "type": value.type}
            )
        if value == MASK:
            raise NotReplayableError(_("The value of %(name)r is masked.") % {"name": name})
        if type(value) not in SCALAR_TYPES:
            raise _not_in_trace(name)
        return value

    def _rebuild_object(self, value: Any, name: str) -> Model:
        made = self._rebuild_value(value, name)
        if not isinstance(made, Model):
            raise _not_in_trace(name)
        return made

    def _get_text(self, value: Any, name: str) -> str:
        text = self._rebuild_value(value, name)
        if not isinstance(text, str):
            raise _not_in_trace(name)
        return text

    def _rebuild_instance(self, ref: InstanceRef) -> Model:
        """
        The object of an ``InstanceRef``.

        Made as unpickling makes it, without ``__init__()`` and its signals, which may look at fields.
        """
        model = self._get_model(ref.model)
        made: Model = model.__new__(model)
        made._state = ModelState()
        made._state.db = ref.state_db
        made._state.adding = ref.adding
        made.__dict__.update(_build_pk(model, ref))
        made.__dict__["refresh_from_db"] = _BlockedReload(made)
        return made


def _not_in_trace(name: str) -> NotReplayableError:
    return NotReplayableError(_("The trace does not hold %(name)r.") % {"name": name})


class _BlockedReload:
    """``refresh_from_db()`` of an object that was made by ``Registry``: stops the question."""

    def __init__(self, instance: Model) -> None:
        self.instance = instance

    def __call__(self, using: str | None = None, fields: Any = None, **options: Any) -> None:
        watch = current_guard.get()
        if watch is None:  # a router kept the object, and uses it outside of a replay
            type(self.instance).refresh_from_db(self.instance, using, fields, **options)
            return
        watch.stop(explain_unknown(self.instance, ", ".join(fields or ())))


def _wrap_parent_check(original: Any) -> Any:
    """
    The first thing that Django does where a field is missing: look for it under a parent's name.

    Loading it would be next, but not for a key, which Django expects to be there always.
    """

    @functools.wraps(original)
    def _check_parent_chain(self: DeferredAttribute, instance: Model) -> Any:
        watch = current_guard.get()
        if watch is None or not is_rebuilt(instance):
            return original(self, instance)
        link = instance._meta.get_ancestor_link(self.field.model) if self.field.primary_key else None
        if link is None or link.attname not in instance.__dict__:
            watch.stop(explain_unknown(instance, self.field.attname))
        return instance.__dict__[link.attname]

    return _check_parent_chain


PATCHES = Patches(((lambda: (DeferredAttribute, "_check_parent_chain")), _wrap_parent_check))


def is_rebuilt(thing: object) -> bool:
    """Whether ``thing`` is an object that was made by ``Registry``."""
    return isinstance(thing, Model) and isinstance(thing.__dict__.get("refresh_from_db"), _BlockedReload)


def explain_unknown(instance: Any, names: str | None) -> str:
    """Why a question cannot be answered: a router read ``names`` of ``instance``."""
    if not names:
        return _("A router reloaded a %(model)s.") % {"model": instance._meta.label}
    return _("A router read %(names)s of a %(model)s, which the trace does not hold.") % {
        "names": names,
        "model": instance._meta.label,
    }


def _build_pk(model: type[Model], ref: InstanceRef) -> dict[str, Any]:
    """The key of ``ref`` as attributes; empty where the trace holds none that fits the model."""
    fields = getattr(model._meta, "pk_fields", None) or [model._meta.pk]
    if ref.pk is None:
        return dict.fromkeys((field.attname for field in fields), None) if ref.adding else {}
    if ref.pk == MASK:
        return {}
    try:
        parts = [ref.pk] if len(fields) == 1 else json.loads(ref.pk)
        return {field.attname: field.to_python(part) for field, part in zip(fields, parts, strict=True)}
    except (ValueError, TypeError, ValidationError):
        return {}
