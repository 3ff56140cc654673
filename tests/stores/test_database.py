"""
The store in a database: whose connection it uses, whom it asks, and what happens when the database is gone.

Here on SQLite, without which none of it would be tested by ``make test``; ``tests/services`` runs the same
on PostgreSQL and MariaDB.
"""

from __future__ import annotations

import contextvars
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
import unittest
import warnings
import zlib
from io import StringIO
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import Error, IntegrityError, connections, router, transaction
from django.db.backends.signals import connection_created
from django.http import HttpResponse
from django.test import Client, SimpleTestCase
from django.urls import path

from dbroute_panel import stores, trace
from dbroute_panel.checks import check_database_store, check_settings
from dbroute_panel.inspection.arguments import AskError, find_app, list_models
from dbroute_panel.inspection.map import build_map
from dbroute_panel.stores import DatabaseStore, Filter, InvalidStoreError, StoreError, build, get_store, keep
from dbroute_panel.stores.database import alias as alias_module
from dbroute_panel.stores.database import connection as own
from dbroute_panel.stores.database import session
from dbroute_panel.stores.database import store as store_module
from tests.stores import databases
from tests.stores.at_once import ROOT
from tests.traces import a_finding, a_trace
from tests.waiting import PATIENCE_SECONDS, until

BACKEND = "dbroute_panel.stores.DatabaseStore"


@pytest.fixture(autouse=True)
def _panel(settings, traces):
    settings.DBROUTE_PANEL = {
        "MAX_TRACES": 10_000,
        "STORE": {"BACKEND": BACKEND, "OPTIONS": {"alias": traces}},
    }


@pytest.fixture
def store(traces, monkeypatch):
    monkeypatch.setattr(stores, "_current", None)
    store = get_store()
    assert isinstance(store, DatabaseStore)
    yield store
    store.close()


@pytest.fixture
def as_served(monkeypatch):
    """Not under a test runner: a connection that was opened stays open for a while."""
    monkeypatch.delattr(mail, "outbox")


def ids(found) -> list[int]:
    return [int(each.id, 16) for each in found]


def everything_there_is(store: DatabaseStore) -> None:
    store.save(a_trace(1, findings=[a_finding()]))
    store.save(a_trace(2))
    assert store.get(a_trace(1).id) == a_trace(1, findings=[a_finding()])
    query = Filter(
        path="book", alias="replica1", finding="stale-read", kind="request", status=200, found=True
    )
    assert ids(store.summaries(query)) == ids(store.traces(query)) == [1]
    assert store.count(query) == 1
    assert store.count(Filter(found=False)) == 1
    assert store.codes() == {"stale-read"}
    store.remember("map", b"one")
    assert store.recall("map") == b"one"
    assert store.problem() is None
    assert store.delete([a_trace(2).id]) == 1
    assert store.clear() == 1


class Refusing:
    """A router that nobody may ask."""

    def __getattr__(self, name):
        raise AssertionError(f"somebody asked for {name}")


class Counting:
    asked: list[str] = []

    def db_for_read(self, model, **hints):
        self.asked.append("read")

    def db_for_write(self, model, **hints):
        self.asked.append("write")

    def allow_relation(self, obj1, obj2, **hints):
        self.asked.append("relation")

    def allow_migrate(self, db, app_label, **hints):
        self.asked.append("migrate")


class Saying:
    """A router that answers another alias to everything, and lets nothing be migrated."""

    def db_for_read(self, model, **hints):
        return "archive"

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return False


class TestWhomItAsks:
    def test_no_router_is_asked(self, store, settings):
        settings.DATABASE_ROUTERS = [Refusing(), Counting()]
        Counting.asked.clear()
        with pytest.raises(AssertionError, match="somebody asked for db_for_read"):
            router.db_for_read(Permission)
        everything_there_is(store)
        assert Counting.asked == []

    def test_whatever_routers_say_it_is_its_alias(self, store, settings, traces):
        settings.DATABASE_ROUTERS = [Saying()]
        store.save(a_trace(1))
        with connections[traces].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM dbroute_panel_store_trace")
            assert cursor.fetchone() == (1,)

    def test_nothing_of_it_is_recorded(self, store):
        with trace("work", keep=False) as t:
            everything_there_is(store)
        assert t.document.events == []

    def test_none_of_the_users_connections_is_opened_and_nobody_is_told(self, store, settings, caplog):
        settings.DEBUG = True  # Django logs what it executes
        created = []

        def receiver(connection, **kwargs):
            created.append(connection)

        connection_created.connect(receiver)
        before = {connection.alias: connection.connection for connection in connections.all()}
        with caplog.at_level(logging.DEBUG, "django.db.backends"):
            everything_there_is(store)
        connection_created.disconnect(receiver)
        assert created == []
        assert caplog.records == []
        assert {connection.alias: connection.connection for connection in connections.all()} == before

    def test_its_context_is_empty(self, store):
        mine = contextvars.ContextVar("mine", default="nothing")
        mine.set("something")
        assert store._writer.run(lambda cursor: mine.get()) == "nothing"

    def test_a_pool_of_the_users_is_left_alone(self, traces, monkeypatch):
        options = {"pool": True, "isolation_level": "serializable"}
        monkeypatch.setitem(connections.settings[traces], "OPTIONS", options)
        made = session.make_connection(traces)
        assert made.settings_dict["OPTIONS"].keys() <= {"connect_timeout"}
        assert connections.settings[traces]["OPTIONS"] is options
        assert options.keys() == {"pool", "isolation_level"}


