"""Stale reads over two requests of one session: what the first wrote, the next reads from a replica."""

from __future__ import annotations

import logging

import msgspec
import pytest
from django.contrib.sessions.backends.cache import SessionStore
from django.db import transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import path

from dbroute_panel import findings, sessions
from dbroute_panel.recording.requests import hash_session
from dbroute_panel.records import Request, SessionWrite, dumps, loads
from dbroute_panel.redaction import redact_trace
from dbroute_panel.stores import Filter, MemoryStore, StoreError
from example_site.library.models import Person, Tag
from tests.traces import a_query, a_trace

CODE = "session-stale-read"


class Undo(Exception):
    pass


def write(request):
    request.session["visits"] = 1
    if request.method == "POST":
        Tag.objects.create(name="brass")
    return HttpResponse("written")


def undo(request):
    request.session["visits"] = 1
    try:
        with transaction.atomic(using="primary"):
            Tag.objects.create(name="brass")
            raise Undo
    except Undo:
        return HttpResponse("undone")


def read(request):
    return HttpResponse(str(Tag.objects.using("replica1").count()))


def read_primary(request):
    return HttpResponse(str(Tag.objects.using("primary").count()))


def read_other(request):
    return HttpResponse(str(Person.objects.using("replica1").count()))


def write_and_read(request):
    Tag.objects.create(name="copper")
    return read(request)


urlpatterns = [
    path(f"{view.__name__}/", view) for view in (write, undo, read, read_primary, read_other, write_and_read)
]


@pytest.fixture
def served(site, store, settings):
    settings.ROOT_URLCONF = __name__
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    settings.MIDDLEWARE = [
        "dbroute_panel.middleware.TraceMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
    ]
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"FOLLOW_SESSIONS": True, "FINDINGS": []}
    return store


def visit(served, client, where, method="get"):
    """The trace of one request."""
    response = getattr(client, method)(f"/{where}/")
    assert response.status_code == 200
    return served.get(response["Dbroute-Trace-Id"])


def codes(trace):
    return {finding.code for finding in trace.findings}


def test_the_next_page_of_the_same_session_reads_the_table_from_a_replica(served):
    client = Client()
    posted = visit(served, client, "write", "post")
    shown = visit(served, client, "read")
    (found,) = [finding for finding in shown.findings if finding.code == CODE]
    age = shown.session_writes[0].age_us
    assert found.message == (
        f"library.Tag was possibly read stale from replica1: {age / 1_000_000:.1f} s before this request, "
        f"another one of the same session (trace {posted.id[:8]}) had written it on primary. Let db_for_read "
        "answer primary for a session that has just written."
    )
    assert found.events == [query.id for query in shown.queries if query.alias == "replica1"]
    assert codes(posted) == set()
    assert CODE in codes(visit(served, client, "read"))  # the one after it, too
    assert CODE in {one.code for one in loads(dumps(shown)).findings}


@pytest.mark.parametrize("where", ["read_primary", "read_other", "write_and_read"])
def test_not_another_read(served, where):
    client = Client()
    visit(served, client, "write", "post")
    assert CODE not in codes(visit(served, client, where))


def test_not_another_session_and_not_without_one(served):
    one, other = Client(), Client()
    visit(served, other, "write")
    visit(served, one, "write", "post")
    for client in (other, Client()):
        shown = visit(served, client, "read")
        assert (codes(shown), shown.session_writes) == (set(), ())


def test_not_what_was_rolled_back_nor_what_a_post_reads(served):
    client = Client()
    visit(served, client, "undo", "post")
    assert codes(visit(served, client, "read")) == set()
    visit(served, client, "write", "post")
    assert CODE not in codes(visit(served, client, "read", "post"))


def test_not_long_after_it(served, monkeypatch):
    client = Client()
    visit(served, client, "write", "post")
    monkeypatch.setattr(sessions, "MAX_AGE_SECONDS", 0.0)
    assert codes(visit(served, client, "read")) == set()


