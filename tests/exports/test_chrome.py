"""
The Trace Event Format, checked by its own rules: nothing here asks our code where a slice should be.

Perfetto's and speedscope's importers sort slices by ``ts``, take those of one ``tid`` off a stack as they
end, and complain where one ends after the one it began in.
"""

from __future__ import annotations

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from dbroute_panel.exports import FORMATS, chrome
from dbroute_panel.records import Database, Operation, Transaction, dumps
from tests.traces import CALLSITE, a_decision, a_finding, a_long_trace, a_query, a_trace

NUMBER = (int, float)


def exported(*traces):
    document = json.loads(b"".join(FORMATS["chrome"].write(iter(traces))))
    assert set(document) == {"displayTimeUnit", "traceEvents"}
    assert document["displayTimeUnit"] == "ms"
    for event in document["traceEvents"]:
        check(event)
    return document["traceEvents"]


FIELDS = {
    "M": {"name": str, "args": dict},
    "X": {"name": str, "cat": str, "ts": NUMBER, "dur": NUMBER, "args": dict},
    "i": {"name": str, "cat": str, "ts": NUMBER, "s": str, "args": dict},
    "s": {"name": str, "cat": str, "ts": NUMBER, "id": int},
    "f": {"name": str, "cat": str, "ts": NUMBER, "id": int, "bp": str},
}


def check(event):
    """Every field that the format asks for is there, of its type; and no other."""
    fields = {"ph": str, "pid": int, "tid": int} | FIELDS[event["ph"]]
    assert set(event) == set(fields)
    for name, kind in fields.items():
        assert isinstance(event[name], kind), (name, event)
    assert event.get("ts", 0) >= 0
    assert event.get("dur", 0) >= 0
    assert event.get("s", "t") == "t"
    assert event.get("bp", "e") == "e"
    assert event["name"]


def of(events, phase, **fields):
    return [
        event
        for event in events
        if event["ph"] == phase and all(event.get(k) == v for k, v in fields.items())
    ]


def lanes(events, pid=1):
    """The names of the lanes by ``tid``; each has one, and whatever is drawn is on one of them."""
    named = {e["tid"]: e["args"]["name"] for e in of(events, "M", pid=pid, name="thread_name")}
    assert len(of(events, "M", pid=pid, name="thread_name")) == len(named)
    assert {e["tid"] for e in events if e["pid"] == pid} == set(named)
    order = {e["tid"]: e["args"]["sort_index"] for e in of(events, "M", pid=pid, name="thread_sort_index")}
    assert sorted(order, key=order.get) == sorted(named)
    return named


def nested(events):
    """By (pid, tid, ts, dur, name) of each slice: the slice around it. Fails where two overlap."""
    around = {}
    rows = {}
    for event in of(events, "X"):
        start = round(event["ts"] * 1000)
        rows.setdefault((event["pid"], event["tid"]), []).append(
            (start, start + round(event["dur"] * 1000), event)
        )
    for row in rows.values():
        stack = []
        for start, end, event in sorted(row, key=lambda piece: piece[0]):
            while stack and stack[-1][1] <= start:
                stack.pop()
            assert not stack or end <= stack[-1][1], f"{event} does not end inside of {stack[-1][2]}"
            around[id(event)] = stack[-1][2] if stack else None
            stack.append((start, end, event))
    return around


def check_all(trace, events, pid=1):
    """That the slices are the events of the trace, at their times, nest, and are joined by arrows."""
    around = nested(events)
    named = lanes(events, pid)
    slices = {e["args"]["id"]: e for e in of(events, "X", pid=pid) if e["cat"] in ("sql", "routing")}
    recorded = {e.id: e for e in [*trace.decisions, *trace.queries]}
    assert set(slices) == set(recorded)
    document = {event["id"]: event for event in json.loads(dumps(trace))["events"]}
    for id, event in recorded.items():
        drawn = slices[id]
        added = {"findings": 0, "decision_model": 0}
        assert drawn["args"] | added == document[id] | added
        assert 0 <= round((drawn["ts"] - event.at_us) * 1000) < 1000
        assert 0 <= round((drawn["dur"] - event.duration_us) * 1000) < 1000
        lane = named[drawn["tid"]]
        if document[id]["type"] == "query":
            assert drawn["dur"] == event.duration_us
            assert lane.split(",")[0].split(" (")[0] == event.alias
            if event.transaction_number is not None and around[id_of(drawn)] is not None:
                outer = around[id_of(drawn)]
                assert outer["args"]["transaction_number"] == event.transaction_number
                assert outer["args"]["alias"] == event.alias
        else:
            assert lane.split(" (")[0] == "routers"
            outer = around[id_of(drawn)]
            assert (outer and outer["args"]["id"]) == event.parent_id
    check_arrows(trace, events, slices, pid)


