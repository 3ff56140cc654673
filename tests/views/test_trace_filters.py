"""The filter and the order of a trace's events: in the URL, with and without htmx."""

from __future__ import annotations

import html5lib
import pytest
from django.urls import reverse

from dbroute_panel.records import Action, Callsite, Database, DecidedBy, Outcome, Query, RouteKind, Step
from tests.traces import a_decision, a_finding, a_long_trace, a_query, a_trace, a_transaction

pytestmark = pytest.mark.unmeasured

PARTIAL = {"HX-Request-Type": "partial"}


def get(admin, trace, query="", **kwargs):
    return admin.get(reverse("admin:dbroute_panel_trace_change", args=[trace.id]) + query, **kwargs)


def parsed(response):
    return html5lib.parse(response.content.decode(), namespaceHTMLElements=False)


def with_class(tree, name):
    return [element for element in tree.iter() if name in (element.get("class") or "").split()]


def rows(tree):
    """The ids of the rows, in order; a fold is "fold"."""
    return [
        "fold"
        if "dbroute-row-fold" in row.get("class").split()
        else int(row.get("id").removeprefix("event-"))
        for row in with_class(tree, "dbroute-row")
    ]


def named(tree, name):
    """The values of the fields that are sent with the filter under this name."""
    return [element.get("value") for element in tree.iter("input") if element.get("name") == name]


def links(tree, name="dbroute-way"):
    return {"".join(link.itertext()).strip(): link for link in with_class(tree, name)}


RAISED = Step(router="routers.Bad", outcome=Outcome.RAISED, error="ValueError: no")
EVENTS = [
    a_decision(1),
    a_query(2, decision_id=1, duration_us=900.0),
    a_query(3, "archive", route=RouteKind.EXPLICIT, duration_us=5_000.0),
    a_transaction(4),
    a_decision(5, decided_by=DecidedBy.INSTANCE, steps=[]),
    a_query(6, decision_id=5, duration_us=2_000.0),
    a_decision(7, decided_by=DecidedBy.DEFAULT, steps=[]),
    a_query(8, "archive", decision_id=7, duration_us=100.0),
    a_decision(9, decided_by=DecidedBy.ERROR, answer=None, steps=[RAISED]),
    a_query(10, route=RouteKind.CURSOR, duration_us=10.0),
    a_query(11, route=RouteKind.DEFAULT, decision_id=99, duration_us=11.0),
    a_decision(12, action=Action.MIGRATE, decided_by=DecidedBy.ALLOWED, answer=True, args={}, steps=[]),
]


@pytest.fixture
def trace(store):
    trace = a_trace(1, events=EVENTS)
    store.save(trace)
    return trace


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("by=routers.ReplicaRouter", [2]),
        ("by=instance", [6]),
        ("by=default", [8, 11]),
        ("by=code", [3, 10]),
        ("by=raised", [9]),
        ("by=django", [12]),
        ("by=code&db=archive", [3]),
        ("ms=1", [3, 6]),
        ("ms=0.9", [2, 3, 6]),
        ("ms=0", [2, 3, 4, 6, 8, 9, 10, 11, 12]),
        ("by=&ms=", [2, 3, 4, 6, 8, 9, 10, 11, 12]),
        ("findings=0&questions=0", [2, 3, 4, 6, 8, 9, 10, 11, 12]),
        ("findings=false&questions=", [2, 3, 4, 6, 8, 9, 10, 11, 12]),
        ("findings=1", []),
        ("findings=true", []),
        ("from_us=0&to_us=0", []),
        ("page=1&_facets=True", [2, 3, 4, 6, 8, 9, 10, 11, 12]),
        ("sort=duration", [3, 6, 2, 8, 11, 10, 4, "fold"]),
        ("sort=duration&questions=on", [3, 6, 2, 8, 11, 10, 9, 12, 4]),
        ("sort=duration&db=archive", [3, 8]),
        ("like=2", [2, 6, 10, 11]),
        ("like=3", [3, 8]),
    ],
)
def test_the_filter_and_the_order_are_in_the_url_with_and_without_htmx(admin, trace, query, ids):
    assert rows(parsed(get(admin, trace, f"?{query}"))) == ids
    assert rows(parsed(get(admin, trace, f"?{query}", headers=PARTIAL))) == ids


