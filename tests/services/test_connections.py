"""What is recorded of real servers: errors, cursors, procedures, transactions, and kept connections."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User as Account
from django.core.wsgi import get_wsgi_application
from django.db import InternalError, ProgrammingError, connections, transaction
from django.test import RequestFactory

from dbroute_panel import trace
from dbroute_panel.records import Level, Operation, RouteKind
from example_site.library.models import Book, Tag
from example_site.routers import PrimaryReplicaRouter
from example_site.users.models import User
from tests.errors import recorded
from tests.services.test_servers import connect

pytestmark = pytest.mark.usefixtures("site")


@pytest.fixture
def one_replica(monkeypatch):
    monkeypatch.setattr(PrimaryReplicaRouter, "replicas", ["replica1"])


# A hot standby


@pytest.mark.parametrize("alias", ["replica1", "replica2"])
def test_a_write_on_a_hot_standby_is_refused_and_found(alias):
    with (
        trace("refused", keep=False) as t,
        pytest.raises(InternalError) as raised,
    ):
        Tag.objects.using(alias).create(name="refused")
    (insert,) = t.queries
    assert (insert.alias, insert.operation, insert.writes, insert.route) == (
        alias,
        "INSERT",
        True,
        RouteKind.EXPLICIT,
    )
    assert raised.value.__cause__.sqlstate == "25006"  # read_only_sql_transaction
    assert insert.error == recorded(raised.value)
    assert [(found.code, found.level, found.events) for found in t.findings] == [
        ("write-to-replica", Level.ERROR, [insert.id])
    ]
    assert not Tag.objects.using("primary").filter(name="refused").exists()


# Server-side cursors


def test_a_server_side_cursor_is_one_query_where_its_decision_sent_it(one_replica):
    with trace("cursor", keep=False) as t:
        books = Book.objects.order_by("pk").iterator(chunk_size=2)
        first = next(books)
        with connections["replica1"].cursor() as cursor:
            cursor.execute("SELECT statement FROM pg_cursors WHERE name LIKE '_django_curs_%'")
            declared = cursor.fetchall()
        rest = list(books)
    assert len([first, *rest]) == Book.objects.count() > 2
    assert len(declared) == 1
    assert "library_book" in declared[0][0]
    # Django first asks whose settings say whether to use a server-side cursor at all, and then for the query.
    _, decision = t.decisions
    select, looked = t.queries
    assert (decision.answer, select.alias, select.decision_id) == ("replica1", "replica1", decision.id)
    assert (select.route, select.operation, select.model) == (RouteKind.ROUTER, "SELECT", "library.Book")
    assert (select.writes, select.error) == (False, None)
    assert (looked.route, looked.model) == (RouteKind.CURSOR, None)


def test_a_server_side_cursor_in_a_transaction_that_the_code_named():
    with trace("cursor", keep=False) as t, transaction.atomic(using="primary"):
        names = [tag.name for tag in Tag.objects.using("primary").iterator(chunk_size=1)]
    assert len(names) > 1
    (select,) = t.queries
    assert (select.alias, select.route, select.atomic, select.transaction_number) == (
        "primary",
        RouteKind.EXPLICIT,
        True,
        1,
    )
    assert [event.operation for event in t.transactions] == [Operation.BEGIN, Operation.COMMIT]


def test_a_server_side_cursor_that_fails():
    with trace("cursor", keep=False) as t, pytest.raises(ProgrammingError) as raised:
        list(Account.objects.using("primary").iterator())
    (select,) = t.queries
    assert select.error == recorded(raised.value)
    assert [found.code for found in t.findings] == ["missing-table"]


def test_iterator_on_mariadb():
    with trace("iterator", keep=False) as t:
        readers = list(User.objects.iterator(chunk_size=1))
    assert len(readers) > 1
    (select,) = t.queries
    assert (select.alias, select.decision_id, select.route) == (
        "legacy_users",
        t.decisions[-1].id,
        RouteKind.ROUTER,
    )


# Procedures


NAMED = """
    CREATE OR REPLACE PROCEDURE named(wanted text)
    SELECT count(*) FROM users_user WHERE username = wanted
