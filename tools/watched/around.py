"""Run each test of the process under a trace, listen to it, and write down its outcome."""

from __future__ import annotations

import json
import platform
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import django
import msgspec

from .listener import Listener
from .watching import APP, BARE, Run, WatchedTest, read_order

ORDER = read_order()
Body = Callable[[], Any]


class Tests:
    """The tests of this process, by id, each run within ``around()``."""

    def __init__(self) -> None:
        self.told: dict[str, WatchedTest] = {}
        self.listener = Listener()
        self.record: Callable[[WatchedTest, Body], Any] = lambda told, body: body()
        self.inside = False
        self.began = 0.0

    def begin(self) -> None:
        """Start to listen, and to record if this process shall."""
        self.listener.listen()
        if ORDER.variant != BARE:
            from dbroute_panel import findings, recording

            if ORDER.variant != APP:
                recording.install()
                recording.sink.find_findings = findings.find
            self.record = make_recorder(keep=ORDER.variant == APP)
        self.began = monotonic()

    def end(self) -> None:
        """Write the outcomes of the tests where the comparing process looks for them."""
        assert ("dbroute_panel" in sys.modules) is (ORDER.variant != BARE)
        run = Run(
            django=django.get_version(),
            python=platform.python_version(),
            variant=ORDER.variant,
            seconds=round(monotonic() - self.began, 1),
            tests=list(self.told.values()),
        )
        ORDER.file("json").write_bytes(msgspec.json.encode(run))

    def of(self, name: str) -> WatchedTest:
        return self.told.setdefault(name, WatchedTest(name))

    def note(self, name: str, outcome: str, message: str = "") -> None:
        """Note the outcome of a test; the first one that is not a pass counts."""
        told = self.of(name)
        if told.outcome == "passed":
            told.outcome, told.message = outcome, message

    def around(self, name: str, body: Body) -> Any:
        """
        Run a test with all that Django does before and after it, and with the same random numbers in each
        run.

        A test that runs other tests is one test.
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


@contextmanager
def suspend_trace() -> Iterator[None]:
    """Suspend the active trace, without importing dbroute_panel for it."""
    if ORDER.variant == BARE:
        yield
        return
    from dbroute_panel.recording.recorder import active

    token = active.set(None)
    try:
        yield
    finally:
        active.reset(token)


def make_recorder(keep: bool) -> Callable[[WatchedTest, Body], Any]:
    """Return a function that runs a body under a trace and notes what was recorded."""
    from dbroute_panel import trace
    from dbroute_panel.recording import recorder

    def record(told: WatchedTest, body: Body) -> Any:
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


TESTS = Tests()
