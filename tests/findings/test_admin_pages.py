"""Django's own admin on the example site is not to blame for anything: it gets no warnings."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.models import User as Account
from django.test import Client
from django.urls import reverse

from dbroute_panel import findings
from dbroute_panel.records import Level, Trace
from example_site.library.models import Book, Person, Tag
from example_site.users.models import User

OWN = ("dbroute_panel", "debug_toolbar")


class Browser(Client):
    """Makes requests from an address that the debug toolbar does not know, and finds the trace of each."""

    def __init__(self, store) -> None:
        super().__init__(REMOTE_ADDR="192.0.2.1", SERVER_NAME="localhost")
        self.store = store
        self.traces: list[Trace] = []

    def request(self, **request):
        response = super().request(**request)
        assert response.status_code in (200, 302), (request["PATH_INFO"], response.status_code)
        if response.status_code == 200 and request["REQUEST_METHOD"] == "POST":
            form = (response.context or {}).get("adminform")
            assert form is None or not form.errors, (request["PATH_INFO"], form.errors)
        trace = self.store.get(response.headers["Dbroute-Trace-Id"])
        if trace is not None:  # one without events is not kept
            self.traces.append(trace)
        return response

    def alarms(self) -> list[tuple[str, str, str]]:
        return [
            (trace.name, found.code, found.message)
            for trace in self.traces
            for found in findings.find(trace)
            if found.level.rank >= Level.WARNING.rank
        ]


@pytest.fixture
def browser(site, store):
    browser = Browser(store)
    browser.force_login(Account.objects.get(username="admin"))
    return browser


def url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def stock_models():
    return [model for model in admin.site._registry if model._meta.app_label not in OWN]


@pytest.mark.parametrize("model", stock_models(), ids=lambda model: model._meta.label)
def test_looking(browser, model):
    pk = model._default_manager.values_list("pk", flat=True).first()
    browser.get(url(model, "changelist"))
    browser.get(url(model, "changelist") + "?q=a&o=-1&all=")
    browser.get(url(model, "add"))
    for page in ("change", "history", "delete"):
        if pk is not None:
            browser.get(url(model, page, pk))
    assert len(browser.traces) == (6 if pk is not None else 3)
    assert browser.alarms() == []


def test_coming_and_going(site, store):
    browser = Browser(store)
    browser.get(reverse("admin:login"))
    browser.post(reverse("admin:login"), {"username": "admin", "password": "admin", "next": "/admin/"})
    browser.get(reverse("admin:index"))
    browser.get(reverse("admin:app_list", args=["library"]))
    browser.get(reverse("admin:password_change"))
    passwords = {"old_password": "admin", "new_password1": "abracadabra!", "new_password2": "abracadabra!"}
    browser.post(reverse("admin:password_change"), passwords)
    browser.post(reverse("admin:logout"))
    assert not browser.get(reverse("admin:login")).wsgi_request.user.is_authenticated
    assert len(browser.traces) >= 6
    assert browser.alarms() == []


def test_writing_to_the_library(browser):
    person = Person.objects.using("primary").get(name="Octavia E. Butler")
    tags = list(Tag.objects.using("primary").values_list("pk", flat=True))
    book = {"title": "Fledgling", "year": "2005", "author": person.pk, "tags": tags}
    browser.post(url(Book, "add"), book)
    pk = Book.objects.using("primary").get(title="Fledgling").pk
    browser.post(url(Book, "change", pk), book | {"title": "Fledgling!", "tags": tags[:1], "_continue": "1"})
    browser.post(url(Book, "change", pk), book | {"year": "", "_addanother": "1"})
    browser.post(url(Book, "change", pk), book | {"_saveasnew": "1"})
    browser.get(url(Book, "history", pk))
    browser.post(url(Book, "delete", pk), {"post": "yes"})
    assert not Book.objects.using("primary").filter(pk=pk).exists()
    browser.post(url(Person, "add"), {"name": "Fred"})
    fred = Person.objects.using("primary").get(name="Fred")
    browser.post(url(Person, "change", fred.pk), {"name": "Frederick"})
    browser.post(url(Tag, "add") + "?_popup=1", {"name": "brass", "_popup": "1"})
    assert len(browser.traces) == 9
    assert browser.alarms() == []


def test_deleting_many_at_once(browser):
    Tag.objects.using("primary").bulk_create([Tag(name=f"tag {number}") for number in range(30)])
    doomed = Tag.objects.using("primary").filter(name__startswith="tag ")
    chosen = {"action": "delete_selected", "_selected_action": [tag.pk for tag in doomed]}
    browser.post(url(Tag, "changelist"), chosen)
    browser.post(url(Tag, "changelist"), chosen | {"post": "yes"})
    assert not doomed.all().exists()
    assert browser.alarms() == []


def test_writing_accounts(browser):
    browser.post(
        url(Account, "add"),
        {
            "username": "trillian",
            "usable_password": "true",
            "password1": "abracadabra!",
            "password2": "abracadabra!",
        },
    )
    account = Account.objects.get(username="trillian")
    permissions = list(Permission.objects.values_list("pk", flat=True)[:20])
    browser.post(url(Group, "add"), {"name": "readers", "permissions": permissions})
    group = Group.objects.get(name="readers")
    browser.post(
        url(Account, "change", account.pk),
        {
            "username": "trillian",
            "email": "trillian@example.com",
            "is_active": "on",
            "groups": [group.pk],
            "user_permissions": permissions,
            "date_joined_0": "2026-01-01",
            "date_joined_1": "12:00:00",
        },
    )
    account.refresh_from_db()
    assert account.email == "trillian@example.com"
    browser.post(url(Account, "delete", account.pk), {"post": "yes"})
    assert not Account.objects.filter(username="trillian").exists()
    assert len(browser.traces) == 4
    assert browser.alarms() == []


def test_writing_readers_with_an_inline(browser):
    cards = {"cards-TOTAL_FORMS": 12, "cards-INITIAL_FORMS": 0}
    cards |= {f"cards-{number}-number": f"M-{number}" for number in range(12)}
    browser.post(url(User, "add"), {"username": "margaret", "email": "", **cards})
    reader = User.objects.using("legacy_users").get(username="margaret")
    assert reader.cards.using("legacy_users").count() == 12
    browser.get(url(User, "change", reader.pk))
    browser.post(url(User, "delete", reader.pk), {"post": "yes"})
    assert not User.objects.using("legacy_users").filter(username="margaret").exists()
    assert browser.alarms() == []