"""


def test_a_procedure_of_mariadb():
    with connections["legacy_users"].cursor() as cursor:
        cursor.execute(NAMED)
    with trace("procedure", keep=False) as t, connections["legacy_users"].cursor() as cursor:
        cursor.callproc("named", ["ada"])
        assert cursor.fetchone() == (1,)
        while cursor.nextset():
            pass
    (call,) = t.queries
    assert (call.alias, call.route, call.decision_id) == ("legacy_users", RouteKind.CURSOR, None)
    assert (call.sql, call.params, call.error) == ("CALL named(%s)", ("ada",), None)


def test_a_procedure_that_is_not_there():
    with (
        trace("procedure", keep=False) as t,
        pytest.raises(ProgrammingError) as raised,
        connections["primary"].cursor() as cursor,
    ):
        cursor.callproc("nothing_like_it", [1])
    (call,) = t.queries
    assert (call.alias, call.sql) == ("primary", "CALL nothing_like_it(%s)")
    assert call.error == recorded(raised.value)


# Transactions


@pytest.mark.parametrize(("alias", "read"), [("primary", Tag.objects), ("legacy_users", User.objects)])
def test_a_transaction_with_a_savepoint(alias, read):
    with trace("transaction", keep=False) as t, transaction.atomic(using=alias):
        assert read.using(alias).exists()
        with transaction.atomic(using=alias):
            assert read.using(alias).exists()
    assert [(event.alias, event.operation, event.transaction_number) for event in t.transactions] == [
        (alias, Operation.BEGIN, 1),
        (alias, Operation.SAVEPOINT, 1),
        (alias, Operation.SAVEPOINT_COMMIT, 1),
        (alias, Operation.COMMIT, 1),
    ]
    assert [(query.operation, query.transaction_number) for query in t.queries] == [
        ("SELECT", 1),
        ("SELECT", 1),
    ]


def test_what_postgresql_refuses_after_an_error_in_a_transaction():
    def go_on_after_an_error(cursor):
        with pytest.raises(ProgrammingError):
            cursor.execute("SELECT * FROM nothing_like_it")
        cursor.execute("SELECT 1")

    with (
        trace("aborted", keep=False) as t,
        pytest.raises(InternalError) as raised,
        transaction.atomic(using="primary"),
    ):
        go_on_after_an_error(connections["primary"].cursor())
    failed, refused = t.queries
    assert failed.error.startswith("ProgrammingError: ")
    assert refused.error == recorded(raised.value)
    assert raised.value.__cause__.sqlstate == "25P02"  # in_failed_sql_transaction
    assert [event.operation for event in t.transactions] == [Operation.BEGIN, Operation.ROLLBACK]


# Connections that are kept


class Server:
    """Answers requests in one thread, as a server does: with the signals that close connections."""

    def __init__(self, store):
        self.store = store
        self.application = get_wsgi_application()
        self.thread = ThreadPoolExecutor(1)

    def get(self, path):
        """The trace of one request."""
        return self.run(self._respond, path)

    def run(self, function, *args):
        return self.thread.submit(function, *args).result()

    def _respond(self, path):
        headers = {}
        environ = RequestFactory().get(path, REMOTE_ADDR="192.0.2.1", SERVER_NAME="localhost").environ
        response = self.application(environ, lambda status, sent: headers.update(sent))
        b"".join(response)
        response.close()
        return self.store.get(headers["Dbroute-Trace-Id"])


@pytest.fixture
def server(one_replica, store):
    server = Server(store)
    yield server
    server.run(connections.close_all)
    server.thread.shutdown()


def backend():
    """The process of the server behind replica1's connection in this thread, or None where it is closed."""
    connection = connections["replica1"].connection
    return connection and connection.info.backend_pid


def shape(trace):
    return [(query.operation, query.model, query.alias, query.route) for query in trace.queries]


BOOKS = [("SELECT", "library.Book", "replica1", RouteKind.ROUTER)]


@pytest.mark.parametrize(("age", "is_kept"), [(0, False), (60, True), (None, True)])
def test_conn_max_age(server, monkeypatch, age, is_kept):
    monkeypatch.setitem(connections.settings["replica1"], "CONN_MAX_AGE", age)
    backends = []
    for _ in range(3):
        assert shape(server.get("/books.json")) == BOOKS
        backends.append(server.run(backend))
    assert len(set(backends)) == 1
    assert (backends[0] is not None) is is_kept


def test_a_connection_that_was_lost_is_made_again_and_recorded_once(server, postgres, monkeypatch):
    monkeypatch.setitem(connections.settings["replica1"], "CONN_MAX_AGE", None)
    monkeypatch.setitem(connections.settings["replica1"], "CONN_HEALTH_CHECKS", True)
    assert shape(server.get("/books.json")) == BOOKS
    before = server.run(backend)
    with connect(postgres["replica1"]) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    assert shape(server.get("/books.json")) == BOOKS
    assert server.run(backend) not in (None, before)


def test_a_pool_of_psycopg(server, monkeypatch):
    monkeypatch.setitem(
        connections.settings["replica1"], "OPTIONS", {"pool": {"min_size": 1, "max_size": 1, "timeout": 10}}
    )
    for _ in range(3):
        # Neither what the pool does when it hands a connection out, nor any query twice.
        assert shape(server.get("/books.json")) == BOOKS
    wrapper = server.run(lambda: connections["replica1"])
    try:
        figures = wrapper.pool.get_stats()
        assert (figures["requests_num"], figures["connections_num"]) == (3, 1)
        assert wrapper.connection is None
    finally:
        wrapper.close_pool()


def test_two_threads_with_one_pool_do_not_mix(server, store, monkeypatch):
    monkeypatch.setitem(
        connections.settings["replica1"], "OPTIONS", {"pool": {"min_size": 1, "max_size": 1, "timeout": 10}}
    )
    other = Server(store)
    try:
        for _ in range(5):
            both = [each.thread.submit(each._respond, "/books.json") for each in (server, other)]
            assert [shape(future.result()) for future in both] == [BOOKS, BOOKS]
    finally:
        connections["replica1"].close_pool()
        other.run(connections.close_all)
        other.thread.shutdown()
