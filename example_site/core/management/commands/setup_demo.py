"""``setup_demo``: makes the databases of the example site and fills them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, call_command
from django.db import connections

from example_site import replication
from example_site.core import demo_data

# What is migrated where: the tables of the notes would be allowed everywhere, but live on the archive alone.
APPS = {
    "auth_db": ["contenttypes", "auth", "admin", "sessions"],
    "primary": ["library"],
    "archive": ["library", "notes"],
    "legacy_users": ["users"],
    "new_users": ["users"],
}


class Command(BaseCommand):
    help = "Makes the databases of the example site and fills them. Safe to run again."

    def handle(self, *, verbosity: int, **options: Any) -> None:
        if verbosity:
            self.stdout.write(f"Making {len(APPS)} databases and 2 replicas in {settings.DATA}")
        settings.DATA.mkdir(parents=True, exist_ok=True)
        for alias in APPS:
            if connections[alias].vendor != "sqlite":
                continue
            # Readers and one writer at a time do not wait for each other.
            with closing(sqlite3.connect(settings.DATABASES[alias]["NAME"])) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
        for alias, app_labels in APPS.items():
            for app_label in app_labels:
                call_command("migrate", app_label, database=alias, verbosity=0)
        demo_data.load()
        replication.replicate()
        if verbosity:
            self.stdout.write(self.style.SUCCESS("The databases are ready."))
