"""
Changes one thing in our own code, runs the tests that run it, and looks whether one fails: for each thing.

    python -m tools.mutants findings            every mutant of dbroute_panel/findings
    python -m tools.mutants findings --again    those that no test has noticed so far, and what is new
    python -m tools.mutants findings --every 9  one of nine
    python -m tools.mutants findings --jobs 4   four at a time

Exit code 1 where less than 85 % are noticed, or one is not that ``survivors`` has no reason for.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tools.mutants.making import Mutant, mutants_of
from tools.mutants.running import TIMEOUT, Runner

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache/mutants"
AREAS = ("findings", "inspection", "masking", "recording")
BESIDE = {"findings": ("sql.py", "trace_index.py"), "recording": ("environment.py",)}
"""Modules at the top of the package that are tested with an area."""

PROMISED = 85

Found = dict[str, str | None]
"""To each mutant the test that failed, or None."""


def say(line: str) -> None:
    sys.__stdout__.write(f"{line}\n")
    sys.__stdout__.flush()


def mutants_in(area: str, every: int) -> dict[str, Mutant]:
    """Return the mutants of a package by name; equal lines in one function are numbered."""
    found: dict[str, Mutant] = {}
    package = ROOT / "dbroute_panel"
    files = [*(package / area).rglob("*.py"), *(package / name for name in BESIDE.get(area, ()))]
    for file in sorted(files):
        times: Counter[str] = Counter()
        for mutant in mutants_of(file, every):
            times[mutant.name] += 1
            number = f" ({times[mutant.name]})" if times[mutant.name] > 1 else ""
            found[f"{file.parent.name}/{mutant.name}{number}"] = mutant
    return found


def read(file: Path) -> Found:
    return msgspec.json.decode(file.read_bytes(), type=Found) if file.exists() else {}


def test(area: str, mutants: dict[str, Mutant], file: Path) -> None:
    """Test the mutants, and write the results into ``file`` from time to time."""
    found: Found = {}
    names = {id(mutant): name for name, mutant in mutants.items()}

    def told(mutant: Mutant, killer: str | None) -> None:
        name = names[id(mutant)]
        found[name] = killer
        if killer is None or "::" not in killer:
            say(f"{killer or 'lives'}: {name}")
        if len(found) % 50 == 0 or len(found) == len(mutants):
            file.write_bytes(msgspec.json.encode(found))

    beside = [f"tests/test_{name}" for name in BESIDE.get(area, ())]
    arguments = [f"tests/{area}", *beside, "--quiet", "-p", "no:cacheprovider", "--capture=sys"]
    if code := pytest.main(arguments, plugins=[Runner([*mutants.values()], told)]):
        raise SystemExit(code)


def reasons(area: str) -> dict[str, str]:
    """Return the reason of each mutant that may live: the comment line above it."""
    found, reason = {}, ""
    for line in (HERE / f"survivors/{area}.txt").read_text().splitlines():
        if line.startswith("#"):
            reason = line.removeprefix("#").strip()
        elif line:
            found[line] = reason
    return found


def conclude(area: str, found: Found) -> int:
    """Print how many live on, and those without a reason; return the exit code."""
    expected = reasons(area)
    living = [name for name, killer in found.items() if killer is None]
    late = [name for name, killer in found.items() if killer == TIMEOUT]
    share = 100 * (len(found) - len(living)) / len(found)
    without = [name for name in living if name not in expected]
    for name in without:
        say(f"no reason: {name}")
    for name in expected:
        if found.get(name, ""):
            say(f"does not live any more: {name}")
    say(
        f"{area}: {len(found)} mutants, {len(found) - len(living)} noticed ({share:.1f} %), of these "
        f"{len(late)} by their time; {len(living)} live on, {len(without)} of them without a reason"
    )
    return 1 if share < PROMISED or without else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants")
    parser.add_argument("area", choices=AREAS)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    file = CACHE / f"{options.area}.json"
    parts = [CACHE / f"{options.area}-{number}.json" for number in range(options.jobs)]
    mutants = mutants_in(options.area, options.every)
    before = {name: killer for name, killer in read(file).items() if killer and name in mutants}
    chosen = [(name, mutant) for name, mutant in mutants.items() if not (options.again and name in before)]
    if options.part is not None:
        first, last = (len(chosen) * number // options.jobs for number in (options.part, options.part + 1))
        test(options.area, dict(chosen[first:last]), parts[options.part])
        return 0
    say(f"{len(chosen)} mutants")
    command = [sys.executable, "-m", "tools.mutants", *sys.argv[1:]]
    running = [
        subprocess.Popen([*command, "--part", str(number)], cwd=ROOT) for number in range(options.jobs)
    ]
    failed = [process.wait() for process in running]
    found = {name: killer for part in parts for name, killer in read(part).items()}
    found = (before if options.again else {}) | found
    file.write_bytes(msgspec.json.encode(found))
    return max(failed) or conclude(options.area, {name: found.get(name) for name in mutants})


if __name__ == "__main__":
    sys.exit(main())
