"""
Watching ``atomic()`` blocks: which exception leaves one, and what is a transaction inside of a test's own?

``TestCase`` runs each test inside of ``atomic()`` blocks of its own, on every alias, so that what the test
calls finds a transaction that it never has in production. These blocks are no part of a trace: inside of them
the outermost block of the code's own is what begins and ends a transaction, whatever it is to the database
(a savepoint, or nothing).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from time import perf_counter_ns
from types import TracebackType
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic, get_connection

from dbroute_panel.recording import exceptions
from dbroute_panel.recording.recorder import Recorder, recording, resumed
from dbroute_panel.recording.snapshots import capture_scalar
from dbroute_panel.recording.transactions import append, is_of_a_test, transaction_of
from dbroute_panel.records import Operation

Method = Callable[..., Any]


def watch() -> None:
    """Begin to watch all blocks; calling it again changes nothing."""
    for name, watched in (("__enter__", _entering), ("__exit__", _leaving)):
        method = getattr(Atomic, name)
        if not getattr(method, "is_watched", False):
            setattr(Atomic, name, watched(method))


def _entering(original: Method) -> Method:
    @wraps(original)
    def enter(self: Any) -> Any:
        if (recorder := recording()) is None:
            return original(self)
        if self._from_testcase:
            with resumed(None):
                return original(self)
        if (connection := _connection_of(self)) is None:
            return original(self)
        begins = is_of_a_test(connection)
        start, event = perf_counter_ns(), recorder.draw("transaction") if begins else 0
        result = original(self)
        try:
            exceptions.entered(recorder, capture_scalar(connection.alias))
        except Exception:
            recorder.lost("exception")
        if begins:
            append(recorder, connection, Operation.BEGIN, (start, event, None, sys._getframe(0)))
        return result

    enter.is_watched = True  # type: ignore[attr-defined]
    return enter


def _leaving(original: Method) -> Method:
    @wraps(original)
    def leave(
        self: Any,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        if (recorder := recording()) is None:
            return original(self, exc_type, exc_value, traceback)
        if self._from_testcase:
            with resumed(None):
                return original(self, exc_type, exc_value, traceback)
        if (connection := _connection_of(self)) is None:
            return original(self, exc_type, exc_value, traceback)
        number = transaction_of(connection, recorder)
        if exc_value is not None:
            _note_exception(recorder, connection, exc_value, number)
        ends = is_of_a_test(connection, -2)
        start, event = perf_counter_ns(), recorder.draw("transaction") if ends else 0
        operation = Operation.ROLLBACK
        try:
            if exc_type is None and not connection.needs_rollback:
                operation = Operation.COMMIT
            return original(self, exc_type, exc_value, traceback)
        except BaseException as error:  # it could not be committed
            operation = Operation.ROLLBACK
            _note_exception(recorder, connection, error, number)
            raise
        finally:
            if ends:
                append(recorder, connection, operation, (start, event, number, sys._getframe(0)))

    leave.is_watched = True  # type: ignore[attr-defined]
    return leave


def _connection_of(block: Any) -> BaseDatabaseWrapper | None:
    """The connection of a block; None where a test has put something of its own in the place of Django's."""
    if transaction.get_connection is not get_connection:
        return None
    connection = get_connection(block.using)
    return connection if issubclass(type(connection), BaseDatabaseWrapper) else None


def _note_exception(
    recorder: Recorder, connection: BaseDatabaseWrapper, error: BaseException, number: int | None
) -> None:
    try:
        exceptions.left_atomic(recorder, error, capture_scalar(connection.alias), number)
    except Exception:
        recorder.lost("exception")
