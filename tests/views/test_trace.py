"""The list of traces and the page of one trace, as a browser gets them, with and without htmx."""

from __future__ import annotations

import contextlib
import json
import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from dbroute_panel import trace as traced
from dbroute_panel.exports import FORMATS
from dbroute_panel.models import Trace as TraceModel
from dbroute_panel.records import Action, Callsite, Dropped, InstanceRef, Outcome, Request, Step, dumps
from dbroute_panel.redaction import redact_trace
from dbroute_panel.stores import StoreError
from dbroute_panel.views.databases import project_palette
from example_site.library.models import Book, Person
from tests.traces import a_decision, a_finding, a_long_trace, a_query, a_trace

PARTIAL = {"HX-Request-Type": "partial"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def url(name, *args):
    return reverse(f"admin:dbroute_panel_trace_{name}", args=args)


def text(response) -> str:
    """What a person reads on the page, spaces made one."""
    return words(re.sub(r"<(script|style)\b.*?</\1>", "", response.content.decode(), flags=re.DOTALL))


def words(markup: str) -> str:
    """What a person reads of a part of it."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def page_of(admin, trace, query=""):
    return admin.get(url("change", trace.id) + query)


class TestList:
    def test_without_traces_it_says_what_to_do(self, admin):
        response = admin.get(url("changelist"))
        assert response.status_code == 200
        assert "No traces yet. Open a page of your site that uses a database" in text(response)

    def test_every_trace_is_a_line_with_its_numbers_newest_first(self, admin, store):
        store.save(a_trace(1, path="/old/", aliases=["primary"]))
        store.save(a_trace(2, path="/new/", status=500, aliases=["replica1", "replica1"]), imported=True)
        store.save(a_trace(3, kind="block", name="nightly", request=None))
        response = admin.get(url("changelist"))
        table = re.search(r'<table id="result_list".*?</table>', response.content.decode(), re.DOTALL)[0]
        lines = re.findall(r"<tr\b.*?</tr>", table, re.DOTALL)[1:]
        assert ["nightly" in lines[0], "/new/" in lines[1], "/old/" in lines[2]] == [True] * 3
        assert "imported" in lines[1]
        assert "dbroute-bad" in lines[1]
        assert url("change", a_trace(2).id) in lines[1]
        assert f"{project_palette()['primary'].css} dbroute-db-replica" in lines[1]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("path=BOOKS", {1}),
            ("alias=archive", {2}),
            ("kind=block", {3}),
            ("status=404", {2}),
            ("path=BOOKS&status=404", set()),
            ("path=&alias=&kind=&status=", {1, 2, 3}),
        ],
    )
    def test_the_filter_is_in_the_url(self, admin, store, query, found):
        store.save(a_trace(1, path="/books/", name="x"))
        store.save(a_trace(2, path="/people/", name="x", status=404, aliases=["archive"]))
        store.save(a_trace(3, kind="block", name="nightly", request=None))
        body = admin.get(f"{url('changelist')}?{query}").content.decode()
        assert {n for n in (1, 2, 3) if url("change", a_trace(n).id) in body} == found
        if not found:
            assert "No trace matches this filter." in body

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("alias=primry", "Database: there is no “primry” here. Did you mean 'primary'?"),
            ("kind=dream", "Kind: there is no “dream” here."),
            ("status=high", "Status: a number from 100 to 599"),
            ("status=7", "Status: a number from 100 to 599"),
        ],
    )
    def test_a_filter_that_cannot_be_is_400_and_says_what_can(self, admin, store, query, message):
        store.save(a_trace(1))
        response = admin.get(f"{url('changelist')}?{query}")
        assert response.status_code == 400
        assert message in text(response)
        assert query.partition("=")[2] in response.content.decode()
        assert url("change", a_trace(1).id) not in response.content.decode()

    def test_pages(self, admin, store):
        for number in range(1, 53):
            store.save(a_trace(number))
        first, last = admin.get(url("changelist")), admin.get(url("changelist") + "?page=2&path=")
        assert "Page 1 of 2" in text(first)
        assert url("change", a_trace(52).id) in first.content.decode()
        assert url("change", a_trace(1).id) in last.content.decode()
        assert "Page 2 of 2" in text(admin.get(url("changelist") + "?page=99"))
        assert "Page 1 of 2" in text(admin.get(url("changelist") + "?page=x"))

    def test_htmx_gets_the_list_alone(self, admin, store):
        store.save(a_trace(1))
        response = admin.get(url("changelist"), headers=PARTIAL)
        assert response.content.decode().lstrip().startswith('<div id="dbroute-traces">')
        assert "HX-Request-Type" in response["Vary"]

    def test_a_store_that_cannot_keep_says_why(self, admin, store, monkeypatch):
        monkeypatch.setattr(type(store), "problem", lambda self: "the disk is full.")
        assert "Nothing can be kept at present: the disk is full." in text(admin.get(url("changelist")))

    def test_the_section_and_its_link_are_on_the_admin_s_index(self, admin):
        body = admin.get(reverse("admin:index")).content.decode()
        assert "Database routing" in body
        assert url("changelist") in body

    def test_the_model_has_no_rows_and_asks_nobody(self, site, store):
        with traced("looking at traces", keep=False) as t:
            assert not TraceModel.objects.filter(id="x").exists()
            assert list(TraceModel._base_manager.all()) == list(TraceModel._default_manager.all()) == []
            assert TraceModel.objects.count() == len(TraceModel.objects.order_by("id")) == 0
            assert list(TraceModel.objects.using("primary").iterator(chunk_size=5)) == []
            with pytest.raises(TraceModel.DoesNotExist):
                TraceModel.objects.get(pk="x")
        assert t.events == []
        assert str(TraceModel(id="abc")) == "abc"


class TestForgetting:
    def test_one_after_a_question(self, admin, store):
        store.save(a_trace(1))
        store.save(a_trace(2))
        shown = text(admin.get(url("delete", a_trace(1).id)))
        assert "will be deleted" in shown
        assert re.search(r"Recorded on \d+/\d+/\d+ [\d:]+\. 1 decision, 1 query\.", shown)
        assert store.count() == 2
        response = admin.post(url("delete", a_trace(1).id), {"post": "yes"}, follow=True)
        assert "was deleted" in text(response)
        assert [summary.id for summary in store.summaries()] == [a_trace(2).id]

    def test_the_selected_after_a_question(self, admin, store):
        for number in (1, 2, 3):
            store.save(a_trace(number))
        chosen = {"action": "delete_selected", "_selected_action": [a_trace(1).id, a_trace(3).id]}
        assert "The 2 selected traces will be deleted" in text(admin.post(url("changelist"), chosen))
        assert store.count() == 3
        response = admin.post(url("changelist"), chosen | {"post": "yes"}, follow=True)
        assert "2 traces were deleted." in text(response)
        assert [summary.id for summary in store.summaries()] == [a_trace(2).id]

    def test_all_after_a_question(self, admin, store):
        for number in (1, 2, 3):
            store.save(a_trace(number))
        assert "All 3 traces will be deleted" in text(admin.post(url("changelist"), {"action": "clear"}))
        assert store.count() == 3
        admin.post(url("changelist"), {"action": "clear", "post": "yes"})
        assert store.count() == 0

    def test_all_are_those_that_the_filter_finds(self, admin, store):
        for number in (1, 2, 3):
            store.save(a_trace(number, **({"kind": "block", "request": None} if number == 2 else {})))
        where = url("changelist") + "?kind=request"
        assert "Delete all traces that this filter finds" in text(admin.get(where))
        response = admin.post(where, {"action": "clear"})
        assert "The 2 traces that this filter finds will be deleted" in text(response)
        assert f'href="{where}"' in response.content.decode()
        response = admin.post(where, {"action": "clear", "post": "yes"}, follow=True)
        assert "2 traces were deleted." in text(response)
        assert [summary.id for summary in store.summaries()] == [a_trace(2).id]

    def test_where_the_filter_is_wrong_nothing_is_done(self, admin, store):
        store.save(a_trace(1))
        for action in ("clear", "export_all"):
            response = admin.post(url("changelist") + "?kind=qequest", {"action": action, "post": "yes"})
            assert response.status_code == 400
            assert "there is no “qequest” here" in text(response)
        assert store.count() == 1

    def test_nothing_selected_deletes_nothing(self, admin, store):
        store.save(a_trace(1))
        response = admin.post(url("changelist"), {"action": "delete_selected", "post": "yes"}, follow=True)
        assert "No trace was selected" in text(response)
        assert store.count() == 1

    def test_an_unknown_action_is_400(self, admin, store):
        response = admin.post(url("changelist"), {"action": "explode"})
        assert response.status_code == 400
        assert "There is no action “explode”." in text(response)

    @pytest.mark.parametrize("how", ["delete", "clear"])
    def test_a_store_that_cannot_delete_says_so(self, admin, store, monkeypatch, how):
        def fail(*args):
            raise StoreError("The file is read-only.")

        store.save(a_trace(1))
        monkeypatch.setattr(type(store), how, fail)
        where = url("changelist") if how == "clear" else url("delete", a_trace(1).id)
        response = admin.post(where, {"action": "clear", "post": "yes"}, follow=True)
        assert "Nothing was deleted: The file is read-only." in text(response)


class TestOneTrace:
    def test_the_headline_and_the_lanes(self, admin, store):
        store.save(a_trace(1, aliases=["replica1", "replica1", "primary"]))
        shown = text(page_of(admin, a_trace(1)))
        assert "GET /books/42/" in shown
        assert "200 84 ms 3 queries 2 databases 1 decision" in shown
        assert "replica1 ↦ primary 2 queries" in shown
        assert "routers 1 decision" in shown

    def test_a_block_has_no_status(self, admin, store):
        trace = a_trace(1, kind="block", name="nightly import", request=None)
        store.save(trace)
        shown = text(page_of(admin, trace))
        assert "nightly import" in shown
        assert "block 84 ms" in shown

    def test_an_empty_trace_says_so_and_what_to_do_next(self, admin, store):
        store.save(a_trace(1, events=[]))
        shown = text(page_of(admin, a_trace(1)))
        assert "Nothing was recorded" in shown
        assert (
            "record what uses a database: open a page of your site that does, or put the code into" in shown
        )

    def test_what_was_dropped_is_told(self, admin, store):
        store.save(a_trace(1, dropped=Dropped(query=5, decision=2)))
        assert "7 events are missing" in text(page_of(admin, a_trace(1)))

    def test_findings_are_on_top_and_lead_to_their_events(self, admin, store):
        store.save(a_trace(1, findings=[a_finding("stale-read", 1, 2)]))
        response = page_of(admin, a_trace(1))
        assert "▲ warning Book #42 was possibly stale. → #1 #2 stale-read" in text(response)
        assert f'href="{url("finding", "stale-read")}"' in response.content.decode()
        assert 'href="?event=2#event-2"' in response.content.decode()

    def test_that_nothing_is_wrong_is_said_too(self, admin, store):
        store.save(a_trace(1))
        store.save(a_trace(2, findings=[a_finding("stale-read", 1, 2)]))
        assert "1 decision no findings" in text(page_of(admin, a_trace(1)))
        assert "no findings" not in text(page_of(admin, a_trace(2)))

    def test_a_row_opens_without_javascript(self, admin, store):
        store.save(a_trace(1))
        closed, opened = page_of(admin, a_trace(1)), page_of(admin, a_trace(1), "?event=2")
        assert "ReplicaRouter answered replica1" not in text(closed)
        assert 'href="?event=2#event-2"' in closed.content.decode()
        assert re.search(r'id="event-2"\s+open', opened.content.decode())
        shown = text(opened)
        for said in (
            "Decision #1 db_for_read(library.Book)",
            "ReplicaRouter answered replica1. AuthRouter had no opinion.",
            "AuthRouter passed",
            "hint instance library.Book #42 _state.db = replica1, which no decision of this trace put there",
            "parameters 2 database",
            "library/views.py:88 save_book",
        ):
            assert said in shown

    def test_a_decision_is_shown_in_the_row_of_its_query(self, admin, store):
        store.save(a_trace(1))
        body = page_of(admin, a_trace(1), "?event=1").content.decode()
        assert re.search(r'id="event-2"\s+open', body)
        assert 'id="event-1"' in body

    def test_htmx_gets_the_detail_alone_and_only_there_is_sql_formatted(self, admin, store, monkeypatch):
        store.save(a_trace(1, aliases=["replica1"] * 20))
        from dbroute_panel.presentation import highlight

        formatted = []
        real = highlight.format_sql
        monkeypatch.setattr(highlight, "format_sql", lambda text: formatted.append(text) or real(text))
        page_of(admin, a_trace(1))
        assert formatted == []
        response = admin.get(url("change", a_trace(1).id) + "?event=5", headers=PARTIAL)
        assert len(formatted) == 1
        assert "<html" not in response.content.decode()
        assert re.search(r'<span class="dbroute-hl-keyword">SELECT\s*</span>', response.content.decode())

    def test_questions_are_folded_and_unfold(self, admin, store):
        trace = a_trace(1, events=[a_decision(n) for n in range(1, 131)])
        store.save(trace)
        closed = page_of(admin, trace)
        assert "and 130 more questions" in text(closed)
        assert 'id="event-7"' not in closed.content.decode()
        opened = page_of(admin, trace, "?fold=1").content.decode()
        assert 'id="event-100"' in opened
        assert 'id="event-101"' not in opened
        part = admin.get(url("change", trace.id) + "?fold=101", headers=PARTIAL).content.decode()
        assert 'id="event-101"' in part
        assert "Earlier questions" in part
        assert "<html" not in part

    def test_an_event_inside_a_fold_opens_both(self, admin, store):
        trace = a_trace(1, events=[a_decision(n) for n in range(1, 131)])
        store.save(trace)
        body = page_of(admin, trace, "?event=120").content.decode()
        assert re.search(r'id="fold-1"\s+open', body)
        assert re.search(r'id="event-120"\s+open', body)

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            ("db=primary", {3, 4}),
            ("q=nothing+has+this", set()),
            ("route=router", {2, 3}),
            ("action=db_for_read&db=replica1", {2}),
            ("model=library.Book", {2, 3}),
            ("q=&db=&route=&model=&action=", {2, 3, 4}),
            ("from_us=300&to_us=400", {2, 3}),
            ("from_us=&to_us=", {2, 3, 4}),
        ],
    )
    def test_the_filter_is_in_the_url(self, admin, store, query, ids):
        store.save(a_trace(1, aliases=["replica1", "primary"]))
        body = page_of(admin, a_trace(1), f"?{query}").content.decode()
        assert set(map(int, re.findall(r'<details [^>]*id="event-(\d+)"', body))) == ids
        part = admin.get(f"{url('change', a_trace(1).id)}?{query}", headers=PARTIAL).content.decode()
        assert part.lstrip().startswith('<div id="dbroute-events"')
        if not ids:
            assert "No event matches this filter." in part

    def test_the_list_brings_what_the_links_of_the_timeline_begin_with(self, admin, store):
        """The filter without a lane's own part and without the place in the list, as the page has them."""
        trace = a_trace(1, aliases=["replica1", "primary"])
        store.save(trace)
        query = "?db=primary&model=library.Book&questions=on&kind=queries&from_us=0&to_us=90000&page=1&q="
        part = admin.get(f"{url('change', trace.id)}{query}", headers=PARTIAL).content.decode()
        assert '<div id="dbroute-events" data-dbroute-lanes="?model=library.Book&amp;">' in part
        page = page_of(admin, trace, query).content.decode()
        timeline = re.search(r'<section class="dbroute-timeline".*?</section>', page, re.DOTALL)[0]
        assert ' data-dbroute-lanes="?model=library.Book&amp;">' in timeline
        links = re.findall(r'href="(\?[^"]*)"', timeline)
        assert len(links) > 3
        assert {link.partition("&amp;")[0] for link in links} == {"?model=library.Book"}

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("from_us=300&to_us=400", "at 0.3–0.4 ms"),
            ("from_us=300", "at 0.3–84.0 ms"),
            ("to_us=400", "at 0.0–0.4 ms"),
        ],
    )
    def test_a_time_is_said_and_kept_by_the_form_and_can_be_taken_away(self, admin, store, query, said):
        store.save(a_trace(1))
        response = page_of(admin, a_trace(1), f"?db=replica1&{query}&page=1")
        assert said in text(response).replace("\N{NO-BREAK SPACE}", " ")
        body = response.content.decode()
        assert '<a href="?db=replica1&amp;">at any time</a>' in body
        for given in query.split("&"):
            name, value = given.split("=")
            assert f'<input type="hidden" name="{name}" value="{value}"' in body
        assert "at any time" not in text(page_of(admin, a_trace(1), "?db=replica1"))

    def test_links_keep_the_filter(self, admin, store):
        store.save(a_trace(1, aliases=["replica1", "primary"]))
        body = page_of(admin, a_trace(1), "?db=primary&q=&page=1").content.decode()
        assert 'href="?db=primary&amp;event=3#event-3"' in body

    def test_a_link_to_an_event_that_the_filter_hides_leads_there(self, admin, store):
        store.save(a_trace(1, aliases=["replica1", "primary"]))
        response = page_of(admin, a_trace(1), "?db=primary&event=2")
        assert response.status_code == 302
        assert response["Location"] == "?event=2#event-2"

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("db=nowhere", "Database: there is no “nowhere” here. Valid are 'primary', 'replica1'"),
            ("route=magic", "Route: there is no “magic” here."),
            ("action=db_for_reed", "Did you mean 'db_for_read'?"),
            ("model=library.Bok", "Did you mean 'library.Book'?"),
        ],
    )
    def test_a_filter_that_cannot_be_is_400_and_keeps_what_was_given(self, admin, store, query, message):
        store.save(a_trace(1))
        for headers in ({}, PARTIAL):
            response = admin.get(f"{url('change', a_trace(1).id)}?{query}", headers=headers)
            assert response.status_code == 400
            assert message in text(response)
        assert query.partition("=")[2] in response.content.decode()

    @pytest.mark.parametrize("query", ["from_us=noon", "to_us=-1", "to_us=9999999999999999"])
    def test_a_time_that_cannot_be_is_400(self, admin, store, query):
        store.save(a_trace(1))
        response = page_of(admin, a_trace(1), f"?{query}")
        assert response.status_code == 400
        assert "from_us and to_us: whole microseconds from the start of the trace." in text(response)

    @pytest.mark.parametrize("event", ["99", "x", "", "-1", "9" * 30, "٣"])
    def test_an_unknown_event_is_404(self, admin, store, event):
        store.save(a_trace(1))
        response = page_of(admin, a_trace(1), f"?event={event}")
        assert response.status_code == 404
        assert f"There is no event #{event}" in text(response)

    @pytest.mark.parametrize("name", ["change", "delete"])
    @pytest.mark.parametrize("trace_id", ["0" * 32, "x", "%3Cscript%3E"])
    def test_an_unknown_trace_is_404_with_one_message(self, admin, store, name, trace_id):
        for headers in ({}, PARTIAL):
            response = admin.get(url(name, "ID").replace("ID", trace_id), headers=headers)
            assert response.status_code == 404
            assert response.content.decode().count("errornote") == 1
            assert "There is no trace “" in text(response)
            assert "Traceback" not in text(response)

    def test_a_trace_that_is_still_recorded_can_be_looked_at(self, admin, store):
        with traced("in the middle of it") as t:
            list(Book.objects.all())
            trace_id = t.id
            assert store.get(trace_id) is None
            response = admin.get(url("change", trace_id))
        assert "in the middle of it" in text(response)

    def test_ten_thousand_events_are_a_small_page(self, admin, store, settings):
        settings.DEBUG = False  # without the toolbar
        trace = a_long_trace(1, events=10_000)
        store.save(trace)
        assert len(page_of(admin, trace).content) < 150_000
        worst = a_trace(2, events=[a_query(n, sql=f"SELECT {'x' * 5_000} FROM t") for n in range(1, 10_001)])
        store.save(worst)
        assert len(page_of(admin, worst, "?page=3").content) < 150_000

    def test_hostile_text_is_only_text(self, admin, store):
        callsite = Callsite(file=HOSTILE, line=1, function=HOSTILE, template=(HOSTILE, 1), entry=HOSTILE)
        ref = InstanceRef(model=HOSTILE, pk=HOSTILE, state_db=HOSTILE, adding=False)
        step = Step(
            router=HOSTILE, outcome=Outcome.ANSWERED, answer=HOSTILE, traceback=HOSTILE, source=callsite
        )
        trace = a_trace(
            1,
            name=HOSTILE,
            request=Request(method="GET", path=HOSTILE, view=HOSTILE, status=200),
            events=[
                a_decision(
                    1,
                    model=HOSTILE,
                    hints={HOSTILE: ref, "b": HOSTILE},
                    steps=[step],
                    callsite=callsite,
                    answer=HOSTILE,
                ),
                a_query(
                    2,
                    HOSTILE,
                    sql=f"SELECT {HOSTILE} FROM x",
                    params=[HOSTILE],
                    error=HOSTILE,
                    decision_id=1,
                    instance=ref,
                    callsite=callsite,
                ),
                a_decision(3, action=Action.WRITE, model=HOSTILE),
                a_decision(4, model=HOSTILE),
            ],
            findings=[a_finding(HOSTILE, 2)],
            routers=[HOSTILE],
        )
        store.save(trace)
        for query in (
            "",
            "?event=2",
            "?event=3",
            "?event=4",
            f"?q={HOSTILE}",
            f"?db={HOSTILE}",
            f"?event={HOSTILE}",
        ):
            body = page_of(admin, trace, query).content.decode()
            assert "<script>alert" not in body
            assert "<img src=x" not in body
        assert "<img src=x" not in admin.get(url("changelist") + f"?path={HOSTILE}").content.decode()
        assert "<img src=x" not in admin.get(url("delete", trace.id)).content.decode()

    def test_no_page_has_inline_script_style_or_handlers(self, admin, store, settings):
        settings.DEBUG = False  # the toolbar is another's
        store.save(a_trace(1, findings=[a_finding("x", 2)]))
        pages = [
            url("changelist"),
            url("change", a_trace(1).id) + "?event=2",
            url("delete", a_trace(1).id),
            url("sandbox"),
        ]
        for path in pages:
            body = admin.get(path).content.decode()
            own = body[body.index('<div id="dbroute">') :]
            assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|hx-on|js:", own)
            assert not re.search(r"<script(?![^>]*\ssrc=)", body)


