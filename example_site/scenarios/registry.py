"""
What a scenario is, and the register of all of them.

A scenario is a generator function. What it yields are the lines that the page shows as its output. One that
takes ``client`` makes real requests with it, and each leaves a trace; the others run inside of one trace.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from dbroute_panel.records import Trace

Function = Callable[..., Iterator[str]]

SCENARIOS: dict[int, Scenario] = {}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """
    One case. ``shows`` says what to look for in its trace.

    ``settings``: modules with which it is run, each in its own process. ``databases``: those of the site; a
    ``"copy"`` of them, thrown away afterwards; or ``"empty"`` ones. ``prepare`` runs before, and is not
    recorded, so that a scenario finds the same rows however often it is run; ``afterwards`` takes the
    finished trace, and what it yields is put out too. ``expected_findings``: the codes of all findings of
    level warning or error that its traces must have.
    """

    number: int
    title: str
    shows: str
    function: Function
    expected_findings: frozenset[str]
    kind: Literal["block", "command"] = "block"
    prepare: Callable[[], object] | None = None
    afterwards: Callable[[Trace], Iterator[str]] | None = None
    settings: tuple[str, ...] = ()
    databases: Literal["site", "copy", "empty"] = "site"

    @property
    def name(self) -> str:
        """The name of its traces."""
        return f"Scenario {self.number}: {self.title}"

    @property
    def source(self) -> str:
        """The code that runs, without the decorator that registers it."""
        lines = inspect.getsource(self.function).splitlines()
        first = next(n for n, line in enumerate(lines) if line.startswith("def "))
        return textwrap.dedent("\n".join(lines[first:]))

    @property
    def makes_requests(self) -> bool:
        return "client" in inspect.signature(self.function).parameters

    @property
    def has_own_process(self) -> bool:
        return bool(self.settings) or self.databases != "site"


def scenario(
    number: int,
    title: str,
    *,
    shows: str,
    findings: set[str] | None = None,
    kind: Literal["block", "command"] = "block",
    prepare: Callable[[], object] | None = None,
    afterwards: Callable[[Trace], Iterator[str]] | None = None,
    settings: tuple[str, ...] = (),
    databases: Literal["site", "copy", "empty"] = "site",
) -> Callable[[Function], Function]:
    """Register the function below as scenario ``number``."""

    def register(function: Function) -> Function:
        if number in SCENARIOS:
            raise ValueError(f"There is a scenario {number} already: {SCENARIOS[number].title}.")
        SCENARIOS[number] = Scenario(
            number=number,
            title=title,
            shows=shows,
            function=function,
            expected_findings=frozenset(findings or ()),
            kind=kind,
            prepare=prepare,
            afterwards=afterwards,
            settings=settings,
            databases=databases,
        )
        return function

    return register
