"""A connection is the project's own: copied, patched and wrapped, it does what it does without us."""

from __future__ import annotations

import copy
from unittest import mock

import pytest
from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from dbroute_panel.recording import connections as watching
from dbroute_panel.recording import transactions
from dbroute_panel.recording.query_source import get_receiver
from dbroute_panel.recording.traces import trace
from example_site.library.models import Tag


@pytest.fixture
def primary(site):
    """The connection to the primary, open, and not yet part of any trace."""
    primary = connections["primary"]
    primary.ensure_connection()
    return primary


@pytest.fixture
def archive(site):
    connections["archive"].ensure_connection()
    return connections["archive"]


def execute(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def told(t):
    return [(event.alias, event.operation) for event in t.events if hasattr(event, "operation")]


def sql_of(t):
    return [(query.alias, query.sql) for query in t.queries]


# Nothing is bound to one connection


def test_a_connection_has_no_method_of_ours(primary):
    with trace("test", keep=False), transaction.atomic(using="primary"):
        pass
    for value in primary.__dict__.values():
        assert not getattr(value, "__module__", "").startswith("dbroute_panel")


def test_a_copy_of_a_connection_is_a_connection_of_its_own(primary):
    other = copy.copy(primary)
    other.connection = None
    other.connect()
    with trace("test", keep=False) as t:
        with transaction.atomic(using="primary"):
            execute(other, "SELECT 1")
            other.close()
        execute(primary, "SELECT 2")
    assert told(t) == [
        ("primary", "begin"),
        ("primary", "SELECT"),
        ("primary", "commit"),
        ("primary", "SELECT"),
    ]


HOOKS = [
    "get_new_connection",
    "init_connection_state",
    "get_connection_params",
    "connect",
    "create_cursor",
    "_cursor",
]


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("name", HOOKS)
@pytest.mark.parametrize("of", ["the class", "the connection"])
def test_what_a_project_patches_has_its_say(primary, name, recorded, of):
    primary.close()
    primary.__dict__.pop(name, None)  # Django's SimpleTestCase leaves the methods there that it has forbidden
    down = OperationalError("the database is down")
    patched = mock.patch.object(type(primary) if of == "the class" else primary, name, side_effect=down)
    with trace("test", keep=False) if recorded else mock.MagicMock():
        with patched as called, pytest.raises(OperationalError, match="the database is down"):
            execute(primary, "SELECT 1")
        assert called.call_count == 1
        execute(primary, "SELECT 1")


@pytest.mark.parametrize("name", ["commit", "_commit"])
@pytest.mark.parametrize("of", ["the class", "the connection"])
def test_a_commit_that_a_project_patches_is_called_once(primary, name, of):
    patched = mock.patch.object(
        type(primary) if of == "the class" else primary,
        name,
        autospec=of == "the class",
        side_effect=lambda *_: primary.connection.commit(),
    )
    with trace("test", keep=False), patched as called, transaction.atomic(using="primary"):
        Tag(name="kept").save(using="primary")
    assert called.call_count == 1
    assert Tag.objects.using("primary").filter(name="kept").exists()


def test_methods_are_wrapped_once_and_say_what_they_wrap():
    before = {name: getattr(BaseDatabaseWrapper, name) for name in transactions.WATCHED}
    transactions.watch()
    assert {name: getattr(BaseDatabaseWrapper, name) for name in transactions.WATCHED} == before
    for name, method in before.items():
        assert (method.__name__, method.__wrapped__.__name__) == (name, name)


def test_a_call_that_django_refuses_is_refused_by_django(primary):
    with trace("test", keep=False) as t, pytest.raises(TypeError, match="set_autocommit"):
        primary.set_autocommit()
    assert t.events == []


# What the project's code sends while a transaction begins or ends


def audit(execute, sql, params, many, context):
    """An execute wrapper that notes each statement in another database."""
    with connections["archive"].cursor() as cursor:
        cursor.execute(f"SELECT '{sql.split()[0]}'")
    return execute(sql, params, many, context)


AUDITED = [("archive", f"SELECT '{word}'") for word in ("BEGIN", "SAVEPOINT", "SELECT", "RELEASE")]


@pytest.mark.parametrize("place", ["inside of ours", "outside of ours"])
def test_what_a_wrapper_sends_meanwhile_is_recorded(primary, archive, place):
    primary.execute_wrappers.insert(1 if place == "inside of ours" else 0, audit)
    try:
        with trace("test", keep=False) as t, transaction.atomic("primary"), transaction.atomic("primary"):
            execute(primary, "SELECT 1")
    finally:
        primary.execute_wrappers.remove(audit)
    assert sorted(sql_of(t)) == sorted([*AUDITED, ("primary", "SELECT 1")])
    assert {query.callsite.function for query in t.queries} == {"audit", "execute"}
    assert [event.operation.value for event in t.transactions] == [
        "begin",
        "savepoint",
        "savepoint_commit",
        "commit",
    ]


@pytest.mark.parametrize("place", [0, 1])
def test_what_a_wrapper_sends_meanwhile_on_the_same_connection_is_recorded(primary, place):
    def explaining(execute, sql, params, many, context):
        if sql.startswith("SAVEPOINT"):
            context["cursor"].execute("SELECT 'the same cursor'")
            with primary.cursor() as cursor:
                cursor.execute("SELECT 'another cursor'")
        return execute(sql, params, many, context)

    primary.execute_wrappers.insert(place, explaining)
    try:
        with trace("test", keep=False) as t, transaction.atomic("primary"), transaction.atomic("primary"):
            pass
    finally:
        primary.execute_wrappers.remove(explaining)
    assert sql_of(t) == [("primary", "SELECT 'the same cursor'"), ("primary", "SELECT 'another cursor'")]


def test_what_a_receiver_sends_as_a_connection_is_made_again_is_recorded(primary):
    def receive(connection, **kwargs):
        execute(connection, "SELECT 'receiver'")

    primary.close()
    connection_created.connect(receive)
    try:
        with trace("test", keep=False) as t, transaction.atomic("primary"):
            pass
    finally:
        connection_created.disconnect(receive)
    assert told(t) == [("primary", "SELECT"), ("primary", "begin"), ("primary", "commit")]


def test_what_a_hook_sends_on_the_connection_that_has_committed_is_recorded(primary):
    with trace("test", keep=False) as t:
        transaction.set_autocommit(False, using="primary")
        execute(primary, "SELECT 1")
        primary.run_on_commit.append((set(), lambda: execute(primary, "SELECT 'hook'"), False))
        primary.run_commit_hooks_on_set_autocommit_on = True
        transaction.set_autocommit(True, using="primary")
    assert [(event.operation, event.transaction_number) for event in t.events] == [
        ("begin", 1),
        ("SELECT", 1),
        ("commit", 1),
        ("SELECT", None),
    ]


def test_a_transaction_whose_hook_fails_has_committed(primary):
    def fail():
        raise KeyError

    with trace("test", keep=False) as t:
        transaction.set_autocommit(False, using="primary")
        execute(primary, "SELECT 1")
        primary.run_on_commit.append((set(), fail, False))
        primary.run_commit_hooks_on_set_autocommit_on = True
        with pytest.raises(KeyError):
            transaction.set_autocommit(True, using="primary")
    assert [event.operation for event in t.events] == ["begin", "SELECT", "commit"]


def test_a_transaction_that_a_hook_opens_has_its_own_number(primary):
    def again():
        transaction.set_autocommit(False, using="primary")

    with trace("test", keep=False) as t:
        transaction.set_autocommit(False, using="primary")
        execute(primary, "SELECT 1")
        primary.run_on_commit.append((set(), again, False))
        primary.run_commit_hooks_on_set_autocommit_on = True
        transaction.set_autocommit(True, using="primary")
        execute(primary, "SELECT 2")
        transaction.set_autocommit(True, using="primary")
    assert [(event.operation, event.transaction_number) for event in t.events] == [
        ("begin", 1),
        ("SELECT", 1),
        ("commit", 1),
        ("begin", 2),
        ("SELECT", 2),
        ("commit", 2),
    ]


def test_a_savepoint_where_django_makes_none_is_no_event(primary):
    savepoint = getattr(transaction, "savepoint_create", None) or transaction.savepoint  # 6.1: the former
    with trace("test", keep=False) as t:
        assert savepoint(using="primary") is None
        primary.close()
        assert savepoint(using="primary") is None
        transaction.savepoint_commit("s1", using="primary")
    assert t.events == []


def test_closing_what_is_closed_is_no_event(primary):
    with trace("test", keep=False) as t, transaction.atomic(using="primary"):
        primary.close()
        primary.close()
    assert [event.operation.value for event in t.transactions] == ["begin", "rollback"]


def test_a_backend_that_connects_by_its_own_method_opens_no_transaction(primary):
    class Pooled(type(primary)):
        def connect(self):
            super().connect()
            self.set_autocommit(False)
            with self.cursor() as cursor:
                cursor.execute("SELECT 'connecting'")

    pooled = Pooled(primary.settings_dict, "primary")
    with trace("test", keep=False) as t:
        execute(pooled, "SELECT 1")
        pooled.close()
    assert [event.operation for event in t.events] == ["begin", "SELECT", "rollback"]


def test_beyond_the_limit_no_statement_of_a_transaction_counts_as_a_query(primary, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 1}
    with trace("test", keep=False) as t, transaction.atomic("primary"), transaction.atomic("primary"):
        execute(primary, "SELECT 1")
    assert (t.document.dropped.query, t.document.dropped.transaction) == (1, 3)


def test_an_error_of_ours_beyond_the_limit_is_counted_and_the_query_runs(
    primary, settings, monkeypatch, caplog
):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 1}
    monkeypatch.setattr(watching, "find_cursor_caller", lambda *args: 1 / 0)
    with trace("test", keep=False) as t:
        next(t._recorder.ids)
        execute(primary, "SELECT 1")
    assert t.document.dropped.query == 1
    assert "ZeroDivisionError" in caplog.text


def test_whoever_has_no_argument_is_no_method():
    def nothing():
        return get_receiver(__import__("sys")._getframe())

    def some(*rest, **named):
        return get_receiver(__import__("sys")._getframe())

    assert (nothing(), some(), some(1, 2), some(x=1)) == (None, None, 1, None)


def test_a_statement_without_its_cursor_runs_and_is_counted(primary, caplog):
    """A wrapper may be called with whatever a project makes of the context."""
    sent = []
    with trace("test", keep=False) as t:
        watching.tap(lambda *args: sent.append(args), "SELECT 1", None, False, {"connection": primary})
    assert (len(sent), t.document.dropped.query) == (1, 1)
    assert "KeyError" in caplog.text
