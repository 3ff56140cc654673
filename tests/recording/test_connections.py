from __future__ import annotations

import contextlib
import contextvars
import sqlite3
import threading

import pytest
from django.db import (
    DEFAULT_DB_ALIAS,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    connection,
    connections,
    models,
    transaction,
)
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper

from dbroute_panel.recording import connections as watching
from dbroute_panel.recording import recorder
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Person, Tag
from example_site.users.models import Card, User
from tests.errors import recorded, sqlite_code


@pytest.fixture
def primary(site):
    """The connection to the primary, open, and not yet part of any trace."""
    primary = connections["primary"]
    primary.ensure_connection()
    return primary


def execute(connection, sql, params=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def told(t):
    """The events of a trace in short: operations of transactions with their number, and of queries too."""
    return [
        (event.operation, event.transaction_number)
        for event in t.events
        if event.id and hasattr(event, "operation")
    ]


# Queries


def test_a_query_has_all_its_facts(primary):
    with trace("test", keep=False) as t:
        assert Book.objects.using("primary").filter(year=1979).count() == 2
    [query] = t.queries
    assert query.alias == "primary"
    assert query.sql.startswith('SELECT COUNT(*) AS "__count" FROM "library_book" WHERE')
    assert (query.params, query.many) == (("1979",), False)
    assert (query.operation, query.writes, query.model) == ("SELECT", False, "library.Book")
    assert (query.atomic, query.transaction_number, query.rowcount, query.error) == (False, None, None, None)
    assert (query.parent_id, query.instance) == (None, None)
    assert query.duration_us > 0
    assert 0 <= query.at_us <= t.document.duration_us


def test_the_number_of_rows_that_a_write_touched(primary):
    with trace("test", keep=False) as t:
        Book.objects.using("primary").filter(year=1979).update(year=1980)
        Tag.objects.using("primary").filter(name="none").update(name="some")
    assert [query.rowcount for query in t.queries] == [2, 0]


@pytest.mark.parametrize("count", [None, -1, 2**63, "3", property(lambda cursor: 1 / 0)])
def test_where_a_driver_has_no_count_of_rows_there_is_none(primary, count):
    class Cursor:
        rowcount = count

        def close(self):
            pass

    def without(execute, sql, params, many, context):
        try:
            return execute(sql, params, many, context)
        finally:
            context["cursor"].cursor.close()
            context["cursor"].cursor = Cursor()

    with trace("test", keep=False) as t, primary.execute_wrapper(without):
        execute(primary, "UPDATE library_tag SET name = name")
    assert [query.rowcount for query in t.queries] == [None]


def test_parameters_are_kept_or_not_as_the_setting_says(primary, settings):
    def params():
        with trace("test", keep=False) as t:
            execute(primary, "SELECT %s, %s", ["a", 1])
            execute(primary, "SELECT :name", {"name": "x"})
            execute(primary, "SELECT 1")
        return [query.params for query in t.queries]

    assert params() == [("a", "1"), {"name": "x"}, None]
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": False}
    assert params() == [None, None, None]
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": True}
    settings.DEBUG = False
    assert params()[0] == ("a", "1")


def test_parameters_of_a_statement_that_is_known_are_not_kept_either(primary, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": False}
    with trace("test", keep=False) as t:
        for letter in "ab":
            execute(primary, "SELECT %s", [letter])
    assert [raw.params for raw in t._events] == [None, None]


def test_long_parameters_of_a_statement_that_is_known_are_kept_beside_the_one_text(primary):
    with trace("test", keep=False) as t:
        for letter in "ab":
            execute(primary, "SELECT %s", [letter * 600])
    assert [query.params for query in t.queries] == [("a" * 600,), ("b" * 600,)]
    one, other = t._events
    assert one.sql is other.sql


def test_executemany_is_one_query_with_its_first_ten_rows(primary):
    with trace("test", keep=False) as t, primary.cursor() as cursor:
        cursor.executemany("INSERT INTO library_tag (name) VALUES (%s)", [(f"t{i}",) for i in range(12)])
    [query] = t.queries
    assert (query.many, query.rowcount, query.operation, query.writes) == (True, 12, "INSERT", True)
    assert query.params == tuple([f"t{i}"] for i in range(10))
    assert len(t._events[0].params) == 10
    assert query.route == "cursor"


def test_an_iterator_of_rows_is_left_to_the_database(primary):
    with trace("test", keep=False) as t, primary.cursor() as cursor:
        cursor.executemany("INSERT INTO library_tag (name) VALUES (%s)", ((f"i{i}",) for i in range(3)))
    assert Tag.objects.using("primary").filter(name__startswith="i").count() == 3
    assert (t.queries[0].params, t.queries[0].rowcount) == (None, 3)


def test_a_query_that_fails_is_recorded_with_its_error(primary):
    with trace("test", keep=False) as t, pytest.raises(OperationalError) as raised:
        execute(primary, "SELECT * FROM nowhere")
    [query] = t.queries
    assert query.error == recorded(raised.value)
    assert (query.rowcount, query.operation) == (None, "SELECT")


def test_the_error_of_a_statement_that_was_cut_is_its_class_alone(primary, monkeypatch):
    """Its message could tell what was cut off."""
    monkeypatch.setattr(recorder, "MAX_STATEMENT_BYTES", 100)
    sql = f"SELECT 'a' FROM nowhere WHERE {' AND '.join(['id > 1'] * 300)}"
    with trace("test", keep=False) as t, pytest.raises(OperationalError):
        execute(primary, sql)
    [query] = t.queries
    assert query.error == "OperationalError"
    assert query.sql.startswith("SELECT '***' FROM nowhere WHERE id > 1 AND")
    assert query.sql.endswith(f"… ({len(sql)} characters)")


@pytest.mark.parametrize(("vendor", "kept"), [("mysql", "SELECT '***'"), ("sqlite", 'SELECT "a"')])
def test_a_statement_is_cut_by_the_rules_of_its_database(monkeypatch, vendor, kept):
    """On MySQL alone double quotes are those of a string."""
    monkeypatch.setattr(recorder, "MAX_STATEMENT_BYTES", 0)
    fitted = recorder.Recorder("test", "block").fit('SELECT "a"', None, vendor)
    assert fitted == (f"{kept}… (10 characters)", None)


def test_an_alias_is_kept_as_a_plain_string(primary, monkeypatch):
    class Alias(str):
        __slots__ = ()

    monkeypatch.setattr(primary, "alias", Alias("primary"))
    with trace("test", keep=False) as t:
        execute(primary, "SELECT 1")
    [raw] = t._events
    assert (type(raw.alias), raw.alias, raw.vendor) == (str, "primary", "sqlite")


def test_without_parameters_an_error_is_its_class_alone(primary, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": False}
    with trace("test", keep=False) as t, pytest.raises(IntegrityError):
        Tag(pk=1, name="x").save(using="primary", force_insert=True)
    assert t.queries[-1].error == "IntegrityError"


def test_a_write_to_a_replica_is_refused_and_recorded(site):
    with trace("test", keep=False) as t, pytest.raises(OperationalError) as raised:
        Tag(name="x").save(using="replica1")
    assert sqlite_code(raised.value) == sqlite3.SQLITE_READONLY
    assert (t.queries[-1].alias, t.queries[-1].error) == ("replica1", recorded(raised.value))


@pytest.mark.parametrize(
    ("given", "params", "sql"),
    [
        ((["a", 1],), ("a", "1"), "CALL tidy(%s, %s)"),
        ((), None, "CALL tidy()"),
        (([], {"x": 1}), None, "CALL tidy()"),
    ],
)
def test_a_stored_procedure_is_recorded_where_no_wrapper_sees_it(primary, given, params, sql):
    with (
        trace("test", keep=False) as t,
        primary.cursor() as cursor,
        pytest.raises((AttributeError, NotSupportedError)),
    ):
        cursor.callproc("tidy", *given)
    [query] = t.queries
    assert (query.sql, query.operation, query.route) == (sql, "CALL", "cursor")
    assert query.params == (params if len(given) < 2 else {"x": "1"})
    assert query.error is not None
    assert query.callsite.function == "test_a_stored_procedure_is_recorded_where_no_wrapper_sees_it"


def test_a_stored_procedure_fails_alike_while_nothing_is_recorded(primary):
    with primary.cursor() as cursor, pytest.raises((AttributeError, NotSupportedError)):
        cursor.callproc("tidy")


@pytest.mark.parametrize("recording", [False, True])
def test_a_stored_procedure_is_called_with_what_was_given(primary, recording):
    """SQLite has none: what stands for Django's own method notes its arguments."""
    called = []
    call = watching._callproc(lambda *args: called.append(args))
    with primary.cursor() as cursor, trace("test", keep=False) if recording else contextlib.nullcontext():
        call(cursor, "tidy", ["a"], {"x": 1})
    assert called == [(cursor, "tidy", ["a"], {"x": 1})]


def test_a_stored_procedure_is_one_call_with_the_rows_it_touched(primary):
    """SQLite has none: what stands for Django's own method lets the cursor do something else."""
    call = watching._callproc(
        lambda cursor, *args: cursor.cursor.execute("UPDATE library_tag SET name = name")
    )
    with primary.cursor() as cursor, trace("test", keep=False) as t:
        call(cursor, "tidy")
    [query] = t.queries
    assert (query.many, query.rowcount) == (False, 4)


def test_statements_that_are_no_plain_strings(primary):
    class Composed:
        def __str__(self):
            return "SELECT 1"

    class Psycopg(Composed):
        def as_string(self, context):
            return "SELECT 2"

    assert watching._text(Composed()) == "SELECT 1"
    assert watching._text(Psycopg()) == "SELECT 2"
    assert watching._text(b"SELECT \xff") == "SELECT \ufffd"

    class Sql(str):
        __slots__ = ()

    with trace("test", keep=False) as t:
        execute(primary, Sql("SELECT 1"))
    assert t.queries[0].sql == "SELECT 1"
    assert type(t._events[0].sql) is str


@pytest.mark.toolbar
def test_queries_on_the_tools_own_models_are_not_recorded(primary, settings):
    from debug_toolbar.models import HistoryEntry

    with primary.schema_editor() as editor:
        editor.create_model(HistoryEntry)
    with trace("test", keep=False) as t:
        assert HistoryEntry.objects.using("primary").count() == 0
        Tag.objects.using("primary").count()
    assert [query.model for query in t.queries] == ["library.Tag"]


def test_a_query_on_the_tools_own_model_that_fails_is_sent_once(primary):
    from dbroute_panel.models import Trace

    sent = []

    def counting(execute, sql, params, many, context):
        sent.append(sql)
        return execute(sql, params, many, context)

    with trace("test", keep=False) as t, primary.execute_wrapper(counting), pytest.raises(OperationalError):
        list(Trace.objects.using("primary").raw("SELECT id FROM nowhere"))
    assert sent == ["SELECT id FROM nowhere"]
    assert t.document.dropped.query == 0


@pytest.mark.toolbar
def test_transactions_of_the_toolbars_store_are_not_recorded(primary, monkeypatch):
    from debug_toolbar import store

    monkeypatch.setitem(connections.settings, "default", connections.settings["primary"])
    del connections["default"]
    with connections["default"].schema_editor() as editor:
        from debug_toolbar.models import HistoryEntry

        editor.create_model(HistoryEntry)
    with trace("test", keep=False) as t:
        store.DatabaseStore.set("a" * 32)
    connections["default"].close()
    del connections["default"]
    assert t.events == []


def test_queries_beyond_the_limit_run_and_are_counted(primary, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 3}
    with trace("test", keep=False) as t:
        for _ in range(5):
            execute(primary, "SELECT 1")
        with transaction.atomic(using="primary"):
            execute(primary, "INSERT INTO library_tag (name) VALUES ('kept')")
    assert [event.id for event in t.events] == [1, 2, 3]
    assert (t.document.dropped.query, t.document.dropped.transaction) == (3, 2)
    assert Tag.objects.using("primary").filter(name="kept").exists()


def test_what_could_not_be_kept_still_counts_its_transactions(primary, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 4}
    with trace("test", keep=False) as t:
        transaction.set_autocommit(False, using="primary")
        for _ in range(3):
            execute(primary, "SELECT 1")
            transaction.commit(using="primary")
        transaction.set_autocommit(True, using="primary")
    assert told(t) == [("begin", 1), ("SELECT", 1), ("commit", 1), ("SELECT", 2)]
    assert (t.document.dropped.query, t.document.dropped.transaction) == (1, 2)


# Errors of ours


@pytest.mark.parametrize("broken", ["find_query_source", "dumps"])
def test_an_error_of_ours_before_the_query_is_counted_and_the_query_runs(
    primary, monkeypatch, caplog, broken
):
    monkeypatch.setattr(watching, broken, lambda *args, **kwargs: 1 / 0)
    with trace("test", keep=False) as t, primary.cursor() as cursor:
        for number in range(2):
            cursor.execute("SELECT %s", [number])
            assert cursor.fetchone() == (number,)
    assert t.queries == []
    assert t.document.dropped.query == 2
    assert len(caplog.records) == 1
    assert "ZeroDivisionError" in caplog.text


def test_an_error_of_ours_leaves_the_users_exception_alone(primary, monkeypatch, caplog):
    monkeypatch.setattr(watching, "describe_error", lambda error: 1 / 0)
    with trace("test", keep=False) as t, pytest.raises(OperationalError):
        execute(primary, "SELECT * FROM nowhere")
    assert t.document.dropped.query == 1


def test_an_error_of_ours_in_a_transaction_is_counted_and_it_commits(primary, monkeypatch, caplog):
    monkeypatch.setattr(watching.transactions, "is_of_store", lambda frame: 1 / 0)
    with trace("test", keep=False) as t, transaction.atomic(using="primary"):
        Tag(name="kept").save(using="primary")
    assert t.document.dropped.transaction == 2
    assert Tag.objects.using("primary").filter(name="kept").exists()
    assert len(caplog.records) == 1


# Transactions


def test_a_transaction_is_two_events_around_its_queries(primary):
    with trace("test", keep=False) as t, transaction.atomic(using="primary"):
        Tag(name="x").save(using="primary")
    assert told(t) == [("begin", 1), ("INSERT", 1), ("commit", 1)]
    assert t.queries[0].atomic
    assert [event.alias for event in t.transactions] == ["primary"] * 2
    assert [event.id for event in t.events] == [1, 2, 3]
    assert t.events[0].callsite.function == "test_a_transaction_is_two_events_around_its_queries"


def test_the_sql_of_transactions_and_savepoints_is_no_query(primary):
    with trace("test", keep=False) as t, transaction.atomic(using="primary"), transaction.atomic("primary"):
        pass
    assert t.queries == []
    assert [event.operation.value for event in t.transactions] == [
        "begin",
        "savepoint",
        "savepoint_commit",
        "commit",
    ]


def test_transactions_are_numbered_by_alias_from_one(site):
    with trace("test", keep=False) as t:
        for alias in ("primary", "archive", "primary"):
            with transaction.atomic(using=alias):
                Tag.objects.using(alias).count()
        Tag.objects.using("primary").count()
    assert [(q.alias, q.transaction_number, q.atomic) for q in t.queries] == [
        ("primary", 1, True),
        ("archive", 1, True),
        ("primary", 2, True),
        ("primary", None, False),
    ]


def test_two_transactions_at_once(site):
    both = transaction.atomic(using="primary"), transaction.atomic(using="archive")
    with trace("test", keep=False) as t, both[0], both[1]:
        Tag.objects.using("primary").count()
        Tag.objects.using("archive").count()
    assert [(e.alias, e.operation.value) for e in t.transactions] == [
        ("primary", "begin"),
        ("archive", "begin"),
        ("archive", "commit"),
        ("primary", "commit"),
    ]


@transaction.atomic(using="primary")
def save_and_fail():
    Tag(name="x").save(using="primary")
    raise KeyError


def test_an_exception_rolls_back(primary):
    with trace("test", keep=False) as t, pytest.raises(KeyError):
        save_and_fail()
    assert told(t) == [("begin", 1), ("INSERT", 1), ("rollback", 1)]
    assert not Tag.objects.using("primary").filter(name="x").exists()


def test_a_nested_block_that_fails_rolls_back_to_its_savepoint(primary):
    with trace("test", keep=False) as t, transaction.atomic(using="primary"):
        with pytest.raises(KeyError):
            save_and_fail()
        Tag(name="y").save(using="primary")
    assert told(t) == [
        ("begin", 1),
        ("savepoint", 1),
        ("INSERT", 1),
        ("savepoint_rollback", 1),
        ("savepoint_commit", 1),
        ("INSERT", 1),
        ("commit", 1),
    ]


def test_a_commit_that_fails_is_a_rollback(primary):
    with trace("test", keep=False) as t, pytest.raises(IntegrityError), transaction.atomic(using="primary"):
        Book(title="x", author_id=4711).save(using="primary")  # SQLite's foreign keys are deferred
    assert told(t) == [("begin", 1), ("INSERT", 1), ("rollback", 1)]
    assert Book.objects.using("primary").filter(title="x").count() == 0


def test_closing_inside_of_a_transaction_rolls_back(primary):
    with trace("test", keep=False) as t:
        with transaction.atomic(using="primary"):
            Tag(name="x").save(using="primary")
            primary.close()
        assert not Tag.objects.using("primary").filter(name="x").exists()
    assert told(t) == [("begin", 1), ("INSERT", 1), ("rollback", 1), ("SELECT", None)]
    assert t.queries[-1].atomic is False


def test_closing_outside_of_a_transaction_is_no_event(primary):
    with trace("test", keep=False) as t:
        Tag.objects.using("primary").count()
        primary.close()
        Tag.objects.using("primary").count()
    assert told(t) == [("SELECT", None), ("SELECT", None)]


def test_without_autocommit_each_first_statement_begins_the_next_transaction(primary):
    with trace("test", keep=False) as t:
        transaction.set_autocommit(False, using="primary")
        execute(primary, "SELECT 1")
        transaction.commit(using="primary")
        transaction.commit(using="primary")  # nothing is open
        execute(primary, "SELECT 2")
        execute(primary, "SELECT 3")
        transaction.rollback(using="primary")
        transaction.rollback(using="primary")
        execute(primary, "SELECT 4")
        transaction.set_autocommit(True, using="primary")
        execute(primary, "SELECT 5")
    assert told(t) == [
        ("begin", 1),
        ("SELECT", 1),
        ("commit", 1),
        ("begin", 2),
        ("SELECT", 2),
        ("SELECT", 2),
        ("rollback", 2),
        ("begin", 3),
        ("SELECT", 3),
        ("commit", 3),
        ("SELECT", None),
    ]
    assert [q.atomic for q in t.queries] == [True, True, True, True, False]
    assert {event.callsite.function for event in t.transactions} == {
        "test_without_autocommit_each_first_statement_begins_the_next_transaction",
        "execute",
    }


def test_autocommit_is_switched_by_name_too(primary):
    with trace("test", keep=False) as t:
        primary.set_autocommit(autocommit=False, force_begin_transaction_with_broken_autocommit=True)
        primary.set_autocommit(autocommit=True)
    assert told(t) == [("begin", 1), ("commit", 1)]


def test_turning_autocommit_on_again_with_nothing_open_is_no_event(primary):
    with trace("test", keep=False) as t:
        transaction.set_autocommit(False, using="primary")
        transaction.commit(using="primary")
        transaction.set_autocommit(autocommit=True, using="primary")
        transaction.set_autocommit(True, using="primary")
    assert told(t) == [("begin", 1), ("commit", 1)]


def test_atomic_without_autocommit_is_a_savepoint(primary):
    with trace("test", keep=False) as t:
        transaction.set_autocommit(False, using="primary")
        with transaction.atomic(using="primary"):
            execute(primary, "SELECT 1")
        transaction.rollback(using="primary")
        transaction.set_autocommit(True, using="primary")
    assert told(t) == [
        ("begin", 1),
        ("savepoint", 1),
        ("SELECT", 1),
        ("savepoint_commit", 1),
        ("rollback", 1),
    ]


def test_a_transaction_that_was_open_before_the_trace_has_no_number(primary):
    with transaction.atomic(using="primary"), trace("test", keep=False) as t:
        Tag(name="x").save(using="primary")
        with transaction.atomic(using="primary"):
            pass
        primary.close()
    assert told(t) == [("INSERT", None), ("savepoint", None), ("savepoint_commit", None)]
    assert t.queries[0].atomic is True


def test_the_end_of_a_transaction_from_before_the_trace_has_no_number(primary):
    with trace("test", keep=False) as t, transaction.atomic(using="archive"):
        pass
    t = trace("test", keep=False)
    with transaction.atomic(using="primary"):
        t.begin()
    t.finish()
    assert told(t) == [("commit", None)]


def test_a_trace_that_ends_inside_a_transaction_leaves_the_next_one_alone(primary):
    first = trace("first", keep=False).begin()
    with transaction.atomic(using="primary"):
        first.finish()
        with trace("second", keep=False) as second:
            execute(primary, "SELECT 1")
    with trace("third", keep=False) as third, transaction.atomic(using="primary"):
        execute(primary, "SELECT 1")
    assert told(first) == [("begin", 1)]
    assert told(second) == [("SELECT", None)]
    assert told(third) == [("begin", 1), ("SELECT", 1), ("commit", 1)]


def test_the_queries_of_on_commit_hooks_are_recorded(primary):
    with trace("test", keep=False) as t, transaction.atomic(using="primary"):
        Tag(name="x").save(using="primary")
        transaction.on_commit(lambda: User.objects.using("legacy_users").count(), using="primary")
    assert told(t) == [("begin", 1), ("INSERT", 1), ("commit", 1), ("SELECT", None)]
    assert t.queries[1].alias == "legacy_users"


def test_savepoints_by_hand(primary):
    with trace("test", keep=False) as t, transaction.atomic(using="primary"):
        create = getattr(transaction, "savepoint_create", None) or transaction.savepoint  # 6.1: the former
        sid = create(using="primary")
        Tag(name="x").save(using="primary")
        transaction.savepoint_rollback(sid, using="primary")
    assert [event.operation.value for event in t.transactions] == [
        "begin",
        "savepoint",
        "savepoint_rollback",
        "commit",
    ]


def test_cascades_and_multi_row_writes_have_their_transaction(primary, site):
    user = User.objects.using("legacy_users").get(username="grace")
    with trace("test", keep=False) as t:
        user.delete()
    assert {q.transaction_number for q in t.queries if q.writes} == {1}
    assert [e.operation.value for e in t.transactions] == ["begin", "commit"]
    assert not Card.objects.using("legacy_users").filter(user_id=user.pk).exists()


def test_a_method_of_the_backend_that_a_test_replaces_is_called(primary, monkeypatch):
    calls = []
    original = type(primary)._commit
    monkeypatch.setattr(type(primary), "_commit", lambda self: calls.append(self) or original(self))
    with trace("test", keep=False) as t, transaction.atomic(using="primary"):
        pass
    with transaction.atomic(using="primary"):
        pass
    assert calls == [primary, primary]
    assert told(t) == [("begin", 1), ("commit", 1)]


def test_a_method_that_was_shadowed_before_us_is_called(primary):
    calls = []
    fresh = primary.copy()
    fresh._commit = lambda: calls.append("commit")
    fresh.connect()
    with trace("test", keep=False) as t:
        fresh.set_autocommit(False)
        fresh.commit()
        fresh.set_autocommit(True)
    fresh.close()
    assert calls == ["commit"]
    assert [e.operation.value for e in t.transactions] == ["begin", "commit"]


def test_an_exception_of_the_backend_reaches_the_caller_and_is_no_event(primary, monkeypatch):
    def fail(self):
        raise sqlite3.OperationalError("disk full")

    with trace("test", keep=False) as t:
        transaction.set_autocommit(False, using="primary")
        with monkeypatch.context() as patched:
            patched.setattr(type(primary), "_commit", fail)
            with pytest.raises(sqlite3.OperationalError):
                transaction.commit(using="primary")
        transaction.rollback(using="primary")
        transaction.set_autocommit(True, using="primary")
    assert told(t) == [("begin", 1), ("rollback", 1)]


# The wrapper


def test_the_wrapper_is_first_and_there_once(primary):
    assert primary.execute_wrappers == [watching.tap]
    watching.watch(primary)
    watching.watch_all()
    primary.close()
    primary.ensure_connection()
    assert primary.execute_wrappers == [watching.tap]


def test_connecting_inside_of_a_users_wrapper_leaves_the_right_one(site):
    seen = []

    def users(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    fresh = connections["archive"].copy()
    with trace("test", keep=False) as t:
        with fresh.execute_wrapper(users):
            fresh.connect()
            execute(fresh, "SELECT 1")
        assert fresh.execute_wrappers == [watching.tap]
        execute(fresh, "SELECT 2")
    fresh.close()
    assert seen == ["SELECT 1"]
    assert [query.sql for query in t.queries] == ["SELECT 1", "SELECT 2"]


def test_what_is_sent_while_connecting_is_not_recorded(primary, monkeypatch):
    backend = type(primary)
    original = backend.init_connection_state

    def chatty(self):
        original(self)
        with self.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode")

    monkeypatch.setattr(backend, "init_connection_state", chatty)
    fresh = primary.copy()
    with trace("test", keep=False) as t:
        for _ in range(2):
            execute(fresh, "SELECT 1")
            fresh.close()
    assert [query.sql for query in t.queries] == ["SELECT 1", "SELECT 1"]


def test_connecting_without_autocommit_opens_nothing(primary):
    fresh = primary.copy()
    fresh.settings_dict["AUTOCOMMIT"] = False
    with trace("test", keep=False) as t:
        for _ in range(2):
            execute(fresh, "SELECT 1")
            fresh.commit()
            fresh.close()
    assert told(t) == [
        ("begin", 1),
        ("SELECT", 1),
        ("commit", 1),
        ("begin", 2),
        ("SELECT", 2),
        ("commit", 2),
    ]


def test_connecting_again_after_a_close_that_failed_forgets_the_transaction(primary, monkeypatch):
    def fail(self):
        raise sqlite3.OperationalError("gone")

    with trace("test", keep=False) as t:
        transaction.set_autocommit(False, using="primary")
        raw = primary.connection
        with monkeypatch.context() as patched:
            patched.setattr(type(primary), "_close", fail)
            with pytest.raises(sqlite3.OperationalError):
                primary.close()
        raw.close()
        execute(primary, "SELECT 1")
    assert told(t) == [("begin", 1), ("SELECT", None)]


def test_a_connection_that_was_open_before_is_watched(primary):
    fresh = primary.copy()
    connection_created.disconnect(dispatch_uid="dbroute_panel")
    try:
        fresh.connect()
    finally:
        connection_created.connect(watching.on_connection_created, dispatch_uid="dbroute_panel")
    assert fresh.execute_wrappers == []
    before = connections["primary"]
    connections["primary"] = fresh
    try:
        watching.watch_all()
        assert fresh.execute_wrappers == [watching.tap]
    finally:
        connections["primary"] = before
        fresh.close()


def test_databases_are_not_looked_at_before_somebody_else_does(monkeypatch):
    kept = connections.__dict__.pop("settings")
    try:
        watching.watch_all()
        assert "settings" not in connections.__dict__
    finally:
        connections.__dict__["settings"] = kept


def test_installing_again_changes_nothing(primary):
    from dbroute_panel import recording

    before = (CursorWrapper.callproc, list(primary.execute_wrappers), primary._commit)
    recording.install()
    assert (CursorWrapper.callproc, list(primary.execute_wrappers), primary._commit) == before


def test_a_thread_of_its_own_has_connections_that_are_watched(site):
    def read():
        Tag.objects.using("primary").count()
        connections.close_all()

    with trace("test", keep=False) as t:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(read,))
        thread.start()
        thread.join()
    assert [query.alias for query in t.queries] == ["primary"]


def test_the_tables_of_a_migration_are_schema_queries(table, primary):
    class Made(models.Model):  # noqa: DJ008
        name = models.CharField(max_length=5, db_index=True)

        class Meta:
            app_label = "library"

    with trace("test", keep=False) as t:
        table("primary", Made)
    creates = [query for query in t.queries if query.operation == "CREATE"]
    assert len(creates) == 2
    assert {(q.route.value, q.writes, q.model) for q in creates} == {("schema", True, None)}
    assert {q.transaction_number for q in creates} == {1}


def test_the_default_connection_is_never_opened_by_watching(recorded):
    Person.objects.count()
    assert connection.alias == DEFAULT_DB_ALIAS
    assert connection.connection is None
