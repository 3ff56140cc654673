"""The fixed set of random programs; ``make test-fuzz`` runs ten times as many."""

from __future__ import annotations

import re
import subprocess
import sys

PROGRAMS = 200
MIN_QUERIES = 2000
MIN_KINDS = 75


def test_random_programs_are_recorded_as_they_happen_and_changed_in_nothing():
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--programs", str(PROGRAMS)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert "0 differences" in ran.stdout
    programs, kinds, queries, _decisions = map(int, re.findall(r" (\d+) (?!diff|spoiled)", ran.stdout)[:4])
    assert programs >= PROGRAMS
    assert kinds >= MIN_KINDS
    assert queries >= MIN_QUERIES
