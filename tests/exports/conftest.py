"""The command's parser; and traces of the example site's scenarios, recorded once for all tests."""

from __future__ import annotations

import shutil

import pytest
from django.conf import settings
from django.test import override_settings

from dbroute_panel.management.commands.dbroute import Command
from dbroute_panel.records import Trace
from dbroute_panel.stores import MemoryStore, get_store
from example_site.scenarios import SCENARIOS
from example_site.scenarios.running import run
from tests.conftest import let_go_of_the_files


@pytest.fixture(scope="session")
def scenario_traces(site_template, django_db_blocker) -> dict[int, list[Trace]]:
    """By the scenario's number: what it left. Those that need a process of their own are left out."""
    found: dict[int, list[Trace]] = {}
    store = {"BACKEND": f"{MemoryStore.__module__}.{MemoryStore.__name__}", "OPTIONS": {}}
    with (
        django_db_blocker.unblock(),
        override_settings(DEBUG=True, DBROUTE_PANEL=settings.DBROUTE_PANEL | {"STORE": store}),
    ):
        for number, scenario in SCENARIOS.items():
            if not scenario.has_own_process:
                shutil.rmtree(settings.DATA, ignore_errors=True)
                shutil.copytree(site_template, settings.DATA)
                found[number] = [get_store().get(id) for part in run(scenario) for id in part.traces]
                let_go_of_the_files()
    return found


@pytest.fixture
def walk_through(scenario_traces) -> Trace:
    """Scenario 13: an object read, another assigned to it, written and read again."""
    [trace] = scenario_traces[13]
    return trace


@pytest.fixture
def dbroute_parser():
    return Command().create_parser("manage.py", "dbroute")
