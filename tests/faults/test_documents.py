"""
Any trace survives JSON and every store without a difference, and any bytes can be given to the import.

``DBROUTE_EXAMPLES=20`` tries twenty times as many.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbroute_panel import stores
from dbroute_panel.records import (
    Action,
    Callsite,
    Database,
    DecidedBy,
    Decision,
    Dropped,
    Finding,
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
    TypeRef,
    dumps,
    loads,
)
from tests.cli.conftest import dbroute
from tests.traces import a_query, a_trace

pytestmark = pytest.mark.unmeasured

__all__ = ["dbroute"]

# Records of every kind, with everything that their types allow and JSON can hold.

TEXT = st.text(max_size=12) | st.sampled_from(
    ["", "\0", '"', "\\", "\u2028", "</script>", "{", "]", "type", "model"]
)
NAMED = st.none() | TEXT
ID = st.integers(1, 2**53)
AT_US = st.integers(0, 10**15)
US = st.floats(0, 1e12) | st.integers(0, 10**12).map(float)
ALIAS = st.sampled_from(["primary", "replica1"]) | TEXT
INSTANCES = st.builds(
    InstanceRef, model=TEXT, pk=NAMED, state_db=NAMED, adding=st.booleans(), origin_id=st.none() | ID
)
SCALARS = (
    TEXT
    | st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
ANSWERS = SCALARS | st.builds(TypeRef, type=TEXT)
HINTS = st.dictionaries(TEXT, ANSWERS | INSTANCES, max_size=3)
SITES = st.none() | st.builds(
    Callsite, file=TEXT, line=ID, function=TEXT, template=st.none() | st.tuples(TEXT, ID)
)
STEPS = st.builds(
    Step,
    router=TEXT,
    outcome=st.sampled_from(Outcome),
    answer=ANSWERS,
    error=NAMED,
    duration_us=US,
    source=SITES,
    traceback=NAMED,
)
LISTED = st.lists(TEXT, max_size=3)
NAMED_PARAMETERS = st.dictionaries(TEXT, TEXT, max_size=3)
DECISIONS = st.builds(
    Decision,
    id=ID,
    action=st.sampled_from(Action),
    at_us=AT_US,
    duration_us=US,
    model=NAMED,
    args=st.none() | HINTS,
    hints=HINTS,
    steps=st.lists(STEPS, max_size=3).map(tuple),
    decided_by=st.sampled_from(DecidedBy),
    answer=ANSWERS,
    parent_id=st.none() | ID,
    callsite=SITES,
)
QUERIES = st.builds(
    Query,
    id=ID,
    alias=ALIAS,
    at_us=AT_US,
    duration_us=US,
    sql=TEXT,
    params=st.none()
    | LISTED.map(tuple)
    | NAMED_PARAMETERS
    | st.lists(LISTED | NAMED_PARAMETERS, max_size=2).map(tuple),
    many=st.booleans(),
    operation=TEXT,
    writes=st.booleans(),
    model=NAMED,
    route=st.sampled_from(RouteKind),
    decision_id=st.none() | ID,
    instance=st.none() | INSTANCES,
    atomic=st.booleans(),
    transaction_number=st.none() | ID,
    rowcount=st.none() | ID,
    error=NAMED,
    parent_id=st.none() | ID,
    callsite=SITES,
)
TRANSACTIONS = st.builds(
    Transaction,
    id=ID,
    alias=ALIAS,
    at_us=AT_US,
    operation=st.sampled_from(Operation),
    transaction_number=st.none() | ID,
    callsite=SITES,
)
TRACES = st.builds(
    Trace,
    id=st.text("0123456789abcdef", min_size=32, max_size=32),
    name=TEXT,
    kind=st.sampled_from(["request", "block", "command", "task"]),
    started_at=st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    duration_us=US,
    request=st.none()
    | st.builds(Request, method=TEXT, path=TEXT, view=NAMED, status=st.none() | st.integers(0, 999)),
    databases=st.dictionaries(
        ALIAS, st.builds(Database, vendor=TEXT, engine=TEXT, replica_of=NAMED), max_size=3
    ),
    routers=st.lists(TEXT, max_size=3),
    events=st.lists(DECISIONS | QUERIES | TRANSACTIONS, max_size=6),
    findings=st.lists(
        st.builds(
            Finding, code=TEXT, level=st.sampled_from(Level), message=TEXT, events=st.lists(ID, max_size=3)
        ),
        max_size=2,
    ),
    dropped=st.builds(
        Dropped, decision=st.integers(0), query=st.integers(0, 99), transaction=st.integers(0, 99)
    ),
)
TIMES = int(os.environ.get("DBROUTE_EXAMPLES", "1"))
quietly = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@settings(quietly, max_examples=150 * TIMES)
@given(TRACES.filter(lambda trace: trace.dropped.decision < 2**63))
def test_records_are_the_same_after_json(trace):
    document = dumps(trace)
    again = loads(document)
    assert again == trace
    assert dumps(again) == document
    # Equal is not enough: 1 == 1.0 == True. Nor is our own reader: another one must understand it.
    assert repr(again) == repr(trace)
    assert json.loads(document) == json.loads(json.dumps(trace.to_dict()))


@settings(quietly, max_examples=60 * TIMES)
@given(TRACES.filter(lambda trace: trace.dropped.decision < 2**63))
def test_records_are_the_same_out_of_every_store(store, settings, trace):
    for kind in (store, stores.MemoryStore()):
        kind.save(trace)
        assert repr(kind.get(trace.id)) == repr(trace)
        [summary] = kind.summaries()
        assert (summary.id, summary.findings, summary.aliases) == (
            trace.id,
            trace.findings,
            Counter(query.alias for query in trace.queries),
        )
        assert kind.delete([trace.id]) == 1


# The import

KEPT = a_trace(7)
GOOD = [
    a_trace(1),
    a_trace(2, events=[]),
    a_trace(3, name='{"] \\ \u2028 ünï }['),
    a_trace(4, events=[a_query(sql="'")]),
]
FILES = [
    b"".join(dumps(trace) + b"\n" for trace in GOOD),
    b"[" + b",\n".join(map(dumps, GOOD)) + b"]\n",
    json.dumps([trace.to_dict() for trace in GOOD], indent=1).encode(),
    dumps(GOOD[0]),
]
TOKENS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b"\n",
    b"\0",
    b"\xff",
    b"null",
    b"true",
    b"1e999",
    b"-1",
    b"NaN",
    b"\xef\xbb\xbf",
    b'"id"',
    b'"schema"',
    b"dbroute-trace/3",
    b"0" * 32,
    b'{"a":',
    b"\\ud800",
    b"\xed\xa0\x80",
    b"99999999999999999999",
    b'"started_at":"2026-11-22"',
    b"\r\n",
    b"/*",
    b"decision",
    b"9" * 5000,
]


@st.composite
def broken(draw):
    """An exported file with something done to it."""
    content = draw(st.sampled_from(FILES))
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(content)))
        end = min(len(content), begin + draw(st.integers(0, 40)))
        new = draw(
            st.sampled_from(TOKENS) | st.binary(max_size=6) | st.just(b"") | st.just(content[begin:end] * 2)
        )
        content = content[:begin] + new + content[end:]
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


def imported(dbroute, store, file, content):
    """Give ``content`` to the import, and see that what comes of it is what may."""
    store.clear()
    store.save(KEPT)
    file.write_bytes(content)
    done = dbroute("import", file)
    here = {trace.id: trace for trace in store.traces()}
    assert here.pop(KEPT.id) == KEPT  # nothing is lost that was there
    if done.code == 0:
        assert done.err == ""
        assert done.out.count("\n") == 1
        assert done.out.partition(" imported")[0].split()[0] == str(len(here))
        # And nothing that the file holds: it can be read by itself, and every trace of it is here.
        from dbroute_panel.importing.reader import read_traces

        with file.open("rb") as stream:
            assert {trace.id: trace for trace in read_traces(stream)} in (here, here | {KEPT.id: KEPT})
    else:
        assert done.code in (1, 2)
        assert done.out == ""
        assert done.err.count("\n") == 1
        assert done.err.startswith("CommandError: ")
        assert len(done.err) < 1000 + len(str(file))
        assert "Traceback" not in done.err
        assert here == {}  # all of the file or none of it
    return done.code


@settings(quietly, max_examples=120 * TIMES)
@given(content=broken())
def test_a_broken_export_is_imported_as_a_whole_or_refused_in_one_line(dbroute, store, tmp_path, content):
    imported(dbroute, store, tmp_path / "traces.json", content)


@settings(quietly, max_examples=60 * TIMES)
@given(
    content=st.binary(max_size=300)
    | st.text(max_size=100).map(str.encode)
    | st.lists(st.sampled_from(TOKENS)).map(b"".join)
)
def test_any_bytes_are_refused_in_one_line(dbroute, store, tmp_path, content):
    assert imported(dbroute, store, tmp_path / "traces.json", content) == 2


JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@settings(quietly, max_examples=120 * TIMES)
@given(where=st.randoms(use_true_random=False), value=JSON, remove=st.booleans())
def test_a_document_with_any_value_in_any_place_is_imported_or_refused(
    dbroute, store, tmp_path, where, value, remove
):
    document = GOOD[0].to_dict()
    place = document
    while True:
        key = where.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], (dict, list)) or not place[key] or where.random() < 0.3:
            break
        place = place[key]
    if remove:
        del place[key]
    else:
        place[key] = value
    imported(dbroute, store, tmp_path / "traces.json", json.dumps(document).encode())


@pytest.mark.parametrize("seed", range(3))
def test_bits_that_flip_in_a_large_file_are_found_or_do_no_harm(dbroute, store, tmp_path, seed):
    flipping = random.Random(seed)
    content = bytearray(b"".join(dumps(a_trace(number)) + b"\n" for number in range(100, 200)))
    for _ in range(seed):
        content[flipping.randrange(len(content))] ^= 1 << flipping.randrange(8)
    code = imported(dbroute, store, tmp_path / "traces.json", bytes(content))
    assert seed or code == 0
