"""
Record transactions, through the methods of Django's ``BaseDatabaseWrapper`` and through ``atomic()``.

The methods are wrapped on that class, once, so that nothing of ours is bound to one connection: a copied
connection is independent, and what a project patches, on a class or on a connection, takes effect. For
what differs between them the backends have hooks (``_commit()`` ...), which these methods call. The SQL
behind them (SQLite's ``BEGIN``) is no second event (``query_source.is_housekeeping()``).

``TestCase`` runs each test inside its own ``atomic()`` blocks, on every alias, so that the code under test is
in a transaction that it never has in production. These blocks are no part of a trace: inside of them the
outermost block of the code begins and ends a transaction, even if the database sees a savepoint, or nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, wraps
from time import perf_counter_ns
from types import FrameType, TracebackType
from typing import Any, Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic, get_connection

from dbroute_panel.environment import DJANGO_FOLDER
from dbroute_panel.recording import exceptions
from dbroute_panel.recording.captured import CapturedCallsite, CapturedTransaction
from dbroute_panel.recording.query_source import HOUSEKEEPERS, get_receiver, is_connecting
from dbroute_panel.recording.recorder import Recorder, recording, use_recorder
from dbroute_panel.recording.snapshots import capture_scalar
from dbroute_panel.recording.stack import is_of_store
from dbroute_panel.records import Operation

Execute = Callable[..., Any]

_OPEN = "_dbroute_panel_transaction"
"""
Attribute of a connection: (trace id, number) of its open transaction, if a trace saw it begin. The number is
None after its end where the next statement begins another one (autocommit is off).
"""


_ORM: Final = (f"{DJANGO_FOLDER}db/models/", f"{DJANGO_FOLDER}contrib/contenttypes/fields.py")
"""Files in which Django opens a transaction for a single call of its ORM."""


def transaction_of(connection: BaseDatabaseWrapper, recorder: Recorder) -> int | None:
    """Return the number of the transaction open on ``connection``, if this trace saw it begin."""
    trace, number = connection.__dict__.get(_OPEN, (None, None))
    return number if trace == recorder.trace_id else None


def note_implicit_begin(
    connection: BaseDatabaseWrapper, recorder: Recorder, site: CapturedCallsite | None
) -> int | None:
    """Begin a transaction for the first statement after a commit or rollback, with autocommit off."""
    if connection.autocommit or connection.__dict__.get(_OPEN) != (recorder.trace_id, None):
        return None
    alias = capture_scalar(connection.alias)
    number = recorder.begin_transaction(alias)
    connection.__dict__[_OPEN] = (recorder.trace_id, number)
    if recorder.latest + 1 < recorder.limit and (event := recorder.draw("transaction")):
        # The statement needs room too.
        recorder.events.append(
            CapturedTransaction(event, perf_counter_ns(), alias, Operation.BEGIN, number, site)
        )
    else:
        recorder.drop("transaction")
    return number


def _call_and_record(
    connection: BaseDatabaseWrapper, recorder: Recorder, operation: Operation, call: Execute
) -> Any:
    """Run ``call``, which begins or ends a transaction, and record it as one event unless it failed."""
    if operation in _SAVEPOINTS and is_of_a_test(connection):
        return call()  # the code sees a transaction: see the module
    start, event = perf_counter_ns(), recorder.draw("transaction")
    number, frame = transaction_of(connection, recorder), sys._getframe(2)
    try:
        result = call()
    except BaseException:
        if operation is Operation.COMMIT and connection.autocommit:  # a hook of on_commit() failed
            append(recorder, connection, operation, (start, event, number, frame))
        raise
    if operation in _SAVEPOINTS and not _may_save(connection):
        return result  # Django did nothing
    append(recorder, connection, operation, (start, event, number, frame))
    return result


def append(
    recorder: Recorder,
    connection: BaseDatabaseWrapper,
    operation: Operation,
    known: tuple[int, int, int | None, FrameType],
) -> None:
    """Record an event. ``known``: its start, its id (or 0), its transaction, and the frame that caused it."""
    start, event, number, frame = known
    try:
        alias = capture_scalar(connection.alias)
        if operation is Operation.BEGIN:
            number = recorder.begin_transaction(alias)
            connection.__dict__[_OPEN] = (recorder.trace_id, number)
        elif operation in _ENDS and transaction_of(connection, recorder) == number:
            connection.__dict__[_OPEN] = (recorder.trace_id, None)
        if event and not is_of_store(frame):
            site = recorder.find_callsite(frame)
            raw = CapturedTransaction(event, start, alias, operation, number, site)
            if operation is Operation.BEGIN:
                raw.by_orm = _is_of_the_orm(frame)
            recorder.events.append(raw)
    except Exception:
        recorder.lost("transaction")


HOUSEKEEPERS.add(_call_and_record.__code__)


def is_of_a_test(connection: BaseDatabaseWrapper, block: int = -1) -> bool:
    """Return whether the innermost ``atomic()`` of a connection, or that at ``block``, is of a test."""
    blocks: list[Any] = connection.atomic_blocks
    return len(blocks) >= -block and bool(blocks[block]._from_testcase)


def _is_of_the_orm(frame: FrameType) -> bool:
    """Return whether the ORM opened the ``atomic()`` that begins in ``frame``, inside of a single call."""
    here: FrameType | None = frame
    while here is not None and issubclass(type(get_receiver(here)), Atomic):
        here = here.f_back
    file = "" if here is None or here is frame else here.f_code.co_filename
    return file.replace("\\", "/").startswith(_ORM)


Becomes = Callable[..., Operation | None]


def _wrap_method(original: Execute, becomes: Becomes) -> Execute:
    """
    Wrap a method to record what it does to a transaction.

    ``becomes(connection, recorder, *args)`` returns which event a call is, or None.
    """

    @wraps(original)
    def method(self: BaseDatabaseWrapper, *args: Any, **kwargs: Any) -> Any:
        operation = None
        if (recorder := recording()) is not None:
            try:
                operation = becomes(self, recorder, *args, **kwargs)
            except Exception:  # Django reports what is wrong with the call
                recorder.lost("transaction")
        if recorder is None or operation is None:
            return original(self, *args, **kwargs)
        return _call_and_record(self, recorder, operation, partial(original, self, *args, **kwargs))

    method.is_watched = True  # type: ignore[attr-defined]
    return method


def _make_ending(operation: Operation) -> Becomes:
    """Classify ``commit()`` or ``rollback()``: no event where no transaction is open, as in autocommit."""

    def becomes(connection: BaseDatabaseWrapper, recorder: Recorder) -> Operation | None:
        ended = connection.autocommit or connection.__dict__.get(_OPEN) == (recorder.trace_id, None)
        return None if ended else operation

    return becomes


def _classify_autocommit(
    connection: BaseDatabaseWrapper, recorder: Recorder, autocommit: bool, *others: bool, **named: bool
) -> Operation | None:
    """Classify ``set_autocommit()``: False opens a transaction, True commits one that is still open."""
    # While it connects none is opened: with AUTOCOMMIT off the first statement does that. What was open
    # before is gone.
    if is_connecting(sys._getframe(2), connection):
        return None
    if not autocommit:
        return Operation.BEGIN
    return Operation.COMMIT if transaction_of(connection, recorder) is not None else None


def _classify_close(connection: BaseDatabaseWrapper, recorder: Recorder) -> Operation | None:
    """Classify ``close()``, which rolls back an open transaction and else is no event."""
    if connection.connection is None or connection.closed_in_transaction:
        return None  # Django does nothing
    return Operation.ROLLBACK if transaction_of(connection, recorder) is not None else None


def _make_saving(operation: Operation) -> Becomes:
    """Classify a savepoint method: no event outside of a transaction. A closed connection is not asked."""

    def becomes(
        connection: BaseDatabaseWrapper, recorder: Recorder, *sid: str, **named: str
    ) -> Operation | None:
        closed = connection.connection is None
        return operation if closed or _may_save(connection) else None

    return becomes


def _may_save(connection: Any) -> bool:
    """Return whether Django makes savepoints on the connection, which it does not tell the caller."""
    return bool(connection._savepoint_allowed())


_ENDS = (Operation.COMMIT, Operation.ROLLBACK)
_SAVEPOINTS = (Operation.SAVEPOINT, Operation.SAVEPOINT_COMMIT, Operation.SAVEPOINT_ROLLBACK)

WATCHED: dict[str, Becomes] = {
    "set_autocommit": _classify_autocommit,
    "commit": _make_ending(Operation.COMMIT),
    "rollback": _make_ending(Operation.ROLLBACK),
    "close": _classify_close,
    "savepoint": _make_saving(Operation.SAVEPOINT),
    "savepoint_commit": _make_saving(Operation.SAVEPOINT_COMMIT),
    "savepoint_rollback": _make_saving(Operation.SAVEPOINT_ROLLBACK),
}
"""The methods through which Django does all that it does to a transaction, and which event a call is."""


def watch() -> None:
    """Watch the transactions of every connection and all ``atomic()``. Calling it again changes nothing."""
    for name, becomes in WATCHED.items():
        method = getattr(BaseDatabaseWrapper, name)
        if not getattr(method, "is_watched", False):
            setattr(BaseDatabaseWrapper, name, _wrap_method(method, becomes))
    for name, wrap in (("__enter__", _wrap_enter), ("__exit__", _wrap_exit)):
        method = getattr(Atomic, name)
        if not getattr(method, "is_watched", False):
            setattr(Atomic, name, wrap(method))


def reset_transaction(connection: BaseDatabaseWrapper, recorder: Recorder | None) -> None:
    """Mark a new connection as having no open transaction."""
    connection.__dict__[_OPEN] = (recorder.trace_id if recorder is not None else None, None)


# atomic()


def _wrap_enter(original: Execute) -> Execute:
    @wraps(original)
    def enter(self: Any) -> Any:
        if (recorder := recording()) is None:
            return original(self)
        if self._from_testcase:
            with use_recorder(None):
                return original(self)
        if (connection := _connection_of(self)) is None:
            return original(self)
        begins = is_of_a_test(connection)
        start, event = perf_counter_ns(), recorder.draw("transaction") if begins else 0
        result = original(self)
        try:
            exceptions.note_entered(recorder, capture_scalar(connection.alias))
        except Exception:
            recorder.lost("exception")
        if begins:
            append(recorder, connection, Operation.BEGIN, (start, event, None, sys._getframe(0)))
        return result

    enter.is_watched = True  # type: ignore[attr-defined]
    return enter


def _wrap_exit(original: Execute) -> Execute:
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
            with use_recorder(None):
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
    """Return the connection of a block; None where a test replaced Django's lookup or connection."""
    if transaction.get_connection is not get_connection:
        return None
    connection = get_connection(block.using)
    return connection if issubclass(type(connection), BaseDatabaseWrapper) else None


def _note_exception(
    recorder: Recorder, connection: BaseDatabaseWrapper, error: BaseException, number: int | None
) -> None:
    try:
        exceptions.note_left_atomic(recorder, error, capture_scalar(connection.alias), number)
    except Exception:
        recorder.lost("exception")
