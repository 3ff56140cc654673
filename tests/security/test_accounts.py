"""
Log in, change and reset a password by Django's own views; then look everywhere for what opens an account.

Whoever may look at traces must not find a live session key, a password hash, a reset token or an API token.
"""

from __future__ import annotations

import re

import django
import pytest
from debug_toolbar.middleware import show_toolbar_func_or_path
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connections
from django.test import Client

from dbroute_panel import trace
from tests.security.accounts.models import Basket, Change, KeptSession, Mail
from tests.security.authtoken.models import Token
from tests.security.everywhere import documents, everywhere, files

pytestmark = pytest.mark.unmeasured

OLD, NEW, NEWEST = "first horse", "second staple", "third battery"
DATABASE_CACHE = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cached_things"}
}
QUEUE = "tests.security.accounts.mail.QueueBackend"
HASHERS = {
    "pbkdf2": "tests.security.accounts.hashers.FewIterations",
    "md5": "django.contrib.auth.hashers.MD5PasswordHasher",
}
ENGINES = {
    "database": "django.contrib.sessions.backends.db",
    "cached in a table": "django.contrib.sessions.backends.cached_db",
    "only in the cache's table": "django.contrib.sessions.backends.cache",
    "signed cookies": "django.contrib.sessions.backends.signed_cookies",
    "own model, own cache keys": "tests.security.accounts.sessions",
}


class Here:
    """The tables of these tests, and that of the cache, are on ``archive``; accounts on ``auth_db``."""

    def db_for_read(self, model, **hints):
        if model._meta.app_label == "authtoken":
            return "auth_db"
        return "archive" if model._meta.app_label in ("accounts", "django_cache") else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        if app_label == "authtoken":
            return db == "auth_db"
        return db == "archive" if app_label in ("accounts", "django_cache") else None


@pytest.fixture
def project(request, site, store, settings):
    """A project with accounts, an API and a shop; the parameter says how it keeps its sessions."""
    engine = getattr(request, "param", "database")
    settings.INSTALLED_APPS = [
        *settings.INSTALLED_APPS,
        "tests.security.accounts.apps.AccountsConfig",
        "tests.security.authtoken.apps.TokenConfig",
    ]
    settings.ROOT_URLCONF = "tests.security.accounts.urls"
    settings.DATABASE_ROUTERS = [Here(), *settings.DATABASE_ROUTERS]
    settings.CACHES = DATABASE_CACHE
    settings.SESSION_ENGINE = ENGINES[engine]
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": QUEUE}}
    else:
        settings.EMAIL_BACKEND = QUEUE
    settings.LOGIN_REDIRECT_URL = "/"
    settings.DEBUG_TOOLBAR_CONFIG = {"IS_RUNNING_TESTS": False}
    show_toolbar_func_or_path.cache_clear()
    for alias, models in {"archive": [KeptSession, Basket, Mail, Change], "auth_db": [Token]}.items():
        with connections[alias].schema_editor() as editor:
            for model in models:
                editor.create_model(model)
    call_command("createcachetable", database="archive", verbosity=0)
    yield engine
    show_toolbar_func_or_path.cache_clear()


