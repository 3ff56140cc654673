"""Routers for one test, tables for one test, and a log that has not complained yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connections
from django.test.utils import isolate_apps

from dbroute_panel.recording import recorder
from dbroute_panel.recording.traces import trace
from tests.recording.installed import install, uninstall


@pytest.fixture(autouse=True)
def fresh_complaints(monkeypatch) -> None:
    """What is logged once per process is logged once per test."""
    monkeypatch.setattr(recorder, "_complaints", set())


@pytest.fixture
def ask(settings) -> Callable[..., None]:
    """Makes these the project's routers."""

    def ask(*routers: Any) -> None:
        settings.DATABASE_ROUTERS = list(routers)

    return ask


@pytest.fixture
def recorded(site) -> Iterator[trace]:
    """A trace around the test's body, on fresh databases. It is not kept."""
    with trace("test", keep=False) as t:
        yield t


@pytest.fixture
def own_models() -> Iterator[None]:
    """The models that the test defines are known to the test alone."""
    with isolate_apps("example_site.library"):
        yield
    apps.clear_cache()


@pytest.fixture
def table(site, own_models) -> Callable[..., None]:
    """Makes the tables of models that only the test has."""

    def make(alias: str, *models: Any) -> None:
        with connections[alias].schema_editor() as editor:
            for model in models:
                editor.create_model(model)

    return make


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Iterator[Callable[..., None]]:
    """Installs modules, ``{path: source}``, for one test."""
    folder = tmp_path / "lib" / "site-packages"
    monkeypatch.syspath_prepend(folder)
    yield lambda modules: install(tmp_path, modules)
    uninstall(folder)
