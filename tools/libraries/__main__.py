"""
Run the tests of libraries without dbroute_panel and with it, and compare them test by test.

    python -m tools.libraries               all of them
    python -m tools.libraries PROJECT ...   these

The exit code is 1 if the runs differ. The figures go to ``.cache/libraries/``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from time import monotonic

import msgspec

from tools.libraries import places
from tools.libraries.suites import SUITES, Suite
from tools.watched import comparison
from tools.watched.parent import counts, report, say, start, wait_for_run
from tools.watched.sdist import SdistError
from tools.watched.watching import APP, BARE, Order, Run

NOTICED = Path(__file__).with_name("noticed.toml")


def runs_of(suite: Suite, folder: Path) -> list[Run]:
    """Run the tests of a library without dbroute_panel and with it, side by side, each in one process."""
    folder.mkdir(parents=True, exist_ok=True)
    source, python, ours = places.source(suite), places.python(suite), places.ours()
    orders = [Order(variant, str(folder.resolve())) for variant in (BARE, APP)]
    command = [str(python), *suite.command]
    started = [(order, start(order, command, source / suite.folder, [ours, source])) for order in orders]
    return [wait_for_run(order, process) for order, process in started]


def compare(suite: Suite, folder: Path) -> dict[str, object] | None:
    """Print the differences and return the figures of the runs, or ``None`` if there are any."""
    bare, watched = runs = runs_of(suite, folder)
    expected = comparison.read_noticed(NOTICED, suite.project)
    found = list(comparison.differences(bare, watched, expected, suite.records))
    say(f"{suite}, Django {bare.django}, Python {bare.python}")
    report(bare, bare, [])
    report(watched, bare, found)
    if found:
        return None
    return {"library": str(suite), "django": bare.django, "python": bare.python, "runs": counts(runs)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.libraries")
    parser.add_argument("projects", nargs="*", metavar="PROJECT")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave logs and outcomes in this folder")
    asked = parser.parse_args()
    names = [suite.project for suite in SUITES]
    if unknown := [name for name in asked.projects if name not in names]:
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(names)}")
    chosen = [suite for suite in SUITES if not asked.projects or suite.project in asked.projects]
    began = monotonic()
    with tempfile.TemporaryDirectory(prefix="libraries-") as temporary:
        folder = asked.keep or Path(temporary)
        try:
            figures = [compare(suite, folder / suite.project) for suite in chosen]
        except SdistError as error:
            say(str(error))
            return 2
    times = os.times()
    spent = times.children_user + times.children_system
    say(f"  {monotonic() - began:.0f} s in all, {spent:.0f} s of a processor")
    same = all(one is not None for one in figures)
    if same and not asked.projects:
        name = f"figures-{figures[0]['django']}-{figures[0]['python']}.json"
        (places.CACHE / name).write_bytes(msgspec.json.encode(figures))
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
