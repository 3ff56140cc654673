"""
How does the store reach its database without touching a connection of the user's?

By a connection of its own, one a process, on a thread of its own. ``connections[alias]`` will not do,
since saving would then take part in whatever the user's code does there: a trace would be rolled back
with ``ATOMIC_REQUESTS``, could not be saved in a transaction that PostgreSQL has aborted, or in a block
that ends on an event loop (Django refuses its connections there); and a request that never needed that
database would hold a connection to it until the server's limit is reached. So the backend's wrapper is
made anew from the settings of the alias: it is in no ``connections``, in no pool, and tells neither
``connection_created`` nor the SQL log of it, because a receiver may run queries, count, or reach for
``connections[alias]``. The thread belongs to no request and no event loop, its context is empty (so
nothing of it is recorded), and whoever waits for it can stop waiting when a server does not answer. What
is not used is closed soon, and under a test runner at once, which could not drop its database otherwise.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import random
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple, TypeVar

from django.core import mail
from django.db import Error, IntegrityError, connections
from django.db.backends.utils import CursorWrapper
from django.utils.connection import ConnectionDoesNotExist

from dbroute_panel.stores.base import StoreError
from dbroute_panel.stores.database.wrapper import NO_TABLE, TRANSIENT, is_one_of, made

T = TypeVar("T")
Work = Callable[[CursorWrapper], T]

#: How long somebody waits for what is done on it, other processes' locks and all.
SECONDS: Final = 10.0
#: After so long without work the connection is closed and its thread ends.
IDLE_SECONDS: Final = 30.0
#: A database that did not answer is left alone for so long, and twice as long each time, up to the second.
PAUSE_SECONDS: Final = (1.0, 30.0)

#: By vendor: a trace is not worth waiting for a disk, or for the replicas that a commit is made to wait for.
BEGIN: Final = {"postgresql": "BEGIN; SET LOCAL synchronous_commit = off"}

_lock = threading.RLock()
_used: weakref.WeakSet[OwnConnection] = weakref.WeakSet()
_abandoned: list[_Worker] = []
_random = random.Random()  # noqa: S311 - how long to wait is no secret; never the user's own generator


class OwnConnection:
    """
    The connection of this process to the database ``alias``. Making one opens nothing.

    It is opened when there is work, and again after anything went wrong with it, after a fork, and
    when the settings of the alias have changed.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._worker: _Worker | None = None
        self._pause = 0.0
        self._down = ""
        self._again_at = 0.0

    def run(self, work: Work[T], *, then: Work[object] | None = None, seconds: float = SECONDS) -> T:
        """
        ``work(cursor)`` in a transaction of its own, and again if that met a deadlock.

        ``then`` follows in another, once the first is committed; what goes wrong there does not matter.
        Raises ``StoreError``: at once for a while after the database did not answer, so that not every
        request waits for it, else after ``seconds`` at the latest.
        """
        with _lock:
            if (wait := self._again_at - time.monotonic()) > 0:
                raise StoreError(f"{self._down} It is tried again in {wait:.0f} s.")
            worker = self._working()
            job = worker.take(work, then, seconds)
        if threading.current_thread() is worker:
            # A response that nobody closed is delivered when it is collected, wherever that is: here too.
            return None  # type: ignore[return-value]
        try:
            return job.result(seconds)
        except TimeoutError as error:
            job.cancel()
            text = f"The database {self.alias!r} did not answer within {seconds:g} s."
            with _lock:
                if self._worker is worker:
                    self._worker = None
                    self.is_down(text)
            worker.jobs.put(None)  # it ends when it comes back
            raise StoreError(text) from error

    def is_down(self, why: str) -> None:
        """Leave the database alone for a while."""
        first, longest = PAUSE_SECONDS
        self._pause = min(max(first, self._pause * 2), longest)
        self._down = why
        self._again_at = time.monotonic() + self._pause

    def is_up(self) -> None:
        self._pause = self._again_at = 0.0

    def close(self) -> None:
        """Close the connection when what is under way is done. It can still be used afterwards."""
        with _lock:
            worker, self._worker = self._worker, None
            if worker is None or worker.process != os.getpid():
                return
            worker.jobs.put(None)
            if threading.current_thread() is not worker:
                worker.join(SECONDS)

    def leave(self, worker: _Worker) -> bool:
        """Whether ``worker`` may end: no work came meanwhile."""
        if not _lock.acquire(blocking=False):
            return False  # somebody is bringing work, or closing
        try:
            if self._worker is worker and worker.jobs.empty():
                self._worker = None
            return self._worker is not worker
        finally:
            _lock.release()

    def _working(self) -> _Worker:
        if self._worker is not None and self._worker.process != os.getpid():
            # Carried over a fork without Python's hooks: the connection is the parent's to close.
            _abandoned.append(self._worker)
            self._worker = None
        if self._worker is None:
            self._worker = _Worker(self)
            _used.add(self)
        return self._worker


