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


class Reached(BaseException):
    """Raised where a router reaches for what it must not; no ``Exception``, lest a router catch it."""


class Watch:
    """What one question has led to: ``reason`` is why it was stopped, or None."""

    __slots__ = ("reason",)

    def __init__(self) -> None:
        self.reason: str | None = None

    def stop(self, reason: str) -> NoReturn:
        """Stop the router. The first reason is kept even where the router goes on regardless."""
        self.reason = self.reason or reason
        raise Reached(reason)


watching: ContextVar[Watch | None] = ContextVar("dbroute_panel_watch", default=None)
"""The question that is being asked in this context under guard, or None."""


@contextmanager
def guarded() -> Iterator[None]:
    """Questions may be asked under guard in this block, each in ``watched()``."""
    aside = _connections_of_this_thread()
    for alias in aside:
        del connections[alias]
    try:
        with PATCHES:
            yield
    finally:
        for alias, connection in aside.items():
            connections[alias] = connection


@contextmanager
def watched() -> Iterator[Watch]:
    """One question. The block may raise ``Reached``; where a router swallows it, ``reason`` is set."""
    watch = Watch()
    token = watching.set(watch)
    try:
        yield watch
    finally:
        watching.reset(token)


def _connections_of_this_thread() -> dict[str, BaseDatabaseWrapper]:
    made = connections._connections  # type: ignore[attr-defined]  # as connections.all() looks for them
    return {alias: getattr(made, alias) for alias in connections if hasattr(made, alias)}


def _stops(alias_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A method that is stopped in a guarded context, of an object that knows its alias."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            if (watch := watching.get()) is not None:
                watch.stop(_("A router queried %(alias)s.") % {"alias": alias_of(self)})
            return original(self, *args, **kwargs)

        return method

    return make


def _guarded_start(original: Any) -> Any:
    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        if watching.get() is None:
            original(self)
            return
        run, context = self.run, contextvars.copy_context()

        def guarded_run() -> None:
            try:
                context.run(run)
            except Reached:  # noted already, and of no use to threading.excepthook
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


def _guarded_submit(original: Any) -> Any:
    @functools.wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if watching.get() is None:
            return original(self, fn, *args, **kwargs)  # type: ignore[no-any-return]
        call = functools.partial(contextvars.copy_context().run, fn, *args, **kwargs)
        # A worker started for this call serves others later. The call has the context of the question; the
        # worker, which in some Pythons begins with the context of who starts it, has nothing of it.
        future: Future[Any] = contextvars.Context().run(original, self, call)
        PATCHES.hold()  # the call may outlive the question
        future.add_done_callback(lambda done: PATCHES.release())
        return future

    return submit


def _alias(connection: BaseDatabaseWrapper) -> Any:
    return connection.alias


def _alias_of_cursor(cursor: CursorWrapper) -> Any:
    return cursor.db.alias


PATCHES = Patches(
    *(
        ((lambda name=name: (BaseDatabaseWrapper, name)), _stops(_alias))
        for name in ("connect", "ensure_connection", "close_if_health_check_failed", "commit", "rollback")
    ),
    *(
        ((lambda name=name: (CursorWrapper, name)), _stops(_alias_of_cursor))
        for name in ("execute", "executemany", "callproc")
    ),
    ((lambda: (threading.Thread, "start")), _guarded_start),
    ((lambda: (ThreadPoolExecutor, "submit")), _guarded_submit),
)