class TestTransactions:
    def test_a_trace_can_end_in_a_transaction_that_has_failed(self, store, traces):
        with (
            pytest.raises(Error),
            transaction.atomic(using=traces),
            trace("work") as t,
            connections[traces].cursor() as cursor,
        ):
            cursor.execute("SELECT * FROM nothing_of_this_name")
        assert store.get(t.id) == t.document
        assert [query.error is not None for query in store.get(t.id).queries] == [True]

    def test_atomic_requests_of_a_request_that_fails(self, store, traces, settings, monkeypatch):
        monkeypatch.setitem(connections.settings[traces], "ATOMIC_REQUESTS", True)
        settings.ROOT_URLCONF = __name__
        settings.DEBUG = True
        settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
        response = Client(raise_request_exception=False).get("/failing/")
        assert response.status_code == 500
        (summary,) = store.summaries()
        assert (summary.id, summary.status) == (response["Dbroute-Trace-Id"], 500)
        kept = store.get(summary.id)
        assert [event.operation for event in kept.transactions] == ["begin", "rollback"]
        assert {event.alias for event in kept.events} == {traces}

    def test_nothing_is_left_behind_by_what_fails(self, store):
        store.save(a_trace(1))

        def fail(cursor):
            cursor.execute("DELETE FROM dbroute_panel_store_trace")
            cursor.execute("SELECT * FROM nothing_of_this_name")

        with pytest.raises(
            StoreError, match="cannot be used: "
        ):  # and not that the store's tables are missing
            store._writer.run(fail)
        assert store.count() == 1

        def fail_in_python(cursor):
            cursor.execute("DELETE FROM dbroute_panel_store_trace")
            raise LookupError("no such thing")

        with pytest.raises(StoreError, match="cannot be used: no such thing"):
            store._writer.run(fail_in_python)
        assert store.count() == 1


def failing(request):
    with connections["traces"].cursor() as cursor:
        cursor.execute("DELETE FROM dbroute_panel_store_trace")
    raise ZeroDivisionError


def asking(request):
    router.db_for_read(Permission)
    return HttpResponse("fine")


urlpatterns = [path("failing/", failing), path("asking/", asking)]


class TestWhereItWorks:
    async def test_on_an_event_loop(self, store):
        async with trace("asynchronous") as t:
            router.db_for_read(Permission)
        assert store.get(t.id) == t.document

    def test_beside_a_default_that_is_empty(self, store):
        assert connections.settings["default"]["ENGINE"] == "django.db.backends.dummy"
        everything_there_is(store)

    def test_where_it_is_the_default(self, store, traces, monkeypatch):
        monkeypatch.setitem(connections.settings, "default", connections.settings[traces])
        everything_there_is(DatabaseStore(alias="default"))

    def test_a_replica_of_it_is_left_alone(self, store, traces, settings, monkeypatch):
        replica = connections.settings[traces] | {"NAME": "/nowhere/replica", "PORT": "1"}
        monkeypatch.setitem(connections.settings, "replica", replica)
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {"replica": traces}}
        everything_there_is(get_store())

    @pytest.mark.parametrize("text", ["a\0b", "Straße 😀", "A" * 5000])
    def test_any_text(self, store, text):
        store.save(a_trace(1, name=text, path=text, aliases=[text], findings=[a_finding(text)]))
        assert store.get(a_trace(1).id).name == text
        assert store.codes() == {text}
        for query in (Filter(path=text.upper()), Filter(alias=text), Filter(finding=text)):
            assert store.count(query) == 1

    def test_upper_and_lower_case_are_two_aliases(self, store):
        store.save(a_trace(1, aliases=["Primary"]))
        store.save(a_trace(2, aliases=["primary", "primary "]))
        for alias, expected in (("Primary", [1]), ("primary", [2]), ("primary ", [2]), ("PRIMARY", [])):
            assert ids(store.summaries(Filter(alias=alias))) == expected

    def test_a_document_larger_than_a_packet_is_kept_in_pieces(self, store, traces):
        noise = os.urandom(store_module.PART_BYTES * 3).hex()
        big = a_trace(1, name=noise)
        store.save(big)
        assert store.get(big.id) == big
        with connections[traces].cursor() as cursor:
            cursor.execute("SELECT count(*), max(length(body)) FROM dbroute_panel_store_part")
            pieces, longest = cursor.fetchone()
        assert pieces > 2
        assert longest == store_module.PART_BYTES

    def test_more_aliases_than_one_statement_has(self, store):
        names = [f"tenant{number:03}" for number in range(450)]
        store.save(a_trace(1, aliases=names))
        ends = (names[0], *names[199:202], *names[399:402], names[-1])  # of the statements, in this order
        assert [store.count(Filter(alias=name)) for name in ends] == [1] * len(ends)

    def test_more_traces_than_are_looked_up_at_once(self, store):
        for number in range(205):
            store.save(a_trace(number, started_at="2026-11-22T10:00:00Z"))
        assert ids(store.traces()) == list(range(205))

    def test_what_goes_leaves_nothing(self, store, traces):
        for number in range(4):
            store.save(a_trace(number, findings=[a_finding()]))
        store.delete([a_trace(1).id])
        store.save(a_trace(2))
        store.clear()
        with connections[traces].cursor() as cursor:
            for table in ("trace", "part", "mark"):
                cursor.execute(f"SELECT count(*) FROM dbroute_panel_store_{table}")
                assert cursor.fetchone() == (0,)

    @pytest.mark.parametrize("body", [b"\0", zlib.compress(b'{"schema": "\xff"}')])
    def test_what_is_broken_is_left_out_and_logged_once(self, store, traces, caplog, body):
        for number in (1, 2):
            store.save(a_trace(number))
        with connections[traces].cursor() as cursor:
            cursor.execute("UPDATE dbroute_panel_store_part SET body = %s", [body])
        with caplog.at_level(logging.WARNING, "dbroute_panel"):
            assert store.get(a_trace(1).id) is None
            assert list(store.traces()) == []
        assert [record.message.split(":")[0] for record in caplog.records] == [
            "A kept trace is broken and left out"
        ]

    def test_what_an_earlier_version_kept_is_left_out_and_logged_once(self, store, traces, caplog):
        for number in (1, 2):
            store.save(a_trace(number))
        with connections[traces].cursor() as cursor:
            cursor.execute("SELECT min(n) FROM dbroute_panel_store_trace")
            (n,) = cursor.fetchone()
            for table, column, which in (("trace", "summary", "n"), ("part", "body", "trace_id")):
                cursor.execute(f"SELECT {column} FROM dbroute_panel_store_{table} WHERE {which} = %s", [n])
                old = zlib.compress(zlib.decompress(cursor.fetchone()[0]).replace(b"trace/2", b"trace/1"))
                cursor.execute(
                    f"UPDATE dbroute_panel_store_{table} SET {column} = %s WHERE {which} = %s", [old, n]
                )
        with caplog.at_level(logging.WARNING, "dbroute_panel"):
            assert (store.get(a_trace(1).id), store.summary(a_trace(1).id)) == (None, None)
            assert ids(store.summaries()) == ids(store.traces()) == [2]
        (record,) = caplog.records
        assert record.message.startswith("A kept trace is broken and left out: ")
        assert store.delete([a_trace(1).id]) == 1


