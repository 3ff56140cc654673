"""Every page of the tool, for every kind of person, by every method: exactly who may do what."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.db import router
from django.test import Client
from django.urls import reverse

from dbroute_panel.views.map import MAP_DOCUMENT
from tests.security.pages import HERE, PAGES, PEOPLE, permissions_of, person, posted, served, url

pytestmark = pytest.mark.unmeasured

SAFE, UNSAFE = ("GET", "HEAD"), ("POST", "PUT", "DELETE")
OWN = {"auth", "sessions", "contenttypes", "admin", "debug_toolbar"}
"""The apps whose models any page of the admin reads."""

asked: list[str] = []


class Noting:
    """Says what was asked about, and has no opinion."""

    def db_for_read(self, model, **hints):
        asked.append(model._meta.app_label)

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        asked.append(obj1._meta.app_label)

    def allow_migrate(self, db, app_label, **hints):
        asked.append(app_label)


@pytest.fixture(autouse=True)
def _one_trace(site, store, settings, monkeypatch):
    settings.DEBUG = False  # and so no toolbar
    store.save(HERE)
    asked.clear()
    # On the list itself: a change of the setting would make the routers anew, and the map say so.
    monkeypatch.setattr(router, "routers", [Noting(), *router.routers])


def expected(name: str, who: str, method: str) -> int:
    page, has = PAGES[name], permissions_of(who)
    staff = "staff" in who or who == "superuser"
    if not staff:
        return 302
    if not page.look <= has:
        return 403
    if method in SAFE:
        return page.shown
    if method != "POST":
        return 405
    if page.do is None:  # as a GET
        return page.shown
    return page.done if page.do <= has else 403


def state(store):
    """All that a page of ours could change."""
    return [summary.id for summary in store.summaries()], store.recall(MAP_DOCUMENT)


def asked_by_us() -> list[str]:
    return [label for label in asked if label not in OWN]


def test_every_page_is_listed():
    assert served() == set(PAGES), "list it in pages.py, with the permissions that the contract gives it"


@pytest.mark.parametrize("who", PEOPLE)
def test_who_may_do_what(who, store):
    client, found, wanted = person(who), {}, {}
    for name in PAGES:
        for method in (*SAFE, *UNSAFE):
            store.save(HERE)
            before = state(store)
            asked.clear()
            data = posted(name) if method == "POST" else None
            response = client.generic(method, url(name)) if data is None else client.post(url(name), data)
            response.close()
            found[name, method] = response.status_code
            wanted[name, method] = status = expected(name, who, method)
            if status == 302 and PAGES[name].done != 302:
                assert response["Location"] == f"/admin/login/?next={quote(url(name))}"
            if method != "POST" or not permissions_of(who) >= (PAGES[name].do or {"nothing"}):
                assert state(store) == before
                assert asked_by_us() == []
    assert found == wanted


def test_what_is_done_by_who_may_do_it(store):
    """Else the table above would prove nothing: each POST in it has the effect that it is about."""
    client = person("superuser")
    client.post(url("sandbox"), posted("sandbox"))
    assert asked_by_us() == ["library"]
    asked.clear()
    client.post(url("replay"), posted("replay"))
    assert asked_by_us() == ["library"]
    asked.clear()
    client.post(url("map"), posted("map"))
    assert {"library", "users", "notes"} <= set(asked_by_us())
    assert store.recall(MAP_DOCUMENT)
    client.post(url("delete"), posted("delete"))
    assert store.count() == 0
    store.save(HERE)
    client.post(url("changelist"), posted("changelist"))
    assert store.count() == 0


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Request-Type": "partial"}])
def test_no_post_without_the_token_does_anything(store, headers):
    client = person("superuser", enforce_csrf_checks=True, headers=headers)
    before = state(store)
    for name, page in PAGES.items():
        if page.do is not None:
            for token in ({}, {"csrfmiddlewaretoken": "x" * 64}):
                assert client.post(url(name), posted(name) | token).status_code == 403, name
    for data in ({"action": "delete_selected", "_selected_action": HERE.id, "post": "yes"},):
        assert client.post(url("changelist"), data).status_code == 403
    assert state(store) == before
    assert asked_by_us() == []


def test_with_the_token_of_the_page_it_is_done(store):
    """The refusals above are about the token, and the forms of the pages have it."""
    client = person("superuser", enforce_csrf_checks=True)
    page = client.get(url("delete")).content.decode()
    token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    assert client.post(url("delete"), posted("delete") | {"csrfmiddlewaretoken": token}).status_code == 302
    assert store.count() == 0


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Request-Type": "partial"}])
def test_no_get_does_anything(store, headers):
    """Not even with all that a POST would send, in the URL."""
    client = person("superuser", headers=headers)
    before = state(store)
    for name, page in PAGES.items():
        plain = {key: value for key, value in page.data.items() if isinstance(value, str)}
        for query in ({}, plain, plain | {"post": "yes", "_method": "POST", "action": "clear"}):
            for method in (client.get, client.head, client.options):
                override = {"X-HTTP-Method-Override": "POST"}
                method(url(name), query_params=query, headers=override).close()
    assert state(store) == before
    assert asked_by_us() == []


def test_who_may_not_look_learns_nothing_of_what_there_is(store):
    """The same refusal for a trace that is there as for one that is not."""
    for who in ("anonymous", "staff", "staff with add_trace", "staff with use_sandbox"):
        client = person(who)
        for name in ("change", "delete", "export", "replay"):
            args = dict(PAGES[name].args)
            there = client.get(url(name))
            gone = client.get(
                reverse(f"admin:dbroute_panel_trace_{name}", kwargs=args | {"trace_id": "f" * 32})
            )
            assert there.status_code == gone.status_code
            assert there.content.replace(HERE.id.encode(), b"") == gone.content.replace(b"f" * 32, b"")


def test_other_pages_of_the_admin_show_no_trace(store):
    """The index and the app's page name the pages to who may look, and to nobody else."""
    for who, sees in (("staff", False), ("staff with use_sandbox", False), ("staff with view_trace", True)):
        client = person(who)
        for page in (reverse("admin:index"), "/admin/dbroute_panel/"):
            response = client.get(page)
            assert (b"/dbroute_panel/trace/" in response.content) == sees, (who, page)
            assert HERE.id.encode() not in response.content


class TestTheFrontPageOfTheExampleSite:
    """It is a demonstration on one's own machine: everybody may run a scenario, but no other site may."""

    DEEDS = ("/scenarios/1/run/", "/replication/")

    def test_only_a_post_with_the_token_does_anything(self):
        client = Client(enforce_csrf_checks=True)
        for page in self.DEEDS:
            assert client.get(page).status_code == 405
            assert Client().put(page).status_code == 405
            assert client.post(page, {"lag": "2", "now": "1"}).status_code == 403

    def test_pages_that_show_take_no_post(self):
        for page in ("/", "/scenarios/1/"):
            assert Client().post(page).status_code == 405
            assert Client().head(page).status_code == 200

    def test_its_readers_are_no_staff(self):
        assert not User.objects.get(username="fred").is_superuser
        assert person("a user").get(url("changelist")).status_code == 302
