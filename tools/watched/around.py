"""Each test of a process that runs other people's tests: run under a trace, listened to, and written down."""

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
from .watching import APP, BARE, Run, Told, ordered

ORDER = ordered()
Body = Callable[[], Any]


class Tests:
    """The tests of this process, by id, each run within ``around()``."""

    def __init__(self) -> None:
        self.told: dict[str, Told] = {}
        self.listener = Listener()
        self.record: Callable[[Told, Body], Any] = lambda told, body: body()
        self.inside = False
        self.began = 0.0

    def begin(self) -> None:
        """Listen from now on, and record where this process is to."""
        self.listener.listen()
        if ORDER.variant != BARE:
            from dbroute_panel import findings, recording

            if ORDER.variant != APP:
                recording.install()
                recording.sink.find_findings = findings.find
            self.record = recorder(keep=ORDER.variant == APP)
        self.began = monotonic()

    def end(self) -> None:
        """Write what became of the tests to where the process that compares looks for it."""
        assert ("dbroute_panel" in sys.modules) is (ORDER.variant != BARE)
        run = Run(
            django=django.get_version(),
            python=platform.python_version(),
            variant=ORDER.variant,
            seconds=round(monotonic() - self.began, 1),
            tests=list(self.told.values()),
        )
        ORDER.file("json").write_bytes(msgspec.json.encode(run))

    def of(self, name: str) -> Told:
        return self.told.setdefault(name, Told(name))

    def note(self, name: str, outcome: str, message: str = "") -> None:
        """What became of a test; of what does not pass in it, the first counts."""
        told = self.of(name)
        if told.outcome == "passed":
            told.outcome, told.message = outcome, message

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


@contextmanager
def untraced() -> Iterator[None]:
    """No trace is active here. dbroute_panel is not imported for it."""
    if ORDER.variant == BARE:
        yield
        return
    from dbroute_panel.recording.recorder import active

    token = active.set(None)
    try:
        yield
    finally:
        active.reset(token)


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


TESTS = Tests()
