"""
What passes between the process that compares and the ones that run other people's tests.

A variant is ``bare`` (dbroute_panel is never imported), ``recording`` (the taps are installed, and a trace is
active from before each test's ``setUp()`` until after its ``tearDown()``, and around each ``setUpClass()``),
or ``app`` (the same, with dbroute_panel in INSTALLED_APPS and each trace written to a store).
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

VARIABLE = "DBROUTE_WATCHED"
BARE, RECORDING, APP = "bare", "recording", "app"


class Order(msgspec.Struct, frozen=True):
    """What one process has to do; ``folder`` takes the files that it writes."""

    variant: str
    folder: str

    def file(self, ending: str) -> Path:
        """Return the file of this run with that ending."""
        return Path(self.folder) / f"{self.variant}.{ending}"

    def as_environment(self) -> dict[str, str]:
        return {VARIABLE: msgspec.json.encode(self).decode()}


class HeardStatements(msgspec.Struct):
    """
    What the listener heard, which is independent of the recording.

    ``aliases``: the alias of each statement in turn, as ``(alias, number in a row)``; ``statements``: a
    digest of all (alias, SQL), in any order; ``shapes``: the same with lists of parameters of any length
    taken as equal.
    """

    aliases: list[tuple[str, int]] = []
    statements: str = ""
    shapes: str = ""


class WatchedTest(msgspec.Struct):
    """The outcome of one test, or of a class's ``setUpClass()``; what it sent, and what was recorded."""

    id: str
    outcome: str = "passed"
    message: str = ""
    heard: HeardStatements = msgspec.field(default_factory=HeardStatements)
    decisions: int = 0
    queries: int = 0
    transactions: int = 0
    dropped: int = 0
    complaints: list[str] = []


class Run(msgspec.Struct):
    """The result of one process, in the order in which its tests ran."""

    django: str
    python: str
    variant: str
    seconds: float
    tests: list[WatchedTest]


def read_order() -> Order:
    """Return the order of this process, from its environment."""
    told = os.environ.get(VARIABLE)
    if told is None:
        raise RuntimeError("Start it with: python -m tools.django_suite, or python -m tools.libraries")
    return msgspec.json.decode(told, type=Order)
