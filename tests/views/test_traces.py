"""The list of traces: what a line says, how it stays up to date, and what can be done with the selected."""

from __future__ import annotations

import re
import sqlite3
import zlib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from dbroute_panel import environment
from dbroute_panel.presentation import Palette, build_usage_bar
from dbroute_panel.records import Database, Request, dumps
from dbroute_panel.stores import StoreError
from dbroute_panel.templatetags.dbroute import moment, short_moment
from dbroute_panel.views.databases import project_palette
from tests.security.pages import person
from tests.traces import a_decision, a_finding, a_trace
from tests.views.test_trace import words

PARTIAL = {"HX-Request-Type": "partial"}
LIST = "/admin/dbroute_panel/trace/"


@pytest.fixture
def admin(admin, settings):
    """As the site is served: ``DEBUG`` is off."""
    settings.DEBUG = False
    return admin


def lines(response) -> list[str]:
    return re.findall(r'<tr id="trace-.*?</tr>', response.content.decode(), re.DOTALL)


def shown(response) -> list[str]:
    return re.findall(r'<tr id="trace-(\w+)"', response.content.decode())


def again(response) -> str:
    """The URL that the page asks from time to time, as far as it does."""
    found = re.search(r'class="dbroute-again" hidden hx-get="([^"]*)"', response.content.decode())
    return unescape(found[1]) if found else ""


def ids(*numbers: int) -> list[str]:
    return [a_trace(number).id for number in numbers]


class TestALine:
    def test_it_names_its_databases_and_draws_their_shares(self, admin, store):
        queries = {"primary": 1, "replica1": 3}
        store.save(a_trace(1, aliases=["replica1", "primary", "replica1", "replica1"]))
        (line,) = lines(admin.get(LIST))
        assert "primary 1 replica1 ↦ replica of primary 3" in words(line)
        parts = build_usage_bar(queries, Palette(a_trace().databases, environment.databases()))
        assert re.findall(r'<rect class="([^"]*)" x="(\d+)" y="0" width="(\d+)"', line) == [
            (one.database.css, str(one.x), str(one.width)) for one in parts
        ]
        assert "<title>primary 1, replica1 3</title>" in line

    def test_an_alias_has_the_colour_that_it_has_on_the_site_s_own_pages(self, admin, store):
        database = Database(vendor="sqlite", engine="django.db.backends.sqlite3", replica_of=None)
        databases = {"legacy": database, "primary": database}  # of a project without "default"
        traces = [a_trace(n, aliases=["primary"] * n, databases=databases) for n in (1, 2)]
        for trace in traces:
            store.save(trace)
        one, other = (trace.id for trace in traces)
        colour = project_palette()["primary"].css
        for page in (LIST, f"{LIST}{one}/change/", f"{LIST}compare/?a={one}&b={other}"):
            swatches = re.findall(r'dbroute-swatch ([^"]+)"></span>primary', admin.get(page).content.decode())
            assert set(swatches) == {colour}, page

    def test_of_many_databases_it_shows_some_and_tells_the_others(self, admin, store):
        store.save(a_trace(1, aliases=[f"shard{number}" for number in range(7)]))
        (line,) = lines(admin.get(LIST))
        assert line.count("<rect") == 7
        assert line.count('class="dbroute-database"') == 3
        assert "+4 : shard3 1, shard4 1, shard5 1, shard6 1" in words(line)

    def test_one_database_more_is_named_as_well(self, admin, store):
        store.save(a_trace(1, aliases=[f"shard{number}" for number in range(4)]))
        (line,) = lines(admin.get(LIST))
        assert line.count('class="dbroute-database"') == 4
        assert "+1" not in words(line)

    def test_without_a_query_it_says_what_there_is(self, admin, store):
        store.save(a_trace(1, events=[]))
        store.save(a_trace(2, events=[a_decision(1), a_decision(2)]))
        two, none = lines(admin.get(LIST))
        assert "no query, 2 decisions" in words(two)
        assert "no query" in words(none)
        assert "decision" not in words(none)
        assert "<svg" not in two + none

    def test_findings_are_counted_by_level_and_imported_ones_marked(self, admin, store):
        store.save(a_trace(1, findings=[a_finding(), a_finding()]), imported=True)
        (line,) = lines(admin.get(LIST))
        assert "▲ 2 warning" in words(line)
        assert '<span class="dbroute-tag">imported</span>' in line

    def test_the_time_is_short_and_whole_for_machines_and_on_hovering(self, admin, store):
        trace = a_trace(1)
        store.save(trace)
        (line,) = lines(admin.get(LIST))
        expected = (
            f'<time datetime="{trace.started_at}" title="{moment(trace.started_at)}">'
            f"{short_moment(trace.started_at)}</time>"
        )
        assert expected in line