class TestAlias:
    @pytest.mark.parametrize(
        ("options", "message", "hint"),
        [
            ({}, "DatabaseStore needs the option 'alias'", "'traces'"),
            ({"alias": None}, "DatabaseStore needs the option 'alias'", "'archive'"),
            ({"alias": 1}, "is of type int", "Use one of 'auth_db', "),
            ({"alias": "trace"}, "'trace', which is not in DATABASES", "Did you mean 'traces'?"),
            ({"alias": "default"}, "'default', which is no database", "Use one of "),
            ({"alias": "replica1"}, "'replica1', which is a replica of 'primary'", "'primary'"),
            ({"alias": "other"}, "'other', which is not PostgreSQL, MySQL or MariaDB", "another"),
            ({"alais": "traces"}, "DatabaseStore has no option 'alais'", "Did you mean 'alias'?"),
        ],
    )
    def test_what_is_wrong_is_said_by_a_check(self, settings, monkeypatch, options, message, hint):
        other = {"ENGINE": "tests.stores.other_backend"}
        monkeypatch.setitem(connections.settings, "other", other)
        settings.DBROUTE_PANEL = {
            "REPLICAS": {"replica1": "primary"},
            "STORE": {"BACKEND": BACKEND, "OPTIONS": options},
        }
        (found,) = check_settings(None)
        assert found.id == "dbroute_panel.E008"
        assert message in found.msg
        assert hint in found.hint
        assert "'replica1'" not in found.hint

    def test_there_may_be_none_to_name(self, monkeypatch):
        monkeypatch.setattr(alias_module, "settings", SimpleNamespace(DATABASES={"default": {}}))
        with pytest.raises(InvalidStoreError) as raised:
            DatabaseStore()
        assert raised.value.hint == "There is none in DATABASES."

    def test_the_app_has_to_be_installed(self, settings, traces):
        settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != databases.APP]
        with pytest.raises(InvalidStoreError, match=f"needs '{databases.APP}' in INSTALLED_APPS") as raised:
            build(BACKEND, {"alias": traces})
        assert f"manage.py migrate --database={traces}" in raised.value.hint

    def test_importing_the_stores_imports_no_models(self):
        program = (
            "import sys\n"
            "from django.conf import settings; settings.configure(INSTALLED_APPS=['dbroute_panel'])\n"
            "import django; django.setup()\n"
            "from dbroute_panel.stores import DatabaseStore\n"
            "print([name for name in sys.modules if name.startswith('dbroute_panel.stores.database.m')])"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert ended.stdout == "[]\n"


class TestTables:
    def test_the_migrations_are_those_of_the_models(self, settings, capsys):
        settings.DATABASE_ROUTERS = []  # else every database is asked which migrations it has
        call_command("makemigrations", "dbroute_panel_store", "--check", "--dry-run")
        assert "No changes detected" in capsys.readouterr().out

    def test_a_router_that_refuses_everything_does_not_keep_the_store_from_its_tables(
        self, store, settings, traces
    ):
        databases.migrate(traces, "zero")
        settings.DATABASE_ROUTERS = [Saying()]
        databases.migrate(traces)
        everything_there_is(store)

    def test_elsewhere_the_routers_decide(self, settings, tmp_path):
        entry = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "elsewhere.sqlite3")}
        with databases.database("elsewhere", **entry):
            settings.DATABASE_ROUTERS = [Saying()]
            databases.migrate("elsewhere")
            assert connections["elsewhere"].introspection.table_names() == ["django_migrations"]
            settings.DATABASE_ROUTERS = []
            databases.migrate("elsewhere", "zero", "--fake")
            databases.migrate("elsewhere")
            assert "dbroute_panel_store_mark" in connections["elsewhere"].introspection.table_names()

    def test_a_table_that_is_missing_is_said_with_what_to_do(
        self, store, settings, traces, caplog, monkeypatch
    ):
        monkeypatch.setattr(stores, "lost", 0)
        databases.migrate(traces, "zero")
        expected = (
            f"The database '{traces}' has no tables for traces. "
            f"Make them with 'manage.py migrate --database={traces} dbroute_panel_store'."
        )
        try:
            with caplog.at_level(logging.WARNING, "dbroute_panel"):
                assert keep(a_trace(1)) is keep(a_trace(2)) is False
                assert store.summaries() == []
            assert stores.lost == 2
            assert [record.getMessage().count(expected) for record in caplog.records] == [1, 1]
            assert store.problem() == expected
            (found,) = check_database_store(None, databases=[traces])
            assert (found.id, found.msg) == ("dbroute_panel.W001", f"No trace can be kept: {expected}")
            assert found.hint == f"Until '{traces}' can be written, the site goes on without traces."
        finally:
            databases.migrate(traces)
        assert store.problem() is None
        assert check_database_store(None, databases=[traces]) == []

    def test_checks_open_it_only_where_it_is_named(self, settings, traces, monkeypatch):
        monkeypatch.setattr(session, "make_connection", lambda alias: pytest.fail("opened"))
        for named in (None, [], ["archive"]):
            assert check_settings(None) == check_database_store(None, databases=named) == []

    def test_checks_run_as_django_runs_them_open_it_only_where_it_is_named(self, traces, monkeypatch):
        opened = []
        original = session.make_connection
        monkeypatch.setattr(session, "make_connection", lambda alias: opened.append(alias) or original(alias))
        call_command("check")
        call_command("check", tags=["dbroute_panel"])
        call_command("check", databases=["archive"])
        assert opened == []
        call_command("check", databases=[traces])
        assert set(opened) == {traces}

    def test_dumpdata_leaves_them_out(self, store, traces):
        store.save(a_trace(1))
        store.remember("map", b"one")
        for arguments in ({}, {"use_base_manager": True}):
            output = StringIO()
            call_command("dumpdata", "dbroute_panel_store", database=traces, stdout=output, **arguments)
            assert json.loads(output.getvalue()) == []

    def test_there_are_no_permissions_for_them(self):
        for model in apps.get_app_config("dbroute_panel_store").get_models():
            assert (model._meta.default_permissions, model._meta.permissions) == ((), [])

    def test_map_lint_and_sandbox_leave_them_out(self):
        assert not [model for model in list_models() if "store" in model._meta.app_label]
        assert not [label for label in build_map().models if "store" in label]
        with pytest.raises(AskError):
            find_app("dbroute_panel_store")

    def test_migrating_them_is_not_recorded(self, traces):
        databases.migrate(traces, "zero")
        with trace("migrate", keep=False) as t:
            databases.migrate(traces)
        assert not [d for d in t.document.decisions if "store" in str(d.args)]

    def test_they_are_shown_by_their_keys(self):
        models = {model.__name__: model for model in apps.get_app_config("dbroute_panel_store").get_models()}
        assert str(models["Trace"](key="a" * 32)) == "a" * 32
        assert str(models["Part"](id=3, number=0)) == "3, 0"
        assert str(models["Mark"](kind="alias", name=b"primary")) == "alias primary"
        assert str(models["Remembered"](key="b")) == "b"


