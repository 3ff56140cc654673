"""One document a line; many of them in constant memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dbroute_panel.exports import FORMATS
from dbroute_panel.records import dumps
from tests.traces import a_trace

pytestmark = pytest.mark.unmeasured

MEASURED = """
import resource, sys, time
from dbroute_panel.exports import FORMATS
from dbroute_panel.records import dumps, loads
from tests.traces import a_long_trace

document = dumps(a_long_trace(1, events=1000))

def traces(count):
    for number in range(count):
        yield loads(document)  # as a store gives them: one at a time, each anew

def run(name, count):
    size = 0
    for piece in FORMATS[name].write(traces(count)):
        size += len(piece)
    return size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

name = sys.argv[1]
small, before = run(name, 10)
large, after = run(name, 250)
print(small, large, before, after)
"""


def test_a_document_a_line():
    traces = [a_trace(number, path="/Bücher\n/") for number in (1, 2, 3)]
    body = b"".join(FORMATS["ndjson"].write(iter(traces)))
    assert [json.loads(line) for line in body.splitlines()] == [trace.to_dict() for trace in traces]
    assert body == b"".join(dumps(trace) + b"\n" for trace in traces)
    assert b"".join(FORMATS["ndjson"].write([])) == b""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["json", "ndjson", "csv"])
def test_250_traces_of_1000_events_take_as_much_memory_as_ten(name):
    done = subprocess.run([sys.executable, "-c", MEASURED, name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    small, large, before, after = map(int, done.stdout.split())
    assert large > 22 * small
    assert large > 100_000_000
    assert after - before < 20 * 1024  # kB