id_of = id


def check_arrows(trace, events, slices, pid):
    starts, ends = ({event["id"]: event for event in of(events, phase, pid=pid)} for phase in ("s", "f"))
    assert set(starts) == set(ends)
    drawn = of(events, "X", pid=pid)
    joined = set()
    for id, start in starts.items():
        end = ends[id]
        assert (start["name"], start["cat"]) == (end["name"], end["cat"])
        assert start["ts"] <= end["ts"]
        joined.add((at(drawn, start)["args"]["id"], at(drawn, end)["args"]["id"]))
    assert joined == {(q.decision_id, q.id) for q in trace.queries if q.decision_id in slices}


def at(drawn, point):
    """The innermost slice at a moment of a lane: what a viewer ties an arrow to."""
    there = [
        (one["ts"], one["args"]["id"], one)
        for one in drawn
        if one["tid"] == point["tid"]
        and one["cat"] in ("sql", "routing")
        and one["ts"] <= point["ts"] < one["ts"] + one["dur"]
    ]
    return max(there)[2]


# Of real traces


def test_every_scenario(scenario_traces):
    traces = [trace for number in scenario_traces for trace in scenario_traces[number]]
    assert sum(len(trace.events) for trace in traces) > 200
    for trace in traces:
        check_all(trace, exported(trace))


def test_the_walk_through_has_a_lane_a_database_and_one_of_the_routers(walk_through):
    events = exported(walk_through)
    used = {query.alias for query in walk_through.queries}
    names = set(lanes(events).values())
    replicas = {f"{alias}, replica of primary" for alias in used if alias.startswith("replica")}
    assert names == {"trace", "routers", "auth_db", "primary", *replicas}
    [whole] = of(events, "X", cat="trace")
    assert (whole["ts"], whole["dur"]) == (0, walk_through.duration_us)
    assert whole["args"]["id"] == walk_through.id
    assert whole["args"]["started_at"] == walk_through.started_at


def test_transactions_enclose_their_queries(scenario_traces):
    [*traces] = scenario_traces[26]
    inside = 0
    for trace in traces:
        events = exported(trace)
        around = nested(events)
        for event in of(events, "X", cat="sql"):
            number = event["args"]["transaction_number"]
            if number is not None:
                outer = around[id(event)]
                assert outer["cat"] == "transaction"
                assert (outer["args"]["alias"], outer["args"]["transaction_number"]) == (
                    event["args"]["alias"],
                    number,
                )
                inside += 1
        ended = {e["args"]["ended"]["operation"] for e in of(events, "X", cat="transaction")}
        assert ended <= {"commit", "rollback"}
    assert inside > 1


# Of made ones


def test_two_queries_at_once_are_not_shown_as_one_inside_the_other():
    outer = a_query(1, "primary", at_us=100, duration_us=100.0)
    inner = a_query(2, "primary", at_us=120, duration_us=10.0)
    late = a_query(3, "primary", at_us=300, duration_us=10.0)
    events = exported(a_trace(events=[outer, inner, late]))
    assert list(lanes(events).values()) == ["trace", "primary", "primary (2)"]
    assert [e["tid"] for e in of(events, "X", cat="sql")] == [2, 3, 2]
    check_all(a_trace(events=[outer, inner, late]), events)


def test_more_of_a_replica_are_named_after_it():
    trace = a_trace(events=[a_query(1, at_us=1), a_query(2, at_us=2)])
    assert list(lanes(exported(trace)).values())[1:] == [
        "replica1, replica of primary",
        "replica1 (2), replica of primary",
    ]


