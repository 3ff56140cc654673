"""What belongs together in a trace: what was undone, what overlapped, what lay in which transaction."""

from __future__ import annotations

from itertools import count

import pytest

from dbroute_panel.records import Database, Finding, Level, Operation, Transaction
from dbroute_panel.trace_index import TraceIndex
from tests.traces import a_decision, a_query, a_trace

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
    index = TraceIndex(a_trace(events=events))
    return [names[number] for number in sorted(index.undone)], index


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
    _, index = in_a_transaction(BEGIN, "a", "b", COMMIT)
    (span,) = index.spans
    assert (span.begin.id, span.end.id, [query.id for query in span.writes]) == (1, 4, [2, 3])
    assert (span.committed, span.rolled_back) == (True, False)
    assert [(query.id, spans) for query, spans in index.inside] == [(2, (span,)), (3, (span,))]
    assert [event.id for event in index.transactions] == [1, 4]


def test_a_transaction_that_is_still_open_was_neither_committed_nor_rolled_back():
    (span,) = in_a_transaction(BEGIN, "a")[1].spans
    assert (span.end, span.committed, span.rolled_back) == (None, False, False)


def test_a_write_that_failed_or_found_no_row_is_no_change():
    events = [
        a_query(1, **WRITE, error="IntegrityError: taken"),
        a_query(2, **WRITE | {"operation": "UPDATE", "sql": 'UPDATE "a" SET "b" = 1'}, rowcount=0),
        a_query(3, **WRITE),
    ]
    index = TraceIndex(a_trace(events=events))
    assert [query.id for query in index.writes] == [1, 2, 3]
    assert [query.id for query in index.changes] == [3]


@pytest.mark.parametrize(("lasted", "concurrent"), [(101, False), (101.5, True), (99, False), (0, False)])
def test_queries_that_overlap_by_more_than_a_rounding_ran_in_several_threads(lasted, concurrent):
    events = [a_query(1, at_us=0, duration_us=lasted), a_query(2, at_us=100, duration_us=1)]
    assert TraceIndex(a_trace(events=events)).concurrent is concurrent


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
    index = TraceIndex(a_trace(databases=databases, events=[]))
    assert index.primaries == {"far": "primary", "near": "primary", "lost": "elsewhere"}
    assert index.primary_of("far") == "primary"
    assert index.primary_of("unknown") == "unknown"


def test_a_transaction_from_before_the_trace_has_no_begin_and_is_around_what_has_no_number():
    before = {"atomic": True, "transaction_number": None}
    end = Transaction(
        id=2, alias="primary", at_us=20, operation=COMMIT, transaction_number=None, callsite=None
    )
    late = a_query(3, "primary", at_us=30, duration_us=70.5, **before)
    index = TraceIndex(
        a_trace(events=[a_query(1, "primary", at_us=0, duration_us=9, **before), end, late], duration_us=50)
    )
    assert index.spans == []
    (span,) = index.all_spans
    assert (span.begin, span.end, span.at_us, index.span_end_us(span)) == (None, end, 0, 20)
    assert index.span_around == {1: span}
    assert index.last_end_us == 100.5


def test_what_has_the_number_of_a_transaction_is_in_it_and_one_that_stays_open_ends_with_the_trace():
    begin = Transaction(id=1, alias="primary", at_us=5, operation=BEGIN, transaction_number=1, callsite=None)
    inside, other = a_query(2, "primary", **WRITE), a_query(3, "replica1", **WRITE)
    index = TraceIndex(a_trace(events=[begin, inside, other], duration_us=5000))
    span, unknown = index.span_around[2], index.span_around[3]
    assert (span.begin, span.at_us, index.span_end_us(span), span.edges) == (begin, 5, 5000, [begin])
    assert (unknown.alias, unknown.number, unknown.begin) == ("replica1", 1, None)
    assert index.all_spans == [unknown, span]


def test_events_decisions_and_findings_are_found_by_id():
    finding = Finding(code="a", level=Level.INFO, message="", events=[2, 3])
    events = [a_decision(1), a_query(2, decision_id=1), a_query(3, decision_id=1), a_query(4, decision_id=9)]
    index = TraceIndex(a_trace(events=events, findings=[finding]))
    assert index.by_id[2] is events[1]
    assert index.decision_of(events[1]) is events[0]
    assert index.decision_of(events[3]) is index.decision(None) is index.decision(2) is None
    assert index.queries_of == {1: events[1:3], 9: [events[3]]}
    assert index.findings_of == {2: [finding], 3: [finding]}
    assert index.asked(events[3]) is None
