"""
Find the alias that each statement really went to, independently of the recording.

The listener is where a cursor gets the statement, inside all execute wrappers. There it sees what the
database gets, and the recording, which looks outwards from its wrapper, does not see it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from django.db.backends.utils import CursorWrapper

from .watching import HeardStatements

SAVEPOINT = re.compile(r"\bs\d+_x\d+\b")
"""Django's names of savepoints, which have the number of the thread in them."""

LIST = re.compile(r"%s(?:, \(?%s\)?)+")


def digest(statements: list[tuple[str, str]]) -> str:
    """
    Return the same text for the same statements, in any order.

    Django iterates over sets of models, whose order differs between processes.
    """
    return hashlib.sha256(repr(sorted(statements)).encode()).hexdigest()


class Listener:
    """``statements``: (alias, SQL) of each statement since the last ``take()``."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, str]] = []

    def listen(self) -> None:
        """Listen until the process ends."""
        for name in ("_execute", "_executemany"):
            setattr(CursorWrapper, name, self.wrap_execute(getattr(CursorWrapper, name)))

    def wrap_execute(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def execute(cursor: CursorWrapper, sql: Any, params: Any, *ignored: Any) -> Any:
            self.statements.append((str(cursor.db.alias), SAVEPOINT.sub("savepoint", str(sql))))
            return original(cursor, sql, params, *ignored)

        return execute

    @contextmanager
    def ignoring(self) -> Iterator[None]:
        """Forget what is sent in this block: it does not belong to the test."""
        heard, self.statements = self.statements, []
        try:
            yield
        finally:
            self.statements = heard

    def take(self) -> HeardStatements:
        """Return what was heard since the last call."""
        taken, self.statements = self.statements, []
        return HeardStatements(
            aliases=[(alias, len(list(run))) for alias, run in groupby(alias for alias, _sql in taken)],
            statements=digest(taken),
            shapes=digest([(alias, LIST.sub("list", sql)) for alias, sql in taken]),
        )
