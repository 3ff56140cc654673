"""``DatabaseStore`` on PostgreSQL and MariaDB: what holds of every store, and what only a server can show."""

# ruff: noqa: F811 - the fixtures of another module are asked for by their names

from __future__ import annotations

import gc
import json
import logging
import random
import threading
import time
import tracemalloc
import unittest
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import Error, connections, transaction
from django.db.backends.utils import CursorWrapper
from django.test import TestCase

from dbroute_panel import stores
from dbroute_panel.exports import FORMATS
from dbroute_panel.stores import Filter, StoreError, keep
from dbroute_panel.stores.database import connection as own
from dbroute_panel.stores.database import session
from dbroute_panel.stores.database.store import build_where
from tests.services.proxy import Proxy
from tests.stores import databases
from tests.stores.at_once import run_at_once

# The classes are collected here once more, with the fixtures of this module.
from tests.stores.test_database import (  # noqa: F401
    BACKEND,
    TestAlias,
    TestConnection,
    TestFork,
    TestLocks,
    TestOutOfReach,
    TestTables,
    TestTransactions,
    TestWhereItWorks,
    TestWhomItAsks,
    _panel,
    as_served,
    ids,
    store,
    urlpatterns,
)
from tests.stores.test_stores import (  # noqa: F401
    TestDeleting,
    TestEviction,
    TestFilters,
    TestRemembering,
    TestSaving,
    TestSummaries,
    TestTraces,
    most,
)
from tests.traces import a_finding, a_long_trace, a_query, a_trace
from tests.waiting import PATIENCE_SECONDS, until


@pytest.fixture(scope="module", autouse=True)
def _installed() -> Iterator[None]:
    with databases.installed():
        yield


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def server(request, postgres, mariadb, django_db_blocker) -> Iterator[dict]:
    """A database of our own on each, with the tables, as an entry of ``DATABASES``."""
    with django_db_blocker.unblock():
        entry = postgres["primary"] if request.param == "postgresql" else mariadb
        with (
            databases.database("server", **entry) as alias,
            connections[alias].cursor() as cursor,
        ):
            # As its own, MariaDB has one of the 1990s, which knows neither "ß" as "ss" nor emoji.
            charset = " CHARACTER SET latin1" if request.param == "mariadb" else ""
            cursor.execute(f"CREATE DATABASE dbroute_traces{charset}")
            try:
                mine = entry | {"NAME": "dbroute_traces"}
                with databases.database("traces", **mine) as traces:
                    databases.migrate(traces)
                yield mine
            finally:
                with connections[alias].cursor() as another:  # a TestCase closes every connection
                    another.execute("DROP DATABASE dbroute_traces")


@pytest.fixture
def traces(server, django_db_blocker) -> Iterator[str]:
    with django_db_blocker.unblock(), databases.database("traces", **server) as alias:
        databases.empty(alias)
        yield alias


class TestTransactionsOfTheUser:
    def test_a_trace_is_kept_when_the_users_transaction_is_rolled_back(self, store, traces):
        with transaction.atomic(using=traces):
            with connections[traces].cursor() as cursor:
                cursor.execute("DELETE FROM dbroute_panel_store_remembered")
            store.save(a_trace(1))
            transaction.set_rollback(True, using=traces)
        assert ids(store.summaries()) == [1]

    def test_a_trace_is_kept_in_a_transaction_that_postgresql_has_aborted(self, store, traces):
        with transaction.atomic(using=traces):
            with connections[traces].cursor() as cursor:
                for _ in range(2):  # PostgreSQL refuses whatever comes after the first
                    with pytest.raises(Error):
                        cursor.execute("SELECT * FROM nothing_of_this_name")
            assert keep(a_trace(1)) is True
            transaction.set_rollback(True, using=traces)
        assert ids(store.summaries()) == [1]

    def test_it_takes_part_in_no_testcase(self, store, traces):
        """A TestCase rolls back what was done on its connections, and drops its databases at the end."""

        class Inside(TestCase):
            databases = {traces}

            def test_it(self):
                assert connections[traces].in_atomic_block
                with connections[traces].cursor() as cursor:
                    cursor.execute("DELETE FROM dbroute_panel_store_remembered")
                store.save(a_trace(1))

        store.remember("map", b"one")
        result = unittest.TestResult()
        unittest.TestSuite([Inside("test_it")]).run(result)
        assert (result.testsRun, result.failures, result.errors) == (1, [], [])
        assert store.recall("map") == b"one"  # the TestCase did roll back
        assert ids(store.summaries()) == [1]
        assert store._writer._worker.session.connection is None