class TestLocks:
    def test_a_lock_that_is_held_meanwhile_is_waited_for(self, store, traces):
        store.save(a_trace(1))
        saving = threading.Thread(target=store.save, args=(a_trace(1, name="again"),))
        with transaction.atomic(using=traces):
            with connections[traces].cursor() as cursor:
                cursor.execute("UPDATE dbroute_panel_store_trace SET started = 0")
            saving.start()
            saving.join(0.2)
            assert saving.is_alive()
        saving.join(PATIENCE_SECONDS)
        assert store.get(a_trace(1).id).name == "again"

    def test_what_cannot_be_evicted_now_goes_later_and_the_trace_is_kept(
        self, store, traces, settings, monkeypatch
    ):
        for number in (1, 2, 3):
            store.save(a_trace(number))
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_TRACES": 2}
        monkeypatch.setattr(store_module, "EVICT_SQL", "DELETE FROM nothing_of_this_name WHERE n = %s")
        store.save(a_trace(4))
        assert ids(store.summaries()) == [4, 3, 2, 1]
        monkeypatch.undo()
        store.save(a_trace(5))
        assert ids(store.summaries()) == [5, 4]


class TestConnection:
    """What becomes of the one connection of this process."""

    def test_under_a_test_runner_it_is_closed_at_once(self, store):
        store.save(a_trace(1))
        assert store._writer._worker.session.connection is None

    def test_else_it_stays_open_and_is_used_again(self, store, as_served):
        store.save(a_trace(1))
        first = store._writer._worker.session.connection
        assert first is not None
        store.save(a_trace(2))
        assert store._writer._worker.session.connection is first

    def test_it_is_closed_after_a_while_and_its_thread_ends(self, store, as_served, monkeypatch):
        monkeypatch.setattr(own, "IDLE_SECONDS", 0.05)
        store.save(a_trace(1))
        worker = store._writer._worker
        worker.join(PATIENCE_SECONDS)
        assert not worker.is_alive()
        assert worker.session.connection is None
        assert store.count() == 1

    def test_it_does_not_end_while_somebody_brings_work(self, store, as_served, monkeypatch):
        monkeypatch.setattr(own, "IDLE_SECONDS", 0.05)
        store.save(a_trace(1))
        worker = store._writer._worker
        with own._lock:
            time.sleep(0.2)
            assert worker.is_alive()
            job = worker.submit(lambda cursor: "done", None, PATIENCE_SECONDS)
        assert job.result(PATIENCE_SECONDS) == "done"

    def test_it_can_be_closed_at_any_time(self, store, as_served):
        store.save(a_trace(1))
        worker = store._writer._worker
        store.close()
        assert not worker.is_alive()
        assert worker.session.connection is None
        store.close()
        assert store.count() == 1

    def test_another_database_under_the_alias_is_noticed(
        self, store, traces, as_served, tmp_path, monkeypatch
    ):
        """As a test runner does it: the name of the database becomes another."""
        store.save(a_trace(1))
        monkeypatch.setitem(connections.settings[traces], "NAME", "no_such_database_or/folder")
        with pytest.raises(StoreError, match="cannot be reached"):
            store.save(a_trace(2))
        monkeypatch.undo()
        store._writer._retry_at = 0.0  # the pause is over
        assert ids(store.summaries()) == [1]

    def test_an_alias_that_is_gone(self, traces):
        with databases.database("gone", **connections.settings[traces]):
            store = DatabaseStore(alias="gone")
        with pytest.raises(StoreError, match="'gone' cannot be reached: it is no longer in DATABASES"):
            store.save(a_trace(1))

    def test_work_that_comes_from_its_own_thread_is_done_without_waiting(self, store):
        """A response that nobody closed is delivered where it is collected."""
        store._writer.run(lambda cursor: store.save(a_trace(1)))
        store.remember("map", b"after that")
        assert ids(store.summaries()) == [1]

    def test_the_last_trace_of_a_process_is_kept(self, store, traces):
        program = (
            "import atexit, json, sys\n"
            "from django.conf import settings\n"
            "settings.configure(DATABASES={'default': {}, 'traces': json.loads(sys.argv[1])},\n"
            "    INSTALLED_APPS=['dbroute_panel', 'dbroute_panel.stores.database'])\n"
            "import django; django.setup()\n"
            "from dbroute_panel.stores import DatabaseStore\n"
            "from tests.traces import a_trace\n"
            "store = DatabaseStore(alias='traces')\n"
            "atexit.register(lambda: store.save(a_trace(2)))\n"
            "if sys.argv[2] == 'early': store.save(a_trace(1))\n"
        )
        entry = json.dumps(connections.settings[traces], default=str)
        for when, expected in (("late", [2]), ("early", [2, 1])):
            command = [sys.executable, "-W", "error", "-c", program, entry, when]
            ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert (ended.returncode, ended.stderr) == (0, "")
            assert ids(store.summaries()) == expected

    def test_where_no_thread_can_begin_it_is_done_at_once(self, store, monkeypatch):
        def refused(thread):
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(own._Worker, "start", refused)
        store.save(a_trace(1))
        assert ids(store.summaries()) == [1]
        assert store._writer._worker is None


