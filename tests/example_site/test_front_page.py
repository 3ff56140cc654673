"""The pages of the example site: the scenarios and their buttons, replication, and the ordinary ones."""

from __future__ import annotations

import dataclasses
import html
import re
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from dbroute_panel.stores import MemoryStore, get_store
from example_site import replication
from example_site.core.databases import databases
from example_site.core.highlighting import highlighted
from example_site.library.models import Book, Tag
from example_site.scenarios import SCENARIOS
from example_site.scenarios.running import run

ROOT = Path(__file__).resolve().parent.parent.parent
# Neither of the toolbar's machines: what is left is the page itself.
PLAIN = {"REMOTE_ADDR": "192.0.2.1"}

pytestmark = pytest.mark.usefixtures("site")


def text_of(response):
    return html.unescape(re.sub(r"<[^>]+>", "", response.content.decode()))


# Scenarios


def test_the_front_page_offers_every_scenario(client, store):
    page = client.get("/", **PLAIN).content.decode()
    for number, scenario in SCENARIOS.items():
        assert f'action="{reverse("run-scenario", args=[number])}"' in page
        assert html.escape(scenario.title) in page
    assert "Its traces are no longer kept." not in page


def test_the_button_leaves_a_trace_of_the_scenario_alone(client, store):
    response = client.post("/scenarios/13/run/", follow=True)
    assert response.redirect_chain == [("/scenarios/13/#output", 302)]
    (summary,) = store.summaries(kind("block"))
    assert summary.name == "Scenario 13: The walk-through of Django's documentation"
    assert (summary.decisions, summary.queries) == (7, 5)
    link = reverse("admin:dbroute_panel_trace_change", args=[summary.id])
    assert f'href="{link}"' in response.content.decode()
    assert "mh was saved on primary" in text_of(response)
    assert f'href="{link}"' in client.get("/", **PLAIN).content.decode()


def kind(name):
    from dbroute_panel.stores import Filter

    return Filter(kind=name)


def test_the_link_opens_the_trace_after_the_login_that_the_page_names(client, store):
    client.post("/scenarios/13/run/", **PLAIN)
    (summary,) = store.summaries(kind("block"))
    assert client.login(username="admin", password="admin")
    response = client.get(reverse("admin:dbroute_panel_trace_change", args=[summary.id]), **PLAIN)
    assert response.status_code == 200
    assert "PrimaryReplicaRouter" in response.content.decode()


def test_a_scenario_with_requests_links_each_of_them(client, store):
    page = text_of(client.post("/scenarios/20/run/", follow=True, **PLAIN))
    assert page.count("POST /new-users-admin/users/user/") == 2
    assert page.count("GET /admin/users/user/") == 2


def test_the_page_of_a_scenario_shows_its_source_before_it_was_run(client, store):
    page = text_of(client.get("/scenarios/13/", **PLAIN))
    assert SCENARIOS[13].source.strip() in page
    assert "What it left" not in page


def test_traces_that_are_gone_are_not_linked(client, store):
    client.post("/scenarios/14/run/", **PLAIN)
    store.clear()
    assert "Its traces are no longer kept." in text_of(client.get("/", **PLAIN))
    assert "Its traces are no longer kept. Run it again." in text_of(client.get("/scenarios/14/", **PLAIN))


def test_a_scenario_that_fails_says_so_and_keeps_its_trace(client, store):
    Book.objects.using("archive").all().delete()
    page = text_of(client.post("/scenarios/14/run/", follow=True, **PLAIN))
    assert "It failed. IndexError: " in page
    assert "8 books from primary" in page
    assert store.count(kind("block")) == 1
    assert "and failed" in text_of(client.get("/", **PLAIN))


def test_a_process_that_fails_says_why(store):
    scenario = dataclasses.replace(SCENARIOS[12], settings=("example_site.variants.missing",))
    (part,) = run(scenario)
    assert part.error.startswith("ModuleNotFoundError: ")
    assert part.traces == []