class TestSeveralProcesses:
    def entry(self, traces) -> str:
        return json.dumps(connections.settings[traces], default=str)

    def write(self, traces, *counts: int, most: int = 10_000) -> str:
        return run_at_once(
            ["tests.stores.database_writer", self.entry(traces), str(1000 * n), str(count), str(most)]
            for n, count in enumerate(counts)
        )

    def test_eight_of_them_lose_nothing_and_double_nothing(self, store, traces):
        counts = (40,) * 8
        mine = threading.Thread(target=lambda: [store.save(a_trace(9000 + n)) for n in range(40)])
        mine.start()
        logged = self.write(traces, *counts)
        mine.join()
        assert logged == ""
        expected = {1000 * n + i for n, count in enumerate(counts) for i in range(count)}
        expected |= {9000 + n for n in range(40)}
        found = ids(store.summaries(limit=10_000))
        assert len(found) == len(set(found)) == store.count() == 360
        assert set(found) == expected
        assert ids(store.traces()) == sorted(expected)

    def test_they_may_save_the_same_traces(self, store, traces):
        run_at_once(["tests.stores.database_writer", self.entry(traces), "0", "30", "100"] for _ in range(8))
        assert ids(store.traces()) == list(range(30))
        with connections[traces].cursor() as cursor:
            for table in ("part", "mark"):
                cursor.execute(f"SELECT count(DISTINCT trace_id) FROM dbroute_panel_store_{table}")
                assert cursor.fetchone() == (30,)

    def test_together_they_keep_no_more_than_max_traces(self, store, traces):
        self.write(traces, *(30,) * 8, most=25)
        assert store.count() == 25
        with connections[traces].cursor() as cursor:
            for table in ("part", "mark"):
                cursor.execute(f"SELECT count(DISTINCT trace_id) FROM dbroute_panel_store_{table}")
                assert cursor.fetchone() == (25,)


class TestFigures:
    """What is sent to the server, and what comes back: how long that takes is the server's."""

    @pytest.fixture(autouse=True)
    def _served(self, as_served):
        pass

    @pytest.fixture
    def sent(self, monkeypatch):
        """Of each statement, how many bytes its parameters have."""
        sent: list[int] = []
        for name in ("execute", "executemany"):
            real = getattr(CursorWrapper, name)

            def noted(cursor, sql, params=None, *, real=real):
                sent.append(len(repr(params)))
                return real(cursor, sql, params)

            monkeypatch.setattr(CursorWrapper, name, noted)
        return sent

    def test_a_trace_of_ten_thousand_events(self, store, sent):
        """As many statements as one of ten events, and packed."""
        store.save(a_long_trace(1, events=10))
        sent.clear()
        store.save(a_long_trace(2, events=10))
        few = len(sent)
        long = a_long_trace(3, events=10_000)
        sent.clear()
        store.save(long)
        assert len(sent) == few <= 12
        assert sum(sent) < 1_000_000
        assert (
            store.get("0" * 32) is None
        )  # opens the connection for reading, to which a backend says this and that
        sent.clear()
        assert store.get(long.id) == long
        assert len(sent) <= 4

    def test_a_document_larger_than_a_packet_of_mysqls(self, store, traces):
        made = random.Random(1)
        words = [f"{made.getrandbits(512):x}" for _ in range(40_000)]
        long = a_trace(1, events=[a_query(sql="".join(words))])
        with connections[traces].cursor() as cursor:
            mysql = connections[traces].vendor == "mysql"
            if mysql:
                cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
                (before,) = cursor.fetchone()
                cursor.execute("SET GLOBAL max_allowed_packet = 1048576")
            try:
                store.save(long)
                assert store.get(long.id) == long
            finally:
                store.close()
                if mysql:
                    cursor.execute("SET GLOBAL max_allowed_packet = %s", [before])


