"""The panel in the real toolbar, on the example site: what it records, keeps and shows, and when."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from debug_toolbar.middleware import show_toolbar_func_or_path
from debug_toolbar.store import get_store as toolbar_store
from debug_toolbar.toolbar import DebugToolbar
from django.contrib import admin as django_admin
from django.contrib.auth.models import User
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path, reverse
from django.utils.html import escape

from dbroute_panel import recording
from dbroute_panel.exports import FORMATS
from dbroute_panel.panel.rows import MAX_EVENTS
from dbroute_panel.records import Callsite, Database, InstanceRef
from dbroute_panel.views.databases import project_palette
from example_site.library.models import Book, Person, Tag
from example_site.users.models import User as Reader
from tests.traces import a_decision, a_finding, a_query, a_trace
from tests.views.test_trace import words

DJDT = "/__debug__/"
LARGEST = 150_000
"""In bytes: the panel may have at most as many, however much it has to show."""


def books(request):
    return HttpResponse(
        f"<html><body>{Book.objects.count()} {Person.objects.using('archive').count()}</body></html>"
    )


def books_json(request):
    return JsonResponse({"books": Book.objects.count()})


def nothing(request):
    return HttpResponse("<html><body>nothing</body></html>")


def many(request):
    for _ in range(MAX_EVENTS + 20):
        Book.objects.first()
    return HttpResponse("<html><body>many</body></html>")


def fails(request):
    Book.objects.count()
    raise LookupError("on purpose")


def streams(request):
    return StreamingHttpResponse(str(book.pk) for book in Book.objects.all())


def user(request):
    return HttpResponse(f"<html><body>{request.user}</body></html>")


async def books_async(request):
    return HttpResponse(f"<html><body>{await Book.objects.acount()}</body></html>")


def stale(request):
    Tag.objects.create(name="brass")
    return HttpResponse(f"<html><body>{Tag.objects.count()}</body></html>")


def written_twice(request):
    Tag.objects.create(name="brass")
    Reader.objects.create(username="margaret")
    return HttpResponse("<html><body>written</body></html>")


def timed(request):
    Person.objects.using("archive").count()
    return HttpResponse("<html><body>timed</body></html>", headers={"Server-Timing": "mine;dur=1"})


def folded(request):
    """Questions without queries, around one query."""
    for _ in range(3):
        Book.objects.all().db  # noqa: B018
    Book.objects.count()
    return HttpResponse("<html><body>folded</body></html>")


debug = path("__debug__/", include("debug_toolbar.urls"))
views = [
    path(f"{view.__name__}/", view)
    for view in (
        books,
        books_json,
        nothing,
        many,
        fails,
        streams,
        user,
        books_async,
        folded,
        stale,
        written_twice,
        timed,
    )
]
urlpatterns = [*views, path("admin/", django_admin.site.urls), debug]


class WithoutAdmin:
    urlpatterns = [*views, debug]


@pytest.fixture(autouse=True)
def toolbar(site, store, settings):
    """The toolbar with all its panels, on these views; with the middleware and without it."""
    settings.ROOT_URLCONF = __name__
    settings.DEBUG_TOOLBAR_CONFIG = {"IS_RUNNING_TESTS": False}
    show_toolbar_func_or_path.cache_clear()  # the toolbar looks once for who decides whether it is shown
    toolbar_store().clear()
    yield toolbar_store()
    toolbar_store().clear()
    show_toolbar_func_or_path.cache_clear()


@pytest.fixture(params=["with the middleware", "without the middleware"])
def middleware(request, settings):
    if request.param == "without the middleware":
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "dbroute" not in name]


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


def subtitle(response) -> str:
    """What the toolbar's sidebar says below “Routing”."""
    item = re.search(r'<li id="djdt-RoutingPanel".*?</li>', response.content.decode(), re.DOTALL)[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", item)).split())


def stats(toolbar) -> dict:
    """What our panel left in the toolbar's store for the latest request."""
    return toolbar.panel(list(toolbar.request_ids())[-1], "RoutingPanel")


def content(client, toolbar) -> str:
    """The panel of the latest request, as the toolbar's script fetches it."""
    request_id = list(toolbar.request_ids())[-1]
    response = client.get(f"{DJDT}render_panel/", {"request_id": request_id, "panel_id": "RoutingPanel"})
    return json.loads(response.content)["content"]


def kept(client, store, toolbar, events, **changes) -> str:
    """The panel of a request that left these events."""
    client.get("/nothing/")
    store.save(a_trace(1, id=stats(toolbar)["trace_id"], events=events, **changes))
    return content(client, toolbar)


@pytest.mark.usefixtures("middleware")
class TestRecording:
    def test_one_trace_with_the_queries_of_the_request(self, client, store, toolbar):
        response = client.get("/books/")
        assert subtitle(response) == "Routing 2 queries · 2 databases"
        (summary,) = store.summaries()
        assert summary.id == stats(toolbar)["trace_id"]
        assert summary.queries == 2
        assert (summary.request.path, summary.request.status) == ("/books/", 200)

    def test_the_toolbar_keeps_the_id_and_a_few_numbers(self, client, toolbar):
        client.get("/books/")
        kept = stats(toolbar)
        assert set(kept) == {"trace_id", "name", "queries", "databases", "findings"}
        assert (kept["queries"], kept["databases"], kept["findings"]) == (2, 2, 0)
        assert len(json.dumps(kept)) < 300

    def test_what_the_toolbar_does_for_itself_is_not_in_it(self, client, store, toolbar, settings):
        """Its panels read the session and the user; those of the view alone count."""
        client.force_login(User.objects.get(username="admin"))
        for panels in (
            ["debug_toolbar.panels.request.RequestPanel", "dbroute_panel.panel.RoutingPanel"],
        ) * 2:
            settings.DEBUG_TOOLBAR_PANELS = panels[::-1]
            client.get("/nothing/")
            assert store.get(stats(toolbar)["trace_id"]).events == []

    def test_a_database_that_the_toolbar_keeps_its_data_in_is_not_in_it(
        self, client, store, toolbar, settings
    ):
        client.get("/user/")
        before = store.summaries()[0].queries
        settings.DEBUG_TOOLBAR_CONFIG = {"TOOLBAR_STORE_CLASS": "debug_toolbar.store.CacheStore"}
        client.get("/user/")
        assert store.summaries()[0].queries == before

    def test_the_toolbar_finds_our_icon_and_draws_it_before_the_title(self, client):
        item = re.search(
            r'<li id="djdt-RoutingPanel".*?</li>', client.get("/books/").content.decode(), re.DOTALL
        )[0]
        assert re.search(r'<svg class="djdt-nav-icon" [^>]*>.*</svg>\s*Routing', item, re.DOTALL)

    def test_an_empty_request_is_kept_because_it_is_shown(self, client, store, toolbar):
        response = client.get("/nothing/")
        assert subtitle(response) == "Routing 0 queries · 0 databases"
        shown = content(client, toolbar)
        assert "Nothing was recorded" in shown
        assert "open a page of your site that does" in shown
        assert store.count() == 1

    def test_a_failing_request_is_recorded_with_its_status(self, client, store):
        assert client.get("/fails/").status_code == 500
        (summary,) = store.summaries()
        assert (summary.request.status, summary.queries) == (500, 1)

    def test_an_exception_that_nobody_turned_into_a_response_is_recorded(self, client, store, settings):
        settings.DEBUG_PROPAGATE_EXCEPTIONS = True
        with pytest.raises(LookupError):
            Client().get("/fails/")
        (summary,) = store.summaries()
        assert (summary.request.status, summary.queries) == (500, 1)
        with recording.trace("afterwards", keep=False) as t:
            Book.objects.count()
        assert len(t.queries) == 1

    def test_a_streaming_response_is_recorded_to_its_end(self, client, store):
        response = client.get("/streams/")
        assert store.count() == 0
        b"".join(response.streaming_content)
        response.close()
        (summary,) = store.summaries()
        assert summary.queries == 1

    async def test_async(self, store, toolbar):
        response = await AsyncClient().get("/books_async/")
        assert subtitle(response) == "Routing 1 query · 1 database"
        assert store.summaries()[0].queries == 1

    async def test_async_exception(self, store, settings):
        settings.DEBUG_PROPAGATE_EXCEPTIONS = True
        with pytest.raises(LookupError):
            await AsyncClient().get("/fails/")
        assert store.summaries()[0].request.status == 500

    def test_a_panel_that_is_switched_off_records_nothing(self, client, store, settings):
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "dbroute" not in name]
        client.cookies["djdtRoutingPanel"] = "off"
        client.get("/books/")
        assert store.count() == 0

    def test_switching_on_twice_records_once(self, rf, store):
        toolbar = DebugToolbar(rf.get("/books/"), books)
        panel = toolbar.get_panel_by_id("RoutingPanel")
        panel.enable_instrumentation()
        begun = panel._recorded
        panel.enable_instrumentation()
        assert panel._recorded is begun
        panel.disable_instrumentation()
        assert panel.get_headers(rf.get("/books/")) == {}

    def test_an_error_on_our_own_pages_is_not_recorded_either(self, client, store, settings, monkeypatch):
        def broken(*args, **kwargs):
            raise LookupError("on purpose")

        monkeypatch.setattr(type(store), "summaries", broken)
        settings.DEBUG_PROPAGATE_EXCEPTIONS = True
        client.force_login(User.objects.get(username="admin"))
        client.raise_request_exception = True
        with pytest.raises(LookupError):
            client.get("/admin/dbroute_panel/trace/")
        assert store.count() == 0

    def test_recording_ends_with_the_request(self, client, store):
        client.get("/books/")
        Book.objects.count()
        assert store.summaries()[0].queries == 2

    def test_the_header_has_our_timing_once_and_the_projects_and_the_toolbars(self, client):
        """The toolbar would replace what the project sends; see ``RoutingPanel.get_headers()``."""
        header = client.get("/timed/").headers["Server-Timing"]
        names = re.findall(r"([\w-]+);dur=", header)
        assert names.count("routing") == names.count("db-archive") == names.count("mine") == 1
        assert "TimerPanel_total_time" in names
        assert names.index("mine") < names.index("routing") < names.index("db-archive")