class TestFork:
    @pytest.fixture(autouse=True)
    def abandoned(self, monkeypatch) -> None:
        """None of another test, which only said that its process was another."""
        monkeypatch.setattr(own, "_abandoned", [])

    def saved_in_a_child(self, store, fork) -> int:
        store.save(a_trace(1))
        sys.stdout.flush()
        child = fork()
        if not child:
            code = 1
            try:
                store.save(a_trace(2))
                code = 0 if store.count() >= 2 else 2
            finally:
                os._exit(code)
        for number in range(3, 20):
            store.save(a_trace(number))
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def test_parent_and_child_go_on(self, store, as_served):
        with warnings.catch_warnings():
            # Python 3.12 warns of any fork while there are threads; those of other tests will do.
            warnings.simplefilter("ignore", DeprecationWarning)
            assert self.saved_in_a_child(store, os.fork) == 0
        assert store.count() == 19
        assert own._abandoned == []

    def test_after_a_fork_that_runs_no_python_hooks_too(self, store, as_served, monkeypatch):
        """As uWSGI forks. Here the process is said to be another: libraries may not survive it in a test."""
        store.save(a_trace(1))
        parents = store._writer._worker
        monkeypatch.setattr(os, "getpid", lambda: -1)
        store.save(a_trace(2))
        assert store._writer._worker is not parents
        assert own._abandoned == [parents]
        assert parents.session.connection is not None
        store.close()
        monkeypatch.undo()
        own._abandoned.clear()
        parents.jobs.put(None)
        parents.join(PATIENCE_SECONDS)
        assert store.count() == 2

    def test_what_is_the_parents_is_not_closed(self, store, as_served, monkeypatch):
        store.save(a_trace(1))
        parents = store._writer._worker
        monkeypatch.setattr(own, "_abandoned", [])
        monkeypatch.setattr(os, "getpid", lambda: -1)
        store.close()
        assert parents.is_alive()
        assert own._abandoned == [parents]
        monkeypatch.undo()
        parents.jobs.put(None)
        parents.join(PATIENCE_SECONDS)

    def test_a_fork_is_not_warned_of_because_of_us(self, store, traces):
        program = (
            "import json, os, sys\n"
            "from django.conf import settings\n"
            "settings.configure(DATABASES={'default': {}, 'traces': json.loads(sys.argv[1])},\n"
            "    INSTALLED_APPS=['dbroute_panel', 'dbroute_panel.stores.database'])\n"
            "import django; django.setup()\n"
            "from dbroute_panel.stores import DatabaseStore\n"
            "from tests.traces import a_trace\n"
            "store = DatabaseStore(alias='traces')\n"
            "store.save(a_trace(1))\n"
            "for number in (2, 3):\n"
            "    if child := os.fork():\n"
            "        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
            "    store.save(a_trace(number))\n"
        )
        entry = json.dumps(connections.settings[traces], default=str)
        command = [sys.executable, "-W", "error", "-c", program, entry]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ids(store.traces()) == [1, 2, 3]


