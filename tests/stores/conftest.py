"""``traces``: an alias whose database, an SQLite file, has the tables of ``DatabaseStore``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores import databases

SQLITE = "django.db.backends.sqlite3"


@pytest.fixture(scope="module")
def store_installed() -> Iterator[None]:
    with databases.installed():
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory, django_db_blocker) -> Path:
    """A file with the tables, as ``migrate`` makes them."""
    file = tmp_path_factory.mktemp("database") / "traces.sqlite3"
    with (
        django_db_blocker.unblock(),
        databases.installed(),
        databases.database("traces", ENGINE=SQLITE, NAME=file),
    ):
        databases.migrate("traces")
    return file


@pytest.fixture
def traces(store_installed, template, tmp_path, django_db_blocker) -> Iterator[str]:
    file = shutil.copy(template, tmp_path / "traces-database.sqlite3")
    with django_db_blocker.unblock(), databases.database("traces", ENGINE=SQLITE, NAME=str(file)) as alias:
        yield alias
