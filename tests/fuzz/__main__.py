"""
Run random programs and print how many: ``python -m tests.fuzz [--programs N] [--seed N]``.

A difference is raised, with the shortest program that has it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from typing import Any

MAX_CALLS = 12
"""Calls in one program. None asks the router more often than it has aliases."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--programs", type=int, default=2000, help="how many programs to run")
    parser.add_argument("--seed", type=int, help="run other ones; without it they are always the same")
    options = parser.parse_args(arguments)

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.fuzz.settings"
    import django

    django.setup()
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    from tests.fuzz.notes import Asked, Sent, log
    from tests.fuzz.operations import OPERATIONS
    from tests.fuzz.program import Program, check, prepare
    from tests.fuzz.sabotage import count_noticed

    prepare()
    noticed = count_noticed()
    calls = st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 6), st.integers(0, 6))
    programs = st.builds(
        Program, st.lists(calls, min_size=4, max_size=MAX_CALLS).map(tuple), st.booleans(), st.booleans()
    )
    counted: Counter[Any] = Counter()

    @settings(
        max_examples=options.programs,
        database=None,
        deadline=None,
        derandomize=options.seed is None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(programs)
    def hold(program: Program) -> None:
        check(program)
        counted["programs"] += 1
        counted["queries"] += sum(type(note) is Sent for note in log)
        counted["decisions"] += sum(type(note) is Asked for note in log)
        counted.update({("operation", name) for name, _a, _b in program.calls})

    if options.seed is not None:
        hold = seed(options.seed)(hold)
    hold()
    used = sum(counted["operation", name] > 0 for name in OPERATIONS)
    sys.stdout.write(
        f"Django {django.get_version()}: {counted['programs']} programs of {used} kinds of call, with "
        f"{counted['queries']} queries and {counted['decisions']} decisions; 0 differences "
        f"({noticed} spoiled traces noticed)\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
