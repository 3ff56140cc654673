"""A database with the tables of ``DatabaseStore``, for as long as a test needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.utils import ConnectionHandler
from django.test import override_settings

APP = "dbroute_panel.stores.database"


@contextmanager
def installed() -> Iterator[None]:
    """The app of the tables is in ``INSTALLED_APPS``."""
    with override_settings(INSTALLED_APPS=list(dict.fromkeys([*settings.INSTALLED_APPS, APP]))):
        yield


@contextmanager
def database(alias: str, **entry: Any) -> Iterator[str]:
    """One more of ``DATABASES``."""
    entries = {"default": {}, alias: entry}
    connections.settings[alias] = ConnectionHandler().configure_settings(entries)[alias]
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


def migrate(alias: str, *arguments: str) -> None:
    call_command("migrate", "dbroute_panel_store", *arguments, database=alias, verbosity=0)
    connections[alias].close()


def empty(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("DELETE FROM dbroute_panel_store_trace")
        cursor.execute("DELETE FROM dbroute_panel_store_remembered")
    connections[alias].close()
