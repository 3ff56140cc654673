"""
The guard: routers are asked, and nothing they do reaches a database.

In a guarded context every way from Django to a database is stopped: opening a connection, a cursor's
statements (of a connection that a router has kept open, too), commit and rollback. It follows the
context into threads and executors that a router starts. The connections that are open in this
thread are put out of reach meanwhile, with their transactions. What a router does with a driver of
its own, without Django, nobody can see.
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
    """Raised where a router reaches for what it must not; no ``Exception``, lest a router catch it."""


class Guard:
    """What one question has led to: ``reason`` is why it was stopped, or None."""

    __slots__ = ("reason",)

    def __init__(self) -> None:
        self.reason: str | None = None

    def stop(self, reason: str) -> NoReturn:
        """Stop the router. The first reason is kept even where the router goes on regardless."""
        self.reason = self.reason or reason
        raise DatabaseAccessBlocked(reason)


current_guard: ContextVar[Guard | None] = ContextVar("dbroute_panel_watch", default=None)
"""The question that is being asked in this context under guard, or None."""


@contextmanager
def guard_databases() -> Iterator[None]:
    """Questions may be asked under guard in this block, each in ``watched()``."""
    aside = _get_thread_connections()
    for alias in aside:
        del connections[alias]
    try:
        with PATCHES:
            yield
    finally:
        for alias, connection in aside.items():
            connections[alias] = connection


@contextmanager
def guard_question() -> Iterator[Guard]:
    """One question. The block may raise ``Reached``; where a router swallows it, ``reason`` is set."""
    watch = Guard()
    token = current_guard.set(watch)
    try:
        yield watch
    finally:
        current_guard.reset(token)


def _get_thread_connections() -> dict[str, BaseDatabaseWrapper]:
    made = connections._connections  # type: ignore[attr-defined]  # as connections.all() looks for them
    return {alias: getattr(made, alias) for alias in connections if hasattr(made, alias)}


def _block(alias_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A method that is stopped in a guarded context, of an object that knows its alias."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            if (watch := current_guard.get()) is not None:
                watch.stop(_("A router queried %(alias)s.") % {"alias": alias_of(self)})
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
            except DatabaseAccessBlocked:  # noted already, and of no use to threading.excepthook
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
        # A worker started for this call serves others later. The call has the context of the question; the
        # worker, which in some Pythons begins with the context of who starts it, has nothing of it.
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
