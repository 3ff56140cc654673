"""
How does the store reach its database without touching a connection of the user's?

By a connection of its own, on a thread of its own. ``connections[alias]`` will not do,
since saving would then take part in whatever the user's code does there: a trace would be rolled back
with ``ATOMIC_REQUESTS``, could not be saved in a transaction that PostgreSQL has aborted, or in a block
that ends on an event loop (Django refuses its connections there); and a request that never needed that
database would hold a connection to it until the server's limit is reached. So the backend's wrapper is
made anew from the settings of the alias: it is in no ``connections``, in no pool, and tells neither
``connection_created`` nor the SQL log of it, because a receiver may run queries, count, or reach for
``connections[alias]``. The thread belongs to no request and no event loop, its context is empty (so
nothing of it is recorded), and whoever waits for it can stop waiting when a server does not answer: then the
server is told beforehand how long it may take, it is hung up on, and until the thread has come back there
is no other, so that a server in trouble is not sent more and more connections. What is not used is closed
soon, and under a test runner at once, which could not drop its database otherwise.
"""

from __future__ import annotations

import atexit
import contextvars
import math
import os
import sys
import threading
import time
import weakref
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple, TypeVar

from django.core import mail

from dbroute_panel.stores.base import StoreError
from dbroute_panel.stores.database.session import Session, Unreachable, Work, is_over

T = TypeVar("T")

#: How long somebody waits for what is done on it, other processes' locks and all.
SECONDS: Final = 10.0
#: After so long without work the connection is closed and its thread ends.
IDLE_SECONDS: Final = 30.0
#: A database that did not answer is left alone for so long, and twice as long each time, up to the second.
PAUSE_SECONDS: Final = (1.0, 30.0)

#: A fork waits so long for what is under way, and then leaves it to the parent.
FORK_SECONDS: Final = 1.0

_lock = threading.RLock()
_used: weakref.WeakSet[OwnConnection] = weakref.WeakSet()
_abandoned: list[_Worker] = []


class OwnConnection:
    """
    A connection of this process to the database ``alias``. Making one opens nothing.

    It is opened when there is work, and again after anything went wrong with it, after a fork, and
    when the settings of the alias have changed.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._worker: _Worker | None = None
        self._left: list[_Worker] = []  # they were told to end, and may not have ended yet
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
            text = f"The database {self.alias!r} did not answer within {seconds:g} s."
            if job.cancel() and not worker.is_late():
                text = f"The database {self.alias!r} was busy with other traces for {seconds:g} s."
            elif self.is_late(worker, text):
                worker.give_up()
            raise StoreError(text) from error

    def is_late(self, worker: _Worker, why: str) -> bool:
        """Leave the database alone if ``worker`` is at something for longer than that may take."""
        with _lock:
            if self._worker is not worker or not worker.is_late():
                return False
            self._worker = None
            self._left.append(worker)
            self.is_down(why)
            return True

    def is_down(self, why: str) -> None:
        """Leave the database alone for a while."""
        first, longest = PAUSE_SECONDS
        self._pause = min(max(first, self._pause * 2), longest)
        self._down = why
        self._again_at = time.monotonic() + self._pause

    def is_up(self) -> None:
        self._pause = self._again_at = 0.0

    def close(self, seconds: float = SECONDS) -> None:
        """Close the connection when what is under way is done. It can still be used afterwards."""
        with _lock:
            self._drop_those_of_another_process()
            worker, self._worker = self._worker, None
            if worker is None:
                return
            self._left.append(worker)
            worker.jobs.put(None)
        # Not under the lock: every request needs it, and perhaps what is under way.
        if threading.current_thread() is not worker:
            worker.join(seconds)

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
        self._drop_those_of_another_process()
        if self._worker is None:
            self._left = [worker for worker in self._left if worker.is_alive()]
            if len(self._left) > 1 or any(worker.is_late() for worker in self._left):
                raise StoreError(f"The database {self.alias!r} has yet to answer what it was asked before.")
            self._worker = _Worker(self)
            _used.add(self)
        return self._worker

    def _drop_those_of_another_process(self) -> None:
        """What came along in a fork: the connection is the parent's to close, so it is kept for ever."""
        process = os.getpid()
        _abandoned.extend(worker for worker in self._left if worker.process != process)
        self._left = [worker for worker in self._left if worker.process == process]
        if self._worker is not None and self._worker.process != process:
            _abandoned.append(self._worker)
            self._worker = None


class _Job(NamedTuple):
    """What is to be done, and where what became of it is waited for."""

    outcome: Future[Any]
    work: Work[Any]
    then: Work[object] | None
    seconds: float
    taken_at: float


class _Worker(threading.Thread):
    """The thread that has the connection, and does one job after another."""

    def __init__(self, own: OwnConnection) -> None:
        super().__init__(name=f"dbroute_panel store ({own.alias})", daemon=True)
        self.own = own
        self.process = os.getpid()
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self.session = Session(own.alias)
        self.free_since = 0.0
        self.until = math.inf  # when what is under way should have been done

    def is_late(self) -> bool:
        return is_over(self.until)

    def give_up(self) -> None:
        """It ends, and so does what it waits for."""
        self.jobs.put(None)
        self.session.hang_up()

    def take(self, work: Work[T], then: Work[object] | None, seconds: float) -> Future[T]:
        """Do ``work`` when what came before is done; the thread begins with the first."""
        job: Future[T] = Future()
        self.jobs.put(_Job(job, work, then, seconds, time.monotonic()))
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
        self.session.close()

    def _do(self, job: _Job) -> None:
        if not job.outcome.set_running_or_notify_cancel():
            return
        if self.session.hung_up:
            job.outcome.set_exception(StoreError(self.own._down))
            return
        # It may take as long as it would have taken without what came before.
        self.until = max(job.taken_at, self.free_since) + job.seconds
        try:
            result = self._done(job.work)
            if job.then is not None:
                with suppress(StoreError):
                    self._done(job.then)
        except BaseException as error:  # noqa: BLE001 - it is raised where the job came from
            outcome = partial(job.outcome.set_exception, error)
        else:
            outcome = partial(job.outcome.set_result, result)
            if not self.is_late():
                self.own.is_up()
        late = f"The database {self.own.alias!r} did not answer within {job.seconds:g} s."
        # Asked first without the lock: its holder may be waiting for this.
        if self.is_late() and self.own.is_late(self, late):
            self.give_up()
        self.until = math.inf
        self.free_since = time.monotonic()
        if hasattr(mail, "outbox"):  # as setup_test_environment() leaves it
            self.session.close()
        outcome()

    def _done(self, work: Work[T]) -> T:
        try:
            return self.session.run(work, self.until)
        except Unreachable as error:
            if not self.session.hung_up:
                self.own.is_down(str(error))
            raise


def _close_all(seconds: float = SECONDS) -> None:
    with _lock:
        used = list(_used)
    until = time.monotonic() + seconds
    for own in used:
        own.close(max(until - time.monotonic(), 0))


def _before_fork() -> None:
    _close_all(FORK_SECONDS)
    _lock.acquire()


def _after_fork() -> None:
    _lock.release()


atexit.register(_close_all)
if sys.platform != "win32":  # pragma: no branch
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
