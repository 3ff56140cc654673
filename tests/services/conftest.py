"""
What needs PostgreSQL, MariaDB and Chromium; ``make test-services`` starts the servers and runs this folder.

``postgres`` and ``mariadb`` say where the servers are, as entries of ``DATABASES``.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from django.core.management import call_command

from example_site import replication
from example_site.services import PRIMARY, REPLICAS
from example_site.services.settings import databases
from tests.conftest import let_go_of_the_files
from tests.example_site.test_scenarios import only_trace, traces  # noqa: F401
from tests.example_site.test_wrong_scenarios import ran  # noqa: F401


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("EXAMPLE_SITE_DATABASES") != "services":
        raise pytest.UsageError("tests/services needs servers of its own. Run: make test-services")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Nothing in this folder is skipped: what it needs was asked for before."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
    return report


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


@pytest.fixture(scope="session")
def site_on_servers(django_db_blocker) -> None:
    """What ``make demo-services`` makes, once: a scenario finds the same rows however often it is run."""
    with django_db_blocker.unblock():
        call_command("setup_demo", verbosity=0)


@pytest.fixture
def site(site_on_servers, django_db_blocker, settings) -> Iterator[None]:
    """The example site on its servers, without a lag. ``DEBUG`` is on."""
    settings.DEBUG = True
    with django_db_blocker.unblock():
        yield
        let_go_of_the_files()
        replication.set_lag(0)