def test_a_scenario_in_its_own_process_needs_a_store_with_a_file(settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {
        "STORE": {"BACKEND": "dbroute_panel.stores.MemoryStore"}
    }
    assert isinstance(get_store(), MemoryStore)
    with pytest.raises(TypeError, match="cannot save its traces to a MemoryStore"):
        run(SCENARIOS[12])


@pytest.mark.parametrize("path", ["/scenarios/999/", "/scenarios/0/"])
def test_a_scenario_that_does_not_exist_is_not_found(client, store, path):
    assert client.get(path, **PLAIN).status_code == 404
    assert client.post(f"{path}run/", **PLAIN).status_code == 404


def test_running_is_a_post_with_a_token(store):
    assert Client().get("/scenarios/13/run/", **PLAIN).status_code == 405
    careful = Client(enforce_csrf_checks=True)
    assert careful.post("/scenarios/13/run/", **PLAIN).status_code == 403
    assert careful.post("/replication/", {"now": "1"}, **PLAIN).status_code == 403
    assert store.count() == 0


def test_the_command_names_the_scenarios_that_there_are():
    with pytest.raises(CommandError, match=r"There is no scenario 99\. There are 1, 2, 3, "):
        call_command("run_scenario", "99")


# Replication


@pytest.mark.parametrize(
    ("choice", "seconds"), [("0", 0.0), ("2", 2.0), ("10", 10.0), ("until replicate", None)]
)
def test_the_lag_is_chosen_on_the_front_page(client, store, choice, seconds):
    page = client.post("/replication/", {"lag": choice}, follow=True, **PLAIN).content.decode()
    assert replication.lag() == seconds
    assert f'<option value="{choice}" selected>' in page


def test_replicate_now_brings_the_new_rows(client, store):
    replication.set_lag(None)
    Tag.objects.create(name="new")
    assert "replica1 and replica2 are behind" in text_of(client.get("/", **PLAIN))
    page = text_of(client.post("/replication/", {"now": "1"}, follow=True, **PLAIN))
    assert "Both hold what the primary holds." in page
    assert Tag.objects.using("replica1").filter(name="new").exists()


@pytest.mark.parametrize("lag", ["", "-1", "soon", "nan"])
def test_another_lag_is_refused(client, store, lag):
    response = client.post("/replication/", {"lag": lag}, **PLAIN)
    assert response.status_code == 400
    assert response.content.decode() == "A lag is one of: 0, 2, 10, until replicate."
    assert replication.lag() == 0


# All pages


PAGES = ["/", "/scenarios/13/", "/books/", "/books/1/", "/databases/"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_works_under_a_strict_content_security_policy(client, store, path):
    client.post("/scenarios/13/run/", **PLAIN)
    page = client.get(path, **PLAIN).content.decode()
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:|https?://", page)
    for url in re.findall(r'<link[^>]* href="([^"]+)"', page):
        assert url.startswith("/static/example_site/")
        assert (ROOT / "example_site/core" / url.lstrip("/")).is_file()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_asks_nobody_who_you_are(client, store, path):
    client.get(path, **PLAIN)
    asked = {query.model for trace in store.traces() for query in trace.queries}
    assert bool(asked) is path.startswith(("/books/", "/databases/"))
    assert asked & {"sessions.Session", "auth.User"} == ({"auth.User"} if path == "/databases/" else set())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/books/", 200),
        ("/books/1/", 200),
        ("/books.json", 200),
        ("/databases/", 200),
        ("/books/999999/", 404),
        ("/broken/", 500),
    ],
)
def test_an_ordinary_page_leaves_a_trace_with_its_status(store, path, status):
    response = Client(raise_request_exception=False).get(path, **PLAIN)
    assert response.status_code == status
    (trace,) = store.traces()
    assert (trace.request.path, trace.request.status) == (path, status)
    assert trace.id == response.headers["Dbroute-Trace-Id"]
    assert trace.queries


@pytest.mark.toolbar
@pytest.mark.parametrize("path", ["/books/", "/broken/", "/admin/login/"])
def test_the_toolbar_is_on_ordinary_pages(store, path):
    page = Client(raise_request_exception=False).get(path).content.decode()
    assert "djDebug" in page
    assert "RoutingPanel" in page


def test_pages_about_scenarios_leave_no_empty_traces(client, store):
    client.get("/")
    client.post("/replication/", {"now": "1"}, follow=True)
    client.post("/scenarios/14/run/", follow=True)
    assert [summary.name for summary in store.summaries()] == [SCENARIOS[14].name]
    assert "djDebug" not in client.get("/").content.decode()


def test_every_link_of_the_front_page_leads_somewhere(store):
    client = Client(raise_request_exception=False)
    client.login(username="admin", password="admin")
    page = client.get("/", **PLAIN).content.decode()
    expected = {"/books/999999/": 404, "/broken/": 500, "/nowhere/using/": 500}
    links = {link.partition("#")[0] for link in re.findall(r'<a[^>]* href="(/[^"]*)"', page)}
    assert len(links) > 20
    statuses = {link: client.get(link, **PLAIN).status_code for link in links}
    assert statuses == {link: expected.get(link, 200) for link in links}


# Parts of pages


@pytest.mark.parametrize("number", SCENARIOS)
def test_highlighting_changes_nothing_but_colours(number):
    source = SCENARIOS[number].source
    marked = highlighted(source)
    assert html.unescape(re.sub(r"</?span[^>]*>", "", marked)) == source
    assert '<span class="keyword">def</span>' in marked


def test_highlighting_escapes():
    marked = highlighted("x = '<script>'  # <b>\nif x:\n    y = f'{x!r}&{{}}'\n")
    assert "<script>" not in marked
    assert "<b>" not in marked
    assert '<span class="comment"># &lt;b&gt;</span>' in marked
    assert '<span class="keyword">if</span>' in marked


def test_every_database_has_its_colour_and_a_replica_that_of_its_primary():
    found = {database.alias: database for database in databases()}
    css = (ROOT / "example_site/core/static/example_site/site.css").read_text()
    for database in found.values():
        assert database.what_is_there
        for name in database.css.split():
            assert f".{name} {{" in css
    assert found["replica1"].css == f"{found['primary'].css} db-replica"
    primaries = [database.css for database in found.values() if not database.replica_of]
    assert len(set(primaries)) == len(primaries)


def test_a_database_has_the_colour_that_it_has_in_the_traces():
    ours = (ROOT / "example_site/core/static/example_site/site.css").read_text()
    theirs = (ROOT / "static/dbroute_panel/colours.css").read_text()
    colours = re.findall(r"\.db-(\d) \{\s*background: (#\w+);", ours)
    assert len(colours) == 8
    assert colours == re.findall(r"\.dbroute-db-(\d) \{\s*--dbroute-db: (#\w+);", theirs)
