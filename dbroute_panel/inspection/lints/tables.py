"""Where ``migrate`` makes tables, held against where they are used and who copies them."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Model

from dbroute_panel.inspection.lints.registry import Problem, RoutingFacts, lint
from dbroute_panel.records import Action, DecidedBy, Level

MAX_TABLES = 3
"""How many models a message names."""


@lint("table-on-several", Level.INFO)
def table_on_several(facts: RoutingFacts) -> Iterator[Problem]:
    """
    Tables that a router lets be made on several primaries, and that are read and written on one of them.

    Only where a router says yes: by default Django makes every table everywhere. ``ContentType`` has a
    finding of its own, and a model that is used on several databases is meant to be there.
    """
    placed: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for model in _list_migrated_models(facts):
        aliases = [alias for alias in _list_allowed_aliases(facts, model) if alias not in facts.primaries]
        used = {
            facts.get_primary(alias)
            for alias in (*facts.get_routes(model).read, *facts.get_routes(model).write)
        }
        if len(aliases) < 2 or len(used) != 1 or not used <= set(aliases):
            continue
        decisions = [facts.ask(model, Action.MIGRATE, db=alias) for alias in aliases]
        routers = {decision.router for decision in decisions}
        if len(routers) == 1 and all(decision.decided_by is DecidedBy.ROUTER for decision in decisions):
            key = (str(routers.pop()), tuple(aliases), used.pop())
            placed.setdefault(key, []).append(model._meta.label)
    for (router, homes, home), labels in placed.items():
        yield Problem(
            router,
            f"allow_migrate lets the {_join_tables(labels)} be made on {' and '.join(homes)}, which are no "
            f"replicas of one primary, but all routers read and write on {home}. Unless code names "
            f"the others with using(), answer True on {home} alone.",
        )


@lint("replica-migratable", Level.INFO)
def replica_migratable(facts: RoutingFacts) -> Iterator[Problem]:
    """A declared replica on which ``migrate`` would make tables: replication brings those of its primary."""
    for alias in sorted(facts.primaries):
        if alias not in facts.databases:
            continue
        labels = [
            model._meta.label
            for model in _list_migrated_models(facts)
            if alias in _list_allowed_aliases(facts, model)
        ]
        if labels:
            yield Problem(
                alias,
                f"allow_migrate lets the {_join_tables(labels)} be made on {alias}, a replica of "
                f"{facts.get_primary(alias)}: migrate --database={alias} would write there. Answer False for "
                f"{alias}; replication brings the tables.",
            )


def _list_migrated_models(facts: RoutingFacts) -> list[type[Model]]:
    """The models that ``migrate`` makes tables of, but for ``ContentType``."""
    return [
        model
        for model in facts.models
        if model._meta.managed
        and not model._meta.proxy
        and model._meta.label != "contenttypes.ContentType"
        and Action.MIGRATE not in facts.get_routes(model).errors
    ]


def _list_allowed_aliases(facts: RoutingFacts, model: type[Model]) -> list[str]:
    """The aliases, of real databases, on which the model's table would be made."""
    return [
        alias
        for alias, allowed in facts.get_routes(model).migrate.items()
        if allowed and alias in facts.databases
    ]


def _join_tables(labels: list[str]) -> str:
    """``table of shop.A``, or ``tables of shop.A, shop.B, shop.C and 4 more models``."""
    if len(labels) == 1:
        return f"table of {labels[0]}"
    more = len(labels) - MAX_TABLES
    named = ", ".join(labels[:MAX_TABLES])
    return f"tables of {named}" + (f" and {more} more models" if more > 0 else "")