class TestOutOfReach:
    """A database that is down, or does not answer."""

    @pytest.fixture
    def clock(self, monkeypatch):
        """Seconds that pass when a test says so."""
        passed = [0.0]
        real = time.monotonic
        monkeypatch.setattr(own.time, "monotonic", lambda: real() + passed[0])
        return passed

    @pytest.fixture
    def attempts(self, monkeypatch):
        made: list[str] = []
        real = session.make_connection

        def counted(alias):
            made.append(alias)
            return real(alias)

        monkeypatch.setattr(session, "make_connection", counted)
        return made

    def test_losses_are_counted_and_logged_once_and_it_recovers(
        self, store, traces, monkeypatch, caplog, clock, attempts
    ):
        monkeypatch.setattr(stores, "lost", 0)
        name = connections.settings[traces]["NAME"]
        connections.settings[traces]["NAME"] = "no_such_database_or/folder"
        with caplog.at_level(logging.WARNING, "dbroute_panel"):
            assert [keep(a_trace(number)) for number in range(5)] == [False] * 5
        assert stores.lost == 5
        (record,) = caplog.records
        assert f"could not be kept: The database '{traces}' cannot be reached: " in record.getMessage()
        assert "Further losses are counted, not logged." in record.getMessage()
        assert len(attempts) == 1  # the others did not wait for it
        connections.settings[traces]["NAME"] = name
        assert keep(a_trace(6)) is False
        clock[0] += own.PAUSE_SECONDS[0]
        assert keep(a_trace(7)) is True
        assert keep(a_trace(8)) is True
        assert ids(store.summaries()) == [8, 7]

    def test_it_is_tried_less_and_less_often(self, store, traces, monkeypatch, clock, attempts):
        monkeypatch.setitem(connections.settings[traces], "NAME", "no_such_database_or/folder")
        waits = []
        for _ in range(7):
            with pytest.raises(StoreError, match="cannot be reached"):
                store.save(a_trace(1))
            with pytest.raises(StoreError, match=r"It is tried again in \d+ s\."):
                store.save(a_trace(1))
            waits.append(round(store._writer._retry_at - time.monotonic()))
            clock[0] += waits[-1] + 1
        assert waits == [1, 2, 4, 8, 16, 30, 30]
        assert len(attempts) == 7
        monkeypatch.undo()

    def test_reading_finds_nothing_and_is_logged_once(self, store, traces, monkeypatch, caplog):
        monkeypatch.setitem(connections.settings[traces], "NAME", "no_such_database_or/folder")
        with caplog.at_level(logging.WARNING, "dbroute_panel"):
            assert store.get("1") is store.recall("map") is None
            assert store.summaries() == list(store.traces()) == []
            assert store.count() == 0
            assert store.codes() == set()
        assert len(caplog.records) == 1
        assert "Kept traces cannot be read: The database 'traces' cannot be reached" in caplog.text
        assert "cannot be reached" in store.problem()
        for write in (store.clear, lambda: store.delete(["1"]), lambda: store.remember("map", b"")):
            with pytest.raises(StoreError, match="cannot be reached"):
                write()

    def test_a_command_says_so_and_fails(self, store, traces, monkeypatch):
        monkeypatch.setitem(connections.settings[traces], "NAME", "no_such_database_or/folder")
        with pytest.raises(CommandError, match="The database 'traces' cannot be reached"):
            call_command("dbroute", "traces")

    def test_nobody_waits_longer_than_told(self, store, as_served, clock):
        store.save(a_trace(1))
        release = threading.Event()
        late = []

        def slowly(cursor):
            release.wait(PATIENCE_SECONDS)
            late.append(threading.current_thread())

        hung = store._writer._worker
        with pytest.raises(StoreError, match=r"did not answer within 0\.1 s"):
            store._writer.run(slowly, seconds=0.1)
        with pytest.raises(StoreError, match="It is tried again in 1 s"):
            store.save(a_trace(2))
        for _ in range(3):
            clock[0] += 2
            with pytest.raises(StoreError, match="has yet to answer what it was asked before"):
                store.save(a_trace(2))  # no further thread, no further connection
        assert late == []  # nobody has waited for it
        release.set()
        hung.join(PATIENCE_SECONDS)
        store.save(a_trace(3))  # by another thread, over another connection
        assert late == [hung]
        assert hung.session.connection is None
        assert ids(store.summaries()) == [3, 1]

    def test_what_never_ends_is_given_up_after_a_while(self, store, as_served, clock):
        store.save(a_trace(1))
        release, holding, became = self.hold(store, 0.1)
        holding.join(PATIENCE_SECONDS)
        assert "did not answer" in str(became[0])
        hung = store._writer._late
        clock[0] += own.ABANDON_SECONDS - 1
        with pytest.raises(StoreError, match="has yet to answer"):
            store.save(a_trace(2))
        clock[0] += 2
        store.save(a_trace(3))
        assert hung.is_alive()
        assert ids(store.summaries()) == [3, 1]
        release.set()
        hung.join(PATIENCE_SECONDS)
        assert hung.session.connection is None

    def hold(self, store, seconds: float) -> tuple[threading.Event, threading.Thread, list[object]]:
        """Something is under way until the event is set; what became of it is in the list."""
        release, began, became = threading.Event(), threading.Event(), []

        def work(cursor):
            began.set()
            release.wait(PATIENCE_SECONDS)

        def run():
            try:
                became.append(store._writer.run(work, seconds=seconds))
            except StoreError as error:
                became.append(error)

        holding = threading.Thread(target=run)
        holding.start()
        assert began.wait(PATIENCE_SECONDS)
        return release, holding, became

    def test_what_could_not_begin_in_time_is_given_up_and_nothing_else(self, store, as_served, monkeypatch):
        monkeypatch.setattr(stores, "lost", 0)
        release, holding, became = self.hold(store, PATIENCE_SECONDS)
        worker = store._writer._worker
        with pytest.raises(StoreError, match=r"was busy with other traces for 0\.1 s"):
            store._writer.run(lambda cursor: pytest.fail("it was given up"), seconds=0.1)
        assert store._writer._retry_at == 0
        assert store._writer._worker is worker
        release.set()
        holding.join(PATIENCE_SECONDS)
        assert became == [None]
        assert keep(a_trace(1)) is True
        assert store._writer._worker is worker

    def test_who_waits_behind_something_that_takes_too_long_gives_it_up(self, store, as_served):
        release, holding, became = self.hold(store, 0.2)
        worker = store._writer._worker
        with pytest.raises(StoreError, match="did not answer"):
            store._writer.run(lambda cursor: pytest.fail("it was given up"), seconds=0.4)
        holding.join(PATIENCE_SECONDS)
        assert "did not answer" in str(became[0])
        assert store._writer._worker is None
        assert store._writer._retry_at > 0
        release.set()
        worker.join(PATIENCE_SECONDS)

    def test_a_list_that_takes_long_keeps_no_trace_from_being_saved(self, store, as_served):
        release, began = threading.Event(), threading.Event()
        looking = threading.Thread(
            target=lambda: store._reader.run(lambda cursor: began.set() or release.wait(PATIENCE_SECONDS))
        )
        looking.start()
        assert began.wait(PATIENCE_SECONDS)
        store.save(a_trace(1))
        assert looking.is_alive()
        release.set()
        looking.join(PATIENCE_SECONDS)
        assert ids(store.summaries()) == [1]

    @pytest.mark.parametrize("closing", [lambda store: store.close(), lambda store: own._before_fork()])
    def test_closing_keeps_nobody_waiting(self, store, traces, as_served, closing, monkeypatch):
        """Neither another store, nor what is under way, which may need the lock too."""
        monkeypatch.setattr(own, "FORK_TIMEOUT_SECONDS", 0.3)
        release, holding, became = self.hold(store, PATIENCE_SECONDS)
        worker = store._writer._worker
        ended = threading.Event()

        def close():
            closing(store)
            ended.set()
            if own._lock._is_owned():
                own._after_fork()

        ending = threading.Thread(target=close)
        ending.start()
        until(lambda: store._writer._worker is not worker)
        other = DatabaseStore(alias=traces)
        other.save(a_trace(1))
        assert holding.is_alive()
        release.set()
        holding.join(PATIENCE_SECONDS)
        assert became == [None]
        ending.join(PATIENCE_SECONDS)
        assert ended.is_set()
        worker.join(PATIENCE_SECONDS)
        other.close()

    def test_a_fork_does_not_wait_for_a_server(self, store, as_served):
        release, holding, _became = self.hold(store, PATIENCE_SECONDS)
        own._before_fork()
        own._after_fork()
        assert holding.is_alive()
        release.set()
        holding.join(PATIENCE_SECONDS)

    def test_a_contradiction_is_tried_again_three_times(self, store, as_served):
        tried = []

        def contradicted(cursor):
            tried.append(1)
            raise IntegrityError("there is one already")

        with pytest.raises(StoreError, match="there is one already"):
            store._writer.run(contradicted, seconds=2)
        assert len(tried) == 4
        assert store._writer._retry_at == 0

    def test_only_what_was_done_shows_that_it_is_up(self, store, as_served, clock):
        """A database may accept connections, and answer nothing."""
        waits = []
        for _ in range(4):
            release, holding, _became = self.hold(store, 1.0)
            holding.join(PATIENCE_SECONDS)
            waits.append(store._writer._pause)
            release.set()
            store._writer._late.join(PATIENCE_SECONDS)
            clock[0] += 60
        assert waits == [1, 2, 4, 8]
        store.save(a_trace(1))
        assert store._writer._pause == 0

    def test_a_timeout_of_the_drivers_is_an_error_like_others(self, store):
        def timed_out(cursor):
            raise TimeoutError("the driver's own")

        with pytest.raises(StoreError, match="cannot be used: the driver's own"):
            store._writer.run(timed_out)


