"""The map page: asked once, kept for everybody, filtered by the URL."""

from __future__ import annotations

import re
import time

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from django.utils.html import escape

from dbroute_panel.inspection.isolation import run_isolated
from dbroute_panel.inspection.lints import StaticFinding
from dbroute_panel.inspection.map import ModelRoutes, RoutingMap
from dbroute_panel.records import Level
from dbroute_panel.stores import StoreError
from dbroute_panel.views.databases import project_palette
from dbroute_panel.views.map import MAP_DOCUMENT, MapFilter, MapTable, SavedMap, ask_map, load_map, save_map
from example_site.library.models import Book
from example_site.variants import swapped
from tests.traces import a_trace
from tests.views.test_trace import PARTIAL, text, url
from tools.benchmarks.counting import count_calls

asked: list[str] = []


class Noting:
    """Says that it was asked, and has no opinion."""

    def db_for_read(self, model, **hints):
        asked.append(model._meta.label)

    def allow_migrate(self, db, app_label, **hints):
        asked.append(app_label)


class Failing:
    def db_for_read(self, model, **hints):
        if model is Book:
            raise LookupError("no shard for <this>")


class Slow:
    def db_for_read(self, model, **hints):
        if model is Book:
            time.sleep(0.05)


@pytest.fixture
def asked_map(admin):
    """A client, after the routers were asked."""
    assert admin.post(url("map")).status_code == 302
    return admin


def somebody(*permissions: str) -> Client:
    user = User.objects.create_user("somebody", is_staff=True)
    user.user_permissions.add(
        *Permission.objects.filter(content_type__app_label="dbroute_panel", codename__in=permissions)
    )
    client = Client()
    client.force_login(user)
    return client


def rows(response) -> dict[str, list[str]]:
    """The table as a person reads it: label to its cells."""
    found, app = {}, ""
    for body in re.findall(r"<tr[ >].*?</tr>", response.content.decode(), re.DOTALL):
        cells = [
            " ".join(re.sub(r"<[^>]+>", " ", cell).replace("replica of primary", "").split())
            for cell in re.findall(r"<(?:td|th)\b[^>]*>(.*?)</(?:td|th)>", body, re.DOTALL)
        ]
        if len(cells) == 1:
            app = cells[0]
        elif app:
            found[f"{app}.{cells[0].split()[0]}"] = cells[1:]
    return found


