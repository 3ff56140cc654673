"""Lints of where models are read, written and migrated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module

from django.conf import settings
from django.db import connections
from django.db.models import Model

from dbroute_panel.conf import DUMMY
from dbroute_panel.inspection.arguments import AskError, build_object_from
from dbroute_panel.inspection.lints.registry import Problem, RoutingFacts, lint
from dbroute_panel.inspection.map import sample_answers
from dbroute_panel.records import Action, DecidedBy, Level

SAMPLE_SIZE = 100
"""How often a question is asked to estimate the shares of its answers."""

MAX_NAMES = 4
"""Maximum names listed in a message."""

MAX_TABLES = 3
"""Maximum models named in a message about tables."""


@lint("route-to-unknown-alias", Level.ERROR)
def route_to_unknown_alias(facts: RoutingFacts) -> Iterator[Problem]:
    """A model that is read or written on an alias that is not configured."""
    for model in facts.models:
        routes = facts.get_routes(model)
        for verb, aliases in (("read from", routes.read), ("written to", routes.write)):
            for alias in aliases:
                if alias not in connections.settings:
                    yield Problem(
                        model._meta.label,
                        f"{model._meta.label} is {verb} {alias!r}, which is not in DATABASES. "
                        "Configure that alias, or correct the router's answer.",
                    )


@lint("route-without-table", Level.WARNING)
def route_without_table(facts: RoutingFacts) -> Iterator[Problem]:
    """A managed model that is read or written where ``allow_migrate`` does not let its table be made."""
    for model in facts.models:
        if not model._meta.managed or model._meta.proxy:
            continue
        routes = facts.get_routes(model)
        for alias in sorted({*routes.read, *routes.write}):
            home = facts.get_primary(alias)
            if home not in facts.databases or Action.MIGRATE in routes.errors:
                continue
            if not routes.migrate.get(alias) and not routes.migrate.get(home):
                yield Problem(
                    model._meta.label,
                    f"{model._meta.label} goes to {alias}, but allow_migrate says that its table is not made "
                    f"there. Allow it on {home}, or route the model to a database that has the table.",
                )


@lint("replica-write-by-fallback", Level.ERROR)
def replica_write_by_fallback(facts: RoutingFacts) -> Iterator[Problem]:
    """An instance read from a replica that would be saved there, as no router answers ``db_for_write``."""
    for model in facts.models:
        for alias in facts.get_routes(model).read:
            if alias not in facts.primaries:
                continue
            try:
                read = build_object_from(model, alias)
            except AskError:
                continue
            decision = facts.ask(model, Action.WRITE, instance=read)
            if decision.answer == alias:
                yield Problem(
                    model._meta.label,
                    f"A {model._meta.label} read from the replica {alias} would be saved there. "
                    f"Answer db_for_write with {facts.get_primary(alias)}.",
                )


@lint("empty-default-reachable", Level.ERROR)
def empty_default_reachable(facts: RoutingFacts) -> Iterator[Problem]:
    """``default`` is ``{}``, and a model falls through to it."""
    options = connections.settings.get("default", {})
    if options.get("ENGINE") != DUMMY:
        return
    for model in facts.models:
        routes = facts.get_routes(model)
        verbs = [
            verb
            for verb, aliases in (("read", routes.read), ("written", routes.write))
            if "default" in aliases
        ]
        if verbs:
            yield Problem(
                model._meta.label,
                f"No router claims {model._meta.label}: it is {' and '.join(verbs)} on default, which is "
                "{}. Let a router answer for it, or configure default.",
            )


@lint("random-route", Level.INFO)
def random_route(facts: RoutingFacts) -> Iterator[Problem]:
    """
    Repeated questions that get different answers, with their shares.

    Reads that are divided among the databases of one declared replica group are no problem; writes are.
    """
    for model in facts.models:
        routes = facts.get_routes(model)
        for action, aliases in ((Action.READ, routes.read), (Action.WRITE, routes.write)):
            if len(aliases) < 2:
                continue
            if action is Action.READ and len({facts.get_primary(alias) for alias in aliases}) == 1:
                continue
            counts = sample_answers(model, action, SAMPLE_SIZE)
            listed = ", ".join(f"{answer} {count * 100 // SAMPLE_SIZE} %" for answer, count in counts)
            replicas = "If these are replicas of one primary, declare them in REPLICAS; else make"
            yield Problem(
                model._meta.label,
                f"{action} gives different answers for {model._meta.label}: {listed} of {SAMPLE_SIZE}. "
                f"{replicas if action is Action.READ else 'Make'} the router decide by the model.",
            )


@lint("router-raised", Level.ERROR)
def router_raised(facts: RoutingFacts) -> Iterator[Problem]:
    """
    Asking a router raised: one problem for each error, with all models that it was raised for.

    Errors that differ only in the name of the model that was asked about are one.
    """
    raised: dict[str, dict[str, list[str]]] = {}
    first: dict[str, str] = {}
    differ: set[str] = set()
    for model in facts.models:
        for action, error in facts.get_routes(model).errors.items():
            shown = first.setdefault(_mask_names(error, model), error)
            if shown != error:
                differ.add(shown)
            raised.setdefault(shown, {}).setdefault(action, []).append(model._meta.label)
    remedy = "A router should return None for what it has no opinion on."
    if not facts.routers:
        remedy = "No router was asked: first of all they have to be made (router-signature)."
    for error, actions in raised.items():
        labels = list(dict.fromkeys(label for found in actions.values() for label in found))
        yield Problem(
            labels[0],
            f"Asking {_join_names(list(actions))} about {_join_names(labels)} raised {error}"
            f"{', or the same with another name' if error in differ else ''}. {remedy}",
        )


def _mask_names(error: str, model: type[Model]) -> str:
    """Replace the label, class, app and table of ``model``, to compare errors of several models."""
    meta = model._meta
    names = sorted(
        {meta.label, meta.object_name or "", meta.model_name or "", meta.app_label, meta.db_table}, key=len
    )
    pattern = "|".join(re.escape(name) for name in reversed(names) if name)
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", "*", error, flags=re.IGNORECASE)


def _join_names(names: list[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b, c and 12 more``."""
    shown = (
        names if len(names) <= MAX_NAMES else [*names[: MAX_NAMES - 1], f"{len(names) - MAX_NAMES + 1} more"]
    )
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


