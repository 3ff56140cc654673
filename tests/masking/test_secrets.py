from __future__ import annotations

import sys
import uuid

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User as Account
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.core.management import call_command
from django.db import IntegrityError, connections, models, router
from django.test import Client

from dbroute_panel.masking import secrets
from dbroute_panel.masking.secrets import (
    SessionTables,
    find_request_secrets,
    is_password_hash,
    mask_hashes,
    mask_literals,
    mask_tokens,
    may_keep_key,
)
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.recording.traces import trace
from dbroute_panel.records import dumps

KEY = "k" * 32


def everything(t):
    return dumps(t.document).decode()


def test_logging_in_leaves_no_key_no_data_and_no_hash_in_the_trace(site):
    client = Client()
    with trace("test", keep=False) as t:
        response = client.post("/admin/login/", {"username": "admin", "password": "admin", "next": "/admin/"})
        client.get("/admin/")
    assert response.status_code == 302
    key = client.session.session_key
    data = Session.objects.using("auth_db").get(pk=key).session_data
    hashed = Account.objects.using("auth_db").get(username="admin").password
    text = everything(t)
    assert "django_session" in text
    assert "auth_user" in text
    assert key not in text
    assert data not in text
    assert hashed not in text
    assert hashed.split("$")[-1] not in text


def test_changing_a_password_leaves_no_hash_in_the_trace(site):
    account = Account.objects.using("auth_db").get(username="fred")
    account.set_password("secret")
    with trace("test", keep=False) as t:
        account.save()
    update = t.queries[-1]
    assert "***" in update.params
    assert "fred" in update.params
    assert account.password not in everything(t)


def test_a_session_has_no_key_as_a_hint(site):
    session = SessionStore()
    session["a"] = 1
    session.save()
    with trace("test", keep=False) as t:
        row = Session.objects.get(pk=session.session_key)
        row.delete()
    hint = t.decisions[1].hints["instance"]
    assert (hint.model, hint.pk) == ("sessions.Session", "***")
    assert all(set(query.params) <= {"***"} for query in t.queries)
    assert session.session_key not in everything(t)


def test_raw_sql_about_sessions_keeps_neither_parameters_nor_literals(site):
    with trace("test", keep=False) as t, connections["auth_db"].cursor() as cursor:
        cursor.execute("SELECT * FROM django_session WHERE session_key = %s AND 1 = %s", [KEY, 1])
        cursor.execute(f"SELECT 'it''s' FROM django_session WHERE session_key = '{KEY}'")
        cursor.executemany("DELETE FROM django_session WHERE session_key = %s", [(KEY,), (KEY,)])
        cursor.execute("SELECT session_key FROM django_session WHERE session_key = :key", {"key": KEY})
    assert [query.params for query in t.queries] == [
        ("***", "***"),
        None,
        (["***"], ["***"]),
        {"key": "***"},
    ]
    assert t.queries[1].sql == "SELECT '***' FROM django_session WHERE session_key = '***'"
    assert KEY not in everything(t)


def test_the_name_of_the_table_may_be_written_in_either_case(site):
    with trace("test", keep=False) as t, connections["auth_db"].cursor() as cursor:
        cursor.execute("SELECT * FROM DJANGO_SESSION WHERE session_key = %s", [KEY])
        cursor.execute(f"SELECT * FROM Django_Session WHERE session_key = '{KEY}'")
    assert t.queries[0].params == ("***",)
    assert KEY not in everything(t)


@pytest.mark.parametrize("many", [False, True])
def test_a_session_in_a_cache_table_is_known_by_its_key_however_it_is_given(site, many):
    key = f":1:django.contrib.sessions.cache{KEY}"
    with trace("test", keep=False) as t, connections["auth_db"].cursor() as cursor:
        if many:
            cursor.executemany("DELETE FROM auth_group WHERE name = %s", [(key,), (key,)])
        else:
            cursor.execute("SELECT name FROM auth_group WHERE name = :key", {"key": key})
            cursor.execute(f"SELECT name FROM auth_group WHERE name = '{key}'")
    assert KEY not in everything(t)


def test_the_cookie_that_a_request_came_with_is_known_after_its_session_has_changed(rf, settings):
    request = rf.get("/", HTTP_AUTHORIZATION="Bearer 0123456789abcdef")
    request.COOKIES[settings.SESSION_COOKIE_NAME] = "what:it:came-with"
    request.session = SessionStore()  # it logged out
    assert find_request_secrets(request) == {"what:it:came-with", "0123456789abcdef"}


