"""
The pytest plugin: the fixture ``route_trace``, which records the decisions and queries of a test.

pytest loads this in every project of the environment, also without Django, so that Django is imported only
when the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dbroute_panel.pytest_plugin.route_trace import RouteTrace

TRACE_KEY = pytest.StashKey["RouteTrace"]()


@pytest.fixture
def route_trace(request: pytest.FixtureRequest) -> Iterator[RouteTrace]:
    """
    Record the routing decisions, queries and transactions of the test's body, not of its fixtures.

    It has the attributes of ``trace()`` (``queries``, ``decisions`` ...), and ``assert_queries(alias, n)``,
    ``assert_no_queries(alias)``, ``assert_finding(code)``, ``assert_no_findings(level)``,
    ``assert_route_map(path)``.
    """
    from django.apps import apps

    if not apps.ready:
        pytest.fail("route_trace needs Django to be set up: install pytest-django.", pytrace=False)
    if not apps.is_installed("dbroute_panel"):
        pytest.fail("route_trace needs 'dbroute_panel' in INSTALLED_APPS.", pytrace=False)
    from dbroute_panel.pytest_plugin.route_trace import RouteTrace

    recorded = RouteTrace(request.node.nodeid, root=request.config.rootpath)
    request.node.stash[TRACE_KEY] = recorded
    yield recorded
    del request.node.stash[TRACE_KEY]


# An older pluggy would refuse the new style of wrappers when it loads this.
@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Record the body only, in the context from which it is called."""
    recorded = item.stash.get(TRACE_KEY, None)
    if recorded is None:
        yield
        return
    with recorded, recorded.wrap_async_body(item):
        yield
