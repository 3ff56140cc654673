"""
The scenarios: what Django does with several databases, case by case, by really doing it.

``SCENARIOS`` has them by number; ``running.run()`` runs one, for the front page and for the tests.
"""

from __future__ import annotations

from types import ModuleType

from example_site.scenarios import (
    across_databases,
    admin_sites,
    commands,
    contrib_apps,
    fallbacks,
    hosts,
    lagging_replicas,
    managers,
    migrations,
    misbehaving,
    moving,
    relations,
    router_order,
    several_databases,
    transactions,
    using,
    walk_through,
)
from example_site.scenarios.registry import SCENARIOS, Scenario

__all__ = ["GROUPS", "SCENARIOS", "Scenario"]

MODULES = (
    walk_through,
    several_databases,
    using,
    moving,
    managers,
    fallbacks,
    relations,
    across_databases,
    lagging_replicas,
    transactions,
    hosts,
    router_order,
    misbehaving,
    migrations,
    contrib_apps,
    commands,
    admin_sites,
)


def _of(module: ModuleType) -> list[Scenario]:
    return [each for _, each in sorted(SCENARIOS.items()) if each.function.__module__ == module.__name__]


#: The scenarios in the order in which they are best read: (what a module is about, its scenarios by number).
GROUPS = [((module.__doc__ or "").strip(), _of(module)) for module in MODULES]
