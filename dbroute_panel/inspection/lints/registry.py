"""
The registry of static findings, and the facts that they check.

A lint is a function that takes ``RoutingFacts`` and yields ``Problem(subject, message)``; ``@lint`` gives it
a code and a level. The routers were asked once for the facts; a lint that needs more calls
``RoutingFacts.ask()``.
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
    """A problem of ``subject``: a model label, the path of a router, an alias or a migration."""

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
    """The map of the routers' answers, and other facts of the project for lints."""

    routes: RoutingMap

    @cached_property
    def models(self) -> list[type[Model]]:
        """The models of the map, sorted by label."""
        return [model for model in list_models() if model._meta.label in self.routes.models]

    @cached_property
    def primaries(self) -> dict[str, str]:
        """Replica to primary."""
        return replicas()

    @cached_property
    def databases(self) -> list[str]:
        """The aliases of real databases, without a ``default`` that is ``{}``."""
        return [alias for alias, options in connections.settings.items() if options["ENGINE"] != DUMMY]

    @cached_property
    def routers(self) -> list[Any]:
        """The routers in the order in which they are asked; none if Django cannot make all of them."""
        try:
            return list(router.routers)
        except Exception:  # the user's modules may raise anything; router-signature reports it
            return []

    def get_routes(self, model: type[Model]) -> ModelRoutes:
        """Return what the routers answered about a model of the map."""
        return self.routes.models[model._meta.label]

    def find_model(self, label: str) -> type[Model] | None:
        """Return the model with this label, if it is installed."""
        return next((model for model in self.models if model._meta.label_lower == label.lower()), None)

    def get_primary(self, alias: str) -> str:
        """Return the primary of the replica group that ``alias`` belongs to."""
        return self.primaries.get(alias, alias)

    def get_homes(self, model: type[Model]) -> set[str]:
        """Return the real primaries that a model is written to; an empty set if asking raised."""
        return {self.get_primary(alias) for alias in self.get_routes(model).write} & {*self.databases}

    def get_migrate_aliases(self, model: type[Model]) -> list[str]:
        """Return the aliases of real databases on which the model's table would be made."""
        migrate = self.get_routes(model).migrate
        return [alias for alias, allowed in migrate.items() if allowed and alias in self.databases]

    def ask(self, model: type[Model], action: Action, **arguments: Any) -> Decision:
        """Ask one more question, as ``explain()`` does."""
        return explain(model, action, **arguments)

    def foreign_keys(self) -> Iterator[tuple[type[Model], Field[Any, Any], type[Model]]]:
        """Yield (model, field, target model) of each foreign key and one-to-one that a model stores."""
        for model in self.models:
            for field in model._meta.local_fields:  # a proxy has none
                if isinstance(field, ForeignKey) and (to := field.related_model) in self.models:
                    yield model, field, to
