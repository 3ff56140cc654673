"""
One SQLite file that several processes share and only its owner can read.

A process has one connection, behind one lock: opening a connection for every operation was measured
at four to thirty times the cost (the last one to close checkpoints the whole log). Three things
can take the file away, and are looked for:

- ``fork()``: SQLite forbids to carry a connection over. It is closed just before and opened
  again on either side when needed; a fork that runs no Python hooks is noticed by the process id.
- the file is deleted or replaced: its inode is compared at every use.
- the file is corrupt, or of another version of this package: it is renamed, and a new one made.
  A database of something else is never touched.
"""

# ruff: noqa: PTH112, PTH113 - unlike the methods of Path, these never raise

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from dbroute_panel.stores.base import StoreError

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Marks a file as ours (``PRAGMA application_id``): "dbrt".
APPLICATION_ID: Final = 0x64627274
#: How long one operation waits for the locks of other processes and threads.
LOCK_TIMEOUT_SECONDS: Final = 5.0
#: How long it waits in the time after one has waited in vain: a file that stays locked must not cost every
#: request of a site the whole timeout.
SHORT_LOCK_TIMEOUT_SECONDS: Final = 0.1
SHORT_LOCK_TIMEOUT_FOR_SECONDS: Final = 60.0

_lock = threading.RLock()
_files: weakref.WeakSet[StoreFile] = weakref.WeakSet()
_abandoned: list[sqlite3.Connection] = []


