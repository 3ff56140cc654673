"""
A connection to the store's database that has nothing to do with the user's, on a thread of its own.

``connections[alias]`` of the caller would make saving take part in whatever the user's code does there: a
trace would be rolled back with ``ATOMIC_REQUESTS``, and could not be saved in a transaction that PostgreSQL
has aborted. On a thread that belongs to no request and no event loop a trace can be saved from everywhere
(Django refuses its connections on an event loop), its context is empty (so nothing of it is recorded), and
the caller can stop waiting when a server does not answer. Until the thread has come back no other is started,
so that a server in trouble is not sent more and more connections.
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

#: How long a caller waits for its work, other processes' locks and all.
WORK_TIMEOUT_SECONDS: Final = 10.0
#: The connection is closed and its thread ends after this time without work.
IDLE_SECONDS: Final = 30.0
#: How long a database that did not answer is left alone: first, and at most. It doubles each time.
PAUSE_SECONDS: Final = (1.0, 30.0)
#: How long work that did not end in time keeps others from being tried; then its thread is given up.
ABANDON_SECONDS: Final = 60.0
#: How long a fork waits for what is under way; then that is left to the parent.
FORK_TIMEOUT_SECONDS: Final = 1.0

_lock = threading.RLock()
_connections: weakref.WeakSet[StoreConnection] = weakref.WeakSet()
_abandoned: list[_Worker] = []


class StoreConnection:
    """
    A connection of this process to the database ``alias``. Making one opens nothing.

    It is opened when there is work, and again after anything went wrong with it, after a fork, and
    when the settings of the alias have changed.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._worker: _Worker | None = None
        self._late: _Worker | None = None  # it did not end in time, or when it was told to
        self._pause = 0.0
        self._reason = ""
        self._retry_at = 0.0

    def run(
        self, work: Work[T], *, then: Work[object] | None = None, seconds: float = WORK_TIMEOUT_SECONDS
    ) -> T:
        """
        Run ``work(cursor)`` in a transaction, and again if that met a deadlock.

        ``then`` follows in another, once the first is committed; its errors are ignored.

        Raises:
            StoreError: At once for a while after the database did not answer, so that not every request
                waits for it, else after ``seconds`` at the latest.
        """
        with _lock:
            if (wait := self._retry_at - time.monotonic()) > 0:
                raise StoreError(f"{self._reason} It is tried again in {wait:.0f} s.")
            worker = self._get_worker()
            outcome = worker.submit(work, then, seconds)
        if threading.current_thread() is worker:
            # A response that was never closed is delivered when it is collected, on any thread: here too.
            return None  # type: ignore[return-value]
        try:
            return outcome.result(seconds)
        except TimeoutError as error:
            text = f"The database {self.alias!r} did not answer within {seconds:g} s."
            if outcome.cancel() and not worker.is_late():
                text = f"The database {self.alias!r} was busy with other traces for {seconds:g} s."
            else:
                self.give_up(worker, text)
            raise StoreError(text) from error

    def give_up(self, worker: _Worker, reason: str) -> None:
        """Leave the database alone if ``worker`` is at something for longer than that may take."""
        with _lock:
            if self._worker is worker and worker.is_late():
                self._worker, self._late = None, worker
                worker.jobs.put(None)
                self.mark_down(reason)

    def mark_down(self, reason: str) -> None:
        """Leave the database alone for a while."""
        first, longest = PAUSE_SECONDS
        self._pause = min(max(first, self._pause * 2), longest)
        self._reason = reason
        self._retry_at = time.monotonic() + self._pause

    def mark_up(self) -> None:
        self._pause = self._retry_at = 0.0

    def close(self, seconds: float = WORK_TIMEOUT_SECONDS) -> None:
        """Close the connection when what is under way is done. It can still be used afterwards."""
        with _lock:
            self._abandon_parents()
            worker, self._worker = self._worker, None
            if worker is None:
                return
            self._late = worker
            worker.jobs.put(None)
        # Not under the lock: every request needs it, and perhaps what is under way.
        if threading.current_thread() is not worker:
            worker.join(seconds)

    def _get_worker(self) -> _Worker:
        self._abandon_parents()
        if self._worker is None:
            if self._late is not None and self._late.blocks_others():
                raise StoreError(f"The database {self.alias!r} has yet to answer what it was asked before.")
            self._worker, self._late = _Worker(self), None
            _connections.add(self)
        return self._worker

    def _abandon_parents(self) -> None:
        """Keep what came along in a fork without using it: its connection is the parent's to close."""
        process = os.getpid()
        if self._worker is not None and self._worker.process != process:
            _abandoned.append(self._worker)
            self._worker = None
        if self._late is not None and self._late.process != process:
            _abandoned.append(self._late)
            self._late = None


