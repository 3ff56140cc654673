from __future__ import annotations

import pytest

from dbroute_panel import findings
from dbroute_panel.findings import statements
from dbroute_panel.records import dumps, loads
from tests.timing import quickest
from tests.traces import a_busy_trace, a_long_trace


def seconds(trace, *, enough: float = 0.0) -> float:
    """What judging a trace takes where nothing of its SQL was seen before."""

    def find() -> None:
        for cached in (statements.tables_read, statements.tables_written, statements.shape):
            cached.cache_clear()
        findings.find(trace)

    return quickest(find, enough=enough, rounds=20)


@pytest.mark.parametrize("make", [a_busy_trace, lambda events: a_long_trace(events=events)])
def test_10_000_events_are_judged_in_less_than_50_ms(make):
    # A trace that was read again: no two events share an object, as they do here when they are made.
    trace = loads(dumps(make(events=10_000)))
    assert seconds(trace, enough=0.05) < 0.05


def test_four_times_as_many_events_do_not_take_sixteen_times_as_long():
    assert seconds(a_busy_trace(20_000)) < 10 * seconds(a_busy_trace(5_000))
