"""Requests go on whatever becomes of the file of the traces; what is lost is counted, and logged once."""

from __future__ import annotations

import contextlib
import errno
import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest

from dbroute_panel import stores
from dbroute_panel.stores import StoreError, sqlite_file
from tests.errors import sqlite_code
from tests.stores.test_sqlite import as_nobody
from tests.traces import a_long_trace, a_trace
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
HOLDER = Path(__file__).with_name("holder.py")


@contextlib.contextmanager
def locked_by_another_process(path: Path):
    command = [sys.executable, HOLDER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield
        process.communicate(timeout=PATIENCE_SECONDS)


@contextlib.contextmanager
def read_only(path: Path):
    """Nobody can write where the file is, and this process is nobody."""
    folders = [path.parent, *path.parents[1:3]]
    modes = [(folder, folder.stat().st_mode) for folder in folders]
    for folder in folders:
        folder.chmod(0o755)
    for file in path.parent.glob("traces.sqlite3*"):
        file.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        with as_nobody():
            yield
    finally:
        for folder, mode in modes:
            folder.chmod(mode & 0o7777)
        for file in path.parent.glob("traces.sqlite3*"):
            file.chmod(0o600)


@contextlib.contextmanager
def full(path: Path):
    """SQLite may take no more pages, and has used those it has."""

    def prepare(self, connection):
        real(self, connection)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    real = sqlite_file.StoreFile._prepare
    stores.get_store().close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_file.StoreFile, "_prepare", prepare)
        with contextlib.suppress(StoreError):
            for number in range(1, 1000):
                stores.get_store().save(a_trace(number, events=[]))
        yield
    stores.get_store().close()


@contextlib.contextmanager
def a_folder_in_its_place(path: Path):
    stores.get_store().close()
    aside = path.with_name("aside")
    path.rename(aside)
    path.mkdir()
    yield
    path.rmdir()
    aside.rename(path)


@contextlib.contextmanager
def a_file_in_place_of_its_folder(path: Path):
    stores.get_store().close()
    aside = path.parent.with_name("aside")
    path.parent.rename(aside)
    path.parent.touch()
    yield
    path.parent.unlink()
    aside.rename(path.parent)


FAULTS = {
    "locked by another process": (locked_by_another_process, sqlite3.SQLITE_BUSY),
    "full": (full, sqlite3.SQLITE_FULL),
    "a folder": (a_folder_in_its_place, sqlite3.SQLITE_CANTOPEN),
    "below a file": (a_file_in_place_of_its_folder, errno.EEXIST),
}


@pytest.mark.parametrize("name", FAULTS)
def test_requests_go_on_and_each_loss_is_counted_and_only_the_first_logged(
    client, store, name, monkeypatch, caplog
):
    monkeypatch.setattr(sqlite_file, "LOCK_TIMEOUT_SECONDS", 0.3)
    fault, code = FAULTS[name]
    sound = client.get("/books/3/")
    kept = store.summaries()[0].id
    with fault(store.path):
        for lost in range(1, 6):
            response = client.get("/books/3/")
            assert (response.status_code, response.content) == (200, sound.content)
            assert stores.lost == lost
        with pytest.raises(StoreError) as raised:
            store.save(a_long_trace(events=1000))
    cause = raised.value.__cause__
    assert (cause.errno if isinstance(cause, OSError) else sqlite_code(cause)) == code
    [record] = caplog.records
    assert record.getMessage().startswith(f"A trace could not be kept: {raised.value}")
    # As soon as the reason is gone the next is kept, and nothing that was kept has been lost.
    before = [summary.id for summary in store.summaries()]
    assert client.get("/books/3/").status_code == 200
    assert stores.lost == 5
    assert kept in before
    assert [summary.id for summary in store.summaries()][1:] == before


def test_a_file_that_may_not_be_written_costs_the_trace_and_nothing_else(client, store, caplog):
    sound = client.get("/books/3/")
    store.close()
    with read_only(store.path):
        for _ in range(3):
            response = client.get("/books/3/")
            assert (response.status_code, response.content) == (200, sound.content)
        assert store.problem() is not None
    assert stores.lost == 3
    assert len(caplog.records) == 1
    assert client.get("/books/3/").status_code == 200
    assert store.count() == 2