class TestWalkThrough:
    def test_scenario_13_is_explained_on_its_page(self, admin, store):
        """Done when: ... reads, in order, who decided each query and why, with mh's _state.db explained."""
        admin.post("/scenarios/13/run/")
        (summary,) = [s for s in store.summaries() if s.kind == "block"]
        trace = store.get(summary.id)
        body = page_of(admin, trace).content.decode()
        rows = re.findall(r'<details [^>]*id="event-\d+".*?</summary>', body, re.DOTALL)
        whys = [re.search(r'dbroute-why[^>]*">([^<]*)', row)[1] for row in rows]
        assert whys == ["AuthRouter"] * 2 + ["PrimaryReplicaRouter"] * 3
        insert = next(q for q in trace.queries if q.operation == "INSERT")
        bound = insert.instance.origin_id
        shown = text(page_of(admin, trace, f"?event={insert.id}"))
        assert re.search(
            rf"hint instance new library\.Book _state\.db = primary, put there by decision #{bound}, "
            r"db_for_write\(library\.Book\), asked with instance=library\.Person #\d+ "
            rf"\(_state\.db = replica\d\) ?; from #{bound}",
            shown,
        )
        assert (
            f'href="?event={bound}#event-{bound}"'
            in page_of(admin, trace, f"?event={insert.id}").content.decode()
        )

    def test_a_relation_shows_both_objects_and_who_refused(self, admin, store):
        with traced("refused") as t:
            book = Book.objects.using("archive").first()
            with contextlib.suppress(ValueError):
                book.author = Person.objects.first()
        decision = next(d for d in t.decisions if d.action is Action.RELATION)
        shown = text(page_of(admin, t.document, f"?event={decision.id}"))
        assert "obj1 library.Person #" in shown
        assert "obj2 library.Book #" in shown
        assert "_state.db = archive" in shown
        assert "put there by decision" in shown


