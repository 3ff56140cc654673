"""The file of the SQLiteStore: whose it is, who shares it, and what happens when it is taken away."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zlib
from pathlib import Path

import platformdirs
import pytest
from django.db import connections

from dbroute_panel.records import dumps
from dbroute_panel.stores import Filter, InvalidStoreError, SQLiteStore, StoreError, sqlite_file
from dbroute_panel.stores import sqlite as sqlite_module
from tests.errors import sqlite_code
from tests.stores.at_once import run_at_once
from tests.traces import a_finding, a_long_trace, a_trace
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _most(settings):
    settings.DBROUTE_PANEL = {"MAX_TRACES": 10_000}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "folder" / "traces.sqlite3"


@pytest.fixture
def store(path):
    made = SQLiteStore(path=path)
    yield made
    made.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextlib.contextmanager
def the_file(path: Path):
    """A connection of somebody else's."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def as_nobody():
    """Root may read and write everything: go on as somebody who may not."""
    if os.getuid():
        yield
        return
    os.setresgid(65534, 65534, 0)
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


def write_at_once(path: Path, *counts: int, most: int = 10_000) -> str:
    """Start a process for each of ``counts``, which saves as many traces; what they logged."""
    return run_at_once(
        ["tests.stores.writer", path, str(1000 * n), str(count), str(most)] for n, count in enumerate(counts)
    )


class TestPath:
    @pytest.fixture(autouse=True)
    def _cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def test_without_a_path_it_is_in_the_users_cache_and_named_after_the_project(self, tmp_path):
        path = SQLiteStore().path
        assert path.parent == tmp_path / "cache" / "dbroute-panel"
        assert len(path.stem) == 12
        assert int(path.stem, 16) >= 0
        assert path.suffix == ".sqlite3"

    def test_it_does_not_depend_on_the_working_directory(self, tmp_path, monkeypatch):
        before = SQLiteStore().path
        monkeypatch.chdir(tmp_path)
        assert SQLiteStore().path == before

    def test_it_does_not_depend_on_overridden_settings(self):
        program = (
            "from django.test import override_settings\n"
            "from dbroute_panel.stores.sqlite import default_path\n"
            "print(default_path())\n"
            "with override_settings(DEBUG=True):\n"
            "    print(default_path())"
        )
        command = [sys.executable, "-c", program]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert output.stdout.splitlines() == [str(SQLiteStore().path)] * 2

    def test_two_projects_have_two_files_even_if_their_settings_have_one_name(self, tmp_path):
        program = "from dbroute_panel.stores.sqlite import default_path; print(default_path())"
        found = set()
        for project in ("one", "two"):
            (tmp_path / project).mkdir()
            (tmp_path / project / "project_settings.py").touch()
            environment = os.environ | {
                "DJANGO_SETTINGS_MODULE": "project_settings",
                "PYTHONPATH": os.pathsep.join([str(tmp_path / project), str(ROOT)]),
            }
            command = [sys.executable, "-c", program]
            for folder in (tmp_path, tmp_path / project):  # twice, from two folders
                output = subprocess.run(command, env=environment, cwd=folder, capture_output=True, check=True)
                found.add((project, output.stdout))
        assert len(found) == len({path for _, path in found}) == 2

    def test_a_project_without_a_settings_module_is_known_by_its_program(self, tmp_path):
        program = (
            "from django.conf import settings; settings.configure()\n"
            "from dbroute_panel.stores.sqlite import default_path; print(default_path())"
        )
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        found = set()
        for name in ("one.py", "two.py"):
            (tmp_path / name).write_text(program)
            command = [sys.executable, tmp_path / name]
            output = subprocess.run(command, env=environment, capture_output=True, check=True)
            found.add(output.stdout)
        assert len(found) == 2

    def test_without_a_home_it_still_does_not_depend_on_the_working_directory(self, monkeypatch):
        def without_home(*args, **kwargs):
            return Path("~/.cache/dbroute-panel")

        monkeypatch.setattr(platformdirs, "user_cache_path", without_home)
        assert SQLiteStore().path.is_absolute()

    def test_a_tilde_is_the_users_home(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path))
        assert SQLiteStore(path="~/traces.sqlite3").path == tmp_path / "traces.sqlite3"

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("traces.sqlite3", "not absolute"),
            ("", "not absolute"),
            (":memory:", "not absolute"),
            ("/tmp/a\0b", "not absolute"),
            ("~nobody-of-this-name/traces", "is no path"),
            (42, "is no path"),
            (b"/tmp/traces", "is no path"),
        ],
    )
    def test_a_path_that_cannot_be_meant(self, path, message):
        with pytest.raises(InvalidStoreError, match=message) as raised:
            SQLiteStore(path=path)
        assert "Use an absolute path" in raised.value.hint

    def test_never_one_of_the_databases(self, tmp_path, monkeypatch):
        name = tmp_path / "library.sqlite3"
        link = tmp_path / "link.sqlite3"
        link.symlink_to(name)
        monkeypatch.setitem(connections.settings["primary"], "NAME", str(name))
        for path in (name, link):
            with pytest.raises(InvalidStoreError, match="is the database 'primary' itself"):
                SQLiteStore(path=path)


