"""Traces for tests that need some, of any size, and never mind how they were recorded."""

from __future__ import annotations

import random
from typing import Any

from dbroute_panel.records import (
    Action,
    Callsite,
    CommitHook,
    Database,
    DecidedBy,
    Decision,
    Dropped,
    Event,
    ExceptionRaised,
    Finding,
    HookOutcome,
    InstanceRef,
    Level,
    Operation,
    Outcome,
    Query,
    Request,
    RouteKind,
    Step,
    Trace,
    Transaction,
)

CALLSITE = Callsite(file="library/views.py", line=88, function="save_book")


def a_decision(id: int = 1, **changes: Any) -> Decision:
    fields: dict[str, Any] = {
        "id": id,
        "action": Action.READ,
        "at_us": id * 100,
        "duration_us": 1.5,
        "model": "library.Book",
        "args": None,
        "hints": {"instance": InstanceRef(model="library.Book", pk="42", state_db="replica1", adding=False)},
        "steps": (
            Step(router="routers.AuthRouter", outcome=Outcome.PASSED, duration_us=0.4),
            Step(router="routers.ReplicaRouter", outcome=Outcome.ANSWERED, answer="replica1"),
        ),
        "decided_by": DecidedBy.ROUTER,
        "answer": "replica1",
        "callsite": CALLSITE,
    }
    return Decision(**fields | changes)


def a_query(id: int = 2, alias: str = "replica1", **changes: Any) -> Query:
    fields: dict[str, Any] = {
        "id": id,
        "alias": alias,
        "at_us": id * 100,
        "duration_us": 250.125,
        "sql": 'SELECT "library_book"."id", "library_book"."title" FROM "library_book" WHERE "id" = %s',
        "params": (str(id),),
        "many": False,
        "operation": "SELECT",
        "writes": False,
        "model": "library.Book",
        "route": RouteKind.ROUTER,
        "decision_id": None,
        "instance": None,
        "atomic": False,
        "transaction_number": None,
        "rowcount": 1,
        "error": None,
        "parent_id": None,
        "callsite": CALLSITE,
    }
    return Query(**fields | changes)


def a_transaction(id: int = 3, alias: str = "primary", **changes: Any) -> Transaction:
    fields: dict[str, Any] = {
        "id": id,
        "alias": alias,
        "at_us": id * 100,
        "operation": Operation.BEGIN,
        "transaction_number": 1,
        "callsite": CALLSITE,
    }
    return Transaction(**fields | changes)


def a_hook(id: int = 4, alias: str = "primary", **changes: Any) -> CommitHook:
    fields: dict[str, Any] = {
        "id": id,
        "alias": alias,
        "at_us": id * 100,
        "function": "library.tasks.send_mail",
        "robust": False,
        "atomic": True,
        "outcome": HookOutcome.RAN,
        "transaction_number": 1,
        "callsite": CALLSITE,
        "ended_at_us": id * 100 + 50,
    }
    return CommitHook(**fields | changes)


def an_exception(id: int = 5, **changes: Any) -> ExceptionRaised:
    fields: dict[str, Any] = {
        "id": id,
        "at_us": id * 100,
        "error": "TransactionManagementError: select_for_update cannot be used outside of a transaction.",
        "ended": "trace",
        "alias": "primary",
        "transaction_number": 1,
        "callsite": CALLSITE,
        "raised_at": Callsite(file="/lib/django/db/models/sql/compiler.py", line=841, function="as_sql"),
    }
    return ExceptionRaised(**fields | changes)


def a_finding(code: str = "stale-read", *events: int) -> Finding:
    return Finding(code=code, level=Level.WARNING, message="Book #42 was possibly stale.", events=[*events])


def a_trace(number: int = 1, **changes: Any) -> Trace:
    """
    A trace with one event of each kind. ``number`` makes its id and the second in which it started.

    ``path`` and ``status`` go into its request; ``aliases`` are those of its queries.
    """
    request = Request(
        method="GET",
        path=changes.pop("path", "/books/42/"),
        view="library.views.book",
        status=changes.pop("status", 200),
    )
    aliases = changes.pop("aliases", ["replica1"])
    events: list[Event] = [
        a_decision(1),
        *(a_query(id, alias, decision_id=1) for id, alias in enumerate(aliases, 2)),
        a_transaction(len(aliases) + 2),
    ]
    fields: dict[str, Any] = {
        "id": f"{number:032x}",
        "name": "GET /books/42/",
        "kind": "request",
        "started_at": f"2026-11-22T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000000Z",
        "duration_us": 84_000.5,
        "request": request,
        "databases": {
            alias: Database(
                vendor="sqlite",
                engine="django.db.backends.sqlite3",
                replica_of="primary" if alias.startswith("replica") else None,
            )
            for alias in ("primary", "replica1", "replica2")
        },
        "routers": ["routers.AuthRouter", "routers.ReplicaRouter"],
        "events": events,
        "findings": [],
        "dropped": Dropped(),
    }
    return Trace(**fields | changes)


def a_long_trace(number: int = 1, *, events: int = 10_000) -> Trace:
    """Pairs of a decision and its query."""
    made: list[Event] = []
    for id in range(1, events + 1, 2):
        made += [a_decision(id), a_query(id + 1, decision_id=id)]
    return a_trace(number, events=made)


def a_busy_trace(events: int) -> Trace:
    """Everything at once: many models and lines, reads and writes on replicas and primaries, transactions."""
    draw = random.Random(7)
    made: list[Event] = []
    open_now, number = None, 0
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
                    decision_id=made[-1].id if made else None,
                    atomic=open_now is not None and alias == "primary",
                    transaction_number=open_now if alias == "primary" else None,
                    callsite=site,
                )
            )
        else:
            operation = Operation.BEGIN if open_now is None else draw.choice(list(Operation)[1:])
            number += operation is Operation.BEGIN
            made.append(
                Transaction(
                    id=id,
                    alias="primary",
                    at_us=at,
                    operation=operation,
                    transaction_number=number,
                    callsite=None,
                )
            )
            open_now = None if operation in (Operation.COMMIT, Operation.ROLLBACK) else number
    return a_trace(events=made)
