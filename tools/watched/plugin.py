"""
Run each test by ``TESTS.around()``, with its fixtures: ``pytest -p dbroute_watched.plugin``.

What pytest-django does once for all tests, making the databases, does not count as part of the first test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from .app import prepare
from .around import TESTS, suspend_trace

prepare()


def pytest_sessionstart() -> None:
    TESTS.begin()


def pytest_sessionfinish() -> None:
    TESTS.end()


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Replace pytest's own function, which does the same without ``around()``."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    TESTS.around(item.nodeid, lambda: runtestprotocol(item, nextitem=nextitem))
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
    if fixturedef.argname != "django_db_setup":
        return (yield)
    with TESTS.listener.ignoring(), suspend_trace():
        return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        TESTS.note(report.nodeid, "failed" if report.when == "call" else "error", report.longreprtext)
    elif hasattr(report, "wasxfail"):
        TESTS.note(report.nodeid, "expected failure" if report.skipped else "unexpected success")
    elif report.skipped:
        TESTS.note(report.nodeid, "skipped", str(report.longrepr))
