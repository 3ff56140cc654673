"""The page that compares two traces: what it shows, and what it says where there is nothing to compare."""

from __future__ import annotations

import re

import pytest

from dbroute_panel.records import Dropped
from dbroute_panel.views.compare import MAX_SECTION_ROWS
from tests.traces import a_decision, a_finding, a_query, a_trace
from tests.views.test_trace import text

PAGE = "/admin/dbroute_panel/trace/compare/"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def admin(admin, settings):
    """As the site is served: ``DEBUG`` is off."""
    settings.DEBUG = False
    return admin


def compared(admin, store, first, second):
    store.save(first)
    store.save(second)
    return admin.get(f"{PAGE}?a={first.id}&b={second.id}")


def test_it_says_what_went_elsewhere_and_leads_to_the_events_of_both(admin, store):
    first = a_trace(1, events=[a_query(3), a_query(4)])
    second = a_trace(2, events=[a_query(7, "primary"), a_query(8, "primary")])
    response = compared(admin, store, first, second)
    assert response.status_code == 200
    said = text(response)
    assert "Went to other databases 1" in said
    assert (
        "SELECT library_book library.Book "
        "replica1 ↦ replica of primary #3 ×2 0.5 ms a router primary #7 ×2 0.5 ms a router "
        "views.py:88 line and statement"
    ) in said
    body = response.content.decode()
    for trace, event in ((first, 3), (second, 7)):
        assert f'href="/admin/dbroute_panel/trace/{trace.id}/change/?event={event}#event-{event}"' in body
        assert f'href="/admin/dbroute_panel/trace/{trace.id}/change/"' in body


def test_the_same_is_said_plainly(admin, store):
    said = text(compared(admin, store, a_trace(1), a_trace(2)))
    assert "Both were routed the same: the same statements went to the same databases, as often" in said
    assert "In which order is not compared." in said
    assert "The same in both 1" in said
    assert "Went to" not in said
    assert "Only in" not in said


def test_where_something_differs_it_is_not_said_to_be_the_same(admin, store):
    said = text(compared(admin, store, a_trace(1), a_trace(2, findings=[a_finding()])))
    assert "Both were routed the same" not in said


def test_how_many_failed_is_said_on_its_side(admin, store):
    failing = [a_query(1, error="no such table"), a_query(2)]
    said = text(compared(admin, store, a_trace(1, events=failing), a_trace(2, events=[a_query(1)] * 2)))
    assert "Both were routed the same" not in said
    assert "Went to the same databases, but another number of them failed 1" in said
    assert "#1 ×2 1 failed 0.5 ms a router" in said
    assert said.count("1 failed") == 1


def test_other_shares_of_the_same_databases_are_no_mere_other_number(admin, store):
    first = a_trace(1, aliases=["primary"] * 9 + ["archive"])
    second = a_trace(2, aliases=["primary"] + ["archive"] * 8)
    said = text(compared(admin, store, first, second))
    assert "The same databases, in other shares 1" in said
    assert "another number of times" not in said


def test_two_empty_traces_have_nothing_to_match(admin, store):
    said = text(compared(admin, store, a_trace(1, events=[]), a_trace(2, events=[])))
    assert "Neither has a query or a decision." in said
    assert "Matched are" not in said


def test_what_only_one_has_has_one_column(admin, store):
    first = a_trace(1, events=[a_query(1)])
    second = a_trace(2, events=[a_decision(1)])
    body = compared(admin, store, first, second).content.decode()
    for letter, other in (("a", "B"), ("b", "A")):
        (section,) = re.findall(rf'aria-labelledby="section-only_{letter}".*?</section>', body, re.DOTALL)
        assert f'<th scope="col">{other}</th>' not in section
        assert "Matched by" not in section


def test_numbers_of_both_are_side_by_side(admin, store):
    said = text(compared(admin, store, a_trace(1), a_trace(2, aliases=["primary", "replica1"])))
    assert "Database A B Queries Writes Time Queries Writes Time" in said
    assert re.search(r"primary 0 0 0\.0 µs 1 0 0\.3 ms", said)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (0, 1, "appeared in B"),
        (0, 2, "appeared in B, 2 times"),
        (1, 0, "vanished in B"),
        (2, 0, "vanished in B, 2 times in A"),
        (1, 2, "1 in A, 2 in B"),
    ],
)
def test_findings_that_came_and_went(admin, store, first, second, words):
    traces = (a_trace(n, findings=[a_finding()] * count) for n, count in ((1, first), (2, second)))
    said = text(compared(admin, store, *traces))
    assert f"▲ warning stale-read {words} : Book #42 was possibly stale." in said


def test_a_link_swaps_them(admin, store):
    body = compared(admin, store, a_trace(1), a_trace(2)).content.decode()
    assert f'href="?a={a_trace(2).id}&amp;b={a_trace(1).id}"' in body


def test_missing_events_are_told(admin, store):
    said = text(compared(admin, store, a_trace(1, dropped=Dropped(query=3)), a_trace(2)))
    assert "Events are missing from one of them (MAX_EVENTS)" in said


def test_how_it_matched_is_said_in_the_row_and_below(admin, store):
    events = [a_query(1), a_query(2, sql="SELECT 1 FROM library_book"), a_query(3, callsite=None)]
    others = [a_query(1), a_query(2, sql="SELECT 2 FROM library_book"), a_query(3, callsite=None)]
    said = text(compared(admin, store, a_trace(1, events=events), a_trace(2, events=others)))
    for words in ("line and statement", "line; the statement differs", "Matched are queries"):
        assert words in said


@pytest.mark.parametrize("query", ["", "?a=", "?a={one}", "?b={one}", "?a={one}&b="])
def test_one_that_is_not_named_is_400_and_says_how(admin, store, query):
    store.save(a_trace(1))
    response = admin.get(PAGE + query.format(one=a_trace(1).id))
    assert response.status_code == 400
    assert "Two traces are needed, ?a=… and ?b=…. Select two in the list of traces" in text(response)


@pytest.mark.parametrize("query", ["?a={one}&b=nothing", "?a=nothing&b={one}"])
def test_one_that_is_not_there_is_404_and_named(admin, store, query):
    store.save(a_trace(1))
    response = admin.get(PAGE + query.format(one=a_trace(1).id))
    assert response.status_code == 404
    assert "There is no trace “nothing”" in text(response)


def test_a_trace_with_itself_is_no_comparison(admin, store):
    response = compared(admin, store, a_trace(1), a_trace(1))
    assert "A and B are the same trace." in text(response)
    assert "<table" not in response.content.decode().partition('id="dbroute"')[2]


def test_it_does_not_grow_with_the_traces(admin, store):
    events = [a_query(n, sql=f"SELECT {n} FROM {'x' * 500}") for n in range(1, 5001)]
    others = [a_query(n, "primary", sql=f"SELECT {n} FROM {'x' * 500}") for n in range(1, 5001)]
    response = compared(admin, store, a_trace(1, events=events), a_trace(2, events=others))
    assert f"{5000 - MAX_SECTION_ROWS} more are not shown." in text(response)
    assert len(response.content) < 250_000


def test_hostile_text_is_only_text(admin, store):
    events = [a_query(1, HOSTILE, sql=f"SELECT {HOSTILE}", model=HOSTILE), a_decision(2, model=HOSTILE)]
    first = a_trace(1, name=HOSTILE, request=None, kind="block", events=events)
    second = a_trace(2, events=[], findings=[a_finding(HOSTILE)])
    body = compared(admin, store, first, second).content.decode()
    assert "<script>alert" not in body
    assert "<img" not in body
