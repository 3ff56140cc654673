"""
The example site as the project under test, on its real database files.

``site`` gives a test those files as ``setup_demo`` made them, ``store`` an empty store for its traces. Django
makes no test databases: a replica, for one, is only a replica with a file of its own.
"""

from __future__ import annotations

import gc
import os
import platform
import shutil
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import django
import hypothesis
import pytest
from _pytest.junitxml import xml_key
from asgiref.sync import SyncToAsync
from coverage import Coverage
from django.conf import settings as site_settings
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from dbroute_panel import stores
from dbroute_panel.inspection.isolation import run_isolated
from dbroute_panel.stores import sqlite_file
from dbroute_panel.stores.database import store as database_store
from dbroute_panel.stores.database.connection import StoreConnection
from dbroute_panel.views import routers as routers_page
from example_site import replication
from example_site.scenarios import running
from tests import forking
from tests.engines import KeptEngines
from tests.thousand.apps import APPS
from tests.waiting import PATIENCE_SECONDS

# How long an example takes is the machine's affair.
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")

TOOLBAR = find_spec("debug_toolbar") is not None
collect_ignore = [] if TOOLBAR else ["panel/test_panel.py"]
"""Nothing of the panel can be imported without django-debug-toolbar."""


def pytest_configure(config: pytest.Config) -> None:
    """
    Nobody tests without the toolbar by mistake. And what a test starts is not measured: coverage makes a
    process slower, and tells it how to measure.
    """
    # pytest-xdist's own workers are started after this, by a process that has no workerinput.
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    if TOOLBAR is (os.environ.get("DBROUTE_TOOLBAR") == "absent"):
        raise pytest.UsageError(
            "DBROUTE_TOOLBAR=absent, but django-debug-toolbar is installed."
            if TOOLBAR
            else "django-debug-toolbar is not installed. To test without it, set DBROUTE_TOOLBAR=absent."
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Pause coverage in tests that are marked ``unmeasured``."""
    measuring = Coverage.current() if item.get_closest_marker("unmeasured") else None
    if measuring is None:
        return (yield)
    measuring.stop()
    try:
        return (yield)
    finally:
        measuring.start()


def pytest_report_header() -> str | None:
    return (
        None if TOOLBAR else "without django-debug-toolbar: panel/test_panel.py and -m toolbar are left out"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without the toolbar, deselect the tests that need it; pytest says how many."""
    if TOOLBAR:
        return
    needing = [item for item in items if item.get_closest_marker("toolbar")]
    config.hook.pytest_deselected(items=needing)
    items[:] = [item for item in items if item not in needing]


def pytest_sessionstart(session: pytest.Session) -> None:
    """A report (``--junitxml``) says what it is of: see ``tools.reliability``."""
    # Not record_testsuite_property: what that notes in a worker of pytest-xdist does not reach the report.
    report = session.config.stash.get(xml_key, None)
    if report is not None:
        report.add_global_property("python", ".".join(platform.python_version_tuple()[:2]))
        report.add_global_property("django", ".".join(map(str, django.VERSION[:2])))


@pytest.fixture(scope="session", autouse=True)
def kept_engines(django_test_environment) -> KeptEngines:
    return KeptEngines()


def pytest_collection_finish() -> None:
    """Thousands of tests and their modules stay to the end: nobody goes through them for garbage."""
    _draw()
    gc.collect()
    gc.freeze()


@hypothesis.settings(max_examples=1, database=None)
@hypothesis.given(hypothesis.strategies.none())
def _draw(drawn: None) -> None:
    """
    Hypothesis makes a generator with the first example, and warns if the collector knows nobody who has it.

    It is in a dict, which from Python 3.14 on would be frozen already.
    """


@pytest.fixture(autouse=True)
def scenarios_are_forked(monkeypatch) -> None:
    """Those with a process of their own: the server starts when the first of them does."""
    monkeypatch.setattr(running, "PYTHON", _Python())


class _Python(os.PathLike[str]):
    def __fspath__(self) -> str:
        return forking.python()


def pytest_unconfigure() -> None:
    if forking.server.cache_info().currsize:
        forking.server().close()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch) -> None:
    """
    Whoever waits for a router, a file or a database waits for long.

    A busy machine is none that does not answer. A test of what becomes of those sets the limit itself.
    """
    monkeypatch.setitem(run_isolated.__kwdefaults__, "seconds", PATIENCE_SECONDS)
    monkeypatch.setitem(StoreConnection.run.__kwdefaults__, "seconds", PATIENCE_SECONDS)
    monkeypatch.setattr(routers_page, "TIME_BUDGET_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(sqlite_file, "LOCK_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(running, "TIMEOUT", PATIENCE_SECONDS)
    monkeypatch.setattr(database_store, "READ_TIMEOUT_SECONDS", PATIENCE_SECONDS)


@pytest.fixture(scope="session", autouse=True)
def urls_as_served() -> None:
    """The URLs have the toolbar's own if ``DEBUG`` is on when they are imported, by whatever test that is."""
    with override_settings(DEBUG=True):
        import_module(site_settings.ROOT_URLCONF)


@pytest.fixture(scope="session")
def site_template(django_db_blocker, tmp_path_factory) -> Path:
    """The folder of the databases as ``setup_demo`` makes them, made once."""
    template = tmp_path_factory.mktemp("site") / "template"
    with django_db_blocker.unblock():
        call_command("setup_demo", verbosity=0)
        let_go_of_the_files()
    shutil.copytree(site_settings.DATA, template)
    return template


@pytest.fixture
def site(site_template, django_db_blocker, settings) -> Iterator[Path]:
    """The example site with fresh data, as it is served: the folder of its files. ``DEBUG`` is on."""
    settings.DEBUG = True
    shutil.rmtree(site_settings.DATA, ignore_errors=True)
    shutil.copytree(site_template, site_settings.DATA)
    with django_db_blocker.unblock():
        yield site_settings.DATA
        let_go_of_the_files()


@pytest.fixture
def store(settings, tmp_path) -> Iterator[stores.Store]:
    """An empty store of the default kind, which the site uses during the test."""
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {
        "STORE": {
            "BACKEND": "dbroute_panel.stores.SQLiteStore",
            "OPTIONS": {"path": str(tmp_path / "traces.sqlite3")},
        }
    }
    store = stores.get_store()
    yield store
    store.close()


@pytest.fixture
def admin(site, store, client):
    """
    A client that is logged in as the superuser of the example site, from elsewhere.

    There the toolbar is not shown, which has tests of its own and takes a third of the time of a page.
    """
    client.defaults["REMOTE_ADDR"] = "192.0.2.1"
    client.force_login(get_user_model().objects.get(username="admin"))
    return client


@pytest.fixture
def routers(settings, request):
    """Ask a router of the test's own before the others; what it noted in ``asked`` is forgotten."""

    def use(router: type) -> None:
        settings.DATABASE_ROUTERS = [f"{router.__module__}.{router.__name__}", *settings.DATABASE_ROUTERS]
        getattr(request.module, "asked", []).clear()

    return use


@pytest.fixture
def thousand(settings):
    """The project has a thousand models more."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, *APPS]


def let_go_of_the_files() -> None:
    """Close every connection of this thread and of the async ORM's, and forget what was known of the rows."""
    connections.close_all()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()
    replication.forget()
    ContentType.objects.clear_cache()
