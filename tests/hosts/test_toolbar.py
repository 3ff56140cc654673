"""The debug toolbar with our panel, under real servers."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from html import unescape

import pytest

from tests.hosts.test_requests import PAGES, looked, marker_of, page_of


def subtitle(page):
    """What the toolbar's shell says next to our panel."""
    (found,) = re.findall(r'id="djdt-RoutingPanel".*?<small>(.*?)</small>', page, re.DOTALL)
    return unescape(found).strip()


@pytest.mark.parametrize("page", ["sync", "async", "gathered", "threads", "context-thread"])
def test_panel_and_middleware_have_one_trace(server, marker, page):
    response = server.get(f"/{page}/{marker}/?toolbar")
    trace = server.trace()
    assert looked(trace) == PAGES[page]
    assert response.headers["Dbroute-Trace-Id"] == trace.id
    databases = len({query.alias for query in trace.queries})
    shown = subtitle(response.text)
    assert shown.startswith(
        f"{len(trace.queries)} queries · {databases} databases · {len(trace.findings)} finding"
    )


async def test_toolbars_side_by_side_do_not_mix(asgi_server):
    pages = ["sync", "async", "gathered", "tasks", "threads"]
    wanted = {uuid.uuid4().hex: page for page in pages for _ in range(4)}
    async with asgi_server.client() as client:
        responses = await asyncio.gather(
            *(client.get(f"/{page}/{marker}/?toolbar") for marker, page in wanted.items())
        )
    traces = asgi_server.traces(len(wanted))
    assert {marker_of(trace): page_of(trace) for trace in traces} == wanted
    for trace in traces:
        assert looked(trace) == PAGES[page_of(trace)]
    by_id = {trace.id: trace for trace in traces}
    for marker, response in zip(wanted, responses, strict=True):
        trace = by_id[response.headers["Dbroute-Trace-Id"]]
        assert marker_of(trace) == marker
        assert subtitle(response.text).startswith(f"{len(trace.queries)} queries")


def test_the_panel_shows_the_trace_under_asgi(asgi_server, marker):
    page = asgi_server.get(f"/async/{marker}/?toolbar")
    request_id = page.headers["djdt-request-id"]
    shown = asgi_server.get(f"/__debug__/render_panel/?request_id={request_id}&panel_id=RoutingPanel&toolbar")
    content = unescape(shown.json()["content"])
    trace = asgi_server.trace()
    assert f"/admin/dbroute_panel/trace/{trace.id}/change/" in content
    assert content.count(marker) >= 1
    assert Counter(query.alias for query in trace.queries)["archive"] == 1


def test_a_stream_with_the_toolbar_is_recorded_to_its_end(server, marker):
    server.get(f"/stream/{marker}/?toolbar")
    assert looked(server.trace()).total() == 6


@pytest.mark.parametrize("page", ["fails", "afails"])
def test_a_request_that_fails_with_the_toolbar_is_one_trace(server, marker, page):
    assert server.get(f"/{page}/{marker}/?toolbar").status_code == 500
    trace = server.trace()
    assert looked(trace) == {"primary": 1}
    assert trace.request.status == 500