class TestShortMoments:
    def test_of_today_the_time_of_day_is_enough(self, settings):
        settings.USE_TZ, settings.TIME_ZONE = True, "UTC"
        now = timezone.now()
        assert short_moment(now.isoformat()) == f"{now:%H:%M:%S}"

    def test_of_another_day_the_day_too(self, settings):
        settings.USE_TZ, settings.TIME_ZONE = True, "UTC"
        before = datetime.now(UTC) - timedelta(days=400)
        assert short_moment(before.isoformat()) == f"{before:%m/%d/%Y %H:%M}"

    @pytest.mark.parametrize("wrong", ["yesterday", "", "2026-11-22T10:00:00"])
    def test_what_is_no_moment_stays_as_it_is(self, wrong):
        assert short_moment(wrong) == wrong


class TestLive:
    def test_as_long_as_nothing_is_new_there_is_no_answer_to_show(self, admin, store):
        for number in (1, 2):
            store.save(a_trace(number))
        url = again(admin.get(LIST))
        assert url
        response = admin.get(LIST + url, headers=PARTIAL)
        assert response.status_code == 204
        assert response.content == b""

    def test_it_asks_the_store_two_things_and_reads_no_trace(self, admin, store, monkeypatch):
        for number in range(1, 60):
            store.save(a_trace(number))
        url = again(admin.get(LIST))
        asked = []
        for name in ("summaries", "count", "get", "summary", "traces", "problem"):
            real = getattr(type(store), name)
            monkeypatch.setattr(
                type(store),
                name,
                lambda self, *args, _name=name, _real=real, **options: (
                    asked.append((_name, options.get("limit"))) or _real(self, *args, **options)
                ),
            )
        assert admin.get(LIST + url, headers=PARTIAL).status_code == 204
        assert asked == [("count", None), ("summaries", 1)]

    def test_what_has_come_is_sent_and_marked_and_counted(self, admin, store):
        store.save(a_trace(1))
        url = again(admin.get(LIST))
        store.save(a_trace(2))
        store.save(a_trace(3))
        response = admin.get(LIST + url, headers=PARTIAL)
        assert shown(response) == ids(3, 2, 1)
        assert ["dbroute-new" in line for line in lines(response)] == [True, True, False]
        assert ["new" in words(line).split() for line in lines(response)] == [True, True, False]
        assert "2 new traces" in words(response.content.decode())

    def test_a_mark_stays_until_the_page_is_opened_anew(self, admin, store):
        store.save(a_trace(1))
        first = again(admin.get(LIST))
        store.save(a_trace(2))
        second = again(admin.get(LIST + first, headers=PARTIAL))
        assert second != first
        store.save(a_trace(3))
        response = admin.get(LIST + second, headers=PARTIAL)
        assert ["dbroute-new" in line for line in lines(response)] == [True, True, False]
        assert "dbroute-new" not in admin.get(LIST).content.decode()

    def test_all_of_the_page_is_new_when_more_came_than_it_has(self, admin, store):
        store.save(a_trace(1))
        url = again(admin.get(LIST))
        for number in range(2, 60):
            store.save(a_trace(number))
        response = admin.get(LIST + url, headers=PARTIAL)
        assert len(lines(response)) == 50
        assert all("dbroute-new" in line for line in lines(response))

    def test_nothing_is_called_new_when_it_cannot_be_known(self, admin, store):
        store.save(a_trace(1))
        store.save(a_trace(2))
        url = again(admin.get(LIST))
        store.delete(ids(2))
        response = admin.get(LIST + url, headers=PARTIAL)
        assert shown(response) == ids(1)
        assert "dbroute-new" not in response.content.decode()

    def test_the_first_trace_appears_and_the_last_one_goes(self, admin, store):
        url = again(admin.get(LIST))
        assert admin.get(LIST + url, headers=PARTIAL).status_code == 204
        store.save(a_trace(1))
        response = admin.get(LIST + url, headers=PARTIAL)
        assert "1 new trace" in words(response.content.decode())
        store.clear()
        response = admin.get(LIST + again(response), headers=PARTIAL)
        assert "No traces yet." in words(response.content.decode())
        assert again(response)

    def test_an_old_trace_that_is_imported_is_news_too(self, admin, store):
        store.save(a_trace(5))
        url = again(admin.get(LIST))
        store.save(a_trace(1), imported=True)
        response = admin.get(LIST + url, headers=PARTIAL)
        assert shown(response) == ids(5, 1)

    def test_it_asks_about_what_the_filter_shows(self, admin, store):
        store.save(a_trace(1, path="/books/"))
        url = again(admin.get(f"{LIST}?path=/books/&kind=&page=1"))
        store.save(a_trace(2, path="/people/", name="x"))
        assert admin.get(LIST + url, headers=PARTIAL).status_code == 204
        store.save(a_trace(3, path="/books/"))
        assert shown(admin.get(LIST + url, headers=PARTIAL)) == ids(3, 1)

    def test_links_of_the_answer_do_not_repeat_what_was_seen(self, admin, store):
        store.save(a_trace(1))
        url = again(admin.get(f"{LIST}?kind=request"))
        for number in range(2, 60):
            store.save(a_trace(number))
        body = admin.get(LIST + url, headers=PARTIAL).content.decode()
        assert re.findall(r'rel="next" href="([^"]*)"', body) == ["?kind=request&amp;page=2"]
        assert f'action="{LIST}?kind=request&amp;"' in body

    def test_further_pages_and_wrong_filters_stay_as_they_are(self, admin, store):
        for number in range(1, 60):
            store.save(a_trace(number))
        assert again(admin.get(f"{LIST}?page=1"))
        assert not again(admin.get(f"{LIST}?page=2"))
        assert not again(admin.get(f"{LIST}?status=high"))

    @pytest.mark.parametrize(
        "query", ["seen=", "seen=x&since=x", "since=%22%3E%3Cscript%3E&seen=-1", "since=&seen=x"]
    )
    def test_whatever_was_seen_the_page_is_the_page(self, admin, store, query):
        store.save(a_trace(1))
        response = admin.get(f"{LIST}?{query}", headers=PARTIAL)
        assert response.status_code == 200
        assert shown(response) == ids(1)
        assert "<script>" not in response.content.decode()

    def test_asking_is_not_recorded(self, admin, store, settings):
        settings.DEBUG = True
        store.save(a_trace(1))
        url = again(admin.get(LIST))
        admin.get(LIST + url, headers=PARTIAL)
        assert [summary.id for summary in store.summaries()] == ids(1)

    def test_without_javascript_nothing_speaks_of_it(self, admin, store):
        body = admin.get(LIST).content.decode()
        assert re.search(r'<div class="dbroute-live" id="dbroute-live" hidden>', body)
        assert re.search(r'<span role="status" aria-live="polite"', body)

    def test_who_is_logged_out_is_sent_to_the_login_and_learns_nothing(self, admin, store):
        url = again(admin.get(LIST))
        store.save(a_trace(1))
        admin.logout()
        response = admin.get(LIST + url, headers=PARTIAL)
        assert response.status_code == 302
        assert "/login/" in response["Location"]