class TestExport:
    def test_json_is_the_document_as_a_download(self, admin, store):
        store.save(a_trace(1))
        response = admin.get(url("export", a_trace(1).id, "json"))
        assert response.streaming
        assert response["Content-Type"] == "application/json"
        assert response["Content-Disposition"] == f'attachment; filename="dbroute-{a_trace(1).id}.json"'
        body = b"".join(response.streaming_content)
        assert body.strip() == dumps(a_trace(1))
        assert json.loads(body)["schema"] == "dbroute-trace/2"

    def test_an_unknown_format_or_trace_is_404(self, admin, store):
        store.save(a_trace(1))
        response = admin.get(url("export", a_trace(1).id, "jsn"))
        assert response.status_code == 404
        assert "There is no export format “jsn”. Did you mean 'json'?" in text(response)
        assert admin.get(url("export", "0" * 32, "json")).status_code == 404

    def test_what_was_to_be_redacted_is(self, admin, store):
        store.save(a_trace(1))
        response = admin.get(url("export", a_trace(1).id, "json") + "?redact=1")
        name = f"dbroute-{a_trace(1).id}-redacted.json"
        assert response["Content-Disposition"] == f'attachment; filename="{name}"'
        body = b"".join(response.streaming_content)
        assert body.strip() == dumps(redact_trace(a_trace(1)))
        assert b"42" in dumps(a_trace(1))
        assert b"42" not in body

    @pytest.mark.parametrize("value", ["", "yes", "true"])
    def test_what_may_be_meant_as_redacted_is_not_given_out_as_it_is(self, admin, store, value):
        store.save(a_trace(1))
        response = admin.get(url("export", a_trace(1).id, "json") + f"?redact={value}")
        assert response.status_code == 400
        assert f"redact is “{value}”; valid are 1 and 0." in text(response)

    def test_not_redacted_can_be_said(self, admin, store):
        store.save(a_trace(1))
        response = admin.get(url("export", a_trace(1).id, "json") + "?redact=0")
        assert b"".join(response.streaming_content).strip() == dumps(a_trace(1))

    async def test_under_asgi_it_is_sent_a_piece_at_a_time(self, store, async_client, site):
        store.save(a_trace(1))
        await async_client.aforce_login(await User.objects.using("auth_db").aget(username="admin"))
        response = await async_client.get(url("export", a_trace(1).id, "csv"))
        assert response.is_async
        body = b"".join([piece async for piece in response.streaming_content])
        assert body == b"".join(FORMATS["csv"].write([a_trace(1)]))

    @pytest.mark.parametrize("name", FORMATS)
    def test_the_page_links_every_format_as_it_is_and_redacted(self, admin, store, name):
        store.save(a_trace(1))
        page = page_of(admin, a_trace(1)).content.decode()
        assert f'href="{url("export", a_trace(1).id, name)}"' in page
        assert f'href="{url("export", a_trace(1).id, name)}?redact=1"' in page

    def test_the_list_exports_the_selected_oldest_first(self, admin, store):
        for number in (1, 2, 3):
            store.save(a_trace(number))
        chosen = {"_selected_action": [a_trace(3).id, "0" * 32, a_trace(1).id], "format": "ndjson"}
        response = admin.post(url("changelist"), chosen | {"action": "export_selected"})
        assert response["Content-Disposition"] == 'attachment; filename="dbroute-traces.ndjson"'
        lines = b"".join(response.streaming_content).splitlines()
        assert lines == [dumps(a_trace(1)), dumps(a_trace(3))]

    def test_the_list_exports_all_redacted(self, admin, store):
        for number in (1, 2):
            store.save(a_trace(number))
        chosen = {"action": "export_all", "format": "json", "redact": "1"}
        response = admin.post(url("changelist"), chosen)
        assert response["Content-Disposition"] == 'attachment; filename="dbroute-traces-redacted.json"'
        documents = json.loads(b"".join(response.streaming_content))
        assert documents == [redact_trace(a_trace(number)).to_dict() for number in (1, 2)]

    def test_the_list_exports_all_that_the_filter_finds(self, admin, store):
        store.save(a_trace(1))
        store.save(a_trace(2, findings=[a_finding("stale-read", 1, 2)]))
        where = url("changelist") + "?finding=stale-read"
        assert "Export all traces that this filter finds" in text(admin.get(where))
        response = admin.post(where, {"action": "export_all", "format": "ndjson"})
        (line,) = b"".join(response.streaming_content).splitlines()
        assert json.loads(line)["id"] == a_trace(2).id

    def test_the_list_exports_nothing_where_nothing_is_selected(self, admin, store):
        store.save(a_trace(1))
        response = admin.post(url("changelist"), {"action": "export_selected"}, follow=True)
        assert "No trace was selected, nothing was exported." in text(response)
        wrong = admin.post(url("changelist"), {"action": "export_all", "format": "xml"})
        assert wrong.status_code == 404
        assert "There is no export format “xml”." in text(wrong)

    def test_an_imported_trace_is_marked(self, admin, store):
        store.save(a_trace(1))
        store.save(a_trace(2), imported=True)
        mark = '<span class="dbroute-tag">imported</span>'
        assert mark not in page_of(admin, a_trace(1)).content.decode()
        assert mark in page_of(admin, a_trace(2)).content.decode()
