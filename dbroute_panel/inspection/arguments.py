"""
Resolve the arguments of a question: models, apps, aliases, and objects to give as hints.

Each wrong argument is an ``AskError`` whose message names what is valid.
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
"""Apps whose models are not offered and not part of the map: the tool's own and the toolbar's."""

MAX_REPEATS = 1000
"""Maximum times that one question is asked."""


class AskError(ValueError):
    """The question cannot be asked. The message says why, and names what is valid."""


class ObjectSource(enum.StrEnum):
    """The origin of an object that is given as a hint."""

    NONE = "none"
    NEW = "new"
    FROM = "from"
    ROW = "row"


@dataclass(frozen=True)
class ObjectSpec:
    """
    An object to build for a question.

    ``NEW``: unsaved. ``FROM``: as if read from ``alias``, built without a query. ``ROW``: the row with the
    primary key ``pk``, read from ``alias`` by one query.
    """

    source: ObjectSource = ObjectSource.NONE
    alias: str = ""
    pk: str = ""

    def build(self, model: type[Model]) -> Model | None:
        """Build the object; None for ``NONE``. Raises ``AskError``."""
        if self.source is ObjectSource.NONE:
            return None
        if self.source is ObjectSource.NEW:
            return build_object(model)
        if self.source is ObjectSource.FROM:
            return build_object_from(model, self.alias)
        return fetch_row(model, self.alias, self.pk)


def list_models() -> list[type[Model]]:
    """Return the models that can be asked about, auto-created ones included, sorted by label."""
    models = apps.get_models(include_auto_created=True)
    return sorted((m for m in models if m._meta.app_label not in HIDDEN_APPS), key=lambda m: m._meta.label)


def find_model(label: str) -> type[Model]:
    """Return the model that ``label`` ("library.Book") names, in any case. Raises ``AskError``."""
    try:  # fast path: a question may be asked a thousand times in a project of a thousand models
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
    """Return ``label`` if an installed app has it. Raises ``AskError``."""
    labels = set(apps.app_configs) - HIDDEN_APPS
    if label in labels:
        return label
    raise AskError(_("No app %(label)r. %(hint)s") % {"label": label, "hint": did_you_mean(label, labels)})


def find_alias(alias: str) -> str:
    """Return ``alias`` if it is in ``DATABASES``. Raises ``AskError``."""
    if alias in connections.settings:
        return alias
    raise AskError(
        _("No database %(alias)r. %(hint)s")
        % {"alias": alias, "hint": did_you_mean(alias, connections.settings)}
    )


def find_action(name: str) -> Action:
    """Return the question that ``name`` names. Raises ``AskError``."""
    try:
        return Action(name)
    except ValueError:
        hint = did_you_mean(name, [action.value for action in Action])
        raise AskError(_("No question %(name)r. %(hint)s") % {"name": name, "hint": hint}) from None


def check_repeat(repeat: int) -> None:
    """Raise ``AskError`` unless a question can be asked ``repeat`` times."""
    if not 1 <= repeat <= MAX_REPEATS:
        names = {"most": MAX_REPEATS, "repeat": repeat}
        raise AskError(_("Ask 1 to %(most)d times, not %(repeat)d.") % names)


def build_object(model: type[Model]) -> Model:
    """Build an unsaved object with the defaults of its fields. Raises ``AskError``."""
    try:
        return model()
    except Exception as error:  # the model's own __init__
        raise AskError(
            _("%(model)s() cannot be made without arguments: %(error)s")
            % {"model": model._meta.label, "error": error}
        ) from error


def build_object_from(model: type[Model], alias: str) -> Model:
    """
    Build an object that looks as if it had been read from ``alias``, without a query.

    Its fields have their defaults and are not deferred, so that a router that reads one does not load it.
    """
    made = build_object(model)
    made._state.db = find_alias(alias)
    made._state.adding = False
    return made


def _parse_pk(model: type[Model], pk: str) -> Any:
    """Parse a composite primary key, which is given as the JSON array that a trace has for it."""
    return json.loads(pk) if len(getattr(model._meta, "pk_fields", ())) > 1 else pk


def fetch_row(model: type[Model], alias: str, pk: str) -> Model:
    """Read the row ``pk`` from ``alias`` by one query. Raises ``AskError``."""
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