def test_nothing_is_followed_unless_it_is_asked_for(served, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"FOLLOW_SESSIONS": False}
    client = Client()
    visit(served, client, "write", "post")
    shown = visit(served, client, "read")
    assert (codes(shown), shown.session_writes) == (set(), ())
    assert served.recall(sessions.NAME) is None


def test_nothing_is_kept_without_replicas(served, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {}}
    client = Client()
    visit(served, client, "write", "post")
    visit(served, client, "read")
    assert served.recall(sessions.NAME) is None


def test_the_key_of_the_session_is_nowhere(served, settings):
    client = Client()
    visit(served, client, "write", "post")
    visit(served, client, "read")
    key = client.cookies[settings.SESSION_COOKIE_NAME].value.encode()
    remembered = served.recall(sessions.NAME)
    assert key not in remembered
    (hashed,) = msgspec.json.decode(remembered)
    assert len(hashed) == 32
    for summary in served.summaries(Filter()):
        document = dumps(served.get(summary.id))
        assert key not in document
        assert hashed.encode() not in document


def test_the_hash_needs_the_secret_key(served, settings):
    request = RequestFactory().get("/")
    request.session = SessionStore("a" * 32)
    one = hash_session(request)
    assert one == hash_session(request) != None  # noqa: E711
    settings.SECRET_KEY = "another"
    assert hash_session(request) != one
    request.session = SessionStore(None)
    assert hash_session(request) is None
    request.session = {"session_key": "a" * 32}
    assert hash_session(request) is None
    del request.session
    assert hash_session(request) is None


def test_another_process_with_the_same_store_knows_it(served, settings):
    """What the first process noted is read from the store, not from memory."""
    client = Client()
    visit(served, client, "write", "post")
    served.close()
    assert CODE in codes(visit(served, client, "read"))


def test_few_sessions_and_tables_are_remembered(served, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    monkeypatch.setattr(sessions, "MAX_TABLES", 3)
    written = a_query(1, "primary", sql='INSERT INTO "a" VALUES (1)', operation="INSERT", writes=True)
    for session in ("one", "two", "three", "two", "four"):
        sessions.note(session, a_trace(events=[written]))
    assert list(msgspec.json.decode(served.recall(sessions.NAME))) == ["two", "four"]
    for number in range(5):
        more = msgspec.structs.replace(written, sql=f'INSERT INTO "t{number}" VALUES (1)')
        sessions.note("four", a_trace(events=[more]))
    tables = [one["table"] for one in msgspec.json.decode(served.recall(sessions.NAME))["four"]]
    assert tables == ["t4", "t3", "t2"]


class Broken(MemoryStore):
    def recall(self, name):
        raise StoreError("no answer")


def test_a_store_that_fails_costs_the_finding_and_is_logged_once(served, settings, caplog, monkeypatch):
    monkeypatch.setattr(sessions, "_complaints", set())
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"STORE": {"BACKEND": f"{__name__}.Broken"}}
    client = Client()
    with caplog.at_level(logging.WARNING, "dbroute_panel"):
        for where, method in (("write", "post"), ("read", "get"), ("read", "get")):
            assert getattr(client, method)(f"/{where}/").status_code == 200
    assert [record.getMessage() for record in caplog.records] == [
        "dbroute_panel could not follow a session: no answer"
    ]


def test_the_newest_write_is_named_and_the_message_stays_in_a_redacted_trace(site, settings):
    writes = tuple(
        SessionWrite(trace=f"{number:032x}", alias="primary", table="library_tag", age_us=number * 1_000_000)
        for number in (2, 5)
    )
    request = Request(method="GET", path="read/", view=None, status=200)
    reading = a_query(1, "replica1", sql='SELECT 1 FROM "library_tag"', model="library.Tag")
    trace = a_trace(events=[reading], request=request, session_writes=writes)
    trace = msgspec.structs.replace(trace, findings=findings.find(trace))
    (found,) = [one for one in trace.findings if one.code == CODE]
    assert "replica1: 2.0 s before" in found.message
    assert found in redact_trace(trace).findings
    for changes in ({"request": None}, {"session_writes": ()}):
        assert CODE not in {one.code for one in findings.find(msgspec.structs.replace(trace, **changes))}
