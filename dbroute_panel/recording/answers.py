"""
Know the decision that an alias is the answer of, by the identity of the string.

``db_for_read`` and ``db_for_write`` hand back the alias as a string object made for this one decision. It is
a ``str`` like any other; Django passes the object along untouched, into ``compiler.using`` and into
``instance._state.db``. So a query knows its decision exactly, even when the same alias was answered or named
in between. The trace keeps each such string while it is recorded: no other object can get its ``id()``.
"""

from __future__ import annotations

import sys
from sys import getrefcount, intern
from types import SimpleNamespace

ANSWERS_BETWEEN_CHECKS = 509
"""In event ids. It is a prime, because decisions and queries take turns."""


def _count_references() -> int:
    """Return the number of references to a string that one attribute keeps, while they are counted."""
    kept = SimpleNamespace(answer="".join(map(chr, range(97, 123))))
    return getrefcount(kept.answer)


UNSHARED_REFERENCES = _count_references() if getattr(sys, "_is_gil_enabled", lambda: True)() else 0
"""References to an answer that only its event has. Without the lock of threads they cannot be counted: 0."""


class SharedAlias(LookupError):
    """Python has one object for this alias, which all code shares that names it."""


class Aliases(dict[str, str]):
    """
    What is put behind the first letter of an alias to make a new string of it, by the plain alias.

    Python makes a new string of two that are put together. The keys are interned and kept. ``setattr()`` and
    its like intern the string they are given where there is no equal one yet: each equal name in code that is
    compiled later would be the answer of a decision.
    """

    def __missing__(self, alias: str) -> str:
        if len(alias) < 2:
            raise SharedAlias
        rest = alias[1:]
        self[intern(alias[0] + rest)] = rest
        return rest
