from __future__ import annotations

import random

import pytest

from dbroute_panel import findings
from dbroute_panel.findings import statements
from dbroute_panel.records import Action, Callsite, Operation, Transaction, dumps, loads
from tests.timing import quickest
from tests.traces import a_decision, a_long_trace, a_query, a_trace


def a_busy_trace(events: int):
    """Everything at once: many models and lines, reads and writes on replicas and primaries, transactions."""
    draw = random.Random(7)
    made, open_now, number = [], None, 0
    for id in range(1, events + 1):
        at, model = id * 300, draw.randrange(30)
        site = Callsite(file=f"views{draw.randrange(20)}.py", line=draw.randrange(40), function="view")
        kind = draw.random()
        if kind < 0.4:
            reads = draw.random() < 0.6
            made.append(
                a_decision(
                    id,
                    at_us=at,
                    action=Action.READ if reads else Action.WRITE,
                    answer=draw.choice(["replica1", "replica2"]) if reads else "primary",
                    model=f"app.Model{model}",
                    callsite=site,
                )
            )
        elif kind < 0.9:
            writes = draw.random() < 0.2
            keys = ", ".join(["%s"] * draw.randrange(1, 9))
            sql = (
                f'SELECT "app_{model}"."id" FROM "app_{model}" WHERE "app_{model}"."id" IN ({keys}) LIMIT 21'
            )
            alias = "primary" if writes else draw.choice(["replica1", "replica2", "primary"])
            made.append(
                a_query(
                    id,
                    alias,
                    at_us=at,
                    sql=f'UPDATE "app_{model}" SET "title" = %s WHERE "id" = %s' if writes else sql,
                    writes=writes,
                    operation="UPDATE" if writes else "SELECT",
                    model=f"app.Model{model}",
                    decision=made[-1].id if made else None,
                    atomic=open_now is not None and alias == "primary",
                    transaction=open_now if alias == "primary" else None,
                    callsite=site,
                )
            )
        else:
            operation = Operation.BEGIN if open_now is None else draw.choice(list(Operation)[1:])
            number += operation is Operation.BEGIN
            made.append(
                Transaction(
                    id=id, alias="primary", at_us=at, operation=operation, transaction=number, callsite=None
                )
            )
            open_now = None if operation in (Operation.COMMIT, Operation.ROLLBACK) else number
    return a_trace(events=made)


def seconds(trace, *, enough: float = 0.0) -> float:
    """What judging a trace takes where nothing of its SQL was seen before."""

    def find() -> None:
        for cached in (statements.tables_read, statements.tables_written, statements.shape):
            cached.cache_clear()
        findings.find(trace)

    return quickest(find, enough=enough, rounds=20)


@pytest.mark.parametrize("make", [a_busy_trace, lambda events: a_long_trace(events=events)])
def test_10_000_events_are_judged_in_less_than_50_ms(make):
    # A trace that was read again: no two events share an object, as they do here when they are made.
    trace = loads(dumps(make(events=10_000)))
    assert seconds(trace, enough=0.05) < 0.05


def test_four_times_as_many_events_do_not_take_sixteen_times_as_long():
    assert seconds(a_busy_trace(20_000)) < 10 * seconds(a_busy_trace(5_000))
