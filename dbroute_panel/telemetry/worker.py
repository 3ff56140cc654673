"""A thread of our own that does, one after the other, what is put to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from queue import SimpleQueue

Job = Callable[[], object]


class Worker:
    """
    Begins its thread with the first job; the thread is a daemon, so that a process can always end.

    A job must not raise. How many may wait is for the caller to say. ``put()`` never waits and may be
    called from anywhere, also while Python collects garbage: hence no ``queue.Queue``, which has a lock.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.begin_anew()

    def begin_anew(self) -> None:
        """Without a thread, and with nothing to do: as in a process that was forked."""
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.starting = threading.RLock()
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin the thread, if it has not begun. Raises ``RuntimeError`` where the process ends already."""
        with self.starting:
            if self.thread is None:
                thread = threading.Thread(target=self._run, args=(self.jobs,), name=self.name, daemon=True)
                thread.start()
                self.thread = thread

    def put(self, job: Job) -> None:
        self.jobs.put(job)

    def end(self, seconds: float) -> bool:
        """Let it do what waits, and end. Returns whether it has ended in so many seconds."""
        if self.thread is None:
            return True
        self.jobs.put(None)
        self.thread.join(max(0.0, seconds))
        return not self.thread.is_alive()

    @staticmethod
    def _run(jobs: SimpleQueue[Job | None]) -> None:
        context = Context()  # not that of the request which began the thread: some Pythons hand it on
        while (job := jobs.get()) is not None:
            context.run(job)
            del job  # what it holds need not stay until the next one comes
