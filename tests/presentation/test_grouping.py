"""Identical statements of a trace as one line: how often, how long, which share, which events."""

from __future__ import annotations

import pytest

from dbroute_panel.presentation import EventFilter, Index, Listing, paginate_statements
from dbroute_panel.presentation.grouping import GROUPS_PER_PAGE
from tests.traces import a_decision, a_finding, a_query, a_trace, a_transaction
from tests.views.test_trace_filters import PARTIAL, get, links, parsed, rows, with_class

LONG = "SELECT x FROM archive"
EVENTS = [
    a_decision(1),
    a_query(2, decision_id=1, duration_us=100.0),
    a_query(3, duration_us=100.0),
    a_query(4, "archive", sql=LONG, duration_us=700.0),
    a_transaction(5),
    a_query(6, duration_us=100.0, callsite=None, error="OperationalError: gone"),
    a_query(7, "archive", duration_us=0.0),
]


@pytest.fixture
def trace(store):
    trace = a_trace(1, events=EVENTS, findings=[a_finding("repeated-query", 3, 6)])
    store.save(trace)
    return trace


def groups(trace, number=1, **wanted):
    return paginate_statements(Listing(Index(trace), EventFilter(**wanted)), number)


def text(element):
    return " ".join("".join(element.itertext()).split())


def test_the_same_statement_on_another_database_is_another_line(trace):
    page = groups(trace)
    assert [(group.id, group.database.alias, group.count) for group in page.rows] == [
        (2, "replica1", 3),
        (4, "archive", 1),
        (7, "archive", 1),
    ]
    assert (page.groups, page.queries, page.duration_us) == (3, 5, 1000.0)


def test_count_time_share_and_mean(trace):
    first, second, third = groups(trace).rows
    assert (first.duration_us, first.mean_us, first.share) == (300.0, 100.0, 30.0)
    assert (second.duration_us, second.mean_us, second.share) == (700.0, 700.0, 70.0)
    assert third.share == 0.0


def test_what_took_no_time_at_all_has_no_share():
    (group,) = groups(a_trace(events=[a_query(1, duration_us=0.0)])).rows
    assert group.share == 0.0


def test_findings_failures_and_places_are_those_of_all_its_queries(trace):
    first, second, _ = groups(trace).rows
    assert (first.level, first.errors, first.places, first.where) == ("warning", 1, 2, "")
    assert (second.level, second.errors, second.places, second.where) == ("", 0, 1, "views.py:88")


def test_what_took_most_time_is_first_where_that_is_asked_for(trace):
    assert [group.id for group in groups(trace, sort="duration").rows] == [4, 2, 7]


def test_fifty_a_page():
    trace = a_trace(events=[a_query(n, sql=f"SELECT {n}") for n in range(1, GROUPS_PER_PAGE + 3)])
    assert [group.id for group in groups(trace, 2).rows] == [GROUPS_PER_PAGE + 1, GROUPS_PER_PAGE + 2]
    assert groups(trace, 9).number == groups(trace, 9).pages == 2


def test_the_page_has_a_line_a_statement_and_no_event(admin, trace):
    for headers in ({}, PARTIAL):
        tree = parsed(get(admin, trace, "?group=statements&sort=duration", headers=headers))
        shown = with_class(tree, "dbroute-row-group")
        assert [row.get("id") for row in shown] == ["statement-4", "statement-2", "statement-7"]
        assert [text(row) for row in with_class(tree, "dbroute-times")] == ["ran 1×", "ran 3×", "ran 1×"]
        assert [text(row) for row in with_class(tree, "dbroute-share")] == ["70 %", "30 %", "0 %"]
        drawn = [element for row in shown for element in row.iter() if str(element.tag).endswith("rect")]
        bars = [bar.get("width") for bar in drawn]
        assert bars == ["70.00", "30.00", "0.00"]
        assert len(with_class(tree, "dbroute-row")) == 3


