"""``manage.py dbroute`` in three ways: in this process, in one of its own, and at a terminal of its own."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import select
import struct
import subprocess
import termios
from pathlib import Path
from typing import NamedTuple

import pytest

from dbroute_panel.management.commands.dbroute import Command
from tests import forking
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]


class Done(NamedTuple):
    """What a command has put out: ``code`` is its exit code."""

    out: str
    err: str
    code: int


@pytest.fixture
def dbroute(site, store):
    """``manage.py dbroute ...`` in this process, with everything between the arguments and the exit code."""

    def run(*args, stdin=None):
        out, err, code = io.StringIO(), io.StringIO(), 0
        try:
            Command(stdout=out, stderr=err).run_from_argv(["manage.py", "dbroute", *map(str, args)])
        except SystemExit as ended:
            code = ended.code or 0
        return Done(out.getvalue(), err.getvalue(), code)

    return run


@pytest.fixture
def environment(site, store):
    """For other processes: the same databases, the same store of traces."""
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "DJANGO_COLORS")}
    return plain | {
        "EXAMPLE_SITE_DATA": str(site),
        "EXAMPLE_SITE_TRACES": str(store.path),
        "DJANGO_SETTINGS_MODULE": "example_site.settings",
        "PYTHONWARNINGS": "error",
        "COLUMNS": "",
    }


@pytest.fixture
def manage(environment):
    """``manage.py ...`` in a process of its own, its output in a pipe."""

    def run(*args, stdin="", **variables):
        finished = subprocess.run(
            [forking.python(), "-m", "example_site", *map(str, args)],
            cwd=ROOT,
            env=environment | variables,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Done(finished.stdout, finished.stderr, finished.returncode)

    return run


@pytest.fixture
def terminal(environment):
    """``manage.py ...`` at a terminal: what one sees of it, stdout and stderr together."""

    def run(*args, columns=80, **variables):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            [forking.python(), "-m", "example_site", *map(str, args)],
            cwd=ROOT,
            env=environment | {"TERM": "xterm"} | variables,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen = b""
        while select.select([ours], [], [], PATIENCE_SECONDS)[0]:
            try:
                more = os.read(ours, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not more:
                break
            seen += more
        os.close(ours)
        return Done(seen.decode().replace("\r\n", "\n"), "", process.wait(PATIENCE_SECONDS))

    return run
