"""
Runs the tests of each mutant in a fork of one process, which has Django, the databases and the tests ready.

A test is run for a mutant if it runs the statement that is changed. The first that fails ends it.
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
    """A plugin of pytest's: in place of all tests it runs those that may notice a mutant, for each mutant."""

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
        """First what noticed one of this function, then the module's own tests, and what noticed most."""
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
        """The test that fails with the mutant, ``TIMEOUT`` if it does not get to its end."""

        def run() -> str:
            switch_on(mutant)
            return next(filter(None, map(self.in_time, tests)), "")

        return self.in_fork(run, seconds=150).decode() or None

    def in_time(self, test: str) -> str:
        """The test if it fails. Where it takes much longer than it should, this process ends."""
        signal.setitimer(signal.ITIMER_PROF, 2 + 5 * self.seconds[test])
        return self.failing([self.items[test]])

    def failing(self, items: Iterable[pytest.Item]) -> str:
        """The first of the tests that fails, or nothing."""
        for item, following in pairwise([*items, self.elsewhere]):
            if any(report.failed for report in runtestprotocol(item, nextitem=following, log=False)):
                return item.nodeid
        return ""

    def watched(self) -> tuple[dict[str, float], Lines]:
        """Of each test its seconds, of each line the tests that run it."""
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
        """What a copy of this process answers; ``TIMEOUT`` after so many seconds."""
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