class Visitor:
    """Somebody with an account, who notes whatever could open it: ``secrets`` by what each is."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)
        self.secrets: dict[str, str] = {}
        self.requests: list[str] = []
        self.hashed(OLD)

    def hashed(self, password: str) -> None:
        self.note("password", password)
        algorithm, *rest = User.objects.get(username="fred").password.split("$")
        for part in rest:
            if len(part) > 8:
                self.note(f"{algorithm} hash", part)

    def note(self, what: str, value: str) -> None:
        self.secrets[value] = what

    def does(self, method: str, path: str, *args, status: int, **kwargs):
        response = getattr(self.client, method)(path, *args, **kwargs)
        response.close()
        assert response.status_code == status, path
        if "djdt-request-id" in response:
            self.requests.append(response["djdt-request-id"])
        for name, cookie in self.client.cookies.items():
            if len(cookie.value) > 8:
                self.note(f"cookie {name}", cookie.value)
        return response


def the_visit() -> Visitor:
    """All that somebody does with an account."""
    visitor = Visitor()
    does = visitor.does
    does("get", "/basket/", status=200)
    does("post", "/accounts/login/", {"username": "fred", "password": OLD}, status=302)
    does("get", "/basket/", status=200)
    does("get", "/basket/", status=200)
    does("get", "/log-change/", status=200)
    key = does("get", "/give-token/", status=200).content.decode()
    visitor.note("API token", key)
    for scheme in ("Token", "Bearer"):
        assert (
            does("get", "/api/", headers={"Authorization": f"{scheme} {key}"}, status=200).content == b"fred"
        )
    change = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}
    does("post", "/accounts/password_change/", change, status=302)
    visitor.hashed(NEW)
    does("get", "/basket/", status=200)
    does("post", "/accounts/logout/", status=200)
    does("post", "/accounts/password_reset/", {"email": "fred@example.com"}, status=302)
    link, token = re.search(
        r"https?://[^/]+(/accounts/reset/[^/]+/([^/\s]+)/)", Mail.objects.get().body
    ).groups()
    visitor.note("reset token", token)
    for path, status in (
        (link.rstrip("/"), 301),
        (f"/elsewhere{link}", 404),
        (f"/own-reset/{token}/", 500),
        (link, 302),
    ):
        does("get", path, status=status)
    set_password = link.replace(token, "set-password")
    does("get", set_password, status=200)
    does("post", set_password, {"new_password1": NEWEST, "new_password2": NEWEST}, status=302)
    visitor.hashed(NEWEST)
    does("post", "/accounts/login/", {"username": "fred", "password": NEWEST}, status=302)
    does("get", "/basket/", status=200)
    for row in (*Session.objects.all(), *KeptSession.objects.all()):
        visitor.note("session data", row.session_data)
    return visitor


def visited(settings, *, hasher="md5", params=True, debug=False) -> Visitor:
    """Record the visit, every request of it."""
    settings.PASSWORD_HASHERS = [HASHERS[hasher], HASHERS["pbkdf2"]]
    own = {"RECORD_PARAMS": params, "SAMPLE_RATE": 1.0}
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | own
    settings.DEBUG = debug
    fred = User.objects.get(username="fred")
    fred.set_password(OLD)
    fred.email = "fred@example.com"
    fred.save()
    return the_visit()


def test_nothing_that_opens_an_account_is_anywhere(project, store, settings, caplog):
    visitor = visited(settings, debug=True)
    found = everywhere(store, visitor.requests, every=5)
    assert len(visitor.requests) > 5
    assert len(found) > 80
    elsewhere = [trace.request.path for trace in documents(store) if "/elsewhere/" in trace.request.path]
    assert elsewhere[0].endswith("/***/")
    assert_safe(project, visitor, found, store, caplog, params=True)


@pytest.mark.parametrize("project", ENGINES, indirect=True)
def test_nothing_that_opens_an_account_is_kept(project, store, settings, caplog):
    """What is not in the store is on no page: so for the other ways to keep sessions, the store will do."""
    visitor = visited(settings)
    assert_safe(project, visitor, dict(files(store)), store, caplog, params=True)


@pytest.mark.parametrize("project", ["database", "own model, own cache keys"], indirect=True)
def test_nor_where_parameters_are_not_kept(project, store, settings, caplog):
    visitor = visited(settings, params=False)
    assert_safe(project, visitor, dict(files(store)), store, caplog, params=False)


def test_nor_with_hashes_of_the_kind_that_django_makes_by_default(project, store, settings, caplog):
    visitor = visited(settings, hasher="pbkdf2")
    assert_safe(project, visitor, dict(files(store)), store, caplog, params=True)


def assert_safe(engine, visitor, found, store, caplog, *, params):
    """None of the visitor's secrets is in any of the texts; and these are what they should be."""
    found["log"] = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("dbroute_panel"))
    leaks = {
        f"{what} in {place}"
        for secret, what in visitor.secrets.items()
        for place, text in found.items()
        for part in (secret, secret[:24])
        if part in text
    }
    assert leaks == set()
    traces = documents(store)
    kinds = set(visitor.secrets.values())
    assert {"API token", "reset token", "password", "cookie sessionid", "cookie csrftoken"} <= kinds
    assert any(kind.endswith(" hash") for kind in kinds)
    paths = {trace.request.path for trace in traces}
    models = {query.model for trace in traces for query in trace.queries}
    assert {"auth.User", "accounts.Mail", "accounts.Basket", "authtoken.Token"} <= models
    if engine != "signed cookies":
        sql = " ".join(query.sql for trace in traces for query in trace.queries)
        table = {"database": "django_session", "own model, own cache keys": "accounts_keptsession"}
        assert table.get(engine, "cached_things") in sql
    reset = "accounts/reset/<uidb64>/<token>/"
    assert reset in paths
    if params:
        assert {"/accounts/login/", "/own-reset/***/"} <= paths
        users = [q for t in traces for q in t.queries if q.model == "auth.User" and q.params]
        assert any("fred" in query.params for query in users)


def test_a_block_around_a_request_is_as_safe(project, settings):
    """As the pytest fixture makes one: the request joins the trace of the block."""
    settings.PASSWORD_HASHERS = [HASHERS["md5"]]
    fred = User.objects.get(username="fred")
    fred.set_password(OLD)
    fred.save()
    client = Client()
    with trace("test", keep=False) as t:
        client.post("/accounts/login/", {"username": "fred", "password": OLD})
        client.get("/basket/")
    key = client.cookies["sessionid"].value
    text = str(t.document.to_dict())
    assert "accounts_basket" in text
    assert key not in text
