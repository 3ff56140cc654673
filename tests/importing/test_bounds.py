"""What ``read_traces()`` accepts, every format can write; what it cannot is named by field and event."""

from __future__ import annotations

import copy
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbroute_panel.exports import FORMATS
from dbroute_panel.importing.reader import ReadError, read_traces
from dbroute_panel.records import Callsite, InstanceRef, Request, dumps
from dbroute_panel.redaction import redact_trace
from tests.traces import a_decision, a_finding, a_query, a_trace, a_transaction

pytestmark = pytest.mark.unmeasured

SAVED = InstanceRef(model="library.Book", pk="42", state_db="replica1", adding=False, origin_id=1)
SITE = Callsite(file="views.py", line=88, function="save_book", template=("book.html", 3))
WHOLE = a_trace(
    1,
    events=[
        a_decision(1),
        a_decision(2, parent_id=1, callsite=SITE, hints={"instance": SAVED, "number": 4, "share": 0.5}),
        a_query(3, decision_id=2, parent_id=1, instance=SAVED, atomic=True, transaction_number=1),
        a_query(4, many=True, params=[["1"], ["2"]], error="IntegrityError: x"),
        a_transaction(5),
    ],
    findings=[a_finding("stale-read", 3, 1)],
)


def accepted(document):
    [trace] = read_traces(io.BytesIO(json.dumps(document).encode()))
    return trace


def refused(document) -> str:
    with pytest.raises(ReadError) as caught:
        accepted(document)
    return caught.value.reason


def changed(path, value):
    document = copy.deepcopy(WHOLE.to_dict())
    *way, last = path
    place = document
    for key in way:
        place = place[key]
    place[last] = value
    return document


LARGE = 2**63
TRACE = f"The trace {WHOLE.id}: "


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (["request", "status"], 10**20, f"request.status is {10**20}, and not from 0 to 999."),
        (["request", "status"], -1, "request.status is -1, and not from 0 to 999."),
        (["started_at"], "0001-01-01T00:00:00Z",
         "the trace's started_at, '0001-01-01T00:00:00Z', is not in the years from 1970 to 2261."),
        (["started_at"], "9999-01-01T00:00:00Z",
         "the trace's started_at, '9999-01-01T00:00:00Z', is not in the years from 1970 to 2261."),
        (["started_at"], "2026-11-22T00:00:00",
         "the trace's started_at, '2026-11-22T00:00:00', has no time zone."),
        (["events", 3, "id"], 3, "event 3: there is another event with this id."),
        (["events", 0, "answer"], 10**25,
         f"event 1: answer is {10**25}, and not from {-LARGE} to {2 * LARGE - 1}."),
        (["events", 0, "steps", 1, "answer"], -(10**25),
         f"event 1: steps[1].answer is {-(10**25)}, and not from {-LARGE} to {2 * LARGE - 1}."),
        (["events", 0, "answer"], 10**60,
         f"event 1: answer is {'1' + '0' * 29}…, and not from {-LARGE} to {2 * LARGE - 1}."),
        (["events", 2, "error_code"], 10**25,
         f"event 3: error_code is {10**25}, and not from {-LARGE} to {2 * LARGE - 1}."),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_named(path, value, reason):
    assert refused(changed(path, value)) == TRACE + reason


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["duration_us"], 1e308),
        (["duration_us"], -0.5),
        (["dropped", "query"], LARGE),
        (["findings", 0, "events", 1], LARGE),
        (["events", 0, "id"], 0),
        (["events", 0, "id"], -1),
        (["events", 0, "at_us"], 10**30),
        (["events", 4, "at_us"], -1),
        (["events", 2, "duration_us"], 1e308),
        (["events", 1, "steps", 0, "duration_us"], -1),
        (["events", 2, "rowcount"], 10**25),
        (["events", 2, "rowcount"], 10**60),
        (["events", 4, "transaction_number"], LARGE),
        (["events", 2, "instance", "origin_id"], LARGE),
        (["events", 1, "hints", "instance", "origin_id"], LARGE),
        (["events", 1, "callsite", "line"], LARGE),
        (["events", 1, "callsite", "template", 1], -LARGE),
    ],
)
def test_a_number_out_of_bounds_is_named_by_its_place(path, value):
    reason = refused(changed(path, value))
    assert reason.startswith("This is no trace document: ")
    assert len(reason) < 200
    if "hints" in path:  # decoded apart from their event
        path = path[-1:]
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    assert f"${place}" in reason


@pytest.mark.parametrize("status", [None, 0, 100, 999])
def test_what_recording_may_write_is_read(status):
    request = Request(method="GET", path="/", view=None, status=status)
    trace = a_trace(1, request=request, started_at="1970-01-01T00:00:00Z", duration_us=0.0)
    assert list(read_traces(io.BytesIO(dumps(trace)))) == [trace]


def places(value, path=()):
    """The way to each value in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield (*path, key)
        yield from places(one, (*path, key))


PLACES = [list(place) for place in places(WHOLE.to_dict())]
NUMBERS = [
    place for place in PLACES
    if place[-1] in ("id", "line", "status", "parent_id", "origin_id")
    or place[-1] in ("decision", "decision_id", "transaction", "transaction_number", "rowcount", "query")
    or place[-1] in ("at_us", "duration_us", "answer")
    or "events" in place[2:]
]  # fmt: skip
VALUES = (
    st.sampled_from([0, -1, 1, 2, 3, 5, 10**15, 10**15 + 1, 2**63 - 1, 2**63, 2**64 - 1, 10**20, 10**30])
    | st.sampled_from(
        [-0.0, 0.0005, 1e15, 1e300, -(2**63), -(10**25), None, True, "", "\0", "\u2028", [], {}]
    )
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.datetimes(timezones=st.none() | st.timezones()).map(lambda time: time.isoformat())
)


@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from(NUMBERS) | st.sampled_from(PLACES), VALUES), min_size=1, max_size=3
    )
)
def test_whatever_is_read_can_be_written_in_every_format(site, changes):
    document = copy.deepcopy(WHOLE.to_dict())
    for (*way, last), value in changes:
        place = document
        try:
            for key in way:
                place = place[key]
            place[last] = value
        except (TypeError, KeyError, IndexError):
            continue  # an earlier change took it away
    try:
        trace = accepted(document)
    except ReadError:
        return
    for known in FORMATS.values():
        assert b"".join(known.write([trace]))
        assert b"".join(known.write([redact_trace(trace)]))
    again = b"".join(FORMATS["ndjson"].write([trace]))
    assert list(read_traces(io.BytesIO(again))) == [trace]
