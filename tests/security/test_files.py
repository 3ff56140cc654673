"""The store's files are readable by their owner alone, whatever the umask, and whatever was there before."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from dbroute_panel.stores import SQLiteStore
from tests.traces import a_trace

OTHERS = stat.S_IRWXG | stat.S_IRWXO


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """The user's cache folder, where the store is unless it is told otherwise."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def modes(folder):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def written(store):
    """The modes of the store's files, while it is open and in the middle of writing."""
    store.save(a_trace(1))
    store.save(a_trace(2))
    found = modes(store.path.parent)
    assert {store.path.name, f"{store.path.name}-wal", f"{store.path.name}-shm"} <= set(found)
    return found


def test_the_folder_is_0700_and_each_file_0600(cache, umask):
    store = SQLiteStore()
    try:
        assert set(written(store).values()) == {0o600}
        assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
        assert store.path.is_relative_to(cache)
    finally:
        store.close()


def test_also_in_a_folder_that_was_open_to_all(cache, umask):
    store = SQLiteStore()
    store.path.parent.mkdir(parents=True, exist_ok=True)
    store.path.parent.chmod(0o777)
    try:
        assert set(written(store).values()) == {0o600}
        assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    finally:
        store.close()


def test_a_file_that_others_could_read_is_narrowed(tmp_path, umask):
    """As one is that was copied here, or restored from a backup; its log too."""
    store = SQLiteStore(tmp_path / "own" / "traces.sqlite3")
    written(store)
    for path in store.path.parent.iterdir():
        path.chmod(0o666)
    again = SQLiteStore(store.path)
    try:
        assert again.count() == 2
        assert set(modes(store.path.parent).values()) == {0o600}
    finally:
        again.close()
        store.close()


def test_a_folder_of_the_users_keeps_its_mode_and_the_files_are_as_private(tmp_path, umask):
    """OPTIONS["path"] may be in a folder that other things are in; that one is not ours to close."""
    tmp_path.chmod(0o755)
    store = SQLiteStore(tmp_path / "traces.sqlite3")
    try:
        assert set(written(store).values()) == {0o600}
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    finally:
        store.close()


def test_what_is_set_aside_stays_private(tmp_path, umask):
    store = SQLiteStore(tmp_path / "traces.sqlite3")
    store.save(a_trace(1))
    store.close()
    store.path.write_bytes(b"no database" * 1000)
    try:
        store.save(a_trace(2))
        found = modes(tmp_path)
        assert "traces.sqlite3.corrupt" in found
        assert not any(mode & OTHERS for mode in found.values())
    finally:
        store.close()


def test_no_other_user_ever_sees_the_file_open_to_them(tmp_path):
    """Not even for the moment between making it and narrowing it: it is made as private as it stays."""
    script = (
        "import os, sys; os.umask(0)\n"
        "real, seen = os.open, []\n"
        "def watched(path, flags, mode=0o777, **rest):\n"
        "    if str(path).endswith('sqlite3') and flags & os.O_CREAT: seen.append(mode)\n"
        "    return real(path, flags, mode, **rest)\n"
        "os.open = watched\n"
        "from django.conf import settings; settings.configure()\n"
        "from pathlib import Path\n"
        "from dbroute_panel.stores.sqlite import SQLiteStore\n"
        "SQLiteStore(sys.argv[1]).count()\n"
        "os.stat(sys.argv[1]); print(seen == [0o600])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "traces.sqlite3")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n"
