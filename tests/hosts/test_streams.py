"""Streaming responses under real servers: what runs after the view returned, and after the client has gone."""

from __future__ import annotations

import httpx
import pytest

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
    try:
        server.get(f"/{page}/{marker}/")
    except httpx.RemoteProtocolError:
        pass  # as it should be; but an async stream under WSGI is read to its end first, and answers 500
    assert looked(server.trace()) == {"primary": 1}


def left(server, path, read=1):
    """The trace of a request whose client went away, and that no other has what belongs to it."""
    marker = path.split("/")[2]
    server.leave(path, read)
    for _ in range(8):
        assert server.get(f"/sync/{marker}-after/").status_code == 200
    traces = {trace.name: trace for trace in server.traces(9)}
    trace = traces.pop(path)
    assert {frozenset(looked(after).items()) for after in traces.values()} == {
        frozenset(looked(next(iter(traces.values()))).items())
    }
    return trace


def test_a_client_that_leaves_a_sync_stream(wsgi_server, marker):
    trace = left(wsgi_server, f"/endless/{marker}/")
    seen = looked(trace)
    assert seen["legacy_users"] == 1
    assert trace.queries[-1].alias == "legacy_users"
    assert seen["primary"] == len(trace.queries) - 1 >= 1


def test_a_client_that_leaves_an_async_stream_between_two_parts(asgi_server, marker):
    """The generator waits at its ``yield``; Django drops it, and the loop closes it after the response."""
    seen = looked(left(asgi_server, f"/aendless/{marker}/"))
    assert seen.pop("primary") >= 1
    assert seen == {"legacy_users": 1, "archive": 1, "routed": 1}


def test_a_client_that_leaves_an_async_stream_while_it_waits(asgi_server, marker):
    """The generator waits for something else; Django cancels that, and the generator ends at once."""
    assert looked(left(asgi_server, f"/waits-in-stream/{marker}/")) == {"primary": 1, "legacy_users": 1}


def test_a_client_that_leaves_an_async_view(asgi_server, marker):
    """There is no response, and none was sent: there is no status either."""
    trace = left(asgi_server, f"/waits-in-view/{marker}/", read=0)
    assert looked(trace) == {"primary": 1, "legacy_users": 1}
    assert trace.request.status is None


def test_the_generator_inside_of_an_async_generator_is_closed_too_late(asgi_server, marker):
    """
    A limit. Nobody closes the inner one but the garbage collector: its end is known to nobody.

    What it does then is not recorded, in this trace or any other.
    """
    seen = looked(left(asgi_server, f"/nested/{marker}/"))
    assert set(seen) == {"primary"}
