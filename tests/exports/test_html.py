"""The file for a colleague: read by html5lib, which is strict about what a browser has to guess."""

from __future__ import annotations

import base64
import hashlib
import re
import xml.etree.ElementTree as ET

import html5lib
import pytest

from dbroute_panel.exports import FORMATS, html
from dbroute_panel.records import Callsite, RouteKind
from tests.traces import a_decision, a_finding, a_long_trace, a_query, a_trace

pytestmark = pytest.mark.unmeasured

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def written(*traces) -> str:
    return b"".join(FORMATS["html"].write(iter(traces))).decode()


def parsed(text: str) -> ET.Element:
    """The tree. Raises at the first mistake."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def ids(tree: ET.Element) -> list[str]:
    return [element.get("id") for element in tree.iter() if element.get("id")]


def shown(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def assert_reachable(tree: ET.Element, trace, number: int = 1) -> None:
    """Every event is a row, or an anchor in the row that shows it."""
    found = ids(tree)
    assert len(found) == len(set(found))
    assert {f"t{number}-event-{event.id}" for event in trace.events} <= set(found)


def test_it_is_valid_and_every_event_and_link_is_in_it():
    trace = a_trace(1, findings=[a_finding("stale-read", 1, 2)])
    tree = parsed(written(trace))
    assert_reachable(tree, trace)
    targets = [a.get("href") for a in tree.iter("a")]
    assert {"#t1-event-1", "#t1-event-2"} <= set(targets)
    assert all(target.startswith("#") and target[1:] in ids(tree) for target in targets)
    assert shown(tree.find(".//title")) == trace.name
    text = shown(tree)
    assert "Book #42 was possibly stale." in text
    assert trace.id in text
    assert trace.started_at in text
    assert "ReplicaRouter answered replica1" in text


def test_several_traces_are_a_section_each_and_none_is_said():
    traces = [a_trace(number) for number in (1, 2, 3)]
    tree = parsed(written(*traces))
    assert [shown(h1) for h1 in tree.iter("h1")] == ["GET /books/42/"] * 3
    for number, trace in enumerate(traces, 1):
        assert_reachable(tree, trace, number)
    assert shown(tree.find(".//title")) == "Database routing"
    assert "No traces." in shown(parsed(written()))
    assert "Nothing was recorded" in shown(parsed(written(a_trace(1, events=[]))))


def test_its_policy_allows_its_one_style_and_nothing_else():
    tree = parsed(written(a_trace(1, findings=[a_finding()])))
    (policy,) = [
        meta.get("content")
        for meta in tree.iter("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    (style,) = tree.iter("style")
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"url\(|@import", style.text)
    for element in tree.iter():
        assert element.tag not in ("script", "link", "img", "iframe", "object", "form", "base")
        for name in element.keys():  # noqa: SIM118 - not a dict
            assert name != "style"
            assert not name.startswith("on")
            assert name != "src"


def test_what_users_typed_is_text():
    event = a_query(
        1,
        sql=f"SELECT '{HOSTILE}'",
        params=[HOSTILE],
        error=f"ValueError: {HOSTILE}",
        callsite=Callsite(file=HOSTILE, line=1, function=HOSTILE, template=(HOSTILE, 1), entry=HOSTILE),
    )
    alike = [a_query(number, params=[HOSTILE]) for number in (2, 3)]
    trace = a_trace(
        1, name=HOSTILE, request=None, kind="block", events=[event, *alike], findings=[a_finding(HOSTILE, 1)]
    )
    tree = parsed(written(trace))
    assert not list(tree.iter("script"))
    assert not list(tree.iter("img"))
    assert shown(tree.find(".//h1")) == HOSTILE


def test_10000_events_are_less_than_3_mb_and_all_are_reachable():
    trace = a_long_trace(1)
    text = written(trace)
    assert len(text.encode()) < 3_000_000
    assert_reachable_in(text, trace)


def assert_reachable_in(text: str, trace) -> None:
    """Without a parser, which takes a minute for 3 MB."""
    found = re.findall(r' id="(t1-event-\d+)"', text)
    assert len(found) == len(set(found))
    assert {f"t1-event-{event.id}" for event in trace.events} == set(found)
    assert set(re.findall(r'href="#(t1-event-\d+)"', text)) <= set(found)


def test_10000_events_that_have_nothing_in_common_are_less_than_3_mb_too():
    events = [
        a_query(
            number,
            sql=f'SELECT "t{number}"."id" FROM "t{number}" WHERE "t{number}"."name" = %s '
            + "AND 1 = 1 " * 30,
            params=["x" * 200],
            model=f"library.Model{number}",
            route=RouteKind.EXPLICIT,
            callsite=Callsite(file=f"library/views_{number}.py", line=number, function=f"view_{number}"),
        )
        for number in range(1, 10_001)
    ]
    trace = a_trace(1, events=events)
    text = written(trace)
    assert len(text.encode()) < 3_000_000
    assert_reachable_in(text, trace)
    assert "t9999" in text


@pytest.fixture
def many(monkeypatch):
    """As if there were too many events to show each of them whole."""
    monkeypatch.setattr(html, "MAX_FULL_ROWS", 0)


def test_a_few_events_are_shown_whole_also_those_that_are_alike():
    tree = parsed(written(a_trace(1, events=[a_query(number) for number in (1, 2, 3)])))
    assert not list(tree.iter("table"))


def test_an_event_like_another_is_one_line_with_its_own_values(many):
    events = [a_query(number, params=[f"value-{number}"], transaction_number=number) for number in (1, 2, 3)]
    events.append(a_query(4, sql="SELECT 4"))
    tree = parsed(written(a_trace(1, events=events)))
    assert_reachable(tree, a_trace(1, events=events))
    shown_lines = {tr.get("id"): shown(tr) for tr in tree.iter("tr")}
    assert set(shown_lines) - {None} == {"t1-event-2", "t1-event-3"}
    assert "value-2" in shown_lines["t1-event-2"]
    assert "T2" in shown_lines["t1-event-2"]
    assert "#1" in shown_lines["t1-event-2"]


@pytest.mark.parametrize(
    "other",
    [
        {"sql": "SELECT 2"},
        {"alias": "primary"},
        {"callsite": Callsite(file="library/views.py", line=89, function="save_book")},
        {"route": RouteKind.EXPLICIT},
        {"error": "ValueError: x"},
        {"atomic": True},
        {"many": True, "params": [["1"]]},
    ],
)
def test_an_event_that_is_not_like_another_has_everything(many, other):
    tree = parsed(written(a_trace(1, events=[a_query(1), a_query(2, **other)])))
    assert not list(tree.iter("table"))


def test_an_event_with_a_finding_has_everything(many):
    trace = a_trace(1, events=[a_query(1), a_query(2), a_query(3)], findings=[a_finding("stale-read", 3)])
    tree = parsed(written(trace))
    assert [tr.get("id") for tr in tree.iter("tr") if tr.get("id")] == ["t1-event-2"]


def test_questions_that_led_to_no_query_are_folded_and_there():
    events = [a_decision(number) for number in range(1, 8)] + [a_query(8, route=RouteKind.EXPLICIT)]
    trace = a_trace(1, events=events)
    tree = parsed(written(trace))
    assert_reachable(tree, trace)
    assert "and 7 more questions" in shown(tree)
