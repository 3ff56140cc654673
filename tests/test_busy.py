"""What ``make test-busy`` is made of, and waiting itself: so that its silence means something."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import waiting
from tests.waiting import no_trap, until
from tools.busy import burn_processors
from tools.shuffle import shuffle

ROOT = Path(__file__).resolve().parent.parent

KILLED = """
import os, signal
from tools.busy import burn_processors
with burn_processors(2) as burners:
    print(*[burner.pid for burner in burners], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def is_running(process: int) -> bool:
    try:
        state = re.search(r"^State:\s+(\w)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    except FileNotFoundError:
        return False
    return state[1] != "Z"


def test_the_burners_end_with_the_block_whatever_ends_it():
    def fail(burners):
        assert [burner.poll() for burner in burners] == [None, None]
        raise LookupError

    with pytest.raises(LookupError), burn_processors(2) as burners:
        fail(burners)
    assert [burner.returncode for burner in burners] == [-signal.SIGKILL] * 2


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see them")
def test_the_burners_end_with_a_process_that_is_killed():
    command = [sys.executable, "-c", KILLED]
    killed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    burners = [int(process) for process in killed.stdout.split()]
    assert len(burners) == 2
    until(lambda: not any(is_running(process) for process in burners))


def test_an_order_is_that_of_its_seed_and_modules_stay_together():
    items = [
        SimpleNamespace(nodeid=f"tests/test_{module}.py::{test}") for module in "abcd" for test in range(9)
    ]
    first, again, other = (
        [item.nodeid for item in shuffle(items, random.Random(seed))] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert sorted(first) == sorted(other) == sorted(item.nodeid for item in items)
    assert len({*map(str, zip(first, other, strict=True))}) > 1
    modules = [nodeid.partition("::")[0] for nodeid in first]
    assert sum(one != other for one, other in pairwise(modules)) == 3


def test_what_never_comes_is_not_waited_for_without_end(monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.01)
    assert until(lambda: "here") == "here"
    with pytest.raises(TimeoutError, match=r"is still \[\] after 0.01 s"):
        until(list)


def test_a_trap_is_left_again_in_a_regular_expression_too(monkeypatch):
    monkeypatch.setattr(waiting, "ENDLESS_SECONDS", 0.05)
    with pytest.raises(TimeoutError, match="has not ended"), no_trap():
        re.fullmatch("(a+)+", "a" * 100 + "b")
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    with no_trap():
        pass
