"""
Replicas that are files of their own, copied by SQLite's online backup.

``catch_up(alias)`` is what the engine of a replica (``example_site.replica``) calls before every read. With
a lag of 0 it copies whatever the primary has committed since, so that a reader never sees a difference. With
a lag of N seconds a commit shows up N seconds later; with a lag of ``None``, when ``replicate()`` is called.
The lag is kept in a file, so that it holds for every process that serves the site.

Only plain ``sqlite3`` connections are used here, never one of Django's.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.conf import settings

PRIMARY = "primary"


def lag() -> float | None:
    try:
        text = _lag_file().read_text()
    except FileNotFoundError:
        return 0.0
    return None if text == "until replicate" else float(text)


def set_lag(seconds: float | None) -> None:
    new = _lag_file().with_suffix(".new")
    new.write_text("until replicate" if seconds is None else str(seconds))
    new.replace(_lag_file())


def replicate(replicas: list[str]) -> None:
    for alias in replicas:
        _follower(alias).copy()


def catch_up(alias: str) -> None:
    """Bring one replica up to what its lag allows a reader to see."""
    _follower(alias).catch_up(lag())


def behind(alias: str) -> bool:
    catch_up(alias)
    return _content(_file(PRIMARY)) != _content(_file(alias))


def copy_databases(folder: Path) -> None:
    """Copy every database of the site into another folder, also while they are written to."""
    for alias, database in settings.DATABASES.items():
        if database.get("NAME"):
            with (
                closing(sqlite3.connect(_uri(_file(alias), "ro"), uri=True)) as source,
                closing(sqlite3.connect(folder / _file(alias).name)) as target,
            ):
                source.backup(target)


def forget() -> None:
    with _registry_lock:
        for follower in _followers.values():
            follower.close()
        _followers.clear()


class _Follower:
    """One replica as this process knows it."""

    def __init__(self, alias: str) -> None:
        self.primary = _file(PRIMARY)
        self.replica = _file(alias)
        self.lock = threading.Lock()
        # A connection that never writes: its data_version rises with every commit of anybody else's.
        self.monitor = sqlite3.connect(
            _uri(self.primary, "ro"), uri=True, isolation_level=None, check_same_thread=False
        )
        self.copied_version: int | None = None
        self.noticed_at: float | None = None

    def catch_up(self, lag: float | None) -> None:
        with self.lock:
            if lag is None or self.copied_version == self._version():
                return
            if lag:
                # The commit may be older than the moment in which somebody first looks.
                self.noticed_at = self.noticed_at or self._last_commit()
                if time.time() - self.noticed_at < lag:
                    return
            self._copy()

    def copy(self) -> None:
        with self.lock:
            self._copy()

    def close(self) -> None:
        with self.lock:
            self.monitor.close()

    def _version(self) -> int:
        version: int = self.monitor.execute("PRAGMA data_version").fetchone()[0]
        return version

    def _copy(self) -> None:
        # One process at a time: else a slow one could put an older state over a newer one.
        with _only_process():
            version = self._version()
            with (
                closing(sqlite3.connect(_uri(self.primary, "ro"), uri=True)) as source,
                closing(sqlite3.connect(self.replica, isolation_level=None)) as target,
            ):
                # With a write-ahead log, readers of the replica and writers of the primary do not wait.
                target.execute("PRAGMA journal_mode=WAL")
                source.backup(target)
        # A commit between the two lines above is copied, too, and then once more: never too little.
        self.copied_version = version
        self.noticed_at = None

    def _last_commit(self) -> float:
        log = Path(f"{self.primary}-wal")
        return max(file.stat().st_mtime for file in (self.primary, log) if file.exists())


_followers: dict[str, _Follower] = {}
_registry_lock = threading.Lock()


def _follower(alias: str) -> _Follower:
    with _registry_lock:
        if alias not in _followers:
            _followers[alias] = _Follower(alias)
        return _followers[alias]


def _file(alias: str) -> Path:
    return Path(settings.DATA, f"{alias}.sqlite3")


def _lag_file() -> Path:
    return Path(settings.DATA, "lag")


def _uri(file: Path, mode: str) -> str:
    return f"{file.as_uri()}?mode={mode}"


def _content(file: Path) -> list[str] | None:
    """Everything that a database file holds, or None where there is none."""
    if not file.exists():
        return None
    with closing(sqlite3.connect(_uri(file, "ro"), uri=True)) as connection:
        return list(connection.iterdump())


@contextmanager
def _only_process() -> Iterator[None]:
    """Holds a lock that works between processes everywhere: SQLite's own, on a file that is made for it."""
    with closing(
        sqlite3.connect(Path(settings.DATA, "lock"), timeout=30, isolation_level=None)
    ) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
