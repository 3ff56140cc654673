"""Where ``migrate`` makes the content type and the permissions of the unmanaged model ``Trace``."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connections

from tests.stores import databases

pytestmark = pytest.mark.usefixtures("site")


def rows(alias: str) -> tuple[list[str] | None, list[str] | None]:
    """Content types and permissions of the app on ``alias``; None where there is no such table."""
    tables = connections[alias].introspection.table_names()
    types = ContentType.objects.using(alias).filter(app_label="dbroute_panel")
    permissions = Permission.objects.using(alias).filter(content_type__in=types)
    return (
        [*types.values_list("model", flat=True)] if "django_content_type" in tables else None,
        [*permissions.values_list("codename", flat=True)] if "auth_permission" in tables else None,
    )


MADE = (["trace"], ["add_trace", "delete_trace", "use_sandbox", "view_trace"])


def test_they_are_made_where_auth_and_contenttypes_live_and_nowhere_else():
    for alias in ("auth_db", "primary", "legacy_users"):
        call_command("migrate", database=alias, verbosity=0)
    assert rows("auth_db") == MADE
    assert rows("primary") == (["trace"], None)  # its routers keep content types there, too
    assert rows("legacy_users") == (None, None)


class AuthOnOne:
    """``auth`` on one database, content types on every one."""

    def allow_migrate(self, db, app_label, **hints):
        return app_label == "contenttypes" or (app_label == "auth" and db == "one")


def test_no_permission_is_made_where_only_contenttypes_live(settings, tmp_path):
    settings.DATABASE_ROUTERS = [AuthOnOne()]
    engine = "django.db.backends.sqlite3"
    with (
        databases.database("one", ENGINE=engine, NAME=str(tmp_path / "one.sqlite3")) as one,
        databases.database("other", ENGINE=engine, NAME=str(tmp_path / "other.sqlite3")) as other,
    ):
        for alias in (one, other):
            call_command("migrate", database=alias, verbosity=0)
        assert rows(one) == MADE
        assert rows(other) == (["trace"], None)
        assert "dbroute_panel_trace" not in connections[one].introspection.table_names()
