"""
How much work it is to judge a trace, counted: what it takes of time is ``make bench``'s to say.
"""

from __future__ import annotations

import pytest

from dbroute_panel import findings
from dbroute_panel.records import dumps, loads
from dbroute_panel.sql import fingerprint, tables_read, tables_written
from tests.traces import a_busy_trace, a_long_trace
from tools.benchmarks.counting import count_calls

AN_EVENT = 16
"""Calls of functions, of all findings together."""


def counted(trace) -> int:
    """The calls of judging a trace where nothing of its SQL was seen before."""

    def find() -> None:
        for cached in (tables_read, tables_written, fingerprint):
            cached.cache_clear()
        findings.find(trace)

    find()  # what is done once in a process
    return count_calls(find)


@pytest.mark.parametrize("make", [a_busy_trace, lambda events: a_long_trace(events=events)])
def test_an_event_is_judged_with_few_calls(make):
    # A trace that was read again: no two events share an object, as they do here when they are made.
    trace = loads(dumps(make(events=10_000)))
    assert counted(trace) < 10_000 * AN_EVENT


def test_four_times_as_many_events_are_four_times_as_many_calls():
    assert counted(a_busy_trace(20_000)) < 4.4 * counted(a_busy_trace(5_000))