def test_the_cut_off_parts_of_a_microsecond_do_not_make_slices_overlap():
    """The first ends at 105.9 by these numbers, the second begins at 105: it began at 105.9 or later."""
    first = a_query(1, "primary", at_us=100, duration_us=5.9)
    second = a_query(2, "primary", at_us=105, duration_us=1.0)
    events = exported(a_trace(events=[first, second]))
    assert [(e["ts"], e["dur"], e["tid"]) for e in of(events, "X", cat="sql")] == [
        (100, 5.9, 2),
        (105.9, 1, 2),
    ]


def transaction(id, operation, at_us, number=1, alias="primary"):
    return Transaction(
        id=id, alias=alias, at_us=at_us, operation=operation, transaction_number=number, callsite=CALLSITE
    )


def test_a_transaction_that_began_before_and_one_that_did_not_end():
    trace = a_trace(
        duration_us=900.5,
        events=[
            a_query(1, "primary", at_us=10, atomic=True),
            transaction(2, Operation.SAVEPOINT, 300, None),
            transaction(3, Operation.COMMIT, 400, None),
            transaction(4, Operation.BEGIN, 500),
            a_query(5, "primary", at_us=510, atomic=True, transaction_number=1),
            transaction(6, Operation.SAVEPOINT, 800),
            transaction(7, Operation.SAVEPOINT, 800, None, "replica2"),
        ],
    )
    events = exported(trace)
    before, after = of(events, "X", cat="transaction")
    assert (before["ts"], before["dur"], before["args"]["began"]) == (0, 400, None)
    assert before["args"]["ended"]["id"] == 3
    assert (after["ts"], after["dur"], after["args"]["ended"]) == (500, 400.5, None)
    around = nested(events)
    assert [around[id(event)] for event in of(events, "X", cat="sql")] == [before, after]
    points = of(events, "i")
    assert [(p["name"], p["ts"], p["args"]["id"]) for p in points] == [
        ("savepoint", 300, 2), ("savepoint", 800, 6), ("savepoint", 800, 7),
    ]  # fmt: skip
    assert [lanes(events)[p["tid"]] for p in points][2] == "replica2, replica of primary"


def test_a_second_connection_does_not_run_inside_the_first_ones_transaction():
    trace = a_trace(
        events=[
            transaction(1, Operation.BEGIN, 0),
            a_query(2, "primary", at_us=10, atomic=True, transaction_number=1),
            a_query(3, "primary", at_us=400),
            transaction(4, Operation.COMMIT, 900),
        ]
    )
    events = exported(trace)
    around = nested(events)
    assert [around[id(e)] and around[id(e)]["cat"] for e in of(events, "X", cat="sql")] == [
        "transaction",
        None,
    ]


def test_questions_inside_of_questions_nest():
    trace = a_trace(
        events=[
            a_decision(1, at_us=100, duration_us=51.5),
            a_decision(2, at_us=100, duration_us=20.2, parent_id=1),
            a_decision(3, at_us=120, duration_us=30.9, parent_id=1),
            a_query(4, decision_id=3, at_us=130, duration_us=1.0, parent_id=1),
            a_query(5, decision_id=1, at_us=152, duration_us=1.0),
        ]
    )
    events = exported(trace)
    check_all(trace, events)
    assert lanes(events)[of(events, "X", cat="routing")[0]["tid"]] == "routers"


def test_a_decision_without_a_moment_of_its_own_has_no_arrow():
    outer, inner = (
        a_decision(1, at_us=100, duration_us=5.0),
        a_decision(2, at_us=100, duration_us=5.5, parent_id=1),
    )
    query = a_query(3, decision_id=1, at_us=200)
    assert of(exported(a_trace(events=[outer, inner, query])), "s") == []


def test_what_findings_are_about_is_marked():
    trace = a_trace(findings=[a_finding("stale-read", 2), a_finding("repeated-query", 2, 1)])
    events = exported(trace)
    marked = {e["args"]["id"]: e["args"].get("findings") for e in of(events, "X") if "id" in e["args"]}
    assert (marked[1], marked[2]) == (["repeated-query"], ["stale-read", "repeated-query"])
    assert len(marked[trace.id]) == 2  # of the whole trace, the findings in full


