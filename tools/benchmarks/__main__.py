"""
Measure all figures of docs/performance.md in one run: ``make bench``.

The exit code is 1 if a target is missed. ``ARGS=--quick`` runs few rounds, as a smoke test;
``ARGS=--markdown`` prints the tables for the documentation.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from tools.benchmarks import table
from tools.benchmarks.measuring import Results
from tools.benchmarks.plan import LONG, QUICK, Plan

TOOLS = (
    "Django",
    "django-debug-toolbar",
    "django-silk",
    "opentelemetry-instrumentation-django",
    "opentelemetry-instrumentation-sqlite3",
    "sentry-sdk",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    options = parser.parse_args()
    plan, results = QUICK if options.quick else LONG, Results()
    with tempfile.TemporaryDirectory(prefix="dbroute-panel-bench-") as folder:
        for said in plan.run(results, Path(folder)):
            print(said, file=sys.stderr, flush=True)
    show(plan, results, table.markdown if options.markdown else table.text)
    if warning := table.busy(results):
        print(f"\n{warning}", file=sys.stderr)
    if missed := table.missed(results):
        print(f"\nMissed: {'; '.join(missed)}.", file=sys.stderr)
    return 1 if missed else 0


def show(plan: Plan, results: Results, written: Callable[[table.Rows], str]) -> None:
    used = ", ".join(f"{tool} {version(tool)}" for tool in TOOLS)
    print(f"Python {platform.python_version()}, {used}.\n")
    print(written(table.variants(results, plan.sizes)), end="\n\n")
    print(written(table.figures(results)))


if __name__ == "__main__":
    sys.exit(main())