class TestAsking:
    def test_looking_asks_nobody(self, admin, routers):
        routers(Noting)
        admin.get(url("map"))  # its own user and session are asked for
        before = [label for label in asked if "library" in label]
        assert before == []
        assert "The routers were not asked yet." in text(admin.get(url("map")))

    def test_what_was_asked_is_shown_with_its_time_and_no_one_asked_again(self, asked_map, routers):
        routers(Noting)
        shown = asked_map.get(url("map"))
        assert not [label for label in asked if "library" in label]
        assert re.search(r"18 models, as the routers answered on \d+/\d+/\d+ \d\d:\d\d:\d\d", text(shown))
        assert "the routers are others today" in text(shown)

    def test_the_table(self, asked_map):
        found = rows(asked_map.get(url("map")))
        assert len(found) == 18
        # default, auth_db, primary, replica1, replica2, archive, legacy_users, new_users
        assert found["library.Book"] == [
            *("replica1 ↦ , replica2 ↦", "primary"),
            *("no", "no", "yes", "replica", "replica", "yes", "no", "no"),
        ]
        # A narrow page has no head: each cell says what it is of.
        assert 'data-label="Table on archive"' in asked_map.get(url("map")).content.decode()
        assert found["auth.User"][:4] == ["auth_db", "auth_db", "no", "yes"]
        assert found["library.Book_tags"][:2] == found["library.Book"][:2]

    def test_cells_have_the_colours_of_their_databases(self, asked_map):
        body = asked_map.get(url("map")).content.decode()
        (book,) = re.findall(r'<th scope="row">Book\s.*?</tr>', body, re.DOTALL)
        read, write = re.findall(r"<td data-label.*?</td>", book, re.DOTALL)
        assert read.count(f"dbroute-swatch {project_palette()['replica1'].css}") == 2
        assert f"dbroute-swatch {project_palette()['primary'].css}" in write

    def test_auto_created_models_are_marked(self, asked_map):
        body = text(asked_map.get(url("map")))
        assert "Book_tags auto-created" in body

    def test_a_cell_opens_the_sandbox_filled_in(self, asked_map):
        body = asked_map.get(url("map")).content.decode()
        links = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]*sandbox/\?[^"]*)"', body)]
        (random,) = (ln for ln in links if "model=library.Book&" in ln and "db_for_read" in ln)
        assert "repeat=100" in random
        (table,) = (ln for ln in links if "model=library.Book&" in ln and ln.endswith("db=archive"))
        page = asked_map.get(table).content.decode()
        assert 'value="library.Book"' in page
        assert '<option value="archive" selected>' in page
        assert "Nothing was asked yet." in page

    def test_the_writes_of_a_router_that_raises_are_shown_all_the_same(self, admin, routers):
        routers(Failing)
        admin.post(url("map"))
        response = admin.get(url("map"))
        book = rows(response)["library.Book"]
        assert book[0] == "LookupError: no shard for &lt;this&gt;"
        assert book[1] == "primary"
        assert "router-raised" in text(response)

    def test_routers_that_take_too_long_are_stopped_and_the_last_map_stays(
        self, asked_map, routers, monkeypatch
    ):
        routers(Slow)
        monkeypatch.setattr(run_isolated, "__kwdefaults__", {"seconds": 0.2})
        response = asked_map.post(url("map"))
        assert "The routers did not answer within 0.2 seconds; asking was stopped." in text(response)
        assert "library.Book" in rows(response)

    def test_a_store_that_cannot_keep_it_says_so_and_shows_it(self, admin, store, monkeypatch):
        def fail(self, name, document):
            raise StoreError("the disk is full")

        monkeypatch.setattr(type(store), "remember", fail)
        response = admin.post(url("map"))
        assert "This map could not be kept, so it is gone with this page: the disk is full" in text(response)
        assert "library.Book" in rows(response)

    def test_the_button_comes_back_to_the_filter(self, admin):
        response = admin.post(f"{url('map')}?app=library")
        assert response["Location"] == f"{url('map')}?app=library"

    @pytest.mark.parametrize("document", [b'{"of": "the future"}', b'{"routers": ["\xff"]}'])
    def test_what_another_version_kept_is_no_map(self, asked_map, store, document):
        store.remember(MAP_DOCUMENT, document)
        assert load_map(store) is None
        assert "The routers were not asked yet." in text(asked_map.get(url("map")))

    def test_the_swapped_routers(self, admin, store, settings):
        with override_settings(DATABASE_ROUTERS=swapped.DATABASE_ROUTERS):  # nobody could log in
            save_map(store, run_isolated(ask_map))
        response = admin.get(url("map"))
        assert rows(response)["auth.User"][:2] == ["replica1 ↦ , replica2 ↦", "primary"]
        assert "unreachable-router" in text(response)
        assert "the routers are others today" in text(response)


class TestFindings:
    def test_they_are_listed_and_marked_in_place(self, asked_map):
        response = asked_map.get(url("map"))
        assert "manager-ignores-db" in text(response)
        body = response.content.decode()
        (book,) = re.findall(r'<th scope="row">Book\s.*?</th>', body, re.DOTALL)
        assert "dbroute-level-" in book
        assert "manager-ignores-db" in book

    def test_many_of_one_code_are_counted(self, admin, store):
        save_map(store, a_map(250))
        body = text(admin.get(url("map")))
        assert "250 warning route-without-table" in body
        assert "and 245 more" in body
        above = admin.get(url("map")).content.decode().partition('<table class="dbroute-map')[0]
        assert re.search(
            r'<details class="dbroute-said">\s*<summary[^>]*><span[^>]*>message about app0\.Model0<', above
        )
        only = admin.get(f"{url('map')}?finding=route-without-table").content.decode()
        assert '<details class="dbroute-said" open>' in only
        assert body.count("message about app0.") <= 6 + 100


class TestFilter:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("app=library", {"library"}),
            ("db=legacy_users", {"users", "notes"}),
            ("db=replica2", {"library", "notes"}),
            ("q=BOOK", {"library"}),
            ("finding=manager-ignores-db", {"library"}),
            ("app=library&db=auth_db", set()),
        ],
    )
    def test_it_is_in_the_url(self, asked_map, query, found):
        response = asked_map.get(f"{url('map')}?{query}")
        assert {label.partition(".")[0] for label in rows(response)} == found
        if not found:
            assert "No model matches this filter." in text(response)

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("app=libary", "App: there is no “libary” here. Did you mean 'library'?"),
            ("db=primry", "Database: there is no “primry” here. Did you mean 'primary'?"),
            ("finding=random", "Finding: there is no “random” here."),
        ],
    )
    def test_what_cannot_be_is_400_and_says_what_can(self, asked_map, query, message):
        response = asked_map.get(f"{url('map')}?{query}")
        assert response.status_code == 400
        assert message in text(response)

    def test_before_anything_was_asked_no_filter_is_wrong(self, admin):
        assert admin.get(f"{url('map')}?app=library").status_code == 200

    def test_htmx_gets_the_table_alone(self, asked_map):
        response = asked_map.get(f"{url('map')}?app=library", headers=PARTIAL)
        assert response.content.decode().lstrip().startswith('<div id="dbroute-map">')
        assert {label.partition(".")[0] for label in rows(response)} == {"library"}
        assert "HX-Request-Type" in response["Vary"]