@pytest.mark.parametrize(
    ("vendor", "sql"),
    [
        ("postgresql", "INSERT INTO t VALUES ('C:\\', 'the secret value')"),
        ("postgresql", "INSERT INTO t VALUES ($$the secret value$$)"),
        ("sqlite", "INSERT INTO t VALUES ('C:\\', 'the secret value')"),
        ("mysql", "INSERT INTO t VALUES ('it\\'s', \"the secret value\")"),
    ],
)
def test_the_beginning_of_a_long_statement_is_read_as_its_database_reads_it(vendor, sql):
    recorder = Recorder("test", "block")
    recorder.bytes_left = 0
    kept, params = recorder.fit(sql + " " * 2000, ("a",), vendor)
    assert params is None
    assert kept.startswith("INSERT INTO t VALUES (")
    assert "secret" not in kept


def test_an_error_about_sessions_is_its_class_alone(site):
    session = Session(session_key=KEY, session_data="", expire_date=None)
    with trace("test", keep=False) as t, pytest.raises(IntegrityError):
        session.save()
    assert t.queries[-1].error == "IntegrityError"
    assert t.queries[-1].instance.pk == "***"


def test_a_model_that_points_to_a_session_is_as_secret(table):
    class Visit(models.Model):  # noqa: DJ008
        session = models.ForeignKey(Session, models.CASCADE, db_constraint=False)

        class Meta:
            app_label = "library"

    class Basket(models.Model):  # noqa: DJ008
        session = models.OneToOneField(Session, models.CASCADE, db_constraint=False, primary_key=True)

        class Meta:
            app_label = "library"

    from dbroute_panel.masking import secrets

    labels, near, tables = secrets._find_tables.__wrapped__((Session, Visit, Basket, Account))[0:3]
    assert labels == {"sessions.Session", "library.Basket"}
    assert near == {"sessions.Session", "library.Visit", "library.Basket"}
    assert tables == ("django_session", "library_visit", "library_basket")


def test_sessions_in_a_cache_table_are_as_secret(site, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cached_things"}
    }
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    settings.DATABASE_ROUTERS = [type("Here", (), {"db_for_read": here, "db_for_write": here})()]
    call_command("createcachetable", database="archive", verbosity=0)
    from django.contrib.sessions.backends.cache import SessionStore

    session = SessionStore()
    with trace("test", keep=False) as t:
        session["a"] = 1
        session.save()
        caches["default"].set("mine", 1)
    text = everything(t)
    assert "cached_things" in text
    assert ":1:mine" in text
    assert session.session_key not in text


def here(self, model, **hints):
    return "archive"


def test_without_the_session_app_nothing_is_a_session(monkeypatch):
    from dbroute_panel.masking import secrets

    monkeypatch.delitem(sys.modules, "django.contrib.sessions.base_session")
    secrets._find_tables.cache_clear()
    assert not SessionTables().concerns("sessions.Session", "SELECT * FROM django_session")
    secrets._find_tables.cache_clear()


def test_hashes_in_hints_answers_errors_and_statements_are_masked(site):
    hashed = make_password("x")

    class Tells:
        def db_for_read(self, model, **hints):
            raise ValueError(f"no database for ({hashed})")

    with trace("test", keep=False) as t:
        router.db_for_write(Account, password=hashed)
        with connections["auth_db"].cursor() as cursor:
            cursor.execute(f"SELECT 1 WHERE '{hashed}' = 'x'")
            cursor.execute("SELECT %s", [hashed])
        real, router.routers = router.routers, [Tells()]
        try:
            with pytest.raises(ValueError, match="no database"):
                router.db_for_read(Account)
        finally:
            router.routers = real
    assert t.decisions[0].hints == {"password": "***"}
    assert t.queries[0].sql == "SELECT 1 WHERE '***' = 'x'"
    assert t.queries[1].params == ("***",)
    assert t.decisions[1].steps[0].error == "ValueError: no database for (***)"
    assert hashed not in everything(t)


def test_which_strings_are_password_hashes(settings):
    assert is_password_hash(make_password("x"))
    for text in ("", "x", "a" * 32, "price: 5$", "$1", "nothing$of$the$kind"):
        assert not is_password_hash(text)
    settings.PASSWORD_HASHERS = ["nowhere.Hasher"]
    assert not is_password_hash("pbkdf2_sha256$1$a$b")


