"""Threads that a request starts, under real servers."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing

from tests.hosts.test_requests import looked
from tests.waiting import until


def test_a_thread_with_a_copied_context_is_part_of_the_request(server, marker):
    server.get(f"/context-thread/{marker}/")
    assert looked(server.trace()) == {"primary": 1, "archive": 1}


def test_a_thread_without_the_context_is_not_recorded(server, marker):
    """A limit: nothing leads from such a thread to its request."""
    server.get(f"/bare-thread/{marker}/")
    # Where Python hands contexts on, the thread has it; in these tests Python is set as in the server.
    inherits = getattr(sys.flags, "thread_inherit_context", False)
    assert looked(server.trace()) == {"archive": 1} | ({"primary": 1} if inherits else {})


def test_a_thread_that_outlives_the_response_is_recorded_until_then_and_can_have_its_own_trace(
    server, marker
):
    server.get(f"/outliving-thread/{marker}/")
    with closing(sqlite3.connect(server.data / "archive.sqlite3")) as archive:
        until(lambda: archive.execute("SELECT 1 FROM library_tag WHERE name = ?", [marker]).fetchall())
    request, own = sorted(server.traces(2), key=lambda trace: trace.kind, reverse=True)
    assert looked(request) == {"primary": 1}
    assert (own.kind, own.name, own.request) == ("block", f"after {marker}", None)
    assert [(query.operation, query.alias) for query in own.queries] == [("INSERT", "archive")]