A_PAGE = 600_000
"""Calls of functions, for a page of the map: it is of those models that it shows."""


class TestSize:
    def test_a_thousand_models_come_in_pages(self, admin, store):
        save_map(store, a_map(1000))
        first = admin.get(url("map"))
        assert count_calls(lambda: admin.get(url("map"))) < A_PAGE
        assert len(rows(first)) == 80
        assert "Page 1 of 13" in text(first)
        last = admin.get(f"{url('map')}?page=13")
        assert "Page 13 of 13" in text(last)
        assert len(rows(last)) == 1000 - 12 * 80
        assert "Page 13 of 13" in text(admin.get(f"{url('map')}?page=99"))

    def test_a_thousand_models_on_eight_databases(self, admin, settings, thousand):
        """Asked really, and each with a finding."""
        settings.DEBUG = False  # no toolbar
        assert admin.post(url("map")).status_code == 302
        response = admin.get(url("map"))
        assert "1018 models, as the routers answered" in text(response)
        assert len(rows(response)) == 40
        assert len(response.content) < 150_000
        assert count_calls(lambda: admin.get(url("map"))) < A_PAGE
        found = admin.get(f"{url('map')}?app=department39&q=article24")
        assert list(rows(found)) == ["department39.Article24"]

    @pytest.mark.parametrize(("databases", "page"), [(1, 100), (8, 40), (30, 12), (200, 10)])
    def test_the_more_databases_the_fewer_models_a_page_has(self, databases, page):
        kept = a_map(200)
        kept.routes.databases[:] = [f"shard{number}" for number in range(databases)]
        assert len(MapTable(kept, project_palette(), MapFilter()).apps(1)) <= 10
        table = MapTable(kept, project_palette(), MapFilter())
        assert sum(len(rows) for _app, rows in table.apps(1)) == page
        assert sum(len(rows) for n in range(table.pages) for _app, rows in table.apps(n + 1)) == 200


