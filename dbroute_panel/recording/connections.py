"""
Watching the connections: every query, through hooks on the connection itself.

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
from dbroute_panel.recording.callers import origin, sent_at_once
from dbroute_panel.recording.captured import CapturedQuery
from dbroute_panel.recording.errors import describe_error, find_error_code
from dbroute_panel.recording.lookups import passed_on
from dbroute_panel.recording.query_source import caller_of, is_housekeeping, sender_of
from dbroute_panel.recording.recorder import OWN, SMALL_PARAMETERS_BYTES, Recorder, active, recording
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
    raw = more = number = kept = None
    decision_id: int | None
    try:
        cursor: Any = context["cursor"]
        asked = recorder.asked
        if asked is not None and (source := sent_at_once(asked, cursor, recorder.answers)) is not None:
            _code, decision_id, parent_id, site = asked
            model = source.query.model
        else:
            if recorder.closed or recorder.latest >= recorder.limit:
                raise StopIteration  # before the walk, which would be for nothing
            caller = caller_of(cursor, _frame(1))
            if is_housekeeping(caller, cursor, context["connection"]):
                raise _Housekeeping
            source, sender = sender_of(caller, cursor, context["connection"], sql)
            site, model, decision_id, *more = origin(sender or caller, source, recorder)
            parent_id = recorder.parent_id
            if source is None and more[1] is None:
                decision_id = passed_on(caller, context["connection"].alias, recorder.answers)
            if decision_id is None and recorder.answered_as and more[1] is None:
                decision_id = recorder.decision_of(getattr(source, "using", None), model)
        known, about = recorder.subject
        if known is not model:
            about = recorder.label(model)
        if about is not OWN:
            recorder.asked = None
            connection: BaseDatabaseWrapper = context["connection"]
            vendor = connection.vendor
            try:
                if sql != (text := recorder.text):
                    text = recorder.text = recorder.texts[sql]
                if recorder.params and len(kept := dumps(params, 2)) > SMALL_PARAMETERS_BYTES:
                    raise ValueError  # it takes room
            except Exception:  # not met before, or nothing that a dict could have as a key, or marshal knows
                text, kept = _fitted(recorder, sql, params, many, vendor)
            atomic = connection.in_atomic_block or not connection.autocommit
            if atomic and is_of_a_test(connection):
                atomic = False
            elif atomic and (number := transaction_of(connection, recorder)) is None:
                number = note_implicit_begin(connection, recorder, site)
            if type(alias := connection.alias) is not str:
                alias = capture_scalar(alias)
            raw = CapturedQuery(
                next(recorder.ids),
                alias,
                vendor,
                text,
                kept,
                many,
                about,
                decision_id,
                source is not None,
                atomic,
                number,
                parent_id,
                site,
                perf_counter_ns(),
                0,
            )
            if more is not None:
                saving, raw.told = more
                if saving is not None:
                    raw.saved = capture_instance(saving, recorder.answers)
    except StopIteration:  # there are no ids left
        _refuse(recorder, _frame(1), context)
    except _Housekeeping:
        pass
    except Exception:
        recorder.lost("query")
    if raw is None:
        return execute(sql, params, many, context)
    try:
        result = execute(sql, params, many, context)
    except BaseException as error:
        raw.end = perf_counter_ns()
        _note_failure(recorder, raw, error, sql)
        raise
    raw.end = perf_counter_ns()
    try:  # noqa: SIM105 - a context manager would take as long as all of this
        raw.rowcount = cursor.cursor.rowcount  # type: ignore[possibly-undefined]  # it is known
    except Exception:  # noqa: S110 - drivers differ: closed cursors, cursors without the attribute
        pass
    recorder.events.append(raw)
    return result


class _Housekeeping(Exception):
    """A statement is the connection's own, of which the event of a transaction tells."""


def _is_housekeeping(frame: FrameType, context: dict[str, Any]) -> bool:
    """Whether the connection itself sends the statement that our caller, in ``frame``, is to execute."""
    cursor = context["cursor"]
    return is_housekeeping(caller_of(cursor, frame), cursor, context["connection"])


def _refuse(recorder: Recorder, frame: FrameType, context: dict[str, Any]) -> None:
    """Count a query for which there is no room."""
    try:
        if not _is_housekeeping(frame, context):
            recorder.refuse("query")
    except Exception:
        recorder.lost("query")


def _fitted(recorder: Recorder, sql: Any, params: Any, many: bool, vendor: str) -> tuple[str, Any]:
    """A statement and its parameters, for which there must be room: what of them is kept."""
    kept = None
    if recorder.params:
        try:
            kept = capture_parameters(params, many) if many else dumps(params, 2)
        except ValueError:  # something that marshal does not know
            kept = capture_parameters(params, many)
    return recorder.fit(_text(sql), kept, vendor)


def _note_failure(recorder: Recorder, raw: CapturedQuery, error: BaseException, sql: Any) -> None:
    """Record a query that raised; of a statement that was cut a message could tell the rest."""
    try:
        name = type(error).__name__
        raw.error = name, describe_error(error) if raw.sql == _text(sql) else name
        raw.error_code = find_error_code(error)
        recorder.events.append(raw)
    except Exception:
        recorder.lost("query")


def _text(sql: Any) -> str:
    """A statement as a plain string. It may be psycopg's composed SQL, bytes, or whatever a driver takes."""
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
