"""Exceptions in middleware around the page, and ATOMIC_REQUESTS, under real servers."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.hosts.markers import ALIASES
from tests.hosts.test_requests import looked

INNER = ("inner-sync-before", "inner-sync-view", "inner-async-before", "inner-async-view")
AFTER = ("inner-sync-after", "inner-async-after")


@pytest.mark.parametrize("raises", INNER + AFTER)
@pytest.mark.parametrize("page", ["sync", "async"])
def test_middleware_inside_that_raises_is_in_the_trace_with_status_500(server, marker, page, raises):
    response = server.get(f"/{page}/{marker}/?raise={raises}")
    trace = server.trace()
    assert response.status_code == trace.request.status == 500
    assert response.headers["Dbroute-Trace-Id"] == trace.id
    assert looked(trace) == Counter(ALIASES if raises in AFTER else ()) + Counter(legacy_users=1)
    assert trace.request.path == f"/{page}/{marker}/"


def test_middleware_that_handles_an_exception_of_the_view(server, marker):
    response = server.get(f"/fails/{marker}/?raise=inner-sync-exception")
    trace = server.trace()
    assert response.status_code == trace.request.status == 500
    assert looked(trace) == {"primary": 1, "legacy_users": 1}


@pytest.mark.parametrize("page", ["sync", "async"])
def test_middleware_in_front_that_raises_before_leaves_no_trace(server, marker, page):
    """A limit: what is in front of the middleware is not recorded, and in no other trace."""
    assert server.get(f"/{page}/{marker}/?raise=outer-before").status_code == 500
    assert server.get(f"/fails/{marker}/").status_code == 500
    assert looked(server.trace()) == {"primary": 1}


@pytest.mark.parametrize("page", ["sync", "async"])
def test_middleware_in_front_that_raises_after_loses_no_trace(server, marker, page):
    """
    A limit: the response that our middleware saw, status 200, is not the one that was sent.

    Nobody closes it, so that its trace is kept when the garbage collector has found it.
    """
    assert server.get(f"/{page}/{marker}/?raise=outer-after").status_code == 500
    trace = server.trace()
    assert looked(trace) == Counter(ALIASES)
    assert trace.request.status == 200


# ATOMIC_REQUESTS is on for archive and new_users.


def transactions(trace):
    """What happened to transactions, by alias, in order."""
    found = {}
    for event in trace.transactions:
        found.setdefault(event.alias, []).append(event.operation.value)
    return found


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("atomic", {"archive": ["begin", "commit"], "new_users": ["begin", "commit"]}),
        ("atomic-fails", {"archive": ["begin", "rollback"], "new_users": ["begin", "rollback"]}),
        ("half-atomic", {"new_users": ["begin", "commit"]}),
        ("sync", {}),
    ],
)
def test_atomic_requests_are_transactions_on_exactly_their_databases(server, marker, page, expected):
    server.get(f"/{page}/{marker}/")
    trace = server.trace()
    assert transactions(trace) == expected
    for query in trace.queries:
        inside = query.alias in expected
        assert (query.atomic, query.transaction_number) == (inside, 1 if inside else None)