class TestActions:
    def post(self, admin, action, *numbers, query="", **data):
        data |= {"action": action, "_selected_action": ids(*numbers)}
        return admin.post(f"{LIST}{query}", data)

    def test_two_are_compared_the_older_first(self, admin, store):
        response = self.post(admin, "compare", 2, 1)
        older, newer = ids(1, 2)
        assert response.status_code == 302
        assert response["Location"] == f"{LIST}compare/?a={older}&b={newer}"

    @pytest.mark.parametrize(
        ("numbers", "said"),
        [
            ((), "Select exactly two traces to compare; 0 were selected."),
            ((1,), "Select exactly two traces to compare; 1 was selected."),
            ((1, 2, 3), "Select exactly two traces to compare; 3 were selected."),
        ],
    )
    def test_of_any_other_number_it_says_what_to_do(self, admin, store, numbers, said):
        response = self.post(admin, "compare", *numbers, query="?kind=request&")
        assert response["Location"] == f"{LIST}?kind=request"
        assert said in words(admin.get(response["Location"]).content.decode())

    def test_without_an_action_it_says_so(self, admin, store):
        response = self.post(admin, "", 1)
        assert response["Location"] == LIST
        assert "No action was chosen." in words(admin.get(LIST).content.decode())

    def test_after_deleting_the_filter_is_still_there(self, admin, store):
        store.save(a_trace(1))
        response = self.post(admin, "delete_selected", 1, query="?kind=request", post="yes")
        assert response["Location"] == f"{LIST}?kind=request"
        assert store.count() == 0

    def test_one_select_has_all_actions_and_two_buttons_do_them(self, admin, store):
        store.save(a_trace(1))
        body = admin.get(LIST).content.decode()
        (select,) = re.findall(r'<select name="action">(.*?)</select>', body, re.DOTALL)
        values = re.findall(r'<option value="(\w*)"', select)
        assert values == ["", "compare", "export_selected", "export_all", "delete_selected", "clear"]
        # What has the name "action" last is what counts: the button, if it is that one that is pressed.
        assert body.index('<select name="action">') < body.index('name="action" value="compare">')

    def test_who_may_not_delete_is_not_offered_it(self, site, store):
        store.save(a_trace(1))
        body = person("staff with view_trace").get(LIST).content.decode()
        assert 'value="export_all"' in body
        assert 'value="delete_selected"' not in body
        assert 'value="clear"' not in body


