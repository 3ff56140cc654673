"""
What a question is about: the model a label names, and the object to give as a hint.

Every mistake of the person asking is an ``AskError``, whose message says what would be right.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist, ValidationError
from django.db import DatabaseError, connections
from django.db.models import Model
from django.utils.translation import gettext as _

from dbroute_panel.masking.credentials import mask_credentials
from dbroute_panel.records import Action
from dbroute_panel.suggestions import did_you_mean

HIDDEN_APPS = frozenset({"dbroute_panel", "dbroute_panel_store", "debug_toolbar"})
"""The tool's own models and the toolbar's are not offered, and not part of the map."""


class AskError(ValueError):
    """The question cannot be asked; the message says why, and what would be right."""


class ObjectSource(enum.StrEnum):
    """Where the object of a hint comes from."""

    NONE = "none"
    NEW = "new"
    FROM = "from"
    ROW = "row"


@dataclass(frozen=True)
class ObjectSpec:
    """
    An object to be made for a question.

    ``NEW``: unsaved. ``FROM``: said to have been read from ``alias``, made without a query. ``ROW``:
    the row with the primary key ``pk``, read from ``alias`` by one query.
    """

    source: ObjectSource = ObjectSource.NONE
    alias: str = ""
    pk: str = ""

    def build(self, model: type[Model]) -> Model | None:
        """The object, or None for ``NONE``. Raises ``AskError``."""
        if self.source is ObjectSource.NONE:
            return None
        if self.source is ObjectSource.NEW:
            return build_object(model)
        if self.source is ObjectSource.FROM:
            return build_object_from(model, self.alias)
        return fetch_row(model, self.alias, self.pk)


def list_models() -> list[type[Model]]:
    """Every installed model that can be asked about, auto-created ones included, in order of their labels."""
    models = apps.get_models(include_auto_created=True)
    return sorted((m for m in models if m._meta.app_label not in HIDDEN_APPS), key=lambda m: m._meta.label)


def find_model(label: str) -> type[Model]:
    """The model that ``label`` ("library.Book") names, in any case. Raises ``AskError``."""
    try:  # the registry knows at once; a question may be asked a thousand times about one of a thousand
        model = apps.get_model(label.strip())
    except (LookupError, ValueError):
        pass
    else:
        if model._meta.app_label not in HIDDEN_APPS and not model._meta.swapped:
            return model
    models = {model._meta.label: model for model in list_models()}
    folded = {name.casefold(): model for name, model in models.items()}
    if label.strip().casefold() in folded:
        return folded[label.strip().casefold()]
    raise AskError(_("No model %(label)r. %(hint)s") % {"label": label, "hint": did_you_mean(label, models)})


def find_app(label: str) -> str:
    """``label`` where an installed app has it. Raises ``AskError``."""
    labels = set(apps.app_configs) - HIDDEN_APPS
    if label in labels:
        return label
    raise AskError(_("No app %(label)r. %(hint)s") % {"label": label, "hint": did_you_mean(label, labels)})


def find_alias(alias: str) -> str:
    """``alias`` where it is one of ``DATABASES``. Raises ``AskError``."""
    if alias in connections.settings:
        return alias
    raise AskError(
        _("No database %(alias)r. %(hint)s")
        % {"alias": alias, "hint": did_you_mean(alias, connections.settings)}
    )


def find_action(name: str) -> Action:
    """The question that ``name`` names. Raises ``AskError``."""
    try:
        return Action(name)
    except ValueError:
        hint = did_you_mean(name, [action.value for action in Action])
        raise AskError(_("No question %(name)r. %(hint)s") % {"name": name, "hint": hint}) from None


def build_object(model: type[Model]) -> Model:
    """An unsaved object with the defaults of its fields. Raises ``AskError``."""
    try:
        return model()
    except Exception as error:  # the model's own __init__
        raise AskError(
            _("%(model)s() cannot be made without arguments: %(error)s")
            % {"model": model._meta.label, "error": error}
        ) from error


def build_object_from(model: type[Model], alias: str) -> Model:
    """
    An object that looks as if it had been read from ``alias``, made without any query.

    Its fields have their defaults rather than being deferred, so that a router that looks at one
    does not load it.
    """
    made = build_object(model)
    made._state.db = find_alias(alias)
    made._state.adding = False
    return made


def _parse_pk(model: type[Model], pk: str) -> Any:
    """A composite primary key is given as the JSON array that a trace has for it."""
    return json.loads(pk) if len(getattr(model._meta, "pk_fields", ())) > 1 else pk


def fetch_row(model: type[Model], alias: str, pk: str) -> Model:
    """The row ``pk`` of ``alias``: one query, there and nowhere else. Raises ``AskError``."""
    alias = find_alias(alias)
    names = {"model": model._meta.label, "pk": pk, "alias": alias}
    if not pk:
        raise AskError(_("A real row needs its primary key.") % names)
    try:
        return model._base_manager.using(alias).get(pk=_parse_pk(model, pk))
    except ObjectDoesNotExist:
        raise AskError(_("%(alias)s has no %(model)s with the primary key %(pk)r.") % names) from None
    except (ValueError, TypeError, ValidationError):
        raise AskError(_("%(pk)r cannot be a primary key of %(model)s.") % names) from None
    except (DatabaseError, ImproperlyConfigured) as error:  # no such table; a database that is {}
        raise AskError(
            _("%(model)s cannot be read from %(alias)s: ") % names + mask_credentials(str(error))
        ) from error
