"""
Run Django's tests without dbroute_panel and with it, and compare them test by test.

    python -m tools.django_suite             the long list, recording alone and with the app
    python -m tools.django_suite --short     the short list, recording alone
    python -m tools.django_suite LABEL ...   these labels of Django's runtests.py

The exit code is 1 if the runs differ. The figures go to ``.cache/django-suite/``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from time import monotonic

import django
import msgspec

from tools.django_suite.suites import LONG, SHORT
from tools.watched import comparison
from tools.watched.parent import counts, report, say, start, wait_for_run
from tools.watched.sdist import ROOT, SdistError, sdist
from tools.watched.watching import APP, BARE, RECORDING, Order, Run

HERE = Path(__file__).parent
CACHE = ROOT / ".cache/django-suite"


def figures(runs: list[Run], labels: list[str]) -> dict[str, object]:
    """Return the figures of these runs for ``docs/reliability.md``."""
    return {
        "django": runs[0].django,
        "python": runs[0].python,
        "labels": labels,
        "runs": counts(runs),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.django_suite")
    parser.add_argument("labels", nargs="*", metavar="LABEL")
    parser.add_argument("--short", action="store_true", help="the short list, recording alone")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave logs and outcomes in this folder")
    asked = parser.parse_args()
    labels = asked.labels or (SHORT if asked.short else LONG)
    variants = [BARE, RECORDING] if asked.short else [BARE, RECORDING, APP]
    began = monotonic()
    try:
        tests = sdist("Django", django.get_version(), CACHE) / "tests"
    except SdistError as error:
        say(str(error))
        return 2
    with tempfile.TemporaryDirectory(prefix="django-suite-") as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        orders = [Order(variant, str(folder.resolve())) for variant in variants]
        # Side by side, each in one process: a test meets the same caches in each.
        command = [sys.executable, "runtests.py", "--settings=tools.django_suite.settings", "--parallel=1"]
        command += ["--noinput", *labels]
        started = [(order, start(order, command, tests, [ROOT])) for order in orders]
        runs = [wait_for_run(order, process) for order, process in started]
    bare = runs[0]
    expected = comparison.read_noticed(HERE / "noticed.toml")
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
