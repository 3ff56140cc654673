"""A thread that runs jobs one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from queue import SimpleQueue

Job = Callable[[], object]


class Worker:
    """
    Begins its thread with the first job; the thread is a daemon, so that a process can always end.

    A job must not raise. The caller limits how many wait. ``put()`` never waits and may be
    called from anywhere, also while Python collects garbage: hence no ``queue.Queue``, which has a lock.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.reset()

    def reset(self) -> None:
        """Start again without a thread and without jobs, as in a process that was forked."""
        self.jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.starting = threading.RLock()
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, if it has not started. Raises ``RuntimeError`` if the process is ending."""
        with self.starting:
            if self.thread is None:
                thread = threading.Thread(target=self._run, args=(self.jobs,), name=self.name, daemon=True)
                thread.start()
                self.thread = thread

    def put(self, job: Job) -> None:
        self.jobs.put(job)

    def end(self, seconds: float) -> bool:
        """Let it do what waits, and end. Return whether it has ended within ``seconds``."""
        if self.thread is None:
            return True
        self.jobs.put(None)
        self.thread.join(max(0.0, seconds))
        return not self.thread.is_alive()

    @staticmethod
    def _run(jobs: SimpleQueue[Job | None]) -> None:
        context = Context()  # not that of the request which started the thread: some Pythons pass it on
        while (job := jobs.get()) is not None:
            context.run(job)
            del job  # what it holds need not stay until the next one comes
