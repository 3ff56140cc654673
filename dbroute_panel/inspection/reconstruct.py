"""
Rebuild the call of a recorded decision: its models, objects and hints, without a query.

A trace holds few facts about an object (``InstanceRef``). If a router reads anything else of it, the question
is stopped, because a guess would be answered as if it were the recorded value. One case cannot be noticed: an
attribute that the project's code sets at run time. ``getattr(instance, "tenant", None)`` is None here.
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
    """The question cannot be asked again. The message says why, and contains no primary key."""


class DecisionRebuilder:
    """Rebuilds recorded decisions with the models that are installed now."""

    def __init__(self) -> None:
        models = apps.get_models(include_auto_created=True, include_swapped=True)
        self.models: dict[str, Any] = {model._meta.label: model for model in models}
        # The database cache asks about an object that only resembles a model.
        self.models["django_cache.CacheEntry"] = BaseDatabaseCache("", {}).cache_model_class

    def rebuild_call(self, decision: Decision) -> Callable[[], Any]:
        """Return the recorded call of Django's router, with new objects. Raises ``NotReplayableError``."""
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
        """Return the hint or argument ``name``."""
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
        Build the object of an ``InstanceRef``.

        It is made as unpickling makes it, without ``__init__()`` and its signals, which may read fields.
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
    """The ``refresh_from_db()`` of a rebuilt object: stops the question."""

    def __init__(self, instance: Model) -> None:
        self.instance = instance

    def __call__(self, using: str | None = None, fields: Any = None, **options: Any) -> None:
        guard = current_guard.get()
        if guard is None:  # a router kept the object, and uses it outside of a replay
            type(self.instance).refresh_from_db(self.instance, using, fields, **options)
            return
        guard.stop(explain_unknown(self.instance, ", ".join(fields or ())))


def _wrap_parent_check(original: Any) -> Any:
    """
    Wrap the first step of Django's access to a missing field: the search under a parent's name.

    Loading would be the next step, but Django does not load a primary key, which it expects to be set.
    """

    @functools.wraps(original)
    def _check_parent_chain(self: DeferredAttribute, instance: Model) -> Any:
        guard = current_guard.get()
        if guard is None or not is_rebuilt(instance):
            return original(self, instance)
        link = instance._meta.get_ancestor_link(self.field.model) if self.field.primary_key else None
        if link is None or link.attname not in instance.__dict__:
            guard.stop(explain_unknown(instance, self.field.attname))
        return instance.__dict__[link.attname]

    return _check_parent_chain


PATCHES = Patches(((lambda: (DeferredAttribute, "_check_parent_chain")), _wrap_parent_check))


def is_rebuilt(thing: object) -> bool:
    """Return whether ``thing`` is an object that ``DecisionRebuilder`` made."""
    return isinstance(thing, Model) and isinstance(thing.__dict__.get("refresh_from_db"), _BlockedReload)


def explain_unknown(instance: Any, names: str | None) -> str:
    """Return why a question cannot be answered: a router read ``names`` of ``instance``."""
    if not names:
        return _("A router reloaded a %(model)s.") % {"model": instance._meta.label}
    return _("A router read %(names)s of a %(model)s, which the trace does not hold.") % {
        "names": names,
        "model": instance._meta.label,
    }


def _build_pk(model: type[Model], ref: InstanceRef) -> dict[str, Any]:
    """Return the primary key of ``ref`` as attributes; empty if the trace holds none that fits the model."""
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