@lint("session-read-from-replica", Level.WARNING)
def session_read_from_replica(facts: RoutingFacts) -> Iterator[Problem]:
    """The model of sessions is read from a replica, so that replication lag may lose a login."""
    model = _find_session_model(facts)
    if model is None:
        return
    for alias in facts.get_routes(model).read:
        if alias in facts.primaries:
            yield Problem(
                model._meta.label,
                f"Sessions are read from the replica {alias}: after a login it may not have the new one, "
                f"and the visitor is logged out. Read {model._meta.label} from {facts.get_primary(alias)}.",
            )
            return


def _find_session_model(facts: RoutingFacts) -> type[Model] | None:
    """Return the installed model in which ``SESSION_ENGINE`` keeps sessions, or None."""
    try:
        model = import_module(settings.SESSION_ENGINE).SessionStore.get_model_class()
    except Exception:  # an engine without a model (files, cookies), or one that cannot be imported
        return None
    return model if model in facts.models else None


@lint("table-on-several", Level.INFO)
def table_on_several(facts: RoutingFacts) -> Iterator[Problem]:
    """
    Tables that a router lets be made on several primaries, but that are read and written on one.

    Only if a router says yes, because by default Django makes every table everywhere. ``ContentType`` has a
    separate finding. A model that is used on several databases is no problem.
    """
    placed: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for model in _list_migrated_models(facts):
        aliases = [alias for alias in facts.get_migrate_aliases(model) if alias not in facts.primaries]
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
    """A declared replica on which ``migrate`` would make tables, although replication brings them."""
    for alias in sorted(facts.primaries):
        if alias not in facts.databases:
            continue
        labels = [
            model._meta.label
            for model in _list_migrated_models(facts)
            if alias in facts.get_migrate_aliases(model)
        ]
        if labels:
            yield Problem(
                alias,
                f"allow_migrate lets the {_join_tables(labels)} be made on {alias}, a replica of "
                f"{facts.get_primary(alias)}: migrate --database={alias} would write there. Answer False for "
                f"{alias}; replication brings the tables.",
            )


def _list_migrated_models(facts: RoutingFacts) -> list[type[Model]]:
    """Return the models that ``migrate`` makes tables of, without ``ContentType``."""
    return [
        model
        for model in facts.models
        if model._meta.managed
        and not model._meta.proxy
        and model._meta.label != "contenttypes.ContentType"
        and Action.MIGRATE not in facts.get_routes(model).errors
    ]


def _join_tables(labels: list[str]) -> str:
    """Return ``table of shop.A``, or ``tables of shop.A, shop.B, shop.C and 4 more models``."""
    if len(labels) == 1:
        return f"table of {labels[0]}"
    more = len(labels) - MAX_TABLES
    named = ", ".join(labels[:MAX_TABLES])
    return f"tables of {named}" + (f" and {more} more models" if more > 0 else "")
