"""Who may see which page: every URL for every kind of person; CSRF, other admin sites, own pages."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import NoReverseMatch, path, reverse

from dbroute_panel.admin import TraceAdmin
from dbroute_panel.models import Trace
from tests.traces import a_trace

pytestmark = pytest.mark.unmeasured

ID = a_trace(1).id
ASK = {"model": "library.Book", "action": "db_for_read", "repeat": "1"}
PAGES = {
    # what is done: (method, path below the admin, data, the permission it needs)
    "list": ("get", "", {}, "view_trace"),
    "trace": ("get", f"{ID}/change/", {}, "view_trace"),
    "row": ("get", f"{ID}/change/?event=2", {}, "view_trace"),
    "export": ("get", f"{ID}/export/json/", {}, "view_trace"),
    "finding": ("get", "finding/stale-read/", {}, "view_trace"),
    "import": ("get", "import/", {}, "add_trace"),
    "unknown": ("get", "nothing/change/", {}, "view_trace"),
    "ask whether to delete": ("get", f"{ID}/delete/", {}, "delete_trace"),
    "delete": ("post", f"{ID}/delete/", {"post": "yes"}, "delete_trace"),
    "sandbox": ("get", "sandbox/", {}, "use_sandbox"),
    "models": ("get", "sandbox/models/?model=book", {}, "use_sandbox"),
    "ask": ("post", "sandbox/", ASK, "use_sandbox"),
}
PERMISSIONS = ("view_trace", "delete_trace", "use_sandbox", "add_trace")

other_site = admin.AdminSite(name="operations")
other_site.register(Trace, TraceAdmin)
urlpatterns = [path("admin/", admin.site.urls), path("operations/", other_site.urls)]


def a_user(*permissions: str, staff: bool = True, superuser: bool = False) -> Client:
    user = User.objects.create_user("somebody", is_staff=staff, is_superuser=superuser)
    for codename in permissions:
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label="dbroute_panel", codename=codename)
        )
    client = Client()
    client.force_login(user)
    return client


def visit(client: Client, page: str, root: str = "/admin/"):
    method, below, data, _ = PAGES[page]
    return getattr(client, method)(f"{root}dbroute_panel/trace/{below}", data)


@pytest.mark.usefixtures("site")
class TestPermissions:
    @pytest.fixture(autouse=True)
    def _one_trace(self, site, store):
        store.save(a_trace(1))

    @pytest.mark.parametrize("page", PAGES)
    def test_nobody_and_users_who_are_not_staff_are_sent_to_the_login(self, page, store):
        for client in (Client(), a_user(*PERMISSIONS, staff=False)):
            response = visit(client, page)
            assert response.status_code == 302
            assert response["Location"].startswith("/admin/login/")
        assert store.count() == 1

    @pytest.mark.parametrize("page", PAGES)
    def test_staff_without_a_permission_are_refused(self, page, store):
        assert visit(a_user(), page).status_code == 403
        assert store.count() == 1

    @pytest.mark.parametrize("permission", PERMISSIONS)
    @pytest.mark.parametrize("page", PAGES)
    def test_each_page_needs_its_own_permission_and_no_other(self, page, permission, store):
        response = visit(a_user(permission), page)
        if permission != PAGES[page][3]:
            assert response.status_code == 403
            assert store.count() == 1
        else:
            assert response.status_code == {"unknown": 404, "delete": 302}.get(page, 200)
            assert store.count() == (0 if page == "delete" else 1)

    @pytest.mark.parametrize("page", PAGES)
    def test_a_superuser_may_everything(self, page):
        expected = {"unknown": 404, "delete": 302}.get(page, 200)
        assert visit(a_user(superuser=True), page).status_code == expected

    @pytest.mark.parametrize("post", [{}, {"post": "yes"}])
    def test_clearing_from_the_list_needs_delete_too(self, store, post):
        for action in ("clear", "delete_selected"):
            data = {"action": action, "_selected_action": ID} | post
            client = a_user("view_trace")
            assert client.post("/admin/dbroute_panel/trace/", data).status_code == 403
            User.objects.filter(username="somebody").delete()
        assert store.count() == 1

    def test_who_may_only_look_is_offered_nothing_else(self):
        client = a_user("view_trace")
        body = visit(client, "list").content.decode() + visit(client, "trace").content.decode()
        assert "/delete/" not in body
        assert "/sandbox/" not in body
        assert 'value="clear"' not in body
        body = a_user_again("delete_trace").get("/admin/dbroute_panel/trace/").content.decode()
        assert 'value="clear"' in body
        assert "/sandbox/" not in body

    def test_nobody_can_add_or_change_one_by_hand(self, rf):
        trace_admin = admin.site.get_model_admin(Trace)
        request = rf.get("/")
        request.user = User(is_superuser=True, is_staff=True, is_active=True)
        assert not trace_admin.has_change_permission(request)
        assert trace_admin.has_view_permission(request)
        with pytest.raises(NoReverseMatch):
            reverse("admin:dbroute_panel_trace_add")

    @pytest.mark.parametrize("page", [page for page, what in PAGES.items() if what[0] == "post"])
    def test_what_has_an_effect_needs_the_csrf_token(self, page, store):
        user = User.objects.get(username="admin")
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        assert visit(client, page).status_code == 403
        assert (
            client.post("/admin/dbroute_panel/trace/", {"action": "clear", "post": "yes"}).status_code == 403
        )
        assert store.count() == 1

    @pytest.mark.parametrize("page", [page for page, what in PAGES.items() if what[0] == "get"])
    def test_looking_changes_nothing(self, page, store):
        visit(a_user(superuser=True), page)
        assert [summary.id for summary in store.summaries()] == [ID]

    @pytest.mark.parametrize("page", PAGES)
    def test_our_own_pages_are_never_recorded(self, page, store):
        client = a_user(superuser=True)
        response = visit(client, page)
        response.close()
        assert "Dbroute-Trace-Id" not in response
        assert {summary.id for summary in store.summaries()} <= {ID}


def a_user_again(permission: str) -> Client:
    user = User.objects.get(username="somebody")
    user.user_permissions.add(
        Permission.objects.get(codename=permission, content_type__app_label="dbroute_panel")
    )
    client = Client()
    client.force_login(user)
    return client


class TestAnotherAdminSite:
    @pytest.mark.parametrize("page", ["list", "trace", "ask whether to delete", "sandbox", "unknown"])
    def test_its_links_stay_there(self, site, store, settings, page):
        settings.ROOT_URLCONF = __name__
        settings.DEBUG = False
        store.save(a_trace(1))
        response = visit(a_user(superuser=True), page, root="/operations/")
        body = response.content.decode()
        assert "/operations/dbroute_panel/trace/" in body
        assert "/admin/" not in body.replace("/static/admin/", "")

    def test_deleting_returns_there(self, site, store, settings):
        settings.ROOT_URLCONF = __name__
        settings.DEBUG = False
        store.save(a_trace(1))
        response = visit(a_user(superuser=True), "delete", root="/operations/")
        assert response["Location"] == "/operations/dbroute_panel/trace/"
