"""What is a finding function? A function from facts to findings, with the code and level of what it finds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from dbroute_panel.records import Finding, Level

from .facts import Facts

INFO: Final = Level.INFO
WARNING: Final = Level.WARNING
ERROR: Final = Level.ERROR

Function = Callable[[Facts], Iterable[Finding]]


class FindingFunction:
    """A function with a ``code`` and a ``level``, which every finding that it yields gets."""

    def __init__(self, code: str, level: Level, function: Function) -> None:
        functools.update_wrapper(self, function)
        self.code = code
        self.level = level
        self.function = function

    def __call__(self, trace: Facts) -> Iterator[Finding]:
        for found in self.function(trace):
            yield msgspec.structs.replace(found, code=self.code, level=self.level)


def finding(code: str, *, level: Level | str) -> Callable[[Function], FindingFunction]:
    """
    Say what code and level (``"info"``, ``"warning"``, ``"error"``) the findings of a function have.

    Raises ``ValueError`` for another level. It registers nothing: a project names its functions in
    ``DBROUTE_PANEL["FINDINGS"]``.
    """
    named = Level(level)
    return lambda function: FindingFunction(code, named, function)
