"""
Run the tests of each mutant in a fork of one process, which has Django, the databases and the tests ready.

A mutant gets the tests that run the changed statement. The first failure ends it.
"""

from __future__ import annotations

import gc
import os
import select
import shutil
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from time import monotonic, process_time

import coverage
import msgspec
import pytest
from _pytest.runner import runtestprotocol
from asgiref.sync import SyncToAsync

from tools.mutants.making import Mutant, functions_of, switch_on

SLOW = 1.0
"""A test that takes more seconds of the processor is left out."""
LONGEST = 30.0
"""For a mutant not more tests than so many seconds of the processor."""
TIMEOUT = "timeout"

Lines = dict[str, dict[str, list[str]]]
"""Of each file to each line the tests that run it."""


class Runner:
    """A pytest plugin that runs, for each mutant, the tests that may notice it, instead of all tests."""

    def __init__(self, mutants: list[Mutant], told: Callable[[Mutant, str | None], None]) -> None:
        self.mutants = mutants
        self.told = told
        self.kills: Counter[str] = Counter()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self.elsewhere = session.items[-1]
        # After one test there is what is made once for all of them; it stays, for there is another to come.
        first = next(item for item in session.items if "site" in item.fixturenames)
        assert not self.failing([first]), first
        self.folder = session.config._tmp_path_factory.getbasetemp()
        self.kept = set(self.folder.iterdir())
        told = self.in_fork(lambda: msgspec.json.encode(self.watched()))
        self.seconds, lines = msgspec.json.decode(told, type=tuple[dict[str, float], Lines])
        for mutant in self.mutants:
            functions_of(mutant.file)
        # What is here stays: a fork that goes through it would copy its pages.
        gc.collect()
        gc.freeze()
        killers: dict[str, list[str]] = defaultdict(list)
        for mutant in self.mutants:
            tests = self.tests_of(mutant, lines.get(str(mutant.file), {}), killers[mutant.function])
            killer = self.killer(mutant, tests) if tests else None
            if killer in self.items:
                self.kills[killer] += 1
                killers[mutant.function].append(killer)
            self.told(mutant, killer)
        wrong = self.in_fork(lambda: self.failing(self.items[test] for test in sorted(self.kills)))
        assert not wrong, f"fails without any mutant: {wrong}"
        return True

    def tests_of(self, mutant: Mutant, lines: dict[str, list[str]], killers: list[str]) -> list[str]:
        """Order the tests: that noticed a mutant of this function, of the module, that noticed most."""
        tests = {test for line in mutant.lines for test in lines.get(str(line), ())}
        tests = {test for test in tests if self.seconds[test] < SLOW}
        first = [test for test in reversed(killers) if test in tests]
        own = f"/test_{mutant.file.stem}.py::"
        rest = sorted(
            tests, key=lambda test: (own not in test, -(self.kills[test] + 0.1) / self.seconds[test])
        )
        chosen, seconds = [], 0.0
        for test in dict.fromkeys([*first, *rest]):
            seconds += self.seconds[test]
            if seconds < LONGEST:
                chosen.append(test)
        return chosen

    def killer(self, mutant: Mutant, tests: list[str]) -> str | None:
        """Return the test that fails with the mutant, or ``TIMEOUT`` if it does not end."""

        def run() -> str:
            switch_on(mutant)
            return next(filter(None, map(self.in_time, tests)), "")

        return self.in_fork(run, seconds=150).decode() or None

    def in_time(self, test: str) -> str:
        """Return the test if it fails. If it takes much longer than it should, this process ends."""
        signal.setitimer(signal.ITIMER_PROF, 2 + 5 * self.seconds[test])
        return self.failing([self.items[test]])

    def failing(self, items: Iterable[pytest.Item]) -> str:
        """Return the first of the tests that fails, or an empty string."""
        for item, following in pairwise([*items, self.elsewhere]):
            if any(report.failed for report in runtestprotocol(item, nextitem=following, log=False)):
                return item.nodeid
        return ""

    def watched(self) -> tuple[dict[str, float], Lines]:
        """Return the seconds of each test, and the tests that run each line."""
        os.environ["COVERAGE_CORE"] = "ctrace"  # the others know of no contexts
        files = sorted({str(mutant.file) for mutant in self.mutants})
        watch = coverage.Coverage(data_file=None, config_file=False, include=files)
        watch.start()
        seconds = {}
        for item, following in pairwise([*self.items.values(), self.elsewhere]):
            started = process_time()
            watch.switch_context(item.nodeid)
            reports = runtestprotocol(item, nextitem=following, log=False)
            seconds[item.nodeid] = process_time() - started
            if any(report.failed for report in reports):
                sys.__stderr__.write(f"left out, it fails without any mutant: {item.nodeid}\n")
                seconds[item.nodeid] = SLOW
        watch.stop()
        found: Lines = {}
        for file in files:
            lines = watch.get_data().contexts_by_lineno(file)
            found[file] = {str(line): [test for test in tests if test] for line, tests in lines.items()}
        return seconds, found

    def in_fork(self, run: Callable[[], bytes | str], seconds: float = 3600) -> bytes:
        """Return what a fork of this process answers, or ``TIMEOUT`` after ``seconds``."""
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.setsid()
            # Threads are not copied.
            SyncToAsync.single_thread_executor = ThreadPoolExecutor(max_workers=1)
            answer: bytes | str = TIMEOUT
            try:
                answer = run()
            except Exception as error:  # noqa: BLE001 - told
                answer = f"{type(error).__name__}: {error}"
            finally:
                with os.fdopen(writing, "wb") as pipe:
                    pipe.write(answer if isinstance(answer, bytes) else answer.encode())
                os._exit(0)
        os.close(writing)
        answer, end, waiting = b"", monotonic() + seconds, True
        while waiting and (left := end - monotonic()) > 0:
            if select.select([reading], [], [], left)[0]:
                part = os.read(reading, 1 << 20)
                answer, waiting = answer + part, bool(part)
        os.close(reading)
        if waiting:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        with suppress(ProcessLookupError):  # what the tests have started
            os.killpg(pid, signal.SIGKILL)
        for left_behind in set(self.folder.iterdir()) - self.kept:
            shutil.rmtree(left_behind, ignore_errors=True)
        return answer if os.WIFEXITED(status) else TIMEOUT.encode()
