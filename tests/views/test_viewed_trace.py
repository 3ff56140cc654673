"""What is remembered of the trace that was looked at last: of that very object, and never too much."""

from __future__ import annotations

from dbroute_panel.presentation import EventFilter
from dbroute_panel.views.trace import MAX_LISTINGS, get_viewed_trace
from tests.traces import a_trace


def test_the_same_trace_is_not_gone_through_again():
    trace = a_trace(1)
    looked = get_viewed_trace(trace)
    assert get_viewed_trace(trace) is looked
    assert looked.listing(EventFilter()) is looked.listing(EventFilter())
    assert looked.timeline is looked.timeline
    assert looked.totals is looked.totals


def test_another_trace_with_the_same_id_is_another():
    old = get_viewed_trace(a_trace(1))
    assert old.totals.queries == 1
    new = get_viewed_trace(a_trace(1, aliases=["archive"] * 3))
    assert new.totals.queries == 3
    assert [lane.count for lane in new.timeline.lanes if lane.database and lane.count] == [3]
    assert get_viewed_trace(a_trace(1)) is not old  # an equal one is another object: nothing is compared


def test_only_so_many_filters_are_remembered_and_each_shows_its_own():
    looked = get_viewed_trace(a_trace(1))
    for number in range(3 * MAX_LISTINGS):
        shown = looked.listing(EventFilter(least_us=200.0 + number * 10))
        assert [unit[0].id for unit in shown.units] == ([2] if number <= 5 else [])
        assert len(looked._listings) <= MAX_LISTINGS
