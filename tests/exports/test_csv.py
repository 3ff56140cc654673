"""One event a row, read by Python's csv module."""

from __future__ import annotations

import csv
import io
import json

import pytest

from dbroute_panel.exports import FORMATS
from dbroute_panel.exports.csv import CHUNK_ROWS, COLUMNS, escape_formula
from dbroute_panel.records import Action, DecidedBy, InstanceRef, Outcome, Step
from tests.traces import a_decision, a_long_trace, a_query, a_trace


def rows_of(*traces):
    body = b"".join(FORMATS["csv"].write(iter(traces)))
    return list(csv.DictReader(io.StringIO(body.decode(), newline=""), strict=True))


def test_every_event_is_a_row_and_what_it_does_not_have_is_empty():
    trace = a_trace(1)
    decision, query, transaction = rows_of(trace)
    assert list(query) == list(COLUMNS)
    assert (decision["type"], query["type"], transaction["type"]) == ("decision", "query", "transaction")
    assert query | {} == dict.fromkeys(COLUMNS, "") | {
        "trace": trace.id,
        "started_at": trace.started_at,
        "name": trace.name,
        "id": "2",
        "type": "query",
        "at_us": "200",
        "duration_us": "250.125",
        "alias": "replica1",
        "operation": "SELECT",
        "model": "library.Book",
        "route": "router",
        "decision_id": "1",
        "decision_model": "library.Book",
        "writes": "false",
        "many": "false",
        "atomic": "false",
        "rowcount": "1",
        "sql": trace.queries[0].sql,
        "params": '["2"]',
        "file": "library/views.py",
        "line": "88",
        "function": "save_book",
    }
    assert (decision["operation"], decision["router"], decision["answer"]) == (
        "db_for_read",
        "routers.ReplicaRouter",
        "replica1",
    )
    assert json.loads(decision["hints"])["instance"]["pk"] == "42"
    assert [step["outcome"] for step in json.loads(decision["steps"])] == ["passed", "answered"]
    assert (transaction["operation"], transaction["transaction_number"], transaction["alias"]) == (
        "begin",
        "1",
        "primary",
    )


def test_the_code_of_an_error():
    numbers = [a_query(1, error="E", error_code=2067), a_query(2, error="E", error_code="23505"), a_query(3)]
    assert [row["error_code"] for row in rows_of(a_trace(1, events=numbers))] == ["2067", "23505", ""]


def test_a_refused_relation_and_an_error():
    book = InstanceRef(model="library.Book", pk="1", state_db="archive", adding=False)
    refused = a_decision(
        1,
        action=Action.RELATION,
        args={"obj1": book, "obj2": book},
        decided_by=DecidedBy.SAME_DATABASE,
        answer=False,
    )
    raised = a_decision(
        2,
        steps=[Step(router="r.R", outcome=Outcome.RAISED, error="ValueError: no")],
        decided_by=DecidedBy.ERROR,
        answer=None,
        parent_id=1,
    )
    first, second = rows_of(a_trace(1, events=[refused, raised]))
    assert (first["answer"], json.loads(first["args"])["obj1"]["state_db"]) == ("false", "archive")
    assert (second["error"], second["answer"], second["router"], second["parent_id"]) == (
        "ValueError: no",
        "",
        "",
        "1",
    )


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\0=1", "\x1b[2J", "＝1", "＠x", "\x7f"],  # noqa: RUF001
)
def test_what_a_spreadsheet_takes_for_a_formula_is_neutralised(cell):
    (row,) = rows_of(a_trace(1, name=cell, events=[a_query(1, sql=cell, model=cell, error=cell)]))
    assert row["name"] == row["sql"] == row["model"] == row["error"] == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["", "SELECT 1", "a=1", "1-2", "'x", "ü", '"quoted", and\nmore', 5, -5, 1.5, None]
)
def test_what_is_no_formula_stays(cell):
    assert escape_formula(cell) == cell


def test_texts_keep_their_commas_quotes_and_line_ends():
    sql = 'SELECT "a",\r\n\'b\' -- "c'
    assert rows_of(a_trace(1, events=[a_query(1, sql=sql)]))[0]["sql"] == sql


def test_all_events_of_all_traces_are_there_and_in_pieces():
    traces = [a_long_trace(number, events=CHUNK_ROWS * 3) for number in (1, 2)]
    rows = rows_of(*traces)
    assert [(row["trace"], int(row["id"])) for row in rows] == [
        (trace.id, event.id) for trace in traces for event in trace.events
    ]
    pieces = list(FORMATS["csv"].write(traces))
    assert len(pieces) >= 6
    assert max(map(len, pieces)) < 300_000


def test_no_trace_is_a_row_of_names():
    assert b"".join(FORMATS["csv"].write([])).decode().strip().split(",") == list(COLUMNS)
