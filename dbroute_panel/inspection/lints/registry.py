"""
The registry of static findings, and the facts that they judge.

A lint is a function that takes ``Facts`` and yields ``Problem(subject, message)``; ``@lint`` gives it
its code and level. The routers were asked once, for ``Facts``; a lint that has to ask more does it
through ``Facts.ask()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.models import Field, ForeignKey, Model

from dbroute_panel.conf import DUMMY, replicas
from dbroute_panel.inspection.arguments import list_models
from dbroute_panel.inspection.explain import explain
from dbroute_panel.inspection.map import ModelRoutes, RoutingMap
from dbroute_panel.records import Action, Decision, Level


class Problem(NamedTuple):
    """Something wrong with ``subject``: a model label, the path of a router, an alias or a migration."""

    subject: str
    message: str


class Lint(NamedTuple):
    """One entry of the registry."""

    code: str
    level: Level
    problems: Callable[[RoutingFacts], Iterable[Problem]]


LINTS: dict[str, Lint] = {}


def lint(code: str, level: Level) -> Callable[[Callable[[RoutingFacts], Iterable[Problem]]], Any]:
    """Register the function as the static finding ``code``."""

    def register(function: Callable[[RoutingFacts], Iterable[Problem]]) -> Any:
        LINTS[code] = Lint(code, level, function)
        return function

    return register


@dataclass
class RoutingFacts:
    """The map as the routers answered it, and what else of the project a lint looks at."""

    routes: RoutingMap

    @cached_property
    def models(self) -> list[type[Model]]:
        """Every model of the map, in order of their labels."""
        return [model for model in list_models() if model._meta.label in self.routes.models]

    @cached_property
    def primaries(self) -> dict[str, str]:
        """Replica to primary."""
        return replicas()

    @cached_property
    def databases(self) -> list[str]:
        """The aliases that are real databases: not a ``default`` left ``{}``."""
        return [alias for alias, options in connections.settings.items() if options["ENGINE"] != DUMMY]

    @cached_property
    def routers(self) -> list[Any]:
        """The routers, in the order in which they are asked; none where Django cannot make all of them."""
        try:
            return list(router.routers)
        except Exception:  # importing the user's modules may raise anything; router-signature says what
            return []

    def get_routes(self, model: type[Model]) -> ModelRoutes:
        """What the routers answered about a model of the map."""
        return self.routes.models[model._meta.label]

    def find_model(self, label: str) -> type[Model] | None:
        """The model with this label, if it is installed."""
        return next((model for model in self.models if model._meta.label_lower == label.lower()), None)

    def get_primary(self, alias: str) -> str:
        """The primary of the replica group that ``alias`` belongs to."""
        return self.primaries.get(alias, alias)

    def get_homes(self, model: type[Model]) -> set[str]:
        """The primaries that a model is written to, of real databases; where asking raised, the empty set."""
        return {
            home
            for alias in self.get_routes(model).write
            if (home := self.get_primary(alias)) in self.databases
        }

    def ask(self, model: type[Model], action: Action, **arguments: Any) -> Decision:
        """One more question, as ``explain()`` asks it."""
        return explain(model, action, **arguments)

    def foreign_keys(self) -> Iterator[tuple[type[Model], Field[Any, Any], type[Model]]]:
        """(model, field, model pointed to) of each foreign key and one-to-one that is stored in the model."""
        for model in self.models:
            for field in model._meta.local_fields:  # a proxy has none of its own
                if isinstance(field, ForeignKey) and (to := field.related_model) in self.models:
                    yield model, field, to