class StoreFile:
    """
    The file at ``path``. Making one touches nothing; the file is made when it is first used.

    ``schema`` are the statements that make the tables of ``version``. ``private_folder`` says
    that the folder is ours too, so that its mode is set even if it is already there.
    """

    def __init__(self, path: Path, *, schema: str, version: int, private_folder: bool) -> None:
        self.path = path
        self.schema = schema
        self.version = version
        self.private_folder = private_folder
        self._opened: _Opened | None = None
        self._inode = (0, 0)  # of the file that was opened last
        self._locked_until = 0.0  # time.monotonic() until which the short timeout applies
        with _lock:
            _files.add(self)

    def run(self, work: Callable[[sqlite3.Connection], T], *, write: bool = False) -> T:
        """
        Run ``work(connection)``, in a transaction if it writes. Raises ``StoreError``.

        The transaction is IMMEDIATE: one that reads first and writes later is refused at once,
        without waiting, if another process wrote in between.
        """
        now = time.monotonic()
        deadline = now + (SHORT_LOCK_TIMEOUT_SECONDS if now < self._locked_until else LOCK_TIMEOUT_SECONDS)
        if not _lock.acquire(timeout=deadline - now):
            raise StoreError(f"{self.path} cannot be used: other threads wait for it already")
        try:
            return self._run_repeatedly(work, write, deadline)
        except (sqlite3.Error, OSError, StoreError) as error:
            self.close()
            raise StoreError(f"{self.path} cannot be used: {error}") from error
        finally:
            _lock.release()

    def _run_repeatedly(self, work: Callable[[sqlite3.Connection], T], write: bool, deadline: float) -> T:
        while True:
            try:
                result = self._run_once(work, write, deadline)
            except sqlite3.Error as error:
                if not self._repair(error) or time.monotonic() > deadline:
                    if has_code(error, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                        self._locked_until = time.monotonic() + SHORT_LOCK_TIMEOUT_FOR_SECONDS
                    raise
            else:
                if write:
                    self._locked_until = 0.0
                return result

    def _run_once(self, work: Callable[[sqlite3.Connection], T], write: bool, deadline: float) -> T:
        connection = self._connect(deadline)
        connection.execute(f"PRAGMA busy_timeout = {round(_seconds_left(deadline) * 1000)}")
        if not write:
            return work(connection)
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            return work(connection)

    def _repair(self, error: sqlite3.Error) -> bool:
        """Repair what can be; return whether it is then worth another attempt, on a new connection."""
        self.close()
        if isinstance(error, _OtherVersionError):
            self._set_aside(f"version-{error}")
        elif has_code(error, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            self._set_aside("corrupt")
        elif not has_code(error, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return False
        time.sleep(0.005)
        return True

    def close(self) -> None:
        with _lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    def problem(self) -> str | None:
        """Return why the file cannot be written, in one sentence, or None. Changes nothing."""
        folder = self.path.parent
        if os.path.lexists(self.path):
            if not os.path.isfile(self.path):
                return f"{self.path} is not a file."
            if not (os.access(self.path, os.R_OK | os.W_OK) and os.access(folder, os.W_OK | os.X_OK)):
                return f"{self.path} or its folder cannot be read and written."
            return None
        folder = next(folder for folder in self.path.parents if os.path.lexists(folder))
        if not os.path.isdir(folder):
            return f"{self.path} cannot be made: {folder} is not a folder."
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"{self.path} cannot be made: {folder} cannot be written."
        return None

    def _connect(self, deadline: float) -> sqlite3.Connection:
        if self._opened is not None and self._opened.process != os.getpid():
            # Carried over a fork: it is the parent's to close, so it must not be closed here.
            self._opened.close.detach()
            _abandoned.append(self._opened.connection)
            self._opened = None
        if self._opened is not None and _read_inode(self.path) == self._inode:
            return self._opened.connection
        self.close()
        self._create()
        connection = sqlite3.connect(
            self.path, timeout=_seconds_left(deadline), isolation_level=None, check_same_thread=False
        )
        # Closes it when this object goes, and when the interpreter ends.
        opened = _Opened(connection, weakref.finalize(self, connection.close), os.getpid())
        self._inode = _read_inode(self.path)
        try:
            self._prepare(connection)
            self._restrict_modes()
        except BaseException:  # an interrupt too must not leave it open, and half prepared
            opened.close()
            raise
        self._opened = opened
        return connection

    def _create(self) -> None:
        """
        Create an empty file, readable by its owner alone; SQLite gives its other files the same mode.

        Never opens a file that is there: closing it again would drop the locks that SQLite holds
        on it elsewhere in this process (https://www.sqlite.org/howtocorrupt.html, 2.2).
        """
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.private_folder and folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
        _create_private(self.path)

    def _restrict_modes(self) -> None:
        """Take the rights of others from a file of ours that was copied here, or made by hand."""
        for suffix in ("", "-wal", "-shm"):
            path = self.path.with_name(self.path.name + suffix)
            if path.exists() and path.stat().st_mode & 0o077:
                path.chmod(0o600)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables of a new file; raise an exception if it is not ours, or of another version."""
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        if self._is_new(connection):
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                if self._is_new(connection):  # or another process was faster
                    for statement in self.schema.split(";"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    connection.execute(f"PRAGMA user_version = {self.version}")
        if _read_pragma(connection, "application_id") != APPLICATION_ID:
            raise StoreError("it is a database of something else")
        if (found := _read_pragma(connection, "user_version")) != self.version:
            raise _OtherVersionError(found)

    @staticmethod
    def _is_new(connection: sqlite3.Connection) -> bool:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return not tables and _read_pragma(connection, "application_id") == 0

    def _set_aside(self, why: str) -> None:
        """
        Rename the file that was opened last, in place of one set aside for the same reason before.

        Several processes find out at once, and the second must not rename the new file of the first.
        A lock on a second SQLite file is the one that works everywhere and ends with its process.
        """
        guard_path = self.path.with_name(self.path.name + ".lock")
        _create_private(guard_path)
        guard = sqlite3.connect(guard_path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)
        try:
            guard.execute("BEGIN EXCLUSIVE")
            if _read_inode(self.path) != self._inode:
                return
            aside = self.path.with_name(f"{self.path.name}.{why}")
            for suffix in ("-wal", "-shm", ""):
                source = self.path.with_name(self.path.name + suffix)
                if source.exists():
                    source.replace(aside.with_name(aside.name + suffix))
            logger.warning("%s could not be used (%s) and is now %s.", self.path, why, aside)
        finally:
            guard.close()


class _Opened(NamedTuple):
    """An open connection, how to close it for good, and the process that opened it."""

    connection: sqlite3.Connection
    close: weakref.finalize[..., StoreFile]
    process: int


class _OtherVersionError(sqlite3.DatabaseError):
    """The file is ours, but of the version that is the exception's text."""


def has_code(error: sqlite3.Error, *codes: int) -> bool:
    """Return whether the error has one of these codes; the low byte of an extended code is the plain one."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in codes


def _seconds_left(deadline: float) -> float:
    """Return the seconds until ``deadline``; a few milliseconds if it is over, because each may try once."""
    return max(0.005, deadline - time.monotonic())


def _read_pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _read_inode(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _create_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return


def _before_fork() -> None:
    _lock.acquire()
    for file in list(_files):
        file.close()


def _after_fork() -> None:
    _lock.release()


if sys.platform != "win32":  # pragma: no branch
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
