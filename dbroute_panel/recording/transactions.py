"""
Watching the transactions of a connection, through the backend's own hooks (``_commit()`` ...).

They are shadowed on the instance for as long as it lives: each calls what it shadows, muted, so that the SQL
behind it (SQLite's ``BEGIN``) is no second event.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, wraps
from time import perf_counter_ns
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from dbroute_panel.recording.callers import is_own
from dbroute_panel.recording.raw import RawTransaction
from dbroute_panel.recording.recorder import Recorder, recording, resumed
from dbroute_panel.recording.sites import Site, callsite
from dbroute_panel.recording.snapshots import scalar
from dbroute_panel.records import Operation

Execute = Callable[..., Any]

_OPEN = "_dbroute_panel_transaction"
"""
On a connection: (trace id, number) of the transaction that is open there, if a trace saw it begin;
number is None where it ended and the next statement begins one by itself (autocommit is off).
"""

_CONNECTING = "_dbroute_panel_connecting"
"""On a connection while its backend connects again: its first ``_set_autocommit()`` opens no transaction."""


def transaction_of(connection: BaseDatabaseWrapper, recorder: Recorder) -> int | None:
    """The number of the transaction open on ``connection``, if this trace saw it begin."""
    trace, number = connection.__dict__.get(_OPEN, (None, None))
    return number if trace == recorder.trace_id else None


def begun_by_itself(connection: BaseDatabaseWrapper, recorder: Recorder, site: Site | None) -> int | None:
    """With autocommit off, the first statement after a commit or rollback begins the next transaction."""
    if connection.autocommit or connection.__dict__.get(_OPEN) != (recorder.trace_id, None):
        return None
    alias = scalar(connection.alias)
    number = recorder.begin_transaction(alias)
    connection.__dict__[_OPEN] = (recorder.trace_id, number)
    if recorder.latest + 1 < recorder.limit and (event := recorder.draw("transaction")):
        # The statement needs room too.
        recorder.events.append(RawTransaction(event, perf_counter_ns(), alias, Operation.BEGIN, number, site))
    else:
        recorder.drop("transaction")
    return number


def _note(recorder: Recorder, connection: BaseDatabaseWrapper, operation: Operation, call: Execute) -> Any:
    """Do what begins or ends a transaction, muted; then record it as one event, unless it failed."""
    start, event = perf_counter_ns(), recorder.draw("transaction")
    with resumed(None):
        result = call()
    try:
        alias = scalar(connection.alias)
        if operation is Operation.BEGIN:
            connection.__dict__[_OPEN] = (recorder.trace_id, recorder.begin_transaction(alias))
        number = transaction_of(connection, recorder)
        if operation in (Operation.COMMIT, Operation.ROLLBACK):
            connection.__dict__[_OPEN] = (recorder.trace_id, None)
        frame = sys._getframe(2)
        if event and not is_own(frame):
            site = callsite(frame) if recorder.callsites else None
            recorder.events.append(RawTransaction(event, start, alias, operation, number, site))
    except Exception:
        recorder.lost("transaction")
    return result


Becomes = Callable[..., Operation | None]


def _shadow(connection: BaseDatabaseWrapper, name: str, becomes: Becomes) -> None:
    """
    Shadow the method ``name`` of this one connection.

    ``becomes(connection, recorder, *args)`` says which event a call is, or None. What is shadowed is
    looked up at each call, so that a class patched later keeps its say.
    """
    before = connection.__dict__.get(name)

    @wraps(getattr(connection, name))
    def method(*args: Any, **kwargs: Any) -> Any:
        original = before or partial(getattr(type(connection), name), connection)
        recorder = recording()
        operation = None if recorder is None else becomes(connection, recorder, *args, **kwargs)
        if recorder is None or operation is None:
            return original(*args, **kwargs)
        return _note(recorder, connection, operation, partial(original, *args, **kwargs))

    setattr(connection, name, method)


def _always(operation: Operation) -> Becomes:
    return lambda connection, recorder, *args, **kwargs: operation


def _ending(operation: Operation) -> Becomes:
    """In autocommit no transaction is open, nor after one has ended before the next statement."""

    def becomes(connection: BaseDatabaseWrapper, recorder: Recorder) -> Operation | None:
        ended = connection.autocommit or connection.__dict__.get(_OPEN) == (recorder.trace_id, None)
        return None if ended else operation

    return becomes


def _switching(connection: BaseDatabaseWrapper, recorder: Recorder, autocommit: bool) -> Operation | None:
    """``_set_autocommit(False)`` opens a transaction; ``True`` commits one that is still open."""
    if _CONNECTING in connection.__dict__:
        return None
    if not autocommit:
        return Operation.BEGIN
    return Operation.COMMIT if transaction_of(connection, recorder) is not None else None


def _closing(connection: BaseDatabaseWrapper, recorder: Recorder) -> Operation | None:
    """Closing rolls back what is open; closing by itself is no event."""
    return Operation.ROLLBACK if transaction_of(connection, recorder) is not None else None


def _shadow_setup(connection: BaseDatabaseWrapper) -> None:
    """What a backend does and sends while connecting is not the user's doing."""
    connect, set_up = connection.get_new_connection, connection.init_connection_state

    @wraps(connect)
    def get_new_connection(*args: Any, **kwargs: Any) -> Any:
        connection.__dict__[_CONNECTING] = True
        return connect(*args, **kwargs)

    @wraps(set_up)
    def init_connection_state() -> Any:
        connection.__dict__.pop(_CONNECTING, None)
        with resumed(None):
            return set_up()

    connection.get_new_connection = get_new_connection  # type: ignore[method-assign]
    connection.init_connection_state = init_connection_state  # type: ignore[method-assign]


SHADOWED: dict[str, Becomes] = {
    "_start_transaction_under_autocommit": _always(Operation.BEGIN),
    "_set_autocommit": _switching,
    "_commit": _ending(Operation.COMMIT),
    "_rollback": _ending(Operation.ROLLBACK),
    "_close": _closing,
    "_savepoint": _always(Operation.SAVEPOINT),
    "_savepoint_commit": _always(Operation.SAVEPOINT_COMMIT),
    "_savepoint_rollback": _always(Operation.SAVEPOINT_ROLLBACK),
}
"""The backend's hooks for transactions (django/db/backends/base/base.py), and which event a call is."""


def watch(connection: BaseDatabaseWrapper) -> None:
    """Begin to watch a connection that is not watched yet."""
    for name, becomes in SHADOWED.items():
        if hasattr(connection, name):
            _shadow(connection, name, becomes)
    _shadow_setup(connection)


def none_is_open(connection: BaseDatabaseWrapper, recorder: Recorder | None) -> None:
    """Of a new connection. With autocommit off, its first statement will begin a transaction."""
    connection.__dict__[_OPEN] = (recorder.trace_id if recorder is not None else None, None)