def test_the_filter_holds_there_too(admin, trace):
    tree = parsed(get(admin, trace, "?group=statements&db=archive"))
    assert [row.get("id") for row in with_class(tree, "dbroute-row-group")] == ["statement-4", "statement-7"]
    assert "2 statements, 2 queries" in text(tree)
    empty = parsed(get(admin, trace, "?group=statements&q=nothing+has+this"))
    assert "No query matches this filter." in text(empty)


def test_a_trace_without_queries_says_so(admin, store):
    store.save(a_trace(2, events=[a_decision(1)]))
    assert "No query was recorded." in text(parsed(get(admin, a_trace(2), "?group=statements")))


def test_a_group_leads_to_its_events_without_javascript(admin, trace):
    tree = parsed(get(admin, trace, "?group=statements&ms=0.05"))
    first = with_class(tree, "dbroute-row-group")[0]
    (link,) = first.iter("a")
    assert link.get("href") == "?group=statements&ms=0.05&like=2#statement-2"
    tree = parsed(get(admin, trace, "?group=statements&ms=0.05&like=2"))
    first = with_class(tree, "dbroute-row-group")[0]
    assert "open" in first.attrib
    inside = [row.get("id") for row in with_class(first, "dbroute-row")][1:]
    assert inside == ["event-2", "event-3", "event-6"]
    assert "SELECT" in text(next(first.iter("pre")))
    (events,) = (link for link in first.iter("a") if text(link) == "Its 3 queries in the list of events")
    assert events.get("href") == "?ms=0.05&like=2"
    assert rows(parsed(get(admin, trace, events.get("href")))) == [2, 3, 6]


def test_htmx_gets_the_inside_of_a_group_alone(admin, trace):
    (listed,) = with_class(parsed(get(admin, trace, "?group=statements")), "dbroute-rows")
    assert listed.get("data-dbroute-links") == "?group=statements&"
    response = get(admin, trace, "?group=statements&like=2", headers=PARTIAL)
    assert b'id="dbroute-events"' not in response.content
    assert rows(parsed(response)) == [2, 3, 6]


def test_a_row_inside_a_group_opens_as_an_event(admin, trace):
    tree = parsed(get(admin, trace, "?group=statements&like=2", headers=PARTIAL))
    (listed,) = with_class(tree, "dbroute-rows")
    assert listed.get("data-dbroute-links") == "?"
    (link,) = with_class(tree, "dbroute-row")[0].iter("a")
    assert link.get("href") == "?event=2#event-2"
    response = get(admin, trace, "?event=2", headers=PARTIAL)
    assert "ReplicaRouter answered replica1" in text(parsed(response))


def test_both_ways_lead_to_each_other(admin, trace):
    there = links(parsed(get(admin, trace, "?db=archive")))["identical statements"]
    assert there.get("href") == "?db=archive&group=statements&sort=duration"
    ways = links(parsed(get(admin, trace, there.get("href") + "&like=4")))
    assert ways["identical statements"].get("aria-current") == "true"
    assert ways["events"].get("href") == "?db=archive"
    assert ways["most time first"].get("aria-current") == "true"


def test_five_thousand_statements_are_a_small_page(admin, store, settings):
    settings.DEBUG = False
    sql = 'SELECT "library_book"."id", "library_book"."title" FROM "library_book" WHERE "id" = %s AND '
    trace = a_trace(3, events=[a_query(n, sql=f"{sql}{n}" + " OR 1" * 500) for n in range(1, 5_001)])
    store.save(trace)
    assert len(get(admin, trace, "?group=statements&sort=duration").content) < 150_000


def test_what_took_time_never_has_no_share(admin, store):
    events = [
        a_query(1, duration_us=9_960.0),
        a_query(2, "archive", duration_us=40.0),
        a_query(3, "primary", duration_us=0.0),
    ]
    store.save(trace := a_trace(1, events=events))
    tree = parsed(get(admin, trace, "?group=statements"))
    assert [text(row) for row in with_class(tree, "dbroute-share")] == ["100 %", "<1 %", "0 %"]
