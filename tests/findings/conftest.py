"""What the tests of the findings share: the codes of a trace, and a default database that works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from dbroute_panel import findings
from dbroute_panel.findings import registry
from dbroute_panel.records import Finding, Trace


class Found:
    """The findings of a trace, by code."""

    def __init__(self, of: Any) -> None:
        trace: Trace = of if isinstance(of, Trace) else of.document
        self.all = findings.find(trace)
        self.trace = trace

    @property
    def codes(self) -> set[str]:
        return {found.code for found in self.all}

    def one(self, code: str) -> Finding:
        """The only finding with this code."""
        (found,) = (found for found in self.all if found.code == code)
        assert found.events, "it says of no event that it is wrong"
        return found

    def events(self, code: str) -> list[Any]:
        numbers = self.one(code).events
        return [event for event in self.trace.events if event.id in numbers]


@pytest.fixture
def found(monkeypatch) -> Iterator[type[Found]]:
    """A function that fails finds nothing either, which is no proof that there is nothing to find."""
    failed: set[str] = set()
    monkeypatch.setattr(registry, "_logged", failed)
    yield Found
    assert failed == set()


@pytest.fixture
def working_default(site, monkeypatch) -> Iterator[None]:
    """``default`` as a real database: another connection to the file of the archive."""
    monkeypatch.setitem(connections.settings, "default", dict(connections.settings["archive"]))
    if hasattr(connections._connections, "default"):
        del connections["default"]
    yield
    connections["default"].close()
    del connections["default"]


@pytest.fixture(autouse=True)
def no_findings_of_the_project(settings) -> None:
    """What the example site looks for besides would be found here, too."""
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"FINDINGS": []}
