"""
Watch the connections: every query, through hooks on the connection itself.

Queries pass Django's documented ``execute_wrappers``. Ours is inserted at index 0, once: an append
inside a user's ``connection.execute_wrapper()`` block would be popped in the place of theirs, and
``connection_created`` fires at every reconnect.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from marshal import dumps
from sys import intern
from time import perf_counter_ns
from types import FrameType
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from dbroute_panel.recording import transactions
from dbroute_panel.recording._fastpath import find_pending_compiler
from dbroute_panel.recording.captured import CapturedQuery
from dbroute_panel.recording.errors import describe_error, find_error_code
from dbroute_panel.recording.query_source import find_cursor_caller, find_query_source, is_housekeeping
from dbroute_panel.recording.recorder import (
    NO_DECISION,
    OWN,
    SMALL_PARAMETERS_BYTES,
    Recorder,
    active,
    recording,
)
from dbroute_panel.recording.snapshots import capture_instance, capture_parameters, capture_scalar
from dbroute_panel.recording.transactions import is_of_a_test, note_implicit_begin, transaction_of

Execute = Callable[..., Any]

_active, _frame = active.get, sys._getframe


def tap(  # noqa: C901 - few calls, because it runs for every query
    execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """The execute wrapper: run the statement, and record it where a trace is active."""
    if (recorder := _active()) is None:
        return execute(sql, params, many, context)
    query = source = kept = None
    number: int | None = None  # of the transaction
    decision_id: int | None
    parent_id: int | None
    try:
        cursor: Any = context["cursor"]
        connection: BaseDatabaseWrapper = context["connection"]
        decision = recorder.pending_decision
        if (compiler := find_pending_compiler(decision, cursor)) is not None:
            model = compiler.query.model
            site = decision.site
            decision_id = decision.id
            parent_id = decision.parent_id
        else:
            if recorder.closed or recorder.latest >= recorder.limit:
                raise StopIteration  # before the walk, which would be for nothing
            caller = find_cursor_caller(cursor, _frame(1))
            if is_housekeeping(caller, cursor, connection):
                raise _Unrecorded
            source = find_query_source(recorder, caller, cursor, connection, sql)
            compiler, model, site = source.compiler, source.model, source.callsite
            decision_id, parent_id = source.decision_id, recorder.parent_id
        known, model_label = recorder.subject  # which is not the tool's own
        if known is not model and (model_label := recorder.label(model)) is OWN:
            raise _Unrecorded
        recorder.pending_decision = NO_DECISION
        try:
            if sql != (text := recorder.text):
                text = recorder.text = recorder.texts[sql]
            if recorder.params and len(kept := dumps(params, 2)) > SMALL_PARAMETERS_BYTES:
                raise ValueError  # it takes room
        except Exception:  # not met before, or nothing that a dict could have as a key, or marshal knows
            text, kept = _fit(recorder, sql, params, many, connection.vendor)
        atomic = False
        if connection.in_atomic_block or not connection.autocommit:
            atomic = not is_of_a_test(connection)
            if atomic and (number := transaction_of(connection, recorder)) is None:
                number = note_implicit_begin(connection, recorder, site)
        if type(alias := connection.alias) is not str:
            alias = capture_scalar(alias)
        query = CapturedQuery(
            next(recorder.ids),
            alias,
            connection.vendor,
            text,
            kept,
            many,
            model_label,
            decision_id,
            compiler is not None,
            atomic,
            number,
            parent_id,
            site,
            perf_counter_ns(),
        )
        if source is not None:
            query.told = source.route
            if source.saved is not None:
                query.saved = capture_instance(source.saved, recorder.answers)
    except StopIteration:  # there are no ids left
        _refuse(recorder, _frame(1), context)
    except _Unrecorded:
        pass
    except Exception:
        recorder.lost("query")
    if query is None:
        return execute(sql, params, many, context)
    try:
        result = execute(sql, params, many, context)
    except BaseException as error:
        query.end = perf_counter_ns()
        _record_failure(recorder, query, error, sql)
        raise
    query.end = perf_counter_ns()
    try:  # noqa: SIM105 - a context manager would take as long as all of this
        query.rowcount = cursor.cursor.rowcount  # type: ignore[possibly-undefined]  # it is known
    except Exception:  # noqa: S110 - drivers differ: closed cursors, cursors without the attribute
        pass
    recorder.add_event(query)
    return result


class _Unrecorded(Exception):
    """A statement is the tool's own, or the connection's, of which the event of a transaction tells."""


def _refuse(recorder: Recorder, frame: FrameType, context: dict[str, Any]) -> None:
    """Count a query for which there is no room, which the execute wrapper in ``frame`` is to execute."""
    try:
        cursor = context["cursor"]
        if not is_housekeeping(find_cursor_caller(cursor, frame), cursor, context["connection"]):
            recorder.refuse("query")
    except Exception:
        recorder.lost("query")


def _fit(recorder: Recorder, sql: Any, params: Any, many: bool, vendor: str) -> tuple[str, Any]:
    """Return what is kept of a statement and its parameters, for which there must be room."""
    kept = None
    if recorder.params:
        try:
            kept = capture_parameters(params, many) if many else dumps(params, 2)
        except ValueError:  # something that marshal does not know
            kept = capture_parameters(params, many)
    return recorder.fit(_text(sql), kept, vendor)


def _record_failure(recorder: Recorder, query: CapturedQuery, error: BaseException, sql: Any) -> None:
    """Record a query that raised; of a statement that was cut a message could tell the rest."""
    try:
        name = type(error).__name__
        query.error = name, describe_error(error) if query.sql == _text(sql) else name
        query.error_code = find_error_code(error)
        recorder.events.append(query)
    except Exception:
        recorder.lost("query")


def _text(sql: Any) -> str:
    """Return a statement as text. It may be psycopg's composed SQL, bytes, or whatever a driver takes."""
    if type(sql) is str:
        return sql
    if issubclass(type(sql), str):  # mark_safe("...") too, which str() leaves as it is
        return str.__str__(sql)
    if isinstance(sql, (bytes, bytearray)):
        return sql.decode("utf-8", "replace")
    try:
        return str.__str__(sql.as_string(None))
    except Exception:  # psycopg2 needs a connection for it; others have no such method
        return str.__str__(str(sql))


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


def watch(connection: BaseDatabaseWrapper) -> None:
    """Begin to watch a connection; calling it again changes nothing."""
    if (recorder := recording()) is not None and id(connection.alias) in recorder.answers:
        # connections[router.db_for_read(...)] made it, and that decision is not the one of all its queries.
        connection.alias = intern(connection.alias)
    if tap not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, tap)


def on_connection_created(connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    """The receiver of ``connection_created``: at the first connect and at every reconnect."""
    watch(connection)
    transactions.reset_transaction(connection, recording())


def watch_all() -> None:
    """Watch the connections already open in this thread, all transactions, and stored procedures."""
    transactions.watch()
    if not getattr(CursorWrapper.callproc, "is_watched", False):
        CursorWrapper.callproc = _callproc(CursorWrapper.callproc)  # type: ignore[method-assign]
    if "settings" in connections.__dict__:  # else none is open, and looking would settle DATABASES too early
        for connection in connections.all(initialized_only=True):
            watch(connection)