class TestIndexes:
    @pytest.fixture
    def many(self, store, as_served, traces):
        for number in range(300):
            store.save(
                a_trace(
                    number,
                    aliases=[f"alias{number % 50}"],
                    findings=[a_finding(f"code-{number % 50}")] if number % 10 else [],
                    status=number,
                    kind="task" if number % 50 == 7 else "request",
                )
            )
        with connections[traces].cursor() as cursor:
            # Of a few rows MariaDB reads and sorts all: an index is for more.
            cursor.execute("SELECT duration, queries, search, summary FROM dbroute_panel_store_trace LIMIT 1")
            body = cursor.fetchone()
            cursor.executemany(
                "INSERT INTO dbroute_panel_store_trace "
                "(trace_key, started, duration, queries, search, summary) "
                "VALUES (%s, %s, %s, %s, %s, %s)",
                [(f"{number:032x}", number, *body) for number in range(10_000, 20_000)],
            )
            for table in ("trace", "mark"):
                verb = "ANALYZE" if connections[traces].vendor == "postgresql" else "ANALYZE TABLE"
                cursor.execute(f"{verb} dbroute_panel_store_{table}")
                if cursor.description:
                    cursor.fetchall()
        return store

    @pytest.mark.parametrize(
        ("query", "index"),
        [
            (Filter(), "dbroute_trace_started"),
            (Filter(path="books"), "dbroute_trace_started"),
            (Filter(alias="alias7"), "dbroute_mark_found_by"),
            (Filter(finding="code-7"), "dbroute_mark_found_by"),
            (Filter(status=7), "dbroute_mark_found_by"),
            (Filter(kind="task"), "dbroute_mark_found_by"),
            # By the marks, or along the list with a look at each one's: it depends on how many have one.
            (Filter(found=True), "dbroute_"),
            (Filter(found=False), "dbroute_"),
        ],
    )
    def test_a_page_of_the_list_uses_one(self, many, traces, query, index):
        selected, values = build_where(query, connections[traces].vendor)
        rows = f"FROM dbroute_panel_store_trace {selected}"
        sql = f"SELECT summary {rows} ORDER BY started DESC, n DESC LIMIT 20"
        with connections[traces].cursor() as cursor:
            if connections[traces].vendor == "postgresql":
                cursor.execute("SET enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sql}", values)
            plan = "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())
        assert index in plan


class TestStatements:
    @pytest.fixture
    def sent(self, monkeypatch) -> list[str]:
        """What a save sends, but for its transactions."""
        sent: list[str] = []
        execute = CursorWrapper.execute

        def noted(cursor, sql, params=None):
            if "dbroute_panel_store" in sql:
                sent.append(" ".join(sql.split()))
            return execute(cursor, sql, params)

        monkeypatch.setattr(CursorWrapper, "execute", noted)
        return sent

    @pytest.mark.parametrize("too_many", [1, 7])
    def test_eviction_is_one(self, store, settings, traces, sent, too_many):
        for number in range(10):
            store.save(a_trace(number))
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_TRACES": 11 - too_many}
        sent.clear()
        store.save(a_trace(10))
        verbs = [f"{sql.split()[0]} {sql.split('dbroute_panel_store_')[1].split()[0]}" for sql in sent]
        assert verbs == [
            "DELETE trace",  # the one of the same id
            "INSERT trace",
            "SELECT trace",
            "INSERT part",
            "INSERT mark",
            "DELETE trace",
        ]
        assert sent[-1].startswith("DELETE FROM dbroute_panel_store_trace WHERE n <= (")
        assert store.count() == 11 - too_many


