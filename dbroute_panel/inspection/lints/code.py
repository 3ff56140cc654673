"""The project's own code around the routers: its managers and its data migrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.db import router
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunPython, RunSQL
from django.db.migrations.operations.base import Operation

from dbroute_panel.inspection.lints.registry import Problem, RoutingFacts, lint
from dbroute_panel.recording.frame_kinds import USER, classify_file
from dbroute_panel.records import Level


@lint("manager-ignores-db", Level.ERROR)
def manager_ignores_db(facts: RoutingFacts) -> Iterator[Problem]:
    """A manager whose ``get_queryset()`` forgets ``self._db``: ``db_manager(alias)`` has no effect."""
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
    except Exception:  # a manager that needs more than an alias says nothing about it
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
    """Whether the app is the project's own: migrations of installed packages are not theirs to change."""
    return classify_file(f"{apps.get_app_config(app_label).path}/migrations/__init__.py") == USER


def _allows(alias: str, app_label: str) -> bool:
    try:
        return bool(router.allow_migrate(alias, app_label))
    except Exception:  # router-raised tells it
        return False