class TestDocumentation:
    """docs/database-store.md says what is so."""

    @pytest.fixture
    def blocks(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {"python": [], "console": []}
        text = (ROOT / "docs" / "database-store.md").read_text()
        for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            found[language].append(block)
        return found

    def test_the_settings_are_valid(self, blocks, settings):
        set_up, _router, tests = ({"INSTALLED_APPS": []}, {}, {})
        for block, names in zip(blocks["python"], (set_up, _router, tests), strict=True):
            exec(block, names)
        assert set(set_up["INSTALLED_APPS"]) <= set(settings.INSTALLED_APPS)
        for names in (set_up, tests):
            settings.DBROUTE_PANEL = names["DBROUTE_PANEL"]
            assert check_settings(None) == check_database_store(None, databases=["traces"]) == []

    def test_the_router_keeps_the_tables_on_their_database(self, blocks, settings, tmp_path):
        names: dict = {}
        exec(blocks["python"][1], names)
        settings.DATABASE_ROUTERS = [names["TracesRouter"]()]
        entry = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "elsewhere.sqlite3")}
        with databases.database("elsewhere", **entry):
            databases.migrate("elsewhere")
            assert connections["elsewhere"].introspection.table_names() == ["django_migrations"]

    def test_the_commands_make_the_tables_that_were_refused(self, blocks, settings, tmp_path, capsys):
        migrating, forgetting = blocks["console"]
        settings.DEBUG_TOOLBAR_CONFIG = {"IS_RUNNING_TESTS": False}  # it complains of tests in a check
        entry = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "new.sqlite3")}
        with databases.database("new", **entry):
            settings.DATABASE_ROUTERS = [Saying()]
            run(
                migrating.splitlines()[0].replace("traces", "new")
            )  # the store is not there, and it is refused
            settings.DBROUTE_PANEL = {"STORE": {"BACKEND": BACKEND, "OPTIONS": {"alias": "new"}}}
            assert "has no tables" in DatabaseStore(alias="new").problem()
            for line in forgetting.splitlines():
                run(line.replace("traces", "new"))
            run(migrating.splitlines()[1].replace("traces", "new"))
            everything_there_is(DatabaseStore(alias="new"))

    def test_a_test_that_did_not_ask_for_the_database_writes_nothing_there(self, store):
        class Asking(SimpleTestCase):
            databases = set()

            def runTest(self):  # noqa: N802
                with pytest.raises(StoreError) as raised:
                    store.save(a_trace(1))
                assert isinstance(raised.value.__cause__, AssertionError)

        result = unittest.TestResult()
        unittest.TestSuite([Asking()]).run(result)
        assert (result.testsRun, result.failures, result.errors) == (1, [], [])
        store._writer.mark_up()
        assert store.count() == 0


def run(line: str) -> None:
    """A line of a terminal: ``$ python manage.py COMMAND ARGUMENT ...``."""
    prompt, python, manage, *command = line.split()
    assert (prompt, python, manage) == ("$", "python", "manage.py")
    call_command(*command, verbosity=0)
