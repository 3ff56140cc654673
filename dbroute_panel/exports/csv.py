"""
One event a row, for a spreadsheet or a data frame. It cannot be imported: ``json`` and ``ndjson`` can.

Any text may hold what a user of the traced site typed, so cells that a spreadsheet would take for formulas
are escaped.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from django.utils.translation import gettext_lazy

from dbroute_panel.exports.base import Format
from dbroute_panel.records import (
    CommitHook,
    Decision,
    Event,
    ExceptionRaised,
    Query,
    Trace,
)
from dbroute_panel.text import escape_formula

CHUNK_ROWS: Final = 200
"""The number of rows in a piece of the file."""

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
    cells = {name: _to_cell(getattr(event, name, None)) for name in COLUMNS}
    cells.update(whole)
    site = event.callsite
    cells |= {name: getattr(site, name, None) for name in ("file", "line", "function", "entry")}
    cells["template"] = site and site.template and f"{site.template[0]}:{site.template[1]}"
    cells["type"] = event.__struct_config__.tag
    if isinstance(event, Decision):
        cells["operation"], cells["route"] = event.action, event.decided_by
        cells["answer"] = event.answer if isinstance(event.answer, str) else _to_json(event.answer)
        cells["error"] = next((step.error for step in event.steps if step.error), None)
        cells["hints"] = _to_json(event.hints or None)
    elif isinstance(event, CommitHook):
        cells["operation"], cells["hook"] = "on_commit", event.function
    elif isinstance(event, ExceptionRaised):
        cells["raised_at"] = event.raised_at and f"{event.raised_at.file}:{event.raised_at.line}"
    return [escape_formula(cells[name]) for name in COLUMNS]


def _to_cell(value: Any) -> Any:
    """Return texts and numbers as they are, and anything else as JSON."""
    return value if isinstance(value, (str, int, float)) and not isinstance(value, bool) else _to_json(value)


def _to_json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


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