def test_texts_without_their_secrets():
    hashed = make_password("x")
    assert mask_hashes(f"row (1, {hashed}) costs 5$") == "row (1, ***) costs 5$"
    argon = "argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHQ$aGFzaGhhc2g"
    assert mask_hashes(f"password={argon}, next") == "password=***, next"
    assert mask_hashes("SELECT $1, a$b") == "SELECT $1, a$b"
    assert mask_hashes("nothing in it") == "nothing in it"
    assert mask_literals(r"SELECT 'a\'b', 'c''d', 1 FROM " "t" "") == "SELECT '***', '***', 1 FROM t"


def test_which_keys_tell_nothing():
    assert may_keep_key(5)
    assert may_keep_key(uuid.UUID(int=1))
    assert not may_keep_key("ada@example.com")
    assert not may_keep_key(True)


@pytest.mark.parametrize(
    ("vendor", "sql", "masked"),
    [
        # A backslash escapes a quote on MySQL alone: elsewhere the second text begins after it.
        ("mysql", r"SELECT 'a\' b' , 'k'", "SELECT '***' , '***'"),
        ("postgresql", r"SELECT 'a\' b , 'k'", "SELECT '***' b , '***'"),
        ("postgresql", r"SELECT E'a\' b', e'k'", "SELECT '***', '***'"),
        ("postgresql", "SELECT $$it's k$$, $a$k$a$, $1", "SELECT '***', '***', $1"),
        ("mysql", 'SELECT "k", `it\'s` FROM t', "SELECT '***', `it's` FROM t"),
        ("sqlite", "SELECT \"it's\" FROM t WHERE x = 'k'", "SELECT \"it's\" FROM t WHERE x = '***'"),
        ("sqlite", f'SELECT 1 WHERE k = "{KEY}"', 'SELECT 1 WHERE k = "***"'),
        ("sqlite", "SELECT 1 -- it's k\nFROM t", "SELECT 1 /* *** */\nFROM t"),
        ("mysql", "SELECT 1 # it's k\nFROM t /* k", "SELECT 1 /* *** */\nFROM t /* *** */"),
        ("sqlite", "SELECT 'it''s k", "SELECT '***'"),
        ("mysql", "SELECT 'k\\", "SELECT '***'"),
    ],
)
def test_strings_and_comments_as_each_database_has_them(vendor, sql, masked):
    assert mask_literals(sql, vendor) == masked


def test_what_looks_like_a_token_that_resets_a_password():
    token = default_token_generator.make_token(Account(pk=1, password=make_password("x")))
    assert mask_tokens(f"/reset/MQ/{token}/ and {token}.") == "/reset/MQ/***/ and ***."
    for text in (
        "no token",
        "a-b",
        "2026-11-22",
        "main-d41d8cd98f00b204e9800998ecf8427e.css",
        str(uuid.uuid4()),
    ):
        assert mask_tokens(text) == text


def test_what_a_request_came_with(rf):
    request = rf.get("/", headers={"Authorization": "Bearer abcdefgh12345"})
    assert find_request_secrets(request) == {"abcdefgh12345"}
    request.session = SessionStore(KEY)
    assert find_request_secrets(request) == {"abcdefgh12345", KEY}
    request.session = {"session_key": "of a kind that is not Django's"}
    assert find_request_secrets(rf.get("/", headers={"Authorization": "Token short"})) == set()
    assert find_request_secrets(request) == {"abcdefgh12345"}


def test_without_the_session_app_no_request_has_one(rf, monkeypatch):
    request = rf.get("/")
    request.session = SessionStore(KEY)
    monkeypatch.delitem(sys.modules, "django.contrib.sessions.backends.base")
    assert find_request_secrets(request) == set()


def test_the_prefix_of_a_cache_is_that_of_the_projects_backend(settings):
    settings.SESSION_ENGINE = "tests.nowhere"
    assert secrets.SessionTables().cache_prefixes == ("django.contrib.sessions.c",)
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
    import django.contrib.sessions.backends.cached_db as backend

    assert secrets.SessionTables().cache_prefixes == (
        "django.contrib.sessions.c",
        backend.SessionStore.cache_key_prefix,
    )