@pytest.mark.parametrize("what", ["file", "folder", "log"])
def test_what_is_deleted_is_begun_anew_and_no_request_is_lost(client, store, what, caplog):
    client.get("/books/3/")
    if what == "log":
        for suffix in ("-wal", "-shm"):
            store.path.with_name(store.path.name + suffix).unlink()
    else:
        for file in store.path.parent.glob("traces.sqlite3*"):
            file.unlink()
    assert client.get("/books/3/").status_code == 200
    assert client.get("/books/3/").status_code == 200
    assert stores.lost == 0
    assert store.count() >= 2
    assert caplog.records == []


@pytest.mark.parametrize(
    "garbage", [b"", b"\0" * 20_000, b"SQLite format 3\0" + b"\xff" * 9000, b"x" * 20_000]
)
def test_a_file_that_is_overwritten_between_two_requests_costs_what_was_in_it_alone(
    client, store, garbage, caplog
):
    client.get("/books/3/")
    store.close()
    store.path.write_bytes(garbage)
    for _ in range(3):
        assert client.get("/books/3/").status_code == 200
    assert stores.lost == 0
    assert store.count() == 3
    assert len(caplog.records) == (1 if garbage else 0)


def test_a_file_that_is_overwritten_while_it_is_open_costs_no_request_and_no_exception(client, store):
    for _ in range(20):
        client.get("/books/3/")
    store._file.run(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    with store.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (store.path.stat().st_size - 4096))
    responses = [client.get("/books/3/").status_code for _ in range(5)]
    assert responses == [200] * 5
    store.close()
    assert client.get("/books/3/").status_code == 200
    assert store.count() >= 1


# How long a request may have to wait


@pytest.fixture
def waits(monkeypatch):
    """For how many seconds SQLite was told to wait, by each thread; how long it took is the machine's."""
    waits = defaultdict(list)
    left = sqlite_file._seconds_left

    def noted(deadline):
        waits[threading.get_ident()].append(left(deadline))
        return waits[threading.get_ident()][-1]

    monkeypatch.setattr(sqlite_file, "_seconds_left", noted)
    return waits


def test_a_file_that_stays_locked_costs_one_wait_and_not_one_a_request(client, store, monkeypatch, waits):
    monkeypatch.setattr(sqlite_file, "LOCK_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(sqlite_file, "SHORT_LOCK_TIMEOUT_SECONDS", 0.02)
    monkeypatch.setattr(sqlite_file, "SHORT_LOCK_TIMEOUT_FOR_SECONDS", PATIENCE_SECONDS)
    client.get("/books/3/")
    with locked_by_another_process(store.path):
        waits.clear()
        client.get("/books/3/")
        [first] = waits.values()
        assert 0.02 < max(first) <= 1.0
        waits.clear()
        for _ in range(10):
            client.get("/books/3/")
        [others] = waits.values()
        assert max(others) <= 0.02
    assert stores.lost == 11
    client.get("/books/3/")
    assert stores.lost == 11
    assert store._file._locked_until == 0.0  # from now on it waits again


def test_threads_do_not_wait_one_after_the_other(store, monkeypatch, waits):
    monkeypatch.setattr(sqlite_file, "LOCK_TIMEOUT_SECONDS", 0.5)
    store.save(a_trace(1))
    refused, began = [], []

    def save(number):
        began.append(time.monotonic())
        try:
            store.save(a_trace(number))
        except StoreError as error:
            refused.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(2, 12)]
    with locked_by_another_process(store.path):
        waits.clear()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
    assert len(refused) == 10
    # Until half a second after the last one began, all together: and not ten times half a second.
    assert sum(map(max, waits.values())) <= 0.5 + max(began) - min(began) + 0.1
    for error in refused:  # one has waited for the lock, the others for that one
        assert str(error).endswith("other threads wait for it already") or (
            sqlite_code(error) == sqlite3.SQLITE_BUSY
        )
    assert store.count() == 1


# A disk that is full


def test_a_process_whose_files_may_not_grow_goes_on_and_loses_no_trace_that_was_kept(tmp_path):
    command = [sys.executable, "-m", "tests.faults.full_disk", tmp_path / "folder" / "traces.sqlite3"]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["kept"][-1] is False
    assert told["lost"] == told["kept"].count(False) > 1
    assert [line.partition(":")[0] for line in told["logged"]] == ["A trace could not be kept"]
    assert told["still there"]
    assert told["listed"] == 1 + told["kept"].count(True)
    assert told["again"] is True
    kept = [number for number, was_kept in enumerate(told["kept"], 2) if was_kept]
    assert told["ids"] == [1, *kept, 100]