def test_of_those_that_took_as_long_the_first_is_first(admin, store):
    trace = a_trace(2, events=[a_query(n, duration_us=5.0) for n in range(1, 30)])
    store.save(trace)
    assert rows(parsed(get(admin, trace, "?sort=duration"))) == list(range(1, 30))


def test_who_decided_can_be_chosen_by_name(admin, trace):
    tree = parsed(get(admin, trace))
    (select,) = (element for element in tree.iter("select") if element.get("name") == "by")
    offered = {option.get("value"): option.text for option in select.iter("option")}
    assert offered["routers.ReplicaRouter"] == "ReplicaRouter"
    assert "routers.AuthRouter" not in offered  # it has decided nothing
    assert {"instance", "default", "code", "django", "raised"} < offered.keys()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("ms=fast", "At least (ms): a number from 0, such as 5 or 0.2."),
        ("ms=-1", "At least (ms): a number from 0"),
        ("ms=nan", "At least (ms): a number from 0"),
        ("by=routers.ReplicaRoutr", "Did you mean 'routers.ReplicaRouter'?"),
        ("sort=slowest", "Order: there is no “slowest” here."),
        ("group=all", "Grouping: there is no “all” here."),
        ("like=1", "there is no query #1 in this trace."),
        ("like=999", "there is no query #999 in this trace."),
        ("like=x", "there is no query #x in this trace."),
        ("alias=primary", "There is no filter “alias”. Valid are 'action', 'by', 'db', 'findings'"),
        ("databse=primary", "There is no filter “databse”."),
        ("modl=library.Book", "There is no filter “modl”. Did you mean 'model'?"),
        ("findings=no", "only findings: “no” is neither on nor 0."),
        ("questions=2", "every question: “2” is neither on nor 0."),
        ("from_us=5&to_us=1", "from_us and to_us: what begins at 5 µs cannot end at 1 µs."),
        ("q=" + "x" * 501, "Text: Ensure this value has at most 500 characters"),
        ("q=a%00", "Text: Null characters are not allowed."),
        ("q=&like=2%00", "Statement of event: Null characters are not allowed."),
        ("like=" + "9" * 40, "there is no query #999"),
    ],
)
@pytest.mark.parametrize("headers", [{}, PARTIAL])
def test_what_cannot_be_is_400_with_one_message_and_is_kept(admin, trace, query, message, headers):
    response = get(admin, trace, f"?db=primary&{query}", headers=headers)
    assert response.status_code == 400
    tree = parsed(response)
    (error,) = with_class(tree, "errornote")
    assert message in error.text
    assert rows(tree) == []
    name, _, value = query.partition("=")
    if name in ("sort", "group", "like"):
        assert named(tree, name) == [value]
    elif not headers and name == "ms":
        assert named(tree, "ms") == [value]


def test_the_headline_says_who_decided_how_often_and_leads_to_the_queries(admin, trace):
    (shown,) = with_class(parsed(get(admin, trace, "?db=archive")), "dbroute-decided")

    said = {" ".join("".join(item.itertext()).split()): item.find("a") for item in shown.iter("li")}
    assert list(said) == ["the code itself 2", "default, nobody said 2", "ReplicaRouter 1", "the instance 1"]
    queries = {event.id for event in EVENTS if isinstance(event, Query)}
    for text, link in said.items():
        listed = rows(parsed(get(admin, trace, link.get("href").partition("#")[0])))
        assert len(queries.intersection(listed)) == int(text.split()[-1])


