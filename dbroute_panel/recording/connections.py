"""
Watching the connections: every query and every transaction, through hooks on the connection itself.

Queries pass Django's documented ``execute_wrappers``. Ours is inserted at index 0, once: an append
inside a user's ``connection.execute_wrapper()`` block would be popped in the place of theirs, and
``connection_created`` fires at every reconnect. Transactions pass the backend's own hooks
(``_commit()``, ``_savepoint()`` ...), shadowed on the instance for as long as it lives: each calls
what it shadows, muted, so that the SQL behind it (SQLite's ``BEGIN``) is no second event.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, wraps
from time import perf_counter_ns
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.base import ModelBase

from dbroute_panel.recording.callers import Site, callsite, is_own, origin
from dbroute_panel.recording.carrier import Carrier
from dbroute_panel.recording.recorder import (
    OWN,
    RawQuery,
    RawTransaction,
    Recorder,
    active,
    asking,
    recording,
    resumed,
)
from dbroute_panel.recording.snapshots import PLAIN, described, instance, parameters, scalar
from dbroute_panel.records import Operation

Execute = Callable[..., Any]

_active, _asking = active.get, asking.get
_are_plain = PLAIN.issuperset

_OPEN = "_dbroute_panel_transaction"
"""
On a connection: (trace id, number) of the transaction that is open there, if a trace saw it begin;
number is None where it ended and the next statement begins one by itself (autocommit is off).
"""

_CONNECTING = "_dbroute_panel_connecting"
"""On a connection while its backend connects again: its first ``_set_autocommit()`` opens no transaction."""


def tap(  # noqa: C901 - few calls, because it runs for every query
    execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """The execute wrapper: run the statement, and record it where a trace is active."""
    if (recorder := _active()) is None or recorder.closed:
        return execute(sql, params, many, context)
    if recorder.latest >= recorder.limit:
        recorder.drop("query")
        return execute(sql, params, many, context)
    connection: BaseDatabaseWrapper = context["connection"]
    site = source = about = decision = saved = kept = number = None
    atomic = schema = False
    event = 0
    try:
        site, source, model, saving, schema = origin(sys._getframe(1), callsites=recorder.callsites)
        if model is not None:
            about = recorder.labels.get(model) if type(model) is ModelBase else None
            if about is None:
                about = recorder.label(model)
        if about is not OWN:
            using = getattr(source, "using", None)
            if type(using) is Carrier and using.trace == recorder.trace_id:
                decision = using.decision
            if decision is None and recorder.answered_as:
                decision = recorder.decision_of(using, about)
            saved = None if saving is None else instance(saving, recorder.trace_id)
            if recorder.params:
                plain = type(params) is tuple and not many and _are_plain(map(type, params))
                kept = params if plain else parameters(params, many)
            atomic = connection.in_atomic_block or not connection.autocommit
            if atomic and (number := transaction_of(connection, recorder)) is None:
                number = _begun_by_itself(connection, recorder, site)
            recorder.latest = event = next(recorder.ids)
    except Exception:
        recorder.lost("query")
    if not event:
        return execute(sql, params, many, context)
    failure: BaseException | None = None
    start = perf_counter_ns()
    try:
        return execute(sql, params, many, context)
    except BaseException as error:
        failure = error
        raise
    finally:
        end = perf_counter_ns()
        try:
            whole = sql if type(sql) is str else _text(sql)
            text, kept = recorder.fit(whole, kept, connection.vendor)
            alias = connection.alias
            recorder.events.append(
                RawQuery(
                    event,
                    start,
                    end,
                    alias if type(alias) is str else scalar(alias),
                    connection.vendor,
                    text,
                    kept,
                    many,
                    about,
                    decision,
                    source is not None,
                    schema,
                    saved,
                    atomic,
                    number,
                    _rowcount(context["cursor"]) if failure is None else None,
                    None if failure is None else _told(failure, plainly=text == whole),
                    _asking(),
                    site,
                )
            )
        except Exception:
            recorder.lost("query")
        failure = None  # no cycle: exception -> traceback -> this frame -> exception


def _told(error: BaseException, *, plainly: bool) -> tuple[str, str]:
    """The class of an error, and its message; of a statement that was cut a message could tell the rest."""
    name = type(error).__name__
    return name, described(error) if plainly else name


def _text(sql: Any) -> str:
    """A statement that is no plain string: psycopg's composed SQL, bytes, or whatever a driver takes."""
    if issubclass(type(sql), str):  # mark_safe("...") too, which str() leaves as it is
        return str.__str__(sql)
    if isinstance(sql, (bytes, bytearray)):
        return sql.decode("utf-8", "replace")
    try:
        return str.__str__(sql.as_string(None))
    except Exception:  # psycopg2 needs a connection for it; others have no such method
        return str.__str__(str(sql))