class TestShowing:
    def test_the_content_is_drawn_from_our_store(self, client, store, toolbar):
        client.get("/books/")
        shown = words(content(client, toolbar))
        for said in (
            "200",
            "2 queries",
            "2 databases",
            "PrimaryReplicaRouter answered replica",
            'using("archive"), no router asked',
            "The code named “archive” itself",
            "SELECT library_book",
            "test_panel.py",
        ):
            assert said in shown

    def test_it_links_the_full_trace_and_its_events_in_the_admin(self, client, store, toolbar):
        client.get("/books/")
        page = f"/admin/dbroute_panel/trace/{stats(toolbar)['trace_id']}/change/"
        assert f'href="{page}"' in content(client, toolbar)
        client.force_login(User.objects.get(username="admin"))
        assert client.get(page).status_code == 200

    def test_it_links_every_export_as_it_is_and_redacted(self, client, store, toolbar):
        client.get("/books/")
        shown, trace_id = content(client, toolbar), stats(toolbar)["trace_id"]
        for name in FORMATS:
            file = reverse("admin:dbroute_panel_trace_export", args=(trace_id, name))
            assert f'href="{file}"' in shown
            assert f'href="{file}?redact=1"' in shown

    def test_without_the_admin_there_is_no_link(self, client, store, toolbar, settings):
        settings.ROOT_URLCONF = WithoutAdmin
        client.get("/folded/")
        shown = content(client, toolbar)
        assert "href" not in shown.replace('<link rel="stylesheet" href', "")
        assert "and 3 more questions" in words(shown)

    def test_it_brings_its_stylesheet_and_neither_script_nor_htmx(self, client, toolbar):
        page = client.get("/books/").content.decode()
        shown = content(client, toolbar)
        assert "dbroute_panel/dbroute.css" in shown
        assert "<script" not in shown
        assert "hx-" not in shown
        assert "htmx" not in page
        assert " style=" not in shown

    def test_it_works_as_what_the_toolbar_puts_into_its_shadow_root(self, client, toolbar, settings):
        settings.DEBUG_TOOLBAR_CONFIG = {"IS_RUNNING_TESTS": False, "RENDER_PANELS": True}
        for shadow in (True, False):
            settings.DEBUG_TOOLBAR_CONFIG = settings.DEBUG_TOOLBAR_CONFIG | {"USE_SHADOW_DOM": shadow}
            page = client.get("/books/").content.decode()
            assert ('<template shadowrootmode="open">' in page) is shadow
            inside = page.partition('id="djDebugRoot"')[2]
            assert 'id="dbroute-panel"' in inside

    @pytest.mark.parametrize("with_middleware", [True, False])
    def test_drawn_at_once_it_has_the_trace_that_is_still_recorded(
        self, client, store, toolbar, settings, with_middleware
    ):
        settings.DEBUG_TOOLBAR_CONFIG = {"IS_RUNNING_TESTS": False, "RENDER_PANELS": True}
        if not with_middleware:
            settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "dbroute" not in name]
        shown = words(client.get("/books/").content.decode())
        assert "PrimaryReplicaRouter answered replica" in shown
        assert "/books/" in shown
        assert store.count() == 1

    def test_the_history_has_requests_of_scripts(self, client, store, toolbar):
        client.get("/nothing/")
        response = client.get("/books_json/", headers={"X-Requested-With": "XMLHttpRequest"})
        sidebar = client.get(f"{DJDT}history_sidebar/", {"request_id": response["djdt-request-id"]})
        panel = json.loads(sidebar.content)["RoutingPanel"]
        assert "1 query · 1 database" in words(panel["button"])
        assert "RoutingPanel" in panel["content"]
        assert "SELECT library_book" in words(content(client, toolbar))

    def test_next_to_the_sql_panel_both_see_the_same_queries(self, client, toolbar):
        page = client.get("/books/").content.decode()
        assert "2 queries in" in page
        assert "2 queries · 2 databases" in page

    def test_the_first_hundred_events_and_how_many_more(self, client, toolbar):
        client.get("/many/")
        shown = content(client, toolbar)
        assert shown.count("dbroute-row-query") == MAX_EVENTS == 100
        assert "and 20 more events" in words(shown)
        assert len(shown.encode()) < LARGEST

    def test_events_that_are_alike_are_whole_once_and_say_of_which_they_are(self, client, toolbar):
        client.get("/many/")
        shown = content(client, toolbar)
        whole = shown.count("PrimaryReplicaRouter answered replica")
        assert 1 <= whole < 8  # of each replica, with and without a finding
        assert words(shown).count("SQL, routers and line of code: as in #") == MAX_EVENTS - whole

    def test_of_a_few_events_each_is_whole(self, client, toolbar):
        client.get("/books/")
        assert "as in #" not in words(content(client, toolbar))

    def test_of_a_thousand_queries_that_are_alike_each_has_its_own_values(self, client, store, toolbar):
        shown = kept(client, store, toolbar, [a_query(n, decision_id=None) for n in range(1, 1_001)])
        assert len(shown.encode()) < LARGEST
        assert "and 900 more events" in words(shown)
        for n in range(2, MAX_EVENTS + 1):
            assert f"<code>{n}</code>" in shown

    def test_an_alias_has_the_colour_that_it_has_on_the_site_s_own_pages(self, client, store, toolbar):
        database = Database(vendor="sqlite", engine="django.db.backends.sqlite3", replica_of=None)
        databases = {"legacy": database, "primary": database}
        shown = kept(client, store, toolbar, [a_query(1, "primary")], databases=databases)
        swatches = re.findall(r'dbroute-swatch ([^"]+)"></span>primary', shown)
        assert set(swatches) == {project_palette()["primary"].css}

    def test_of_a_thousand_different_queries_each_has_its_chain_hints_sql_and_place(
        self, client, store, toolbar
    ):
        events = []
        for n in range(1, 2_000, 2):
            hint = InstanceRef(model="library.Book", pk=f"p{n}", state_db="replica1", adding=False)
            sql = f'SELECT {n}, "library_book"."title" FROM "library_book" WHERE ' + '"a" = %s AND ' * 30
            site = Callsite(file="library/views.py", line=n, function="book")
            events += [
                a_decision(n, hints={"instance": hint}, callsite=site),
                a_query(n + 1, decision_id=n, sql=sql, callsite=site),
            ]
        shown = kept(client, store, toolbar, events)
        assert len(shown.encode()) < LARGEST
        rows = words(shown).partition("time where")[2]
        assert rows.count("ReplicaRouter answered replica1.") == MAX_EVENTS
        for n in range(1, 2 * MAX_EVENTS, 2):
            assert f"library.Book #p{n} " in rows
            assert f'SELECT {n}, "library_book"."title" FROM "library_book" WHERE' in rows
            assert f"library/views.py:{n} book" in rows

    def test_a_finding_or_an_error_is_in_the_row_of_its_event(self, client, store, toolbar):
        events = [a_query(n) for n in range(1, 60)]
        events[40] = a_query(41, error="OperationalError: gone")
        shown = kept(client, store, toolbar, events, findings=[a_finding("stale-read", 50, 51)])
        rows = shown.split('<summary class="dbroute-line"')
        assert [n for n, row in enumerate(rows) if "dbroute-level-warning" in row and "<details" in row] != []
        assert "OperationalError: gone" in words(rows[41])
        assert "▲ warning" in words(rows[50])
        assert "stale-read" in words(rows[50])
        assert "as in #50" in words(rows[51])
        assert "as in #1" in words(rows[52])

    def test_a_trace_that_is_gone_is_explained(self, client, store, toolbar):
        client.get("/books/")
        store.clear()
        shown = content(client, toolbar)
        assert "This trace is no longer kept" in shown

    def test_our_own_pages_are_explained_to_be_not_recorded(self, client, store, toolbar):
        client.force_login(User.objects.get(username="admin"))
        response = client.get("/admin/dbroute_panel/trace/")
        assert subtitle(response) == "Routing not recorded"
        assert "the pages of this tool never are" in content(client, toolbar)
        assert store.count() == 0

    def test_findings_are_counted_and_are_on_top(self, client, store, toolbar, middleware):
        response = client.get("/stale/")
        assert subtitle(response) == "Routing 2 queries · 2 databases · 1 finding"
        request_id = list(toolbar.request_ids())[-1]
        sidebar = client.get(f"{DJDT}history_sidebar/", {"request_id": request_id})
        button = words(json.loads(sidebar.content)["RoutingPanel"]["button"])
        assert "2 queries · 2 databases · 1 finding" in button
        (stale,) = store.summaries()[0].findings
        shown = content(client, toolbar)
        assert f"Findings ▲ warning {stale.message}" in words(shown)
        assert shown.index("dbroute-findings") < shown.index("dbroute-timeline")
        page = f"/admin/dbroute_panel/trace/{stats(toolbar)['trace_id']}/change/"
        for event in stale.events:
            assert f'href="{page}?event={event}#event-{event}"' in shown
        assert 'href="/admin/dbroute_panel/trace/finding/stale-read/"' in shown

    @pytest.mark.parametrize("alerts_first", [True, False])
    def test_what_is_wrong_is_among_the_toolbar_s_alerts(self, client, toolbar, settings, alerts_first):
        alerts, ours = "debug_toolbar.panels.alerts.AlertsPanel", "dbroute_panel.panel.RoutingPanel"
        settings.DEBUG_TOOLBAR_PANELS = [alerts, ours] if alerts_first else [ours, alerts]
        response = client.get("/stale/")
        assert "1 alert" in response.content.decode()
        (alert,) = toolbar.panel(list(toolbar.request_ids())[-1], "AlertsPanel")["alerts"]
        assert alert["alert"].startswith("Routing: library.Tag was possibly read stale from replica")
        client.get("/books/")
        assert toolbar.panel(list(toolbar.request_ids())[-1], "AlertsPanel")["alerts"] == []

    def test_what_is_only_worth_knowing_is_no_alert(self, client, toolbar, settings):
        response = client.get("/written_twice/")
        assert subtitle(response).endswith("· 1 finding")
        assert toolbar.panel(list(toolbar.request_ids())[-1], "AlertsPanel")["alerts"] == []

    def test_alerts_that_are_switched_off_stay_off(self, client, toolbar):
        client.cookies["djdtAlertsPanel"] = "off"
        response = client.get("/stale/")
        assert subtitle(response).endswith("· 1 finding")
        assert "alert" not in toolbar.panel(list(toolbar.request_ids())[-1], "AlertsPanel")

    def test_a_finding_that_cannot_be_looked_for_does_not_break_the_response(
        self, client, toolbar, monkeypatch, caplog
    ):
        def fails(trace_id):
            raise LookupError(trace_id)

        monkeypatch.setattr(recording, "find", fails)
        response = client.get("/stale/")
        assert (response.status_code, subtitle(response)) == (200, "Routing 2 queries · 2 databases")
        assert "could not say what is wrong" in caplog.text

    def test_a_trace_without_findings_is_kept_because_it_is_shown(self, client, store, toolbar, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"KEEP": "findings"}
        client.get("/books/")
        assert [summary.findings for summary in store.summaries()] == [[]]
        assert "2 queries" in words(content(client, toolbar))

    def test_hostile_text_is_only_text(self, client, store, toolbar):
        client.get("/nothing/")
        hostile = "<script>alert(1)</script><img src=x>"
        trace_id = stats(toolbar)["trace_id"]
        query = a_query(1, hostile, sql=hostile, params=[hostile], model=hostile, error=hostile)
        store.save(a_trace(1, id=trace_id, name=hostile, events=[query]))
        shown = content(client, toolbar)
        assert "<script>" not in shown
        assert "<img" not in shown
        for place in ("dbroute-where-to", "dbroute-what", "dbroute-params", "dbroute-error", "<pre "):
            part = re.search(rf"{place}.*?</(?:pre|ol|p|code|details)>", shown, re.DOTALL)[0]
            assert escape(hostile) in part, place
