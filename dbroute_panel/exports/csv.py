"""
One event a row, for a spreadsheet or a data frame. It cannot be imported: ``json`` and ``ndjson`` can.

Any text may hold what a user of the traced site typed, so cells that a spreadsheet would take for formulas
are escaped.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from django.utils.translation import gettext_lazy

from dbroute_panel.exports.base import Format
from dbroute_panel.records import (
    Callsite,
    CommitHook,
    Decision,
    Event,
    ExceptionRaised,
    Query,
    Trace,
    Transaction,
)
from dbroute_panel.text import escape_formula

CHUNK_ROWS: Final = 200
"""The number of rows in a piece of the file."""

Column = Callable[[Any], Any]


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _answer(decision: Decision) -> Any:
    said = decision.answer
    return said if said is None or isinstance(said, str) else _json(said)


def _site(read: Callable[[Callsite], Any]) -> Column:
    return lambda event: None if event.callsite is None else read(event.callsite)


_EVENT: Final[Mapping[str, Column]] = {
    "id": lambda event: event.id,
    "at_us": lambda event: event.at_us,
    "file": _site(lambda site: site.file),
    "line": _site(lambda site: site.line),
    "function": _site(lambda site: site.function),
    "template": _site(lambda site: site.template and f"{site.template[0]}:{site.template[1]}"),
    "entry": _site(lambda site: site.entry),
}

_COLUMNS: Final[Mapping[type, Mapping[str, Column]]] = {
    Query: {
        **_EVENT,
        "type": lambda query: "query",
        "duration_us": lambda query: query.duration_us,
        "alias": lambda query: query.alias,
        "operation": lambda query: query.operation,
        "model": lambda query: query.model,
        "route": lambda query: query.route,
        "decision_id": lambda query: query.decision_id,
        "parent_id": lambda query: query.parent_id,
        "writes": lambda query: _json(query.writes),
        "many": lambda query: _json(query.many),
        "atomic": lambda query: _json(query.atomic),
        "transaction_number": lambda query: query.transaction_number,
        "rowcount": lambda query: query.rowcount,
        "error": lambda query: query.error,
        "error_code": lambda query: query.error_code,
        "sql": lambda query: query.sql,
        "params": lambda query: _json(query.params),
        "instance": lambda query: _json(query.instance),
    },
    Decision: {
        **_EVENT,
        "type": lambda decision: "decision",
        "duration_us": lambda decision: decision.duration_us,
        "operation": lambda decision: decision.action,
        "model": lambda decision: decision.model,
        "route": lambda decision: decision.decided_by,
        "router": lambda decision: decision.router,
        "answer": _answer,
        "parent_id": lambda decision: decision.parent_id,
        "error": lambda decision: next((step.error for step in decision.steps if step.error), None),
        "args": lambda decision: _json(decision.args),
        "hints": lambda decision: _json(decision.hints or None),
        "steps": lambda decision: _json(decision.steps),
    },
    Transaction: {
        **_EVENT,
        "type": lambda event: "transaction",
        "alias": lambda event: event.alias,
        "operation": lambda event: event.operation,
        "transaction_number": lambda event: event.transaction_number,
    },
    CommitHook: {
        **_EVENT,
        "type": lambda event: "on_commit",
        "alias": lambda event: event.alias,
        "operation": lambda event: "on_commit",
        "atomic": lambda event: _json(event.atomic),
        "transaction_number": lambda event: event.transaction_number,
        "hook": lambda event: event.function,
        "robust": lambda event: _json(event.robust),
        "outcome": lambda event: event.outcome,
        "ended_at_us": lambda event: event.ended_at_us,
    },
    ExceptionRaised: {
        **_EVENT,
        "type": lambda event: "exception",
        "alias": lambda event: event.alias,
        "transaction_number": lambda event: event.transaction_number,
        "model": lambda event: event.model,
        "error": lambda event: event.error,
        "ended": lambda event: event.ended,
        "raised_at": lambda event: event.raised_at and f"{event.raised_at.file}:{event.raised_at.line}",
    },
}

COLUMNS: Final = (
    *("trace", "started_at", "name", "id", "type", "at_us", "duration_us", "alias", "operation", "model"),
    *("route", "router", "answer", "decision_id", "decision_model", "parent_id", "writes", "many", "atomic"),
    *("transaction_number", "rowcount", "error", "sql", "params", "instance", "args", "hints", "steps"),
    *("file", "line", "function", "template", "entry", "hook", "robust", "outcome", "ended_at_us", "ended"),
    *("raised_at", "error_code"),
)
"""
The first row. What an event does not have is empty. ``decision_model`` is what the routers were asked about
when they gave the alias of a query: where it is not ``model``, no router was asked about that.
"""


def write(traces: Iterable[Trace]) -> Iterator[bytes]:
    """Yield a row of names, then one for each event. Holds one trace at a time."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for trace in traces:
        whole = {"trace": trace.id, "started_at": trace.started_at, "name": trace.name}
        models = {decision.id: decision.model for decision in trace.decisions}
        for number, event in enumerate(trace.events, 1):
            decision_model = models.get(event.decision_id or 0) if isinstance(event, Query) else None
            writer.writerow(_make_row({**whole, "decision_model": decision_model}, event))
            if number % CHUNK_ROWS == 0:
                yield _take(buffer)
    yield _take(buffer)


def _make_row(whole: Mapping[str, Any], event: Event) -> list[Any]:
    cells = {**whole, **{name: read(event) for name, read in _COLUMNS[type(event)].items()}}
    return [escape_formula(cells.get(name)) for name in COLUMNS]


def _take(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


FORMAT = Format(
    name="csv",
    label="CSV",
    purpose=gettext_lazy("One event a row, for a spreadsheet"),
    content_type="text/csv; charset=utf-8",
    extension="csv",
    write=write,
)
