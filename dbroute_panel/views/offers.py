"""What does the sandbox offer to somebody who has not asked yet, or who named a model that is not there?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from django.apps import apps
from django.db import connections
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.utils.translation import gettext as _

from dbroute_panel.conf import DUMMY, replicas
from dbroute_panel.forms import SandboxForm
from dbroute_panel.inspection.arguments import HIDDEN_APPS, list_models
from dbroute_panel.records import Action
from dbroute_panel.suggestions import match_labels, suggest_labels

from .rendering import Admin, render_partial

MODEL_FIELDS: Final = ("model", "other_model")
"""The fields that take the label of a model."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A question in words, and the link that fills the form in with it."""

    text: str
    action: str
    link: str


class ModelSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    """A label that may have been meant, and the link to the same question about it."""

    label: str
    link: str


def model_labels(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """The type-ahead: options for what is typed in one of the fields so far."""
    typed = next((request.GET[name] for name in MODEL_FIELDS if name in request.GET), "")
    return render_partial(request, "_models.html", {"labels": find_labels(typed)})


def find_labels(typed: str) -> list[str]:
    """Some of the labels that can be typed on from here."""
    return match_labels(typed, (model._meta.label for model in list_models()))


def build_permalink(given: Mapping[str, str]) -> str:
    """The parameters that fill the form in as it is, without what is empty."""
    link = QueryDict(mutable=True)
    for name in SandboxForm.base_fields:
        if value := given.get(name):
            link[name] = value
    return f"?{link.urlencode()}"


def suggest_models(given: Mapping[str, str]) -> list[ModelSuggestion]:
    """What to ask about instead, where a field names no model; nothing where both are right."""
    labels = [model._meta.label for model in list_models()]
    if given.get("action") == Action.MIGRATE:
        labels += sorted(set(apps.app_configs) - HIDDEN_APPS)
    known = {label.casefold() for label in labels}
    return [
        ModelSuggestion(
            label=label, link=build_permalink({name: given.get(name, "") for name in given} | {field: label})
        )
        for field in MODEL_FIELDS
        if (typed := given.get(field, "").strip()) and typed.casefold() not in known
        for label in suggest_labels(typed, labels)
    ]


def build_examples() -> list[Example]:
    """One question of each kind that this project's routers can be asked."""
    model, other = _pick_models()
    databases = _pick_databases()
    if not model or databases is None:
        return []
    names = {"model": model, "other": other, "one": databases[0], "two": databases[1]}
    return [
        _build_example(
            _("Where is %(model)s read from? Asked 100 times, so that a random answer shows itself.") % names,
            {"action": Action.READ, "model": model, "repeat": "100"},
        ),
        _build_example(
            _("Where would an object of %(model)s that was read from %(two)s be written?") % names,
            {"action": Action.WRITE, "model": model, "instance": "from", "instance_db": names["two"]},
        ),
        _build_example(
            _("May an object of %(model)s from %(one)s and one of %(other)s from %(two)s be related?")
            % names,
            {"action": Action.RELATION, "model": model, "instance": "from", "instance_db": names["one"]}
            | {"other_model": other, "other": "from", "other_db": names["two"]},
        ),
        _build_example(
            _("Does %(model)s get its table on %(one)s?") % names,
            {"action": Action.MIGRATE, "model": model, "db": names["one"]},
        ),
    ]


def _build_example(text: str, given: dict[str, str]) -> Example:
    return Example(text=text, action=given["action"], link=build_permalink(given))


def _pick_databases() -> tuple[str, str] | None:
    """Two databases to ask about: a primary and its replica, where there are such."""
    aliases = [
        str(alias)
        for alias, options in connections.settings.items()
        if (options.get("ENGINE") or DUMMY) != DUMMY
    ]
    pairs = [(primary, alias) for alias, primary in replicas().items() if {alias, primary} <= set(aliases)]
    return pairs[0] if pairs else (aliases[0], aliases[-1]) if aliases else None


def _pick_models() -> tuple[str, str]:
    """Two models to ask about: the project's own, where it has some."""
    models = [model for model in list_models() if not model._meta.auto_created]
    own = [model for model in models if not model.__module__.startswith("django.")]
    labels = [model._meta.label for model in own or models]
    return (labels[0], labels[1 if len(labels) > 1 else 0]) if labels else ("", "")