def test_a_router_whose_decision_was_not_kept_is_among_who_decided(admin, store):
    trace = a_trace(2, events=[a_query(2, decision_id=1), a_query(3, route=RouteKind.EXPLICIT)])
    store.save(trace)
    (shown,) = with_class(parsed(get(admin, trace)), "dbroute-decided")
    assert [" ".join("".join(item.itertext()).split()) for item in shown.iter("li")] == [
        "a router, not kept which 1",
        "the code itself 1",
    ]


def test_only_a_field_that_is_filled_in_has_a_colon(admin, trace):
    labels = {
        "".join(label.itertext()): label.get("for") for label in parsed(get(admin, trace)).iter("label")
    }

    assert labels["only findings"] == "id_findings"
    assert labels["every question"] == "id_questions"
    assert labels["Text:"] == "id_q"


def test_the_order_is_a_link_that_keeps_the_filter(admin, trace):
    tree = parsed(get(admin, trace, "?db=archive&page=1&event=3"))
    ways = links(tree)
    assert ways["longest first"].get("href") == "?db=archive&sort=duration"
    assert ways["as it happened"].get("aria-current") == "true"
    tree = parsed(get(admin, trace, "?db=archive&sort=duration"))
    ways = links(tree)
    assert ways["as it happened"].get("href") == "?db=archive"
    assert ways["longest first"].get("aria-current") == "true"
    for link in ways.values():
        assert link.get("hx-get") == link.get("href")


@pytest.mark.parametrize("headers", [{}, PARTIAL])
def test_the_filter_keeps_the_order_also_after_htmx_has_changed_it(admin, trace, headers):
    tree = parsed(get(admin, trace, "?sort=duration&like=2", headers=headers))
    hidden = [element for element in tree.iter("input") if element.get("type") == "hidden"]
    fields = {element.get("name"): element for element in hidden}
    for name, value in (("sort", "duration"), ("like", "2")):
        assert fields[name].get("value") == value
        assert fields[name].get("form") == "dbroute-filter"
        assert named(tree, name) == [value]
    assert "group" not in fields


def test_rows_and_pages_keep_order_and_filter(admin, store):
    trace = a_long_trace(3, events=500)
    store.save(trace)
    tree = parsed(get(admin, trace, "?sort=duration&ms=0.1"))
    (row, *_rest) = with_class(tree, "dbroute-row")
    (link,) = row.iter("a")
    assert link.get("href") == "?sort=duration&ms=0.1&event=2#event-2"
    (listed,) = with_class(tree, "dbroute-rows")
    assert listed.get("data-dbroute-links") == "?sort=duration&ms=0.1&"
    (following,) = (link for link in tree.iter("a") if link.get("rel") == "next")
    assert following.get("href") == "?sort=duration&ms=0.1&page=2"


def test_one_statement_says_so_and_leads_back(admin, trace):
    tree = parsed(get(admin, trace, "?like=2&sort=duration"))
    (back,) = (link for link in tree.iter("a") if link.text == "all of them")
    assert back.get("href") == "?sort=duration"


def test_the_order_alone_is_no_filter(admin, trace):
    assert not with_class(parsed(get(admin, trace, "?sort=duration")), "dbroute-clear")
    assert with_class(parsed(get(admin, trace, "?like=2")), "dbroute-clear")


def test_the_page_that_was_looked_at_is_not_taken_for_another(admin, store):
    first, second = a_trace(4, aliases=["primary"]), a_trace(5, aliases=["replica1"] * 3)
    store.save(first)
    store.save(second)
    for _ in range(2):
        assert rows(parsed(get(admin, first))) == [2, 3]
        assert rows(parsed(get(admin, second))) == [2, 3, 4, 5]
    store.delete([first.id])
    assert get(admin, first).status_code == 404
    store.save(a_trace(4, aliases=["archive"] * 2))
    assert rows(parsed(get(admin, first))) == [2, 3, 4]