class _Job(NamedTuple):
    """What is to be done, and where what became of it is waited for."""

    outcome: Future[Any]
    work: Work[Any]
    then: Work[object] | None
    seconds: float


class _Worker(threading.Thread):
    """The thread that has the connection, and does one job after another."""

    def __init__(self, own: OwnConnection) -> None:
        super().__init__(name=f"dbroute_panel store ({own.alias})", daemon=True)
        self.own = own
        self.process = os.getpid()
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self.connection: Any = None
        self.opened_for: dict[str, Any] | None = None

    def take(self, work: Work[T], then: Work[object] | None, seconds: float) -> Future[T]:
        """Do ``work`` when what came before is done; the thread begins with the first."""
        job: Future[T] = Future()
        self.jobs.put(_Job(job, work, then, seconds))
        if self.ident is None:
            try:
                self.start()
            except RuntimeError:  # at the end of the interpreter no thread begins: then it is done here
                self.own._worker = None
                self.jobs.put(None)
                self.run()
        return job

    def run(self) -> None:
        contextvars.Context().run(self._serve)

    def _serve(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=IDLE_SECONDS)
            except Empty:
                if self.own.leave(self):
                    break
                continue
            if job is None:
                break
            self._do(job)
            del job  # nothing of it is held while there is nothing to do
        self._close()

    def _do(self, job: _Job) -> None:
        if not job.outcome.set_running_or_notify_cancel():
            return
        deadline = time.monotonic() + job.seconds
        try:
            result = self._done(job.work, deadline)
            if job.then is not None:
                with suppress(StoreError):
                    self._done(job.then, deadline)
        except BaseException as error:  # noqa: BLE001 - it is raised where the job came from
            outcome = partial(job.outcome.set_exception, error)
        else:
            outcome = partial(job.outcome.set_result, result)
        if hasattr(mail, "outbox"):  # as setup_test_environment() leaves it
            self._close()
        outcome()

    def _done(self, work: Work[T], deadline: float) -> T:
        try:
            while True:
                was_open = self._connect()
                try:
                    return self._in_transaction(work)
                except Error as error:
                    # One that was open may have been closed by the server meanwhile: try a new one.
                    again = was_open or isinstance(error, IntegrityError) or is_one_of(error, TRANSIENT)
                    if not again or time.monotonic() > deadline:
                        raise
                    self._close()
                    time.sleep(_random.uniform(0.001, 0.02))
        except StoreError:
            raise
        except Exception as error:
            self._close()
            raise StoreError(self._in_words(error)) from error

    def _in_transaction(self, work: Work[T]) -> T:
        with self.connection.cursor() as cursor:
            cursor.execute(BEGIN.get(self.connection.vendor, "BEGIN"))
            result = work(cursor)
            cursor.execute("COMMIT")
        return result

    def _connect(self) -> bool:
        """Whether there was a connection already."""
        own = self.own
        try:
            if (given := connections.settings.get(own.alias)) is None:
                raise ConnectionDoesNotExist("it is no longer in DATABASES")
            if self.connection is not None and self.opened_for == given:
                return True
            self._close()
            self.connection = made(own.alias)
            self.opened_for = dict(given)
            self.connection.ensure_connection()
        except Exception as error:
            self._close()
            own.is_down(f"The database {own.alias!r} cannot be reached: {one_line(error)}.")
            raise StoreError(own._down) from error
        own.is_up()
        return False

    def _close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            with suppress(Exception):  # it may be broken: then there is nothing left to close
                connection.close()

    def _in_words(self, error: Exception) -> str:
        if is_one_of(error, NO_TABLE) or "no such table" in str(error):
            return no_tables(self.own.alias)
        return f"The database {self.own.alias!r} cannot be used: {one_line(error)}."


def no_tables(alias: str) -> str:
    from dbroute_panel.stores.database.apps import StoreConfig

    command = f"manage.py migrate --database={alias} {StoreConfig.label}"
    return f"The database {alias!r} has no tables for traces. Make them with {command!r}."


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _close_all() -> None:
    for own in list(_used):
        own.close()


def _before_fork() -> None:
    _lock.acquire()
    _close_all()


def _after_fork() -> None:
    _lock.release()


atexit.register(_close_all)
if sys.platform != "win32":  # pragma: no branch
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
