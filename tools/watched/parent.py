"""Start the processes that run the tests, wait for them, and report what they found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from tools.watched import comparison
from tools.watched.watching import Order, Run

BOTHERED_BY = ("DJANGO_SETTINGS_MODULE", "PYTHONSTARTUP", "PYTHONWARNINGS", "PYTEST_ADDOPTS")


def say(line: str = "") -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def start(order: Order, command: list[str], folder: Path, path: list[Path]) -> subprocess.Popen[bytes]:
    """Start a process that runs the tests in ``folder``; its output goes to a file."""
    environment = {name: value for name, value in os.environ.items() if name not in BOTHERED_BY}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONHASHSEED": "0"}
    with order.file("log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment | order.as_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def wait_for_run(order: Order, process: subprocess.Popen[bytes]) -> Run:
    """Return the result of a process when it has ended; without one, print its output and exit."""
    process.wait()
    try:
        written = order.file("json").read_bytes()
    except FileNotFoundError:
        log = order.file("log").read_text(errors="replace")
        raise SystemExit(f"The tests did not get to their end ({order.variant}):\n{log}") from None
    return msgspec.json.decode(written, type=Run)


def report(run: Run, bare: Run, found: list[str]) -> None:
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(comparison.outcomes(run).items()))
    say(f"  {run.variant:<9} {run.seconds:6.1f} s  {counts}")
    if run is not bare:
        kinds = [f"{comparison.total(run, kind)} {kind}" for kind in ("decisions", "queries", "transactions")]
        say(f"            recorded: {', '.join(kinds)}; {comparison.total(run, 'dropped')} over the limit")
    for line in found:
        say(f"    NOT THE SAME: {line}")


def counts(runs: list[Run]) -> dict[str, dict[str, int]]:
    """Return the figures of these runs for ``docs/reliability.md``, by variant."""
    return {
        run.variant: comparison.outcomes(run)
        | {kind: comparison.total(run, kind) for kind in ("decisions", "queries")}
        for run in runs
    }
