"""
Much at once, and for long: what a process takes of memory with us and without, measured side by side.

Each in a process of its own (``load.py``), at the same time on the same machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.faults.load import EARLY, QUERIES, REQUESTS

ROOT = Path(__file__).resolve().parents[2]
MB = 1 << 20


@pytest.fixture
def folder(tmp_path):
    """In memory where that can be: how fast a disk is has nothing to do with it."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


def told(what, folder, *modes):
    """What the processes told that did it in these modes at the same time."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    with contextlib.ExitStack() as running:
        processes = []
        for mode in modes:
            (folder / mode).mkdir()
            command = [sys.executable, "-m", "tests.faults.load", what, mode, folder / mode]
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            processes.append(running.enter_context(process))
            running.callback(process.kill)
        ended = [(*process.communicate(timeout=600), process.returncode) for process in processes]
    assert [code for _out, _err, code in ended] == [0] * len(modes), ended
    return [json.loads(out) for out, _err, _code in ended]


@pytest.mark.slow
def test_a_request_of_100_000_queries_takes_less_than_64_mib_more_with_us(folder):
    assert QUERIES == 100_000
    without, recording = told("queries", folder, "without", "recording")
    assert recording["answer"] == without["answer"] == ["200 OK", "0"]
    assert without["traces"] == [{"lost": 0, "kept": 0}]
    counted, last = recording["traces"]
    assert (counted["lost"], last["status"]) == (0, 200)
    assert last["queries"] + last["dropped"] == QUERIES
    more = recording["memory"] - without["memory"]
    assert more < 64 * MB, f"{more / MB:.1f} MiB"


@pytest.mark.slow
def test_10_000_requests_leave_nothing_behind_but_what_the_store_keeps(folder):
    assert (EARLY, REQUESTS) == (1000, 10_000)
    [recording] = told("requests", folder, "recording")
    assert recording["answers"] == {"200 OK": 6000, "404 Not Found": 2000, "500 Internal Server Error": 2000}
    assert recording["traces"][0] == {"lost": 0, "kept": 500}
    # 9,000 requests later: a leak of one object a request would be 9,000, one of 1 kB would be 9 MB.
    assert recording["late"]["objects"] - recording["early"]["objects"] < 500
    assert recording["late"]["memory"] - recording["early"]["memory"] < 4 * MB
