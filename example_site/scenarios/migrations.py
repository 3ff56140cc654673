"""Which tables a migration makes on which database."""

from __future__ import annotations

from django.apps import apps
from django.core.management import call_command
from django.db import connections

from example_site.scenarios.registry import scenario


@scenario(
    10,
    "allow_migrate says no",
    shows="migrate succeeds and makes no table: PrimaryReplicaRouter keeps the library off auth_db.",
    kind="command",
    databases="copy",
)
def not_migrated():
    call_command("migrate", "library", database="auth_db", verbosity=0)
    tables = connections["auth_db"].introspection.table_names()
    yield f"Tables of the library on auth_db: {[name for name in tables if name.startswith('library_')]}"


@scenario(
    30,
    "allow_migrate has no opinion",
    shows="Nobody says anything about notes, so that migrating the primary makes their table there, too.",
    kind="command",
    databases="copy",
)
def migrated_by_default():
    call_command("migrate", "notes", database="primary", verbosity=0)
    tables = connections["primary"].introspection.table_names()
    yield f"Tables of the notes on primary: {[name for name in tables if name.startswith('notes_')]}"


@scenario(
    24,
    "What Django makes after migrate",
    shows="Content types and permissions on auth_db alone; the site, which no router claims, on both.",
    kind="command",
    settings=("example_site.variants.sites",),
    databases="empty",
)
def made_after_migrate():
    for alias in ("auth_db", "primary"):
        call_command("migrate", database=alias, verbosity=0)
        tables = connections[alias].introspection.table_names()
        for label in ("sites.Site", "contenttypes.ContentType", "auth.Permission"):
            model = apps.get_model(label)
            if model._meta.db_table in tables:
                yield f"{alias}: {label}, {model.objects.using(alias).count()} rows"
            else:
                yield f"{alias}: {label}, no table"
