"""Run tests with Django's runner, each under ``TESTS.around()``, and note their outcomes."""

from __future__ import annotations

import unittest
from typing import Any

from django.test.runner import DiscoverRunner
from django.test.testcases import SimpleTestCase

from .around import TESTS


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


class Outcomes(unittest.TextTestResult):
    """Writes what becomes of each test into ``TESTS``."""

    def note(self, test: Any, outcome: str, message: str = "") -> None:
        TESTS.note(test.id(), outcome, message)

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
    """Django's runner with ``around()``; in one process, so that caches are filled in the same order."""

    def get_resultclass(self) -> type[Outcomes]:
        return Outcomes

    def run_suite(self, suite: Any, **kwargs: Any) -> Any:
        assert self.parallel <= 1
        surround()
        TESTS.begin()
        result = super().run_suite(suite, **kwargs)
        TESTS.end()
        return result
