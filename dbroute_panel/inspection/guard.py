"""
Ask routers while nothing they do reaches a database.

In a guarded context, each way from Django to a database raises: opening a connection, the statements of a
cursor (also of a connection that a router keeps open), commit and rollback. The guard follows the context
into threads and executors that a router starts. The open connections of this thread are removed meanwhile,
with their transactions. A router that uses a driver without Django is not stopped.
"""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.utils.translation import gettext as _

from dbroute_panel.inspection.patches import Patches


class DatabaseAccessBlocked(BaseException):
    """Raised when a router needs a database. No ``Exception``, so that routers do not catch it."""


class Guard:
    """The guard of one question. ``reason`` is why it was stopped, or None."""

    __slots__ = ("reason",)

    def __init__(self) -> None:
        self.reason: str | None = None

    def stop(self, reason: str) -> NoReturn:
        """Stop the router. The first reason is kept, even if the router catches this and continues."""
        self.reason = self.reason or reason
        raise DatabaseAccessBlocked(reason)


current_guard: ContextVar[Guard | None] = ContextVar("dbroute_panel_watch", default=None)
"""The guard of the question that is asked in this context, or None."""


@contextmanager
def guard_databases() -> Iterator[None]:
    """Allow questions to be asked under guard in this block, each in ``guard_question()``."""
    removed = _get_thread_connections()
    for alias in removed:
        del connections[alias]
    try:
        with PATCHES:
            yield
    finally:
        for alias, connection in removed.items():
            connections[alias] = connection


@contextmanager
def guard_question() -> Iterator[Guard]:
    """Guard one question. The block may raise ``DatabaseAccessBlocked``; ``reason`` is set in any case."""
    guard = Guard()
    token = current_guard.set(guard)
    try:
        yield guard
    finally:
        current_guard.reset(token)


def _get_thread_connections() -> dict[str, BaseDatabaseWrapper]:
    made = connections._connections  # type: ignore[attr-defined]  # as connections.all() looks for them
    return {alias: getattr(made, alias) for alias in connections if hasattr(made, alias)}


def _block(alias_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Build a wrapper of a method that is stopped in a guarded context."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            if (guard := current_guard.get()) is not None:
                guard.stop(_("A router queried %(alias)s.") % {"alias": alias_of(self)})
            return original(self, *args, **kwargs)

        return method

    return make


def _wrap_start(original: Any) -> Any:
    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        if current_guard.get() is None:
            original(self)
            return
        run, context = self.run, contextvars.copy_context()

        def guarded_run() -> None:
            try:
                context.run(run)
            except DatabaseAccessBlocked:  # the guard has its reason; threading.excepthook must not print it
                pass
            finally:
                PATCHES.release()

        PATCHES.hold()  # the thread may outlive the question
        self.run = guarded_run  # type: ignore[method-assign]
        try:
            original(self)
        except BaseException:  # it did not start
            PATCHES.release()
            raise

    return start


def _wrap_submit(original: Any) -> Any:
    @functools.wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if current_guard.get() is None:
            return original(self, fn, *args, **kwargs)  # type: ignore[no-any-return]
        call = functools.partial(contextvars.copy_context().run, fn, *args, **kwargs)
        # The worker serves other calls later, so only the call gets the context of the question. Since
        # Python 3.14 a new thread can inherit the context of its starter: the worker gets an empty one.
        future: Future[Any] = contextvars.Context().run(original, self, call)
        PATCHES.hold()  # the call may outlive the question
        future.add_done_callback(lambda done: PATCHES.release())
        return future

    return submit


def _get_alias(connection: BaseDatabaseWrapper) -> Any:
    return connection.alias


def _get_cursor_alias(cursor: CursorWrapper) -> Any:
    return cursor.db.alias


PATCHES = Patches(
    *(
        ((lambda name=name: (BaseDatabaseWrapper, name)), _block(_get_alias))
        for name in ("connect", "ensure_connection", "close_if_health_check_failed", "commit", "rollback")
    ),
    *(
        ((lambda name=name: (CursorWrapper, name)), _block(_get_cursor_alias))
        for name in ("execute", "executemany", "callproc")
    ),
    ((lambda: (threading.Thread, "start")), _wrap_start),
    ((lambda: (ThreadPoolExecutor, "submit")), _wrap_submit),
)
