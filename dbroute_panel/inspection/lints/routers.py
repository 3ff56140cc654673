"""Lints of the routers themselves, and of the project's code around them: managers and data migrations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any

from django.apps import apps
from django.db import router
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunPython, RunSQL
from django.db.migrations.operations.base import Operation
from django.utils.module_loading import import_string

from dbroute_panel.environment import dotted_path
from dbroute_panel.inspection.lints.registry import Problem, RoutingFacts, lint
from dbroute_panel.recording.errors import describe_error
from dbroute_panel.recording.frame_kinds import FrameKind, classify_file
from dbroute_panel.records import Action, Level, Outcome

MODEL_ACTIONS = (Action.READ, Action.WRITE, Action.MIGRATE)
"""The questions that can be asked about a model alone."""


@lint("unreachable-router", Level.WARNING)
def unreachable_router(facts: RoutingFacts) -> Iterator[Problem]:
    """A router method that no model ever reaches, because routers before it always answer."""
    routers = facts.routers
    if not routers:
        return
    for action in MODEL_ACTIONS:
        unreached = set(range(len(routers)))
        for model in facts.models:
            for arguments in _build_arguments(facts, action):
                decision = facts.ask(model, action, **arguments)
                if len(decision.steps) != len(routers):
                    return  # a router class that overrides the whole chain
                unreached -= {
                    i for i, step in enumerate(decision.steps) if step.outcome is not Outcome.NOT_ASKED
                }
            if not unreached:
                break
        for position in sorted(unreached) if facts.models else ():
            if _get_method(routers[position], action) is not None:
                path = dotted_path(routers[position])
                yield Problem(
                    path,
                    f"No model ever reaches {path}.{action}(): the routers before it answer for every model. "
                    "Move it up, or let them return None for what is not theirs.",
                )


def _build_arguments(facts: RoutingFacts, action: Action) -> list[dict[str, str]]:
    return [{"db": alias} for alias in facts.databases] if action is Action.MIGRATE else [{}]


@lint("router-signature", Level.ERROR)
def router_signature(facts: RoutingFacts) -> Iterator[Problem]:
    """A router that Django cannot make or call, or that is written for an old Django."""
    if not facts.routers:
        yield from _find_broken_entries()
    for each in facts.routers:
        path = dotted_path(each)
        methods = {action: _get_method(each, action) for action in Action}
        if isinstance(each, type) and any(isinstance(_get_static(each, a), FunctionType) for a in Action):
            yield Problem(
                path,
                f"{path} is a class, so that its methods get no self. Put an instance into DATABASE_ROUTERS.",
            )
            continue
        if methods[Action.MIGRATE] is None and _get_method(each, "allow_syncdb") is not None:
            yield Problem(
                path,
                f"{path} defines allow_syncdb, which Django has not called since 1.9. Rename it to "
                "allow_migrate(db, app_label, model_name=None, **hints).",
            )
        for action, method in methods.items():
            mistake = None if method is None else _check_signature(action, method)
            if mistake:
                yield Problem(path, f"{path}.{action}() {mistake}")


def _find_broken_entries() -> Iterator[Problem]:
    """Yield entries of ``DATABASE_ROUTERS`` that cannot be made, which fails every question to Django."""
    for entry in getattr(router, "_routers", None) or ():  # the setting, once it was tried
        if not isinstance(entry, str):
            continue
        try:
            import_string(entry)()
        except Exception as error:  # whatever the user's module raises
            yield Problem(
                entry,
                f"The router {entry} of DATABASE_ROUTERS cannot be made: {describe_error(error)}. Until then "
                "every question to the routers fails. Correct its path, or what its module or class raises.",
            )


def _get_static(router: Any, name: str) -> Any:
    return inspect.getattr_static(router, name, None)


def _get_method(router: Any, name: str) -> Callable[..., Any] | None:
    """Return the bound method, or None. A property of that name is not run."""
    found = _get_static(router, name)
    if found is None or isinstance(found, property):
        return None
    method = getattr(router, name)
    return method if callable(method) else None


def _check_signature(action: Action, method: Callable[..., Any]) -> str | None:
    """Return what is wrong with a method's signature, and how it should be; or None."""
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # a callable written in C: nothing to see
        return None
    names = [
        p.name
        for p in signature.parameters.values()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY)
    ]
    takes_hints = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    if action is Action.MIGRATE and names[:2] == ["db", "model"]:
        return "takes (db, model), as before Django 1.8. Take (db, app_label, model_name=None, **hints)."
    if not takes_hints:
        return "takes no **hints, so that a call with a hint raises TypeError. Add **hints to its parameters."
    return None


@lint("manager-ignores-db", Level.ERROR)
def manager_ignores_db(facts: RoutingFacts) -> Iterator[Problem]:
    """A manager whose ``get_queryset()`` ignores ``self._db``: ``db_manager(alias)`` has no effect."""
    aliases = facts.databases[:2]
    for model in facts.models:
        for manager in model._meta.managers:
            if any(_forgets_db(manager, alias) for alias in aliases):
                yield Problem(
                    model._meta.label,
                    f"{model._meta.label}.{manager.name}.db_manager(alias).all() does not use alias. In "
                    "get_queryset(), call super().get_queryset(), or pass using=self._db to the queryset.",
                )


def _forgets_db(manager: Any, alias: str) -> bool:
    try:
        return str(manager.db_manager(alias).all().db) != alias
    except Exception:  # a manager that needs more than an alias cannot be checked
        return False


@lint("data-migration-everywhere", Level.INFO)
def data_migration_everywhere(facts: RoutingFacts) -> Iterator[Problem]:
    """``RunPython`` or ``RunSQL`` without hints that the routers let run on several databases."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    homes = [alias for alias in facts.databases if alias not in facts.primaries]
    for (app_label, name), migration in sorted(loader.disk_migrations.items()):
        if not _is_own_app(app_label):
            continue
        for operation in _find_unhinted(migration.operations):
            allowed = [alias for alias in homes if _allows(alias, app_label)]
            if len(allowed) > 1:
                yield Problem(
                    f"{app_label}.{name}",
                    f"{type(operation).__name__} in {app_label}.{name} has no hints, so that it runs on "
                    f"{', '.join(allowed)}. Give it hints, and let allow_migrate decide by them.",
                )
                break


def _find_unhinted(operations: Sequence[Operation]) -> Iterator[Operation]:
    for operation in operations:
        if (
            isinstance(operation, (RunPython, RunSQL))
            and not operation.hints
            and not _does_nothing(operation)
        ):
            yield operation


def _does_nothing(operation: RunPython | RunSQL) -> bool:
    if isinstance(operation, RunPython):
        return operation.code is RunPython.noop
    return operation.sql == RunSQL.noop


def _is_own_app(app_label: str) -> bool:
    """Return whether the project can change the app's migrations, which are not of an installed package."""
    return classify_file(f"{apps.get_app_config(app_label).path}/migrations/__init__.py") is FrameKind.USER


def _allows(alias: str, app_label: str) -> bool:
    try:
        return bool(router.allow_migrate(alias, app_label))
    except Exception:  # router-raised reports it
        return False
