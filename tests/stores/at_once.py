"""Processes that begin to write at the same moment."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]


def run_at_once(modules: Iterable[list[Any]]) -> str:
    """
    Run each ``[module, argument, ...]`` in a process of its own; what they logged.

    A module says "ready" on its standard output, and begins at a line on its standard input.
    """
    with contextlib.ExitStack() as running:
        writers = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", *module],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for module in modules
        ]
        ready = [writer.stdout.readline() for writer in writers]
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        logged = "".join(writer.communicate(timeout=PATIENCE_SECONDS)[1] for writer in writers)
    assert ready == ["ready\n"] * len(writers), logged
    assert {writer.returncode for writer in writers} == {0}, logged
    return logged