class TestPermissions:
    def test_looking(self, site, store):
        save_map(store, a_map(3))
        client = somebody("view_trace")
        body = client.get(url("map")).content.decode()
        assert "Model0" in body
        assert "/sandbox/" not in body
        assert "Ask the routers" not in body
        assert client.post(url("map")).status_code == 403

    @pytest.mark.parametrize("permissions", [(), ("use_sandbox",), ("delete_trace", "add_trace")])
    def test_who_may_not_look(self, site, store, permissions):
        client = somebody(*permissions)
        assert client.get(url("map")).status_code == 403
        assert client.post(url("map")).status_code == 403

    def test_asking_needs_both_and_the_token(self, site, store):
        assert somebody("view_trace", "use_sandbox").post(url("map")).status_code == 302
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(User.objects.get(username="admin"))
        assert strict.post(url("map")).status_code == 403


class TestEveryPage:
    PAGES = ("map/", "routers/", f"{a_trace(1).id}/replay/")

    @pytest.mark.parametrize("page", PAGES)
    def test_on_another_admin_site_its_links_stay_there(self, asked_map, store, settings, page):
        store.save(a_trace(1))
        settings.ROOT_URLCONF, settings.DEBUG = "tests.views.test_access", False
        body = asked_map.get(f"/operations/dbroute_panel/trace/{page}").content.decode()
        assert "/operations/dbroute_panel/trace/" in body
        assert "/admin/" not in body.replace("/static/admin/", "")

    @pytest.mark.parametrize("page", PAGES)
    def test_nothing_of_it_is_recorded_or_needs_a_wider_csp(self, asked_map, store, settings, page):
        settings.DEBUG = False  # no toolbar
        store.save(a_trace(1))
        path = f"/admin/dbroute_panel/trace/{page}"
        for response in (asked_map.get(path), asked_map.post(path, {"repeat": "1"}, follow=True)):
            body = response.content.decode()
            assert response.status_code == 200
            assert not re.search(
                r"<[^>]+\s(style|on\w+)=|<style|<script(?![^>]* src=)", body.partition('id="dbroute"')[2]
            )
        assert store.count() == 1


def test_a_hostile_label_is_text(admin, store):
    app, model = "<script>alert(1)</script>", "<script>alert(2)</script>"
    kept = a_map(1)
    kept.routes.models[f"{app}.{model}"] = next(iter(kept.routes.models.values()))
    save_map(store, kept)
    body = admin.get(url("map")).content.decode()
    assert "<script>alert(" not in body
    assert escape(app) in body
    assert escape(model) in body


def a_map(models: int) -> SavedMap:
    """A map of so many models in ten apps, each with a finding, without asking anybody."""
    aliases = sorted(["default", "primary", "replica1"])
    labels = [f"app{number % 10}.Model{number}" for number in range(models)]
    return SavedMap(
        asked_at="2026-11-22T20:00:00Z",
        routers=[],
        routes=RoutingMap(
            databases=aliases,
            models={
                label: ModelRoutes(
                    read=["replica1"],
                    write=["primary"],
                    migrate={alias: alias == "primary" for alias in aliases},
                    managed=True,
                    errors={},
                )
                for label in labels
            },
        ),
        marks={},
        findings=[
            StaticFinding(
                code="route-without-table",
                level=Level.WARNING,
                message=f"message about {label}",
                subject=label,
            )
            for label in labels
        ],
    )


def test_findings_about_something_else_follow_the_filter():
    kept = a_map(3)
    router = StaticFinding(
        code="unreachable-router", level=Level.WARNING, message="Never.", subject="example_site.R"
    )
    kept.findings.append(router)

    def codes(**wanted):
        return [group.code for group in MapTable(kept, project_palette(), MapFilter(**wanted)).groups()]

    assert codes() == ["route-without-table", "unreachable-router"]
    assert codes(app="app1") == ["route-without-table"]
    assert codes(finding="unreachable-router") == ["unreachable-router"]
    assert codes(alias="default") == []