class TestEmptyStates:
    def test_without_traces_it_says_how_to_get_one(self, admin):
        said = words(admin.get(LIST).content.decode())
        assert (
            "No traces yet. Open a page of your site that uses a database, or run manage.py dbroute" in said
        )

    def test_without_matches_it_says_how_to_see_all(self, admin, store):
        store.save(a_trace(1))
        body = admin.get(f"{LIST}?path=nothing").content.decode()
        assert "No trace matches this filter." in words(body)
        assert f'<a href="{reverse("admin:dbroute_panel_trace_changelist")}">Show all traces</a>' in body

    def test_a_store_that_cannot_be_read_is_no_error(self, admin, store, monkeypatch):
        def fail(self, work, **options):
            raise StoreError("gone")

        monkeypatch.setattr(type(store._file), "run", fail)
        assert admin.get(LIST).status_code == 200


class TestFilters:
    @pytest.fixture(autouse=True)
    def _traces(self, store):
        post = Request(method="POST", path="/slow/", view=None, status=302)
        store.save(a_trace(1, aliases=["primary"] * 12))
        store.save(a_trace(2, request=post, duration_us=250_000.0))
        store.save(a_trace(3, kind="command", request=None, name="migrate", findings=[a_finding()]))

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("method=POST", [2]),
            ("method=GET", [1]),
            ("min_ms=250", [2]),
            ("min_ms=251", []),
            ("min_ms=0", [3, 2, 1]),
            ("min_queries=12", [1]),
            ("min_queries=2&min_ms=100", []),
            ("found=on", [3]),
            ("found=1", [3]),
            ("found=0", [3, 2, 1]),
            ("found=False", [3, 2, 1]),
            ("finding=stale-read", [3]),
            ("finding=write-to-replica", []),
            ("kind=command", [3]),
            ("kind=request&status=302", [2]),
            ("method=&min_ms=&min_queries=&_facets=True&since=&page=1", [3, 2, 1]),
        ],
    )
    def test_they_are_in_the_url_and_so_is_what_was_found(self, admin, query, found):
        for headers in ({}, PARTIAL):
            response = admin.get(f"{LIST}?{query}", headers=headers)
            assert response.status_code == 200
            assert shown(response) == ids(*found)

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("method=FETCH", "Method: there is no “FETCH” here. Did you mean 'PATCH'?"),
            ("finding=stale-reed", "Finding: there is no “stale-reed” here. Did you mean 'stale-read'?"),
            ("min_ms=fast", "At least ms: a whole number of milliseconds, such as 100."),
            ("min_ms=1.5", "At least ms: a whole number of milliseconds, such as 100."),
            ("min_ms=9" + "9" * 30, "At least ms: a whole number of milliseconds, such as 100."),
            ("min_queries=-1", "At least queries: a whole number, such as 10."),
            ("found=never", "only with findings: “never” is neither on nor 0."),
            ("path=" + "x" * 501, "Path or name: Ensure this value has at most 500 characters"),
            ("path=a%00", "Path or name: Null characters are not allowed."),
            ("stauts=200", "There is no filter “stauts”. Did you mean 'status'?"),
            ("kind=command&status=200", "Status: only requests have one; leave it out"),
            ("kind=block&method=GET", "Method: only requests have one; leave it out"),
        ],
    )
    def test_what_cannot_have_an_effect_is_400_and_says_why(self, admin, query, said):
        for headers in ({}, PARTIAL):
            response = admin.get(f"{LIST}?{query}", headers=headers)
            assert response.status_code == 400
            assert said in words(response.content.decode())
            assert "No trace matches" not in response.content.decode()
            assert shown(response) == []

    def test_the_form_shows_what_was_asked_for(self, admin):
        body = admin.get(f"{LIST}?method=POST&min_ms=100&min_queries=1").content.decode()
        assert '<option value="POST" selected>' in body
        assert re.search(r'name="min_ms" value="100"', body)
        assert re.search(r'name="min_queries" value="1"', body)

    def test_a_new_trace_that_it_hides_is_no_news(self, admin, store):
        url = again(admin.get(f"{LIST}?min_ms=200"))
        store.save(a_trace(4))
        assert admin.get(LIST + url, headers=PARTIAL).status_code == 204
        store.save(a_trace(5, duration_us=200_000.0))
        assert shown(admin.get(LIST + url, headers=PARTIAL)) == ids(5, 2)


def test_a_trace_that_an_earlier_version_kept_breaks_no_page(admin, store):
    for number in (1, 2):
        store.save(a_trace(number))
    old = dumps(a_trace(1)).replace(b"trace/2", b"trace/1").replace(b"decided_by", b"settled_by")
    with closing(sqlite3.connect(store.path)) as file, file:
        file.execute("UPDATE document SET body = ? WHERE n = 1", [zlib.compress(old)])
        summary = "replace(CAST(summary AS TEXT), 'trace/2', 'trace/1')"
        file.execute(f"UPDATE trace SET summary = {summary} WHERE n = 1")
    response = admin.get(LIST)
    assert (response.status_code, shown(response)) == (200, ids(2))
    for page in ("change", "replay", "delete"):
        response = admin.get(f"{LIST}{a_trace(1).id}/{page}/")
        assert response.status_code == 404
        assert "There is no trace “" in words(response.content.decode())