class TestTakenAway:
    """The server goes, and comes back."""

    @pytest.fixture
    def proxy(self, traces, server, monkeypatch):
        proxy = Proxy(server["HOST"], int(server["PORT"]))
        monkeypatch.setitem(connections.settings[traces], "PORT", str(proxy.port))
        yield proxy
        proxy.cut()

    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch):
        monkeypatch.setattr(own, "PAUSE_SECONDS", (0.2, 0.2))
        monkeypatch.setattr(stores, "lost", 0)

    def test_losses_are_counted_and_logged_once_and_then_it_goes_on(self, store, as_served, proxy, caplog):
        with caplog.at_level(logging.WARNING, "dbroute_panel"):
            assert keep(a_trace(1)) is True
            proxy.cut()
            assert [keep(a_trace(number)) for number in (2, 3, 4)] == [False] * 3
            proxy.restore()
            store._writer._retry_at = 0.0  # the pause is over
            assert keep(a_trace(5)) is True
        assert stores.lost == 3
        assert len(caplog.records) == 1
        assert "cannot be reached" in caplog.records[0].getMessage()
        assert ids(store.summaries()) == [5, 1]

    def test_a_connection_that_broke_while_it_was_idle_costs_no_trace(self, store, as_served, proxy):
        assert keep(a_trace(1)) is True
        proxy.cut()
        proxy.restore()
        assert keep(a_trace(2)) is True
        assert stores.lost == 0

    def test_one_that_does_not_answer_costs_one_wait(self, store, as_served, proxy, monkeypatch):
        monkeypatch.setattr(session, "CONNECT_TIMEOUT_SECONDS", 2)
        monkeypatch.setattr(own, "PAUSE_SECONDS", (PATIENCE_SECONDS, PATIENCE_SECONDS))
        asked: list[str] = []
        made = session.make_connection
        monkeypatch.setattr(session, "make_connection", lambda alias: asked.append(alias) or made(alias))
        proxy.freeze()
        assert keep(a_trace(1)) is False
        assert [keep(a_trace(number)) for number in range(2, 50)] == [False] * 48
        assert len(asked) == 1  # the others did not wait
        assert stores.lost == 49
        proxy.restore()

    def test_one_that_stops_to_answer_costs_no_more_than_told(self, store, as_served, proxy, monkeypatch):
        assert keep(a_trace(1)) is True
        monkeypatch.setattr(own, "PAUSE_SECONDS", (PATIENCE_SECONDS, PATIENCE_SECONDS))
        proxy.freeze()  # nothing is answered until it is restored
        with pytest.raises(StoreError, match="did not answer within 1 s"):
            store._writer.run(lambda cursor: cursor.execute("SELECT 1"), seconds=1.0)
        with pytest.raises(StoreError, match="It is tried again in"):
            store.save(a_trace(2))
        proxy.restore()
        late = store._writer._late
        late.join(PATIENCE_SECONDS)
        store._writer._retry_at = 0.0  # the pause is over
        assert keep(a_trace(3)) is True
        assert ids(store.summaries()) == [3, 1]

    def test_in_a_request(self, store, as_served, proxy, settings):
        settings.ROOT_URLCONF = "tests.stores.test_database"
        settings.DEBUG = True
        settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
        proxy.cut()
        from django.test import Client

        response = Client().get("/asking/")
        assert (response.status_code, response.content) == (200, b"fine")
        assert stores.lost == 1