class TestModes:
    @pytest.fixture(autouse=True)
    def _anything_goes(self):
        before = os.umask(0)
        yield
        os.umask(before)

    def test_folder_and_files_are_the_owners_alone(self, store, path):
        store.save(a_trace(1))
        assert mode(path.parent) == 0o700
        assert files(path.parent) == ["traces.sqlite3", "traces.sqlite3-shm", "traces.sqlite3-wal"]
        assert {mode(file) for file in path.parent.iterdir()} == {0o600}

    def test_the_folder_in_the_users_cache_is_made_so_if_it_is_there(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        folder = tmp_path / "dbroute-panel"
        folder.mkdir(mode=0o755)
        store = SQLiteStore()
        store.save(a_trace(1))
        store.close()
        assert mode(folder) == 0o700

    def test_a_folder_of_the_users_that_is_there_is_left_as_it_is(self, store, path):
        path.parent.mkdir(mode=0o755)
        store.save(a_trace(1))
        assert mode(path.parent) == 0o755
        assert mode(path) == 0o600

    def test_a_file_that_became_readable_is_made_private_again(self, store, path):
        store.save(a_trace(1))
        store.close()
        path.chmod(0o644)
        store.save(a_trace(2))
        assert store.count() == 2
        assert {mode(file) for file in path.parent.iterdir()} == {0o600}

    def test_what_is_set_aside_stays_private(self, store, path):
        path.parent.mkdir()
        path.write_bytes(b"no database at all" * 100)
        path.chmod(0o600)
        store.save(a_trace(1))
        assert {mode(file) for file in path.parent.iterdir()} == {0o600}


class TestUse:
    def test_making_one_or_asking_for_its_problem_touches_nothing(self, store, path):
        assert store.problem() is None
        assert not path.parent.exists()

    def test_it_never_goes_through_djangos_connections(self, store):
        # pytest-django refuses them in a test that has not asked for a database.
        with pytest.raises(RuntimeError):
            connections["primary"].cursor()
        store.save(a_trace(1))
        assert store.count() == 1

    def test_a_list_needs_no_document(self, store, path):
        store.save(a_trace(1))
        with the_file(path) as file:
            file.execute("UPDATE document SET body = x'00'")
        assert [summary.queries for summary in store.summaries()] == [1]

    def test_filters_use_an_index(self, store, path):
        store.save(a_trace(1, findings=[a_finding()]))
        with the_file(path) as file:
            for query, index in (
                (Filter(), "trace_started"),
                (Filter(kind="block"), "trace_kind"),
                (Filter(status=404), "trace_status"),
                (Filter(alias="primary"), "PRIMARY KEY"),
                (Filter(finding="stale-read"), "PRIMARY KEY"),
            ):
                where, values = sqlite_module._build_where(query)
                sql = f"EXPLAIN QUERY PLAN SELECT summary FROM trace {where} ORDER BY started DESC, n DESC"
                plan = " ".join(row[3] for row in file.execute(sql, values))
                assert index in plan

    def test_clearing_gives_the_room_back(self, store, path):
        for number in range(200):
            store.save(a_trace(number))
        store.close()
        before = path.stat().st_size
        store.clear()
        store.close()
        assert path.stat().st_size < before / 3

    def test_a_big_trace_is_kept_small_and_comes_back(self, store, path):
        trace = a_long_trace(events=10_000)
        store.save(trace)
        assert store.get(trace.id) == trace
        store.close()
        assert path.stat().st_size < len(dumps(trace)) / 10

    def test_no_connection_stays_open_when_the_store_is_gone(self, path):
        store = SQLiteStore(path=path)
        store.save(a_trace(1))
        connection = store._file._opened.connection
        del store
        gc.collect()
        with pytest.raises(sqlite3.ProgrammingError):
            connection.execute("SELECT 1")

    def test_an_error_in_a_transaction_leaves_nothing_behind(self, store):
        store.save(a_trace(1))
        statements = (("DELETE FROM trace", ()), ("SELECT ?", ("\ud800",)))
        with pytest.raises(UnicodeEncodeError):
            store._file.run(
                lambda connection: [connection.execute(sql, values) for sql, values in statements],
                write=True,
            )
        assert store.count() == 1
        store.save(a_trace(2))
        assert store.count() == 2

    def test_an_error_of_the_database_leaves_nothing_behind(self, store):
        store.save(a_trace(1))
        with pytest.raises(StoreError) as raised:
            store._file.run(
                lambda connection: (
                    connection.execute("DELETE FROM trace") and connection.execute("SELECT * FROM x")
                ),
                write=True,
            )
        assert sqlite_code(raised.value) == sqlite3.SQLITE_ERROR
        assert store.count() == 1

    def test_a_document_that_is_broken_is_left_out_and_logged_once(self, store, path, caplog):
        for number in (1, 2, 3, 4):
            store.save(a_trace(number))
        with the_file(path) as file:
            file.execute("UPDATE document SET body = x'00' WHERE n = 1")
            file.execute("UPDATE document SET body = ? WHERE n = 2", (zlib.compress(b'{"schema": "other"}'),))
            file.execute("UPDATE trace SET summary = '{' WHERE n = 3")
            body = zlib.compress(dumps(a_trace(4)).replace(a_trace(4).id.encode(), b"\xff" * 32))
            file.execute("UPDATE document SET body = ? WHERE n = 4", (body,))
        with caplog.at_level(logging.WARNING, "dbroute_panel"):
            assert store.get(a_trace(1).id) is None
            assert list(store.traces()) == [a_trace(3)]
            assert [summary.id for summary in store.summaries()] == [a_trace(n).id for n in (4, 2, 1)]
        assert [record.message.split(":")[0] for record in caplog.records] == [
            "A kept trace is broken and left out"
        ]


class TestSeveralProcesses:
    def test_nothing_is_lost_and_nothing_doubled(self, store, path):
        """Six processes begin together, with no file there yet, while this one writes and reads too."""
        counts = (60, 60, 60, 60, 60, 60)
        own = threading.Thread(target=lambda: [store.save(a_trace(9000 + n)) for n in range(60)])
        own.start()
        logged = write_at_once(path, *counts)
        own.join()
        assert logged == ""
        expected = {1000 * n + i for n, count in enumerate(counts) for i in range(count)}
        expected |= {9000 + n for n in range(60)}
        found = [int(summary.id, 16) for summary in store.summaries(limit=10_000)]
        assert len(found) == len(set(found)) == store.count() == 420
        assert set(found) == expected
        assert sorted(int(trace.id, 16) for trace in store.traces()) == sorted(expected)
        assert files(path.parent) == ["traces.sqlite3", "traces.sqlite3-shm", "traces.sqlite3-wal"]
        with the_file(path) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert file.execute("PRAGMA foreign_key_check").fetchall() == []
            assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    def test_together_they_keep_no_more_than_max_traces(self, store, path):
        write_at_once(path, 40, 40, 40, most=25)
        assert store.count() == 25
        with the_file(path) as file:
            for table in ("document", "alias"):
                assert file.execute(f"SELECT count(DISTINCT n) FROM {table}").fetchone() == (25,)

    def test_another_process_may_have_made_the_tables_just_before(self, path, monkeypatch):
        seen = []

        def seen_too_early(connection: sqlite3.Connection) -> bool:
            seen.append(real(connection))
            return len(seen) == 1 or seen[-1]

        first, second = SQLiteStore(path=path), SQLiteStore(path=path)
        first.save(a_trace(1))
        real = sqlite_file.StoreFile._is_new
        monkeypatch.setattr(sqlite_file.StoreFile, "_is_new", staticmethod(seen_too_early))
        second.save(a_trace(2))
        assert seen == [False, False]
        assert first.count() == second.count() == 2
        first.close()
        second.close()

    def test_a_file_that_is_corrupt_is_set_aside_once(self, store, path):
        path.parent.mkdir(mode=0o700)
        path.write_bytes(b"no database at all" * 100)
        logged = write_at_once(path, 20, 20, 20, 20)
        assert logged.count("could not be used (corrupt)") == len(logged.splitlines()) == 1
        assert store.count() == 80
        assert path.with_name("traces.sqlite3.corrupt").read_bytes() == b"no database at all" * 100

    def test_one_waits_for_another(self, store, path):
        store.save(a_trace(1))
        with the_file(path) as other:
            other.execute("BEGIN IMMEDIATE")
            thread = threading.Thread(target=store.save, args=(a_trace(2),))
            thread.start()
            thread.join(0.2)
            assert thread.is_alive()
            other.execute("COMMIT")
            thread.join(PATIENCE_SECONDS)
        assert store.count() == 2

    def test_it_does_not_wait_forever(self, store, path, monkeypatch):
        monkeypatch.setattr(sqlite_file, "LOCK_TIMEOUT_SECONDS", 0.05)
        store.save(a_trace(1))
        with the_file(path) as other:
            other.execute("BEGIN IMMEDIATE")
            assert store.count() == 1  # readers never wait
            with pytest.raises(StoreError) as raised:
                store.save(a_trace(2))
        assert sqlite_code(raised.value) == sqlite3.SQLITE_BUSY
        store.save(a_trace(3))
        assert store.count() == 2


class TestFork:
    def saved_in_a_child(self, store, fork, *, abandoned: int) -> int:
        """How a child ended that saves trace 2 after ``fork``, in the middle of its parent's saving."""
        store.save(a_trace(1))
        sys.stdout.flush()
        child = fork()
        if not child:
            code = 1
            try:
                store.save(a_trace(2))
                code = 0 if store.count() >= 2 and len(sqlite_file._abandoned) == abandoned else 2
            finally:
                os._exit(code)
        for number in range(3, 30):
            store.save(a_trace(number))
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def test_parent_and_child_go_on(self, store, path):
        with warnings.catch_warnings():
            # Python 3.12 warns of any fork while there are threads; those of other tests will do.
            warnings.simplefilter("ignore", DeprecationWarning)
            assert self.saved_in_a_child(store, os.fork, abandoned=0) == 0
        assert store.count() == 29

    def test_a_fork_waits_for_another_thread_that_is_saving(self, store):
        """Else the child would wait forever for a lock whose thread it does not have."""
        saving = threading.Event()

        def slowly(connection: sqlite3.Connection) -> None:
            saving.set()
            time.sleep(0.3)

        thread = threading.Thread(target=store._file.run, args=(slowly,))
        thread.start()
        saving.wait()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            assert self.saved_in_a_child(store, os.fork, abandoned=0) == 0
        thread.join()
        assert store.count() == 29

    def test_after_a_fork_that_runs_no_python_hooks_too(self, store, path):
        """As uWSGI forks."""
        assert self.saved_in_a_child(store, ctypes.PyDLL(None).fork, abandoned=1) == 0
        assert store.count() == 29
        with the_file(path) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    def test_a_connection_of_another_process_is_neither_used_nor_closed(self, store, monkeypatch):
        store.save(a_trace(1))
        parents = store._file._opened.connection
        monkeypatch.setattr(os, "getpid", lambda: -1)
        store.save(a_trace(2))
        assert store._file._opened.connection is not parents
        assert parents.execute("SELECT count(*) FROM trace").fetchone() == (2,)
        assert sqlite_file._abandoned == [parents]
        sqlite_file._abandoned.clear()
        parents.close()

    def test_a_child_may_fork_again(self, store):
        store.save(a_trace(1))
        program = (
            "import os, sys\n"
            "from django.conf import settings; settings.configure()\n"
            "from dbroute_panel.stores import SQLiteStore\n"
            "from tests.traces import a_trace\n"
            "store = SQLiteStore(path=sys.argv[1])\n"
            "store.save(a_trace(2))\n"
            "for number in (3, 4, 5):\n"
            "    if child := os.fork():\n"
            "        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
            "    store.save(a_trace(number))\n"
        )
        command = [sys.executable, "-c", program, store.path]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert store.count() == 5


class TestFilesThatAreTakenAway:
    def test_a_file_that_is_deleted_is_begun_anew(self, store, path):
        store.save(a_trace(1))
        for file in path.parent.iterdir():
            file.unlink()
        assert store.count() == 0
        store.save(a_trace(2))
        assert store.get(a_trace(2).id) == a_trace(2)

    def test_a_folder_that_is_deleted_is_made_again(self, store, path):
        store.save(a_trace(1))
        for file in path.parent.iterdir():
            file.unlink()
        path.parent.rmdir()
        store.save(a_trace(2))
        assert store.count() == 1
        assert mode(path.parent) == 0o700

    @pytest.mark.parametrize("version", [sqlite_module.SCHEMA_VERSION - 1, 99])
    def test_a_file_of_another_version_is_set_aside(self, store, path, caplog, version):
        store.save(a_trace(1))
        store.close()
        with the_file(path) as file:
            file.execute(f"PRAGMA user_version = {version}")
        with caplog.at_level(logging.WARNING, "dbroute_panel"):
            store.save(a_trace(2))
            assert [summary.id for summary in store.summaries()] == [a_trace(2).id]
        assert len(caplog.records) == 1
        assert f"traces.sqlite3.version-{version}" in caplog.text
        with the_file(path.with_name(f"traces.sqlite3.version-{version}")) as file:
            assert file.execute("SELECT id FROM trace").fetchall() == [(a_trace(1).id,)]

    @pytest.mark.parametrize("garbage", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
    def test_a_file_that_is_no_database_is_set_aside(self, store, path, caplog, garbage):
        path.parent.mkdir()
        path.write_bytes(garbage)
        with caplog.at_level(logging.WARNING, "dbroute_panel"):
            store.save(a_trace(1))
        assert store.count() == 1
        assert path.with_name("traces.sqlite3.corrupt").read_bytes() == garbage
        assert len(caplog.records) == 1

    def test_one_that_is_damaged_while_it_is_open_is_set_aside(self, store, path, caplog):
        for number in range(50):
            store.save(a_trace(number))
        store._file.run(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (path.stat().st_size - 4096))
        with caplog.at_level(logging.WARNING, "dbroute_panel"):
            store.close()
            store.save(a_trace(100))
        assert [summary.id for summary in store.summaries()] == [a_trace(100).id]
        assert path.with_name("traces.sqlite3.corrupt").exists()

    def test_what_was_set_aside_earlier_gives_way(self, store, path):
        path.parent.mkdir()
        for garbage in (b"first garbage" * 100, b"second garbage" * 100):
            store.close()
            path.write_bytes(garbage)
            store.save(a_trace(1))
        assert path.with_name("traces.sqlite3.corrupt").read_bytes() == b"second garbage" * 100
        assert len(files(path.parent)) < 8

    def test_what_another_process_has_begun_anew_is_not_set_aside(self, store, path):
        store.save(a_trace(1))
        store._file._inode = (1, 1)  # what was found corrupt is gone already
        store._file._set_aside("corrupt")
        assert store.count() == 1

    def test_an_empty_file_is_used(self, store, path):
        path.parent.mkdir()
        path.touch(mode=0o600)
        store.save(a_trace(1))
        assert store.count() == 1
        assert not path.with_name("traces.sqlite3.corrupt").exists()

    @pytest.mark.parametrize("marked", [0, 0x12345678])
    def test_a_database_of_something_else_is_never_touched(self, store, path, marked):
        path.parent.mkdir()
        with the_file(path) as file:
            file.execute("CREATE TABLE book (title)")
            file.execute(f"PRAGMA application_id = {marked}")
        path.chmod(0o644)
        before = path.read_bytes()
        with pytest.raises(StoreError, match="is a database of something else"):
            store.save(a_trace(1))
        assert store.summaries() == []
        assert path.read_bytes() == before
        assert mode(path) == 0o644
        assert files(path.parent) == ["traces.sqlite3"]

    def test_if_it_cannot_be_set_aside_either_that_is_an_error_of_the_store(self, store, path, monkeypatch):
        monkeypatch.setattr(sqlite_file, "LOCK_TIMEOUT_SECONDS", 0.05)
        path.parent.mkdir()
        path.write_bytes(b"no database at all" * 100)
        with the_file(path.with_name("traces.sqlite3.lock")) as guard:
            guard.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreError) as raised:
                store.save(a_trace(1))
        assert sqlite_code(raised.value) == sqlite3.SQLITE_BUSY
        assert path.read_bytes() == b"no database at all" * 100


class TestFilesThatCannotBeUsed:
    def unusable(self, tmp_path: Path, where: str) -> SQLiteStore:
        if where == "below a file":
            (tmp_path / "file").touch()
            return SQLiteStore(path=tmp_path / "file" / "deeper" / "traces.sqlite3")
        (tmp_path / "folder").mkdir()
        return SQLiteStore(path=tmp_path / "folder")

    @pytest.mark.parametrize("where", ["below a file", "a folder"])
    def test_writing_is_an_error(self, tmp_path, where):
        store = self.unusable(tmp_path, where)
        for write in (lambda: store.save(a_trace(1)), store.clear, lambda: store.delete(["1"])):
            with pytest.raises(StoreError, match=str(store.path)):
                write()

    @pytest.mark.parametrize("where", ["below a file", "a folder"])
    def test_reading_finds_nothing_and_is_logged_once(self, tmp_path, where, caplog):
        store = self.unusable(tmp_path, where)
        with caplog.at_level(logging.WARNING, "dbroute_panel"):
            assert store.get("1") is None
            assert store.summaries() == list(store.traces()) == []
            assert store.count() == 0
        assert len(caplog.records) == 1
        assert str(store.path) in caplog.text

    @pytest.mark.parametrize(
        ("where", "problem"),
        [("below a file", "file is not a folder."), ("a folder", "folder is not a file.")],
    )
    def test_the_problem_is_named(self, tmp_path, where, problem):
        assert problem in self.unusable(tmp_path, where).problem()

    def test_a_folder_that_may_not_be_written(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o555)
            with as_nobody():
                store = SQLiteStore(path=Path(folder, "deeper", "traces.sqlite3"))
                assert "cannot be made" in store.problem()
                with pytest.raises(StoreError) as raised:
                    store.save(a_trace(1))
            assert isinstance(raised.value.__cause__, PermissionError)

    def test_a_file_that_may_not_be_written(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            store = SQLiteStore(path=Path(folder, "traces.sqlite3"))
            store.save(a_trace(1))
            store.close()
            Path(folder, "traces.sqlite3").chmod(0o444)
            Path(folder).chmod(0o555)
            with as_nobody():
                assert "cannot be read and written" in store.problem()
                with pytest.raises(StoreError, match="cannot be used"):
                    store.save(a_trace(2))
            store.close()

    def test_it_works_as_soon_as_the_reason_is_gone(self, tmp_path):
        store = self.unusable(tmp_path, "below a file")
        with pytest.raises(StoreError):
            store.save(a_trace(1))
        (tmp_path / "file").unlink()
        store.save(a_trace(1))
        assert store.count() == 1
        assert store.problem() is None
        store.close()