class _Job(NamedTuple):
    outcome: Future[Any]
    work: Work[Any]
    then: Work[object] | None
    seconds: float
    submitted_at: float


class _Worker(threading.Thread):
    """The thread that has the connection, and does one job after another."""

    def __init__(self, owner: StoreConnection) -> None:
        super().__init__(name=f"dbroute_panel store ({owner.alias})", daemon=True)
        self.owner = owner
        self.process = os.getpid()
        self.jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self.session = Session(owner.alias)
        self.free_since = 0.0
        self.deadline = math.inf  # of the job under way

    def is_late(self) -> bool:
        return is_over(self.deadline)

    def blocks_others(self) -> bool:
        """Return whether no other may be started, because this one is at work and not given up yet."""
        return self.is_late() and self.is_alive() and time.monotonic() < self.deadline + ABANDON_SECONDS

    def submit(self, work: Work[T], then: Work[object] | None, seconds: float) -> Future[T]:
        """Do ``work`` when what came before is done; the thread starts with the first."""
        outcome: Future[T] = Future()
        self.jobs.put(_Job(outcome, work, then, seconds, time.monotonic()))
        if self.ident is None:
            try:
                self.start()
            except RuntimeError:  # no thread starts while the interpreter ends: then it is done here
                self.owner._worker = None
                self.jobs.put(None)
                self.run()
        return outcome

    def run(self) -> None:
        contextvars.Context().run(self._serve)

    def _serve(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=IDLE_SECONDS)
            except Empty:
                with _lock:
                    if self.jobs.empty():
                        if self.owner._worker is self:
                            self.owner._worker = None
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
        # It may take as long as it would have taken without what came before.
        self.deadline = max(job.submitted_at, self.free_since) + job.seconds
        try:
            result = self._run(job.work)
            if job.then is not None:
                with suppress(StoreError):
                    self._run(job.then)
        except BaseException as error:  # noqa: BLE001 - it is raised where the job came from
            deliver = partial(job.outcome.set_exception, error)
        else:
            deliver = partial(job.outcome.set_result, result)
            if not self.is_late():
                self.owner.mark_up()
        if self.is_late():
            late = f"The database {self.owner.alias!r} did not answer within {job.seconds:g} s."
            self.owner.give_up(self, late)
        self.deadline = math.inf
        self.free_since = time.monotonic()
        if hasattr(mail, "outbox"):  # setup_test_environment() was called: its databases will be dropped
            self.session.close()
        deliver()

    def _run(self, work: Work[T]) -> T:
        try:
            return self.session.run(work, self.deadline)
        except Unreachable as error:
            self.owner.mark_down(str(error))
            raise


def _close_all(seconds: float = WORK_TIMEOUT_SECONDS) -> None:
    with _lock:
        used = list(_connections)
    deadline = time.monotonic() + seconds
    for connection in used:
        connection.close(max(deadline - time.monotonic(), 0))


def _before_fork() -> None:
    _close_all(FORK_TIMEOUT_SECONDS)
    _lock.acquire()


def _after_fork() -> None:
    _lock.release()


atexit.register(_close_all)
if sys.platform != "win32":  # pragma: no branch
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
