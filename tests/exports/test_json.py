from __future__ import annotations

import json

import pytest

from dbroute_panel.exports import FORMATS
from dbroute_panel.records import dumps, loads
from tests.traces import a_finding, a_trace


def written(*traces) -> bytes:
    return b"".join(FORMATS["json"].write(iter(traces)))


def test_it_is_registered_under_its_name():
    found = FORMATS["json"]
    assert (found.name, found.label, found.content_type, found.extension) == (
        "json",
        "JSON",
        "application/json",
        "json",
    )


def test_one_trace_is_its_document():
    trace = a_trace(1, aliases=["primary", "replica1"], findings=[a_finding("stale-read", 2)])
    assert json.loads(written(trace)) == trace.to_dict()
    assert loads(written(trace)) == trace
    assert written(trace) == dumps(trace) + b"\n"


@pytest.mark.parametrize("count", [0, 2, 3, 10])
def test_several_or_none_are_an_array(count):
    traces = [a_trace(number) for number in range(count)]
    document = json.loads(written(*traces))
    assert document == [trace.to_dict() for trace in traces]


def test_what_is_not_ascii_stays_readable():
    assert "/Bücher/".encode() in written(a_trace(1, path="/Bücher/"))


def test_a_trace_is_written_before_the_next_but_one_is_asked_for():
    asked: list[int] = []

    def traces():
        for number in range(50):
            asked.append(number)
            yield a_trace(number)

    pieces = FORMATS["json"].write(traces())
    behind = [len(asked) - written for written, _ in enumerate(pieces)]
    assert asked == list(range(50))
    assert max(behind) <= 2