def test_several_traces_are_processes_and_their_arrows_do_not_mix():
    traces = [a_trace(number) for number in (1, 2, 3)]
    events = exported(*traces)
    assert {event["pid"] for event in events} == {1, 2, 3}
    assert [e["args"]["labels"].split(", ")[0] for e in of(events, "M", name="process_labels")] == [
        trace.id for trace in traces
    ]
    ids = [event["id"] for event in of(events, "s")]
    assert len(ids) == len(set(ids)) == 3
    for pid, trace in enumerate(traces, 1):
        check_all(trace, [event for event in events if event["pid"] == pid], pid)


def test_an_alias_that_the_document_does_not_list_has_a_lane_as_well():
    trace = a_trace(databases={}, events=[a_query(1, "sharded")])
    assert list(lanes(exported(trace)).values()) == ["trace", "sharded"]


def test_no_trace_and_an_empty_one():
    assert exported() == []
    assert len(of(exported(a_trace(events=[])), "X")) == 1


def test_it_is_written_piece_by_piece():
    pieces = list(chrome.write([a_long_trace(events=1200)]))
    assert len(pieces) > 5
    assert max(map(len, pieces)) < 1_000_000
    check_all(a_long_trace(events=1200), json.loads(b"".join(pieces))["traceEvents"])


@given(st.integers(), st.integers(1, 3), st.integers(2, 60))
def test_whatever_ran_beside_whatever_the_slices_nest(seed, threads, steps):
    """Threads with clocks in nanoseconds, each asking, querying and opening transactions by itself."""
    trace = worked(random.Random(seed), threads, steps)
    events = exported(trace)
    nested(events)
    slices = {e["args"]["id"]: e for e in of(events, "X") if e["cat"] in ("sql", "routing")}
    for event in [*trace.decisions, *trace.queries]:
        assert 0 <= round((slices[event.id]["ts"] - event.at_us) * 1000) < 1000
        assert 0 <= round((slices[event.id]["dur"] - event.duration_us) * 1000) < 1000
    around = nested(events)
    if threads == 1:
        for event in of(events, "X"):
            if event["cat"] == "sql":
                outer = around[id(event)]
                assert (outer and outer["args"]["transaction_number"]) == event["args"]["transaction_number"]
            elif event["cat"] == "routing":
                outer = around[id(event)]
                assert (outer and outer["args"]["id"]) == event["args"]["parent_id"]
        assert set(lanes(events).values()) <= {"trace", "routers", "primary"}


def worked(draw, threads, steps):
    """What a recorder would write down: starts cut off to microseconds, durations in nanoseconds."""
    numbers = iter(range(1, 1000))
    raw = [entry for _ in range(threads) for entry in thread(draw, steps, numbers)]
    order = sorted(range(len(raw)), key=lambda index: (raw[index][0], index))
    ids = {raw[index][2]: id for id, index in enumerate(order, 1)}
    events = []
    for start, length, key, what, inside in (raw[index] for index in order):
        id, times = ids[key], {"at_us": start // 1000, "duration_us": length / 1000}
        if what == "query":
            events.append(
                a_query(id, "primary", atomic=inside is not None, transaction_number=inside, **times)
            )
        elif what == "decision":
            events.append(a_decision(id, parent_id=ids.get(inside), **times))
        else:
            events.append(transaction(id, what, start // 1000, inside))
    database = Database(vendor="sqlite", engine="x", replica_of=None)
    return a_trace(events=events, duration_us=1_000_000.0, databases={"primary": database})


def thread(draw, steps, numbers):
    """Entries (start, length, key, what, the transaction or decision it is inside of)."""
    now, number = draw.randrange(3000), None
    for _ in range(steps):
        now += draw.choice([0, 1, 300, 999, 1000, 1500])
        length = draw.choice([2, 400, 999, 1001, 2500])
        what = draw.choice(["query", "decision", "nested", "transaction"])
        key = object()
        if what == "query":
            yield now, length, key, "query", number
        elif what == "transaction":
            length, begins = 0, number is None
            number = next(numbers) if begins else number
            yield now, 0, key, Operation.BEGIN if begins else Operation.COMMIT, number
            number = number if begins else None
        else:
            yield now, length, key, "decision", None
            if what == "nested":
                inner = draw.randrange(1, length)
                yield now + draw.randrange(length - inner + 1), inner, object(), "decision", key
        now += length
