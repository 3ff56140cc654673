"""
What needs PostgreSQL, MariaDB and Chromium; ``make test-services`` starts the servers and runs this folder.

``postgres`` and ``mariadb`` say where the servers are, as entries of ``DATABASES``.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from example_site.services import PRIMARY, REPLICAS
from example_site.services.settings import databases


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("EXAMPLE_SITE_DATABASES") != "services":
        raise pytest.UsageError("tests/services needs servers of its own. Run: make test-services")


@pytest.fixture(scope="session")
def postgres() -> dict[str, dict[str, Any]]:
    """
    ``primary``, ``replica1`` and ``replica2``; their user is a superuser.

    Unless the site's lag says otherwise, a commit waits until both replicas show it. A database of one's own
    goes without it: ``ALTER DATABASE traces SET synchronous_commit = local``, before anybody connects to it.
    """
    return {alias: entry for alias, entry in databases().items() if alias in (PRIMARY, *REPLICAS)}


@pytest.fixture(scope="session")
def mariadb() -> dict[str, Any]:
    """Its user may do everything."""
    return databases()["legacy_users"]
