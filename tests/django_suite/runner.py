"""Runs Django's tests inside of the process that ``runtests.py`` is, and writes down what became of each."""

from __future__ import annotations

import json
import platform
import random
import sys
import unittest
from collections.abc import Callable
from time import monotonic
from typing import Any

import django
import msgspec
from django.test.runner import DiscoverRunner
from django.test.testcases import SimpleTestCase

from tests.django_suite.listener import Listener
from tests.django_suite.watching import APP, BARE, Run, Told, ordered

ORDER = ordered()
Body = Callable[[], Any]


class Tests:
    """The tests of this process, by id, each run within ``around()``."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}
        self.listener = Listener()
        self.record: Callable[[Told, Body], Any] = lambda told, body: body()
        self.inside = False

    def of(self, name: str) -> Told:
        return self.told.setdefault(name, Told(name))

    def around(self, name: str, body: Body) -> Any:
        """
        Run a test with everything that Django does before and after it. Chance is the same in each run.

        A test that runs tests of its own is one test: what it does in them is its doing.
        """
        if self.inside:
            return body()
        self.inside = True
        told = self.of(name)
        random.seed(name)
        self.listener.take()
        try:
            return self.record(told, body)
        finally:
            self.inside = False
            told.heard = self.listener.take()


TESTS = Tests()


def surround() -> None:
    """Run each test, and each ``setUpClass()``, by ``TESTS.around()``."""
    run_django, run_plain = SimpleTestCase._setup_and_call, unittest.TestCase.__call__
    set_up_class = unittest.TestSuite._handleClassSetUp

    def _setup_and_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return TESTS.around(self.id(), lambda: run_django(self, *args, **kwargs))

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - it takes its place
        if isinstance(self, SimpleTestCase):  # which calls this one from within
            return run_plain(self, *args, **kwargs)
        return TESTS.around(self.id(), lambda: run_plain(self, *args, **kwargs))

    def _handleClassSetUp(self: Any, test: Any, result: Any) -> Any:
        if result._previousTestClass is type(test):
            return set_up_class(self, test, result)
        name = f"setUpClass ({unittest.util.strclass(type(test))})"
        return TESTS.around(name, lambda: set_up_class(self, test, result))

    SimpleTestCase._setup_and_call = _setup_and_call
    unittest.TestCase.__call__ = __call__
    unittest.TestSuite._handleClassSetUp = _handleClassSetUp


def recorder(keep: bool) -> Callable[[Told, Body], Any]:
    """A function that runs a body under a trace and notes what was recorded."""
    from dbroute_panel import trace
    from dbroute_panel.recording import recorder

    def record(told: Told, body: Body) -> Any:
        recorder._complaints.clear()
        block = trace(told.id, keep=keep)
        try:
            with block:
                assert not block.joined
                return body()
        finally:
            document = block.document
            json.dumps(document.to_dict())
            told.decisions, told.queries = len(block.decisions), len(block.queries)
            told.transactions = len(block.transactions)
            dropped = document.dropped
            told.dropped = dropped.decision + dropped.query + dropped.transaction
            told.complaints = sorted(recorder._complaints)

    return record


class Outcomes(unittest.TextTestResult):
    """Writes what becomes of each test into ``TESTS``."""

    def note(self, test: Any, outcome: str, message: str = "") -> None:
        told = TESTS.of(test.id())
        if told.outcome == "passed":
            told.outcome, told.message = outcome, message

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        TESTS.of(test.id())

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self.note(test, "error", self.errors[-1][1])

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self.note(test, "failed", self.failures[-1][1])

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(test, "failed", self._exc_info_to_string(err, test))

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self.note(test, "skipped", reason)

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self.note(test, "expected failure")

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self.note(test, "unexpected success")


class Runner(DiscoverRunner):
    """Django's runner, with the tests surrounded; one process, so that caches are met in the same order."""

    def get_resultclass(self) -> type[Outcomes]:
        return Outcomes

    def run_suite(self, suite: Any, **kwargs: Any) -> Any:
        assert self.parallel == 1
        surround()
        TESTS.listener.listen()
        if ORDER.variant != BARE:
            from dbroute_panel import findings, recording

            if ORDER.variant != APP:
                recording.install()
                recording.judge_with(findings.find)
            TESTS.record = recorder(keep=ORDER.variant == APP)
        start = monotonic()
        result = super().run_suite(suite, **kwargs)
        assert ("dbroute_panel" in sys.modules) is (ORDER.variant != BARE)
        run = Run(
            django=django.get_version(),
            python=platform.python_version(),
            variant=ORDER.variant,
            seconds=round(monotonic() - start, 1),
            tests=list(TESTS.told.values()),
        )
        ORDER.file("json").write_bytes(msgspec.json.encode(run))
        return result