class TestLocked:
    """The database accepts connections, and finishes nothing: somebody has locked the table."""

    @pytest.fixture
    def locked(self, store, traces, server):
        """Locks the table until it is called, from a connection of a third."""
        with databases.database("locking", **server) as alias:
            locking = connections[alias]
            with locking.cursor() as cursor:
                if locking.vendor == "postgresql":
                    cursor.execute("BEGIN")
                    cursor.execute("LOCK TABLE dbroute_panel_store_trace")
                else:
                    cursor.execute("LOCK TABLES dbroute_panel_store_trace WRITE")
            yield locking.close

    def backends(self, traces) -> int:
        """How many connections the store has at the server."""
        connection = connections[traces]
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = 'dbroute_traces' "
                    "AND query LIKE '%%store_trace WHERE trace_key%%' AND pid <> pg_backend_pid()",
                    [],
                )
            else:
                cursor.execute(
                    "SELECT count(*) FROM information_schema.processlist WHERE db = 'dbroute_traces' "
                    "AND info LIKE '%%store_trace WHERE trace_key%%' AND id <> connection_id()",
                    [],
                )
            (count,) = cursor.fetchone()
        return count

    def test_it_is_not_sent_more_and_more_connections(self, store, as_served, traces, locked, monkeypatch):
        monkeypatch.setattr(own, "PAUSE_SECONDS", (0.3, 30.0))
        monkeypatch.setattr(stores, "lost", 0)
        before = threading.active_count()
        save = store._writer.run
        monkeypatch.setattr(store._writer, "run", lambda work, then: save(work, then=then, seconds=1.0))
        waits, seen = [], []
        end = time.monotonic() + PATIENCE_SECONDS
        while len(waits) < 4 and time.monotonic() < end:
            assert keep(a_trace(1)) is False
            if store._writer._pause not in waits:
                waits.append(store._writer._pause)
            seen.append(self.backends(traces))
            assert threading.active_count() <= before + 1
            time.sleep(0.1)
        assert waits == [0.3, 0.6, 1.2, 2.4]
        assert max(seen) <= 1
        until(lambda: self.backends(traces) == 0)
        locked()
        store._writer._retry_at = 0.0  # the pause is over
        assert keep(a_trace(2)) is True
        assert store._writer._pause == 0
        assert ids(store.summaries()) == [2]


class TestCommands:
    @pytest.fixture(autouse=True)
    def _kept(self, store):
        for number in range(1, 31):
            store.save(
                a_trace(
                    number,
                    path=f"/books/{number}/",
                    aliases=["primary" if number % 3 else "replica1"],
                    findings=[a_finding()] if number % 10 == 0 else [],
                )
            )

    def listed(self, capsys, *arguments: str) -> list[int]:
        call_command("dbroute", "traces", "--format", "json", *arguments)
        return [int(each["id"], 16) for each in json.loads(capsys.readouterr().out)]

    def test_traces_and_its_filters(self, capsys):
        assert self.listed(capsys, "--limit", "3") == [30, 29, 28]
        assert self.listed(capsys, "--alias", "replica1") == list(range(30, 0, -3))
        assert self.listed(capsys, "--finding", "stale-read") == [30, 20, 10]
        assert self.listed(capsys, "--path", "/books/1") == [*range(19, 9, -1), 1]

    def test_show(self, capsys):
        call_command("dbroute", "show", a_trace(7).id, "--format", "json")
        assert json.loads(capsys.readouterr().out)["request"]["path"] == "/books/7/"

    def test_prune(self, store, capsys):
        call_command("dbroute", "prune", "--keep", "5")
        assert "25 traces deleted, 5 left." in capsys.readouterr().out
        assert ids(store.summaries()) == [30, 29, 28, 27, 26]

    def test_export_and_import(self, store, tmp_path, capsys):
        file = tmp_path / "traces.json"
        call_command("dbroute", "export", "--all", "--format", "json", "--output", str(file))
        before = list(store.traces())
        assert len(json.loads(file.read_text())) == len(before) == 30
        store.clear()
        call_command("dbroute", "import", str(file))
        assert list(store.traces()) == before
        assert {summary.imported for summary in store.summaries()} == {True}

    def test_exporting_all_takes_the_memory_of_one(self, store):
        def peak() -> int:
            gc.collect()
            tracemalloc.start()
            size = sum(len(piece) for piece in FORMATS["json"].write(store.traces()))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return peak if size else 0

        store.clear()
        for number in range(3):
            store.save(a_long_trace(number, events=1000))
        few = peak()
        for number in range(3, 40):
            store.save(a_long_trace(number, events=1000))
        assert store.count() == 40
        assert peak() < 1.5 * few
