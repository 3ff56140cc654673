"""
Run the test suite on a busy machine: ``make test-busy``.

Two processes for each processor keep it busy while the suite runs beside them: RUNS times, and once in a
random order. No test may fail for that reason.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

BURNERS = 2
"""For each processor."""

# A burner ends when whoever started it has ended, however that came about.
BURNING = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def burn_processors(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Keep ``count`` processors busy with a process each, until the block ends."""
    burners: list[subprocess.Popen[bytes]] = []
    try:
        burners.extend(
            subprocess.Popen([sys.executable, "-IS", "-c", BURNING, str(os.getpid())]) for _ in range(count)
        )
        yield burners
    finally:
        for burner in burners:
            burner.kill()
        for burner in burners:
            burner.wait()


def run_tests(options: list[str]) -> tuple[bool, float]:
    """Return (whether all passed, seconds)."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "pytest", "--quiet", *options], check=False)
    return done.returncode == 0, time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.busy", allow_abbrev=False)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    own, options = parser.parse_known_args()
    orders = [*[[]] * own.runs, ["-p", "tools.shuffle", f"--shuffle={own.seed}"]]
    count = BURNERS * (os.cpu_count() or 1)
    results = []
    with burn_processors(count):
        for number, order in enumerate(orders, 1):
            sys.stdout.write(
                f"Run {number} of {len(orders)} beside {count} busy processes {' '.join(order)}\n"
            )
            sys.stdout.flush()
            results.append(run_tests([*options, *order]))
    passed = sum(well for well, _ in results)
    took = ", ".join(f"{seconds:.0f} s" for _, seconds in results)
    sys.stdout.write(
        f"{passed} of {len(results)} runs passed beside {count} busy processes ({took}); "
        f"the last in a random order, --seed {own.seed}.\n"
    )
    return 0 if passed == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
