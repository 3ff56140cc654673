"""Streaming responses under real servers: what runs after the view returned, and when the client has gone."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

import httpx
import pytest

from tests.hosts.markers import ALIASES
from tests.hosts.test_requests import looked


@pytest.mark.parametrize("page", ["stream", "astream"])
def test_queries_after_the_view_returned_are_in_its_trace(server, marker, page):
    response = server.get(f"/{page}/{marker}/")
    assert response.text == "0\n" * 5
    trace = server.trace()
    looked(trace)
    functions = [query.callsite.function for query in trace.queries]
    assert len(functions) == (6 if page == "stream" else 8)
    assert response.headers["Dbroute-Trace-Id"] == trace.id


@pytest.mark.parametrize("page", ["breaks-off", "abreaks-off"])
def test_a_stream_that_fails_keeps_what_it_did(server, marker, page):
    # The answer breaks off; but what Django has to read to its end first (a sync one under ASGI, an async one
    # under WSGI) fails before anything was sent.
    with suppress(httpx.RemoteProtocolError):
        assert server.get(f"/{page}/{marker}/").text != "0\n"
    assert looked(server.trace()) == {"primary": 1}


def left(server, path, read=1):
    """The trace of a request whose client went away, and that no other has what belongs to it."""
    marker = path.split("/")[2]
    server.leave(path, read)
    for _ in range(8):
        assert server.get(f"/sync/{marker}-after/").status_code == 200
    traces = server.traces(9)
    assert [looked(trace) for trace in traces if trace.name != path] == [Counter(ALIASES)] * 8
    [trace] = [trace for trace in traces if trace.name == path]
    return trace


def test_a_client_that_leaves_a_sync_stream(wsgi_server, marker):
    trace = left(wsgi_server, f"/endless/{marker}/")
    seen = looked(trace)
    assert seen["legacy_users"] == 1
    assert trace.queries[-1].alias == "legacy_users"
    assert seen["primary"] == len(trace.queries) - 1 >= 1


@pytest.mark.parametrize("page", ["aendless", "nested"])
def test_a_client_that_leaves_an_async_stream(asgi_server, marker, page):
    seen = looked(left(asgi_server, f"/{page}/{marker}/"))
    assert seen.pop("primary") >= 1
    assert seen == {"legacy_users": 1} | ({"archive": 1, "routed": 1} if page == "aendless" else {})


def test_a_client_that_leaves_an_async_stream_while_it_waits(asgi_server, marker):
    assert looked(left(asgi_server, f"/waits-in-stream/{marker}/")) == {"primary": 1, "legacy_users": 1}


def test_a_client_that_leaves_a_sync_stream_under_asgi(asgi_server, marker):
    """A thread reads it to its end, although nobody is there any longer."""
    trace = left(asgi_server, f"/stream/{marker}/", read=0)
    assert looked(trace).total() == 6


def test_a_client_that_leaves_an_async_view(asgi_server, marker):
    """There is no response, and none was sent: there is no status either."""
    trace = left(asgi_server, f"/waits-in-view/{marker}/", read=0)
    assert looked(trace) == {"primary": 1, "legacy_users": 1}
    assert trace.request.status is None


def test_a_client_that_leaves_a_sync_view_under_asgi(asgi_server, marker):
    """Its thread goes on, and what it does is recorded as long as the request waits for it."""
    trace = left(asgi_server, f"/waits-in-sync-view/{marker}/", read=0)
    assert looked(trace) == {"primary": 1, "archive": 1}
    assert trace.request.status is None