def _rowcount(cursor: Any) -> int | None:
    """What the driver says of the rows, or None where it says nothing (-1) or fails to."""
    try:
        count = cursor.cursor.rowcount
    except Exception:  # drivers differ: closed cursors, cursors without the attribute
        return None
    return count if type(count) is int and count >= 0 else None


def _callproc(original: Callable[..., Any]) -> Callable[..., Any]:
    """``CursorWrapper.callproc()``, which no execute wrapper sees, as a query ``CALL name(...)``."""

    @wraps(original)
    def callproc(self: CursorWrapper, procname: str, params: Any = None, kparams: Any = None) -> Any:
        if recording() is None:
            return original(self, procname, params, kparams)
        marks = ", ".join(["%s"] * len(params)) if isinstance(params, (list, tuple)) else ""

        def execute(*ignored: Any) -> Any:
            return original(self, procname, params, kparams)

        given = params if kparams is None else kparams
        return tap(
            execute, f"CALL {procname}({marks})", given, False, {"connection": self.db, "cursor": self}
        )

    callproc.is_watched = True  # type: ignore[attr-defined]
    return callproc


def transaction_of(connection: BaseDatabaseWrapper, recorder: Recorder) -> int | None:
    """The number of the transaction open on ``connection``, if this trace saw it begin."""
    trace, number = connection.__dict__.get(_OPEN, (None, None))
    return number if trace == recorder.trace_id else None


def _begun_by_itself(connection: BaseDatabaseWrapper, recorder: Recorder, site: Site | None) -> int | None:
    """With autocommit off, the first statement after a commit or rollback begins the next transaction."""
    if connection.autocommit or connection.__dict__.get(_OPEN) != (recorder.trace_id, None):
        return None
    alias = scalar(connection.alias)
    number = recorder.begin_transaction(alias)
    connection.__dict__[_OPEN] = (recorder.trace_id, number)
    if recorder.latest + 1 < recorder.limit:  # the statement needs room too
        event, now = recorder.draw_id(), perf_counter_ns()
        recorder.events.append(RawTransaction(event, now, alias, Operation.BEGIN, number, site))
    else:
        recorder.drop("transaction")
    return number


def _note(recorder: Recorder, connection: BaseDatabaseWrapper, operation: Operation, call: Execute) -> Any:
    """Do what begins or ends a transaction, muted; then record it as one event, unless it failed."""
    start, has_room = perf_counter_ns(), recorder.has_room("transaction")
    event = recorder.draw_id() if has_room else 0
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
        if has_room and not is_own(frame):
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
    """Begin to watch a connection; calling it again changes nothing."""
    if type(connection.alias) is Carrier:
        # connections[carrier] made it: the connection outlives the decision, so its alias must be plain.
        connection.alias = str(connection.alias)
    if tap not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, tap)
    if "_dbroute_panel_watched" in connection.__dict__:
        return
    connection.__dict__["_dbroute_panel_watched"] = True
    for name, becomes in SHADOWED.items():
        if hasattr(connection, name):
            _shadow(connection, name, becomes)
    _shadow_setup(connection)


def on_connection_created(connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    """
    The receiver of ``connection_created``: at the first connect and at every reconnect.

    Nothing is open on a new connection; with autocommit off, its first statement will begin a transaction.
    """
    watch(connection)
    recorder = recording()
    connection.__dict__[_OPEN] = (recorder.trace_id if recorder is not None else None, None)


def watch_all() -> None:
    """Watch the connections already open in this thread, and stored procedures."""
    if not getattr(CursorWrapper.callproc, "is_watched", False):
        CursorWrapper.callproc = _callproc(CursorWrapper.callproc)  # type: ignore[method-assign]
    if "settings" in connections.__dict__:  # else none is open, and looking would settle DATABASES too early
        for connection in connections.all(initialized_only=True):
            watch(connection)
