"""Requests side by side, under real servers: each trace has all queries of its request and no other's."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter

import pytest

from tests.hosts.markers import ALIASES

LOOKS = Counter(ALIASES)
PAGES = {
    "sync": LOOKS,
    "async": LOOKS,
    "gathered": LOOKS,
    "tasks": LOOKS,
    "threads": LOOKS + Counter(primary=1),
    "stream": LOOKS + Counter(primary=1),
    "astream": LOOKS + Counter(primary=2, routed=1),
    "context-thread": Counter(primary=1, archive=1),
    "fails": Counter(primary=1),
    "afails": Counter(primary=1),
}
"""The pages that come to an end, and where they look how often."""

FAILING = {"fails", "afails"}


def looked(trace):
    """Where the trace has queries, how often. Every one of them has the marker of the request's URL."""
    marker = marker_of(trace)
    assert {tuple(query.params) for query in trace.queries} <= {(marker,)}
    assert trace.dropped.query == trace.dropped.decision == trace.dropped.transaction == 0
    return Counter("routed" if query.alias.startswith("replica") else query.alias for query in trace.queries)


def page_of(trace):
    return trace.request.path.split("/")[1]


def marker_of(trace):
    return trace.request.path.split("/")[2]


@pytest.mark.slow
async def test_many_requests_at_once_never_mix(server):
    wanted = {uuid.uuid4().hex: page for page in PAGES for _ in range(12)}
    gate = asyncio.Semaphore(30)

    async def get(client, marker, page):
        async with gate:
            response = await client.get(f"/{page}/{marker}/")
            return response.status_code

    async with server.client() as client:
        statuses = await asyncio.gather(*(get(client, *each) for each in wanted.items()))
    assert statuses == [500 if page in FAILING else 200 for page in wanted.values()]
    traces = server.traces(len(wanted))
    assert {marker_of(trace): page_of(trace) for trace in traces} == wanted
    assert {marker: looked(trace) for trace in traces if (marker := marker_of(trace))} == {
        marker: PAGES[page] for marker, page in wanted.items()
    }
    for trace in traces:
        assert trace.request.status == (500 if page_of(trace) in FAILING else 200)
        # The one look that asks the routers: its decision is in the same trace, and is the only one.
        routed = [query for query in trace.queries if query.alias.startswith("replica")]
        assert [query.decision_id for query in routed] == [decision.id for decision in trace.decisions]
