"""
Runs Django's own tests without dbroute_panel and with it, and compares the two test by test.

    python -m tests.django_suite             the long list, recording alone and with the app
    python -m tests.django_suite --short     the short list, recording alone
    python -m tests.django_suite LABEL ...   these labels of Django's runtests.py

Exit code 1 where the two runs are not the same. The figures go to ``.cache/django-suite/``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

import msgspec

from tests.django_suite import comparison
from tests.django_suite.sdist import CACHE, ROOT, SdistError, tests_folder
from tests.django_suite.suites import LONG, SHORT
from tests.django_suite.watching import APP, BARE, RECORDING, Order, Run

HERE = Path(__file__).parent
BOTHERED_BY = ("DJANGO_SETTINGS_MODULE", "PYTHONSTARTUP", "PYTHONWARNINGS")


def say(line: str = "") -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def start(order: Order, labels: list[str], tests: Path) -> subprocess.Popen[bytes]:
    """A process that runs Django's tests; its output goes to a file of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in BOTHERED_BY}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"} | order.as_environment()
    command = [sys.executable, "runtests.py", "--settings=tests.django_suite.settings", "--parallel=1"]
    with order.file("log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--noinput", *labels], cwd=tests, env=environment, stdout=log, stderr=subprocess.STDOUT
        )


def finished(order: Order, process: subprocess.Popen[bytes]) -> Run:
    """What the process has to tell, once it has ended; else its output, and the end of ours."""
    process.wait()
    try:
        written = order.file("json").read_bytes()
    except FileNotFoundError:
        log = order.file("log").read_text(errors="replace")
        raise SystemExit(f"Django's runtests.py did not get to its end ({order.variant}):\n{log}") from None
    return msgspec.json.decode(written, type=Run)


def report(run: Run, bare: Run, found: list[str]) -> None:
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(comparison.outcomes(run).items()))
    say(f"  {run.variant:<9} {run.seconds:6.1f} s  {counts}")
    if run is not bare:
        kinds = [f"{comparison.total(run, kind)} {kind}" for kind in ("decisions", "queries", "transactions")]
        say(f"            recorded: {', '.join(kinds)}; {comparison.total(run, 'dropped')} over the limit")
    for line in found:
        say(f"    NOT THE SAME: {line}")


def figures(runs: list[Run], labels: list[str]) -> dict[str, object]:
    """What ``docs/reliability.md`` says of these runs."""
    return {
        "django": runs[0].django,
        "python": runs[0].python,
        "labels": labels,
        "runs": {
            run.variant: comparison.outcomes(run)
            | {"decisions": comparison.total(run, "decisions"), "queries": comparison.total(run, "queries")}
            for run in runs
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.django_suite")
    parser.add_argument("labels", nargs="*", metavar="LABEL")
    parser.add_argument("--short", action="store_true", help="the short list, recording alone")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave logs and outcomes in this folder")
    asked = parser.parse_args()
    labels = asked.labels or (SHORT if asked.short else LONG)
    variants = [BARE, RECORDING] if asked.short else [BARE, RECORDING, APP]
    began = monotonic()
    try:
        tests = tests_folder()
    except SdistError as error:
        say(str(error))
        return 2
    with tempfile.TemporaryDirectory(prefix="django-suite-") as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        orders = [Order(variant, str(folder.resolve())) for variant in variants]
        # Side by side, each in one process: a test meets the same caches in each.
        started = [(order, start(order, labels, tests)) for order in orders]
        runs = [finished(order, process) for order, process in started]
    bare = runs[0]
    expected = comparison.announced(HERE / "noticed.toml")
    say(f"Django {bare.django}, Python {bare.python}: Django's own {' '.join(labels)}")
    failed = False
    for run in runs:
        found = [] if run is bare else list(comparison.differences(bare, run, expected))
        report(run, bare, found)
        failed = failed or bool(found)
    say(f"  {monotonic() - began:.0f} s in all")
    if not asked.labels:
        name = f"figures-{'short' if asked.short else 'long'}-{bare.django}-{bare.python}.json"
        (CACHE / name).write_bytes(msgspec.json.encode(figures(runs, labels)))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