def test_filters_beyond_those_that_are_remembered_hold_too(admin, trace):
    expected = [[3, 8], *([[3]] * 5), *([[]] * 6)]
    for ms, ids in enumerate(expected):
        assert rows(parsed(get(admin, trace, f"?ms={ms}&db=archive"))) == ids


def test_thousands_of_findings_do_not_make_the_page_large(admin, store, settings):
    settings.DEBUG = False
    events = [a_query(n) for n in range(1, 1_001)]
    trace = a_trace(6, events=events, findings=[a_finding("stale-read", n) for n in range(1, 1_001)])
    store.save(trace)
    response = get(admin, trace)
    assert len(response.content) < 150_000
    (section,) = with_class(parsed(response), "dbroute-findings")
    assert len(list(section.iter("li"))) == 10
    (rest,) = (link for link in section.iter("a") if "1000" in (link.text or ""))
    assert rest.get("href") == "?findings=on"
    assert len(rows(parsed(get(admin, trace, "?findings=on")))) == 100


def test_ids_and_lines_have_no_separator_for_thousands(admin, store, settings):
    settings.USE_THOUSAND_SEPARATOR = True
    trace = a_trace(7, events=[a_query(n) for n in range(1_000, 1_003)])
    store.save(trace)
    tree = parsed(get(admin, trace, "?event=1001"))
    assert rows(tree) == [1000, 1001, 1002]
    hrefs = [link.get("href") for link in tree.iter("a") if "event=" in (link.get("href") or "")]
    assert hrefs
    assert not [href for href in hrefs if "," in href]


PATH = "/srv/releases/2026-11-22/application/with/a/long/path/views/reporting/quarterly_overview.py"
ALIASES = [f"customer_shard_{n}" for n in range(30)]


@pytest.fixture(scope="module")
def worst():
    """Many databases, long names and paths, a finding in every row, and all that a row can say besides."""
    site = Callsite(file=PATH, line=1088, function="overview")
    model, table = "reporting.QuarterlyOverviewLineItem", "reporting_quarterly_overview_line_items"
    makers = (
        lambda n: a_decision(n, model=model, callsite=site),
        lambda n: a_query(
            n,
            ALIASES[n % 30],
            sql=f"SELECT a FROM {table} WHERE id = %s",
            model=model,
            callsite=site,
            transaction_number=n,
            parent_id=max(1, n - 1),
            error="OperationalError: gone" * 20 if n % 8 == 2 else None,
        ),
        lambda n: a_transaction(n, ALIASES[n % 30]),
    )
    databases = {
        alias: Database(vendor="postgresql", engine="x", replica_of=None if n % 2 else ALIASES[n - 1])
        for n, alias in enumerate(ALIASES)
    }
    return a_trace(
        8,
        events=[makers[n % 3](n) for n in range(1, 10_001)],
        databases=databases,
        findings=[a_finding("stale-read", *range(n, 10_001, 7)) for n in range(1, 200)],
    )


FILTERS = {
    "nothing": "",
    "the last page": "?page=999",
    "a long text": "?ms=0&q=" + "%E2%82%AC" * 500,
    "a long filter": "?model=reporting.QuarterlyOverviewLineItem&questions=on&q=" + "r" * 400,
    "parameters that are none": f"?ms=0&_utm={'x' * 200}",
    "findings": "?findings=on",
    "questions": "?questions=on",
    "an open event": "?event=5000",
    "the longest first": "?sort=duration",
    "statements": "?group=statements&sort=duration",
    "an open statement": "?group=statements&sort=duration&like=1",
    "a time": "?from_us=0&to_us=800000&db=customer_shard_1",
}


@pytest.mark.parametrize("query", FILTERS.values(), ids=FILTERS)
def test_no_trace_of_ten_thousand_events_makes_a_page_of_150_kb(admin, store, settings, worst, query):
    settings.DEBUG = False  # the toolbar is not ours
    store.save(worst)
    for headers in ({}, PARTIAL):
        response = get(admin, worst, query, headers=headers)
        assert response.status_code == 200
        assert len(response.content) < 150_000
