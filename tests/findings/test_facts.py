"""What hangs together in a trace: what was undone, what overlapped, whose replica it was, its name."""

from __future__ import annotations

from itertools import count

import pytest

from dbroute_panel.findings.facts import Facts
from dbroute_panel.records import Database, InstanceRef, Operation, Transaction
from tests.traces import a_query, a_trace

BEGIN, COMMIT = Operation.BEGIN, Operation.COMMIT
SAVEPOINT, RELEASED, UNDONE = (
    Operation.SAVEPOINT,
    Operation.SAVEPOINT_COMMIT,
    Operation.SAVEPOINT_ROLLBACK,
)
WRITE = {"writes": True, "operation": "INSERT", "atomic": True, "transaction_number": 1}


def in_a_transaction(*what):
    """A transaction with these operations, and with writes, each of which is named."""
    numbers, events, names = count(1), [], {}
    for one in what:
        number = next(numbers)
        if isinstance(one, Operation):
            events.append(
                Transaction(
                    id=number,
                    alias="primary",
                    at_us=number,
                    operation=one,
                    transaction_number=1,
                    callsite=None,
                )
            )
        else:
            names[number] = one
            events.append(a_query(number, "primary", **WRITE))
    facts = Facts(a_trace(events=events))
    return [names[number] for number in sorted(facts.undone)], facts


@pytest.mark.parametrize(
    ("what", "undone"),
    [
        ((BEGIN, "a", SAVEPOINT, "b", SAVEPOINT, "c", RELEASED, UNDONE), ["b", "c"]),
        ((BEGIN, "a", SAVEPOINT, "b", SAVEPOINT, "c", SAVEPOINT, "d", RELEASED, UNDONE), ["c", "d"]),
        ((BEGIN, "a", SAVEPOINT, "b", UNDONE, RELEASED, "c", Operation.ROLLBACK), ["a", "b", "c"]),
        ((BEGIN, "a", SAVEPOINT, "b", RELEASED, COMMIT), []),
    ],
)
def test_a_rollback_undoes_what_came_after_its_savepoint(what, undone):
    assert in_a_transaction(*what)[0] == undone


def test_what_happened_in_a_transaction_is_in_the_order_of_the_trace():
    _, facts = in_a_transaction(BEGIN, "a", "b", COMMIT)
    (span,) = facts.spans
    assert (span.begin.id, span.end.id, [query.id for query in span.writes]) == (1, 4, [2, 3])
    assert (span.committed, span.rolled_back) == (True, False)
    assert [(query.id, spans) for query, spans in facts.inside] == [(2, (span,)), (3, (span,))]
    assert [event.id for event in facts.transactions] == [1, 4]


def test_a_transaction_that_is_still_open_was_neither_committed_nor_rolled_back():
    (span,) = in_a_transaction(BEGIN, "a")[1].spans
    assert (span.end, span.committed, span.rolled_back) == (None, False, False)


def test_a_write_that_failed_or_found_no_row_is_no_change():
    events = [
        a_query(1, **WRITE, error="IntegrityError: taken"),
        a_query(2, **WRITE | {"operation": "UPDATE", "sql": 'UPDATE "a" SET "b" = 1'}, rowcount=0),
        a_query(3, **WRITE),
    ]
    facts = Facts(a_trace(events=events))
    assert [query.id for query in facts.writes] == [1, 2, 3]
    assert [query.id for query in facts.changes] == [3]


@pytest.mark.parametrize(("lasted", "concurrent"), [(101, False), (101.5, True), (99, False), (0, False)])
def test_queries_that_overlap_by_more_than_a_rounding_ran_in_several_threads(lasted, concurrent):
    events = [a_query(1, at_us=0, duration_us=lasted), a_query(2, at_us=100, duration_us=1)]
    assert Facts(a_trace(events=events)).concurrent is concurrent


def test_a_replica_belongs_to_the_end_of_its_chain_and_a_chain_without_an_end_to_nobody():
    def database(of=None):
        return Database(vendor="sqlite", engine="django.db.backends.sqlite3", replica_of=of)

    databases = {
        "loops": database("a"),
        "a": database("b"),
        "b": database("a"),
        "far": database("near"),
        "near": database("primary"),
        "primary": database(),
        "lost": database("elsewhere"),
    }
    facts = Facts(a_trace(databases=databases, events=[]))
    assert facts.primaries == {"far": "primary", "near": "primary", "lost": "elsewhere"}
    assert facts.primary_of("far") == "primary"
    assert facts.primary_of("unknown") == "unknown"


def test_what_queries_are_about():
    def saved(pk):
        return a_query(instance=InstanceRef(model="library.Book", pk=pk, state_db="primary", adding=False))

    facts = Facts(a_trace(events=[]))
    assert facts.subjects([saved("1")]) == "library.Book #1"
    assert facts.subjects([saved("1"), saved("1")]) == "library.Book #1 (2 queries)"
    assert facts.subjects([saved("1"), saved("2")]) == "library.Book (2 queries)"
    assert facts.subject(saved("***")) == facts.subject(saved(None)) == "library.Book"
    assert facts.subject(saved("x" * 60)) == f"library.Book #{'x' * 60}"
    assert facts.subject(saved("x" * 61)) == f"library.Book #{'x' * 60}…"
    assert Facts(a_trace(events=[]), redacted=True).subject(saved("1")) == "library.Book"


def test_an_error_in_one_line():
    facts, redacted = Facts(a_trace(events=[])), Facts(a_trace(events=[]), redacted=True)
    assert facts.error("KeyError: 'a: b'\nDETAIL: c") == "KeyError: 'a: b'"
    assert redacted.error("KeyError: 'a: b'\nDETAIL: c") == "KeyError"
    assert facts.error(None) == redacted.error(None) == "an error"
    assert facts.error("x" * 200) == "x" * 200
    assert facts.error("x" * 201) == "x" * 200 + "…"
