"""A process that was forked is like one that was started: what it is given, what it puts out, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests import forking
from tests.waiting import until

TELLS = """
import atexit, json, os, random, signal, sys, warnings
print(json.dumps({
    "arguments": sys.argv[1:], "folder": os.getcwd(), "path": sys.path[0], "name": __name__,
    "environment": dict(os.environ), "read": sys.stdin.read(),
    "filters": [str(one[:1]) for one in warnings.filters],
    "encodings": [sys.stdout.encoding, sys.stdout.errors, sys.stderr.errors], "hash": hash("a"),
    "tty": sys.stdout.isatty(), "files": sorted(map(int, os.listdir("/proc/self/fd")))[:3],
    "signals": [str(signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGCHLD, signal.SIGTERM)],
}))
atexit.register(lambda: print("at the end", file=sys.stderr))
"""


@pytest.fixture
def program(tmp_path):
    def written(text):
        file = tmp_path / "program.py"
        file.write_text(text)
        return file

    return written


def both(program, tmp_path, *arguments, given="", **variables):
    """What became of it when it was started, and when it was forked."""
    environment = {**os.environ, "PYTHONHASHSEED": "1", **variables}
    environment.pop("COVERAGE_PROCESS_CONFIG", None)
    return [
        subprocess.run(
            [python, program, *arguments],
            cwd=tmp_path,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        for python in (sys.executable, forking.python())
    ]


@pytest.mark.parametrize("variables", [{}, {"PYTHONUNBUFFERED": "1"}, {"PYTHONWARNINGS": "error"}])
def test_it_has_what_it_was_given_and_ends_in_order(program, tmp_path, variables):
    started, forked = both(program(TELLS), tmp_path, "a", "b c", given="typed\n", **variables)
    assert json.loads(forked.stdout) == json.loads(started.stdout)
    assert (forked.returncode, forked.stderr) == (started.returncode, started.stderr) == (0, "at the end\n")


@pytest.mark.parametrize(
    "text",
    [
        "raise SystemExit(3)",
        "raise SystemExit('no')",
        "import sys; print('said'); sys.stderr.write('why'); sys.exit(141)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os; os._exit(9)",
    ],
)
def test_it_ends_as_it_would(program, tmp_path, text):
    started, forked = both(program(text), tmp_path)
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        started.returncode,
        started.stdout,
        started.stderr,
    )


def test_an_exception_that_nobody_catches_is_shown(program, tmp_path):
    _, forked = both(program("1 / 0"), tmp_path)
    assert forked.returncode == 1
    assert forked.stderr.startswith("Traceback (most recent call last):\n")
    assert forked.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_nothing_of_ours_and_no_settings_are_imported_before(program, tmp_path):
    text = """
import sys, threading
from django.conf import settings
print([name for name in sys.modules if name.split(".")[0] in ("dbroute_panel", "example_site", "tests")])
print(settings.configured, threading.active_count())
"""
    _, forked = both(program(text), tmp_path)
    assert forked.stdout.splitlines() == ["[]", "False 1"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_it(program, number):
    text = """
import signal, sys
def ended(number, frame):
    sys.exit(number + 20)
signal.signal(signal.SIGTERM, ended)
signal.signal(signal.SIGINT, ended)
print("ready", flush=True)
signal.pause()
"""
    with subprocess.Popen([forking.python(), program(text)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait() == number + 20


def test_it_ends_with_whoever_asked_for_it(program):
    text = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    with subprocess.Popen([forking.python(), program(text)], stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        process.kill()

    def is_gone():
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return True
        return False

    until(is_gone)


def test_what_begins_otherwise_is_started(tmp_path):
    for arguments, variables in (
        (["-c", "import sys; print(sys.argv)"], {}),
        (["-m", "platform"], {"PYTHONHASHSEED": "7"}),
    ):
        started, asked = (
            subprocess.run([python, *arguments], env=os.environ | variables, capture_output=True, check=True)
            for python in (sys.executable, forking.python())
        )
        assert asked.stdout == started.stdout
