"""
Which decision an alias is the answer of: told by the identity of the string.

``db_for_read`` and ``db_for_write`` hand back the alias as a string object made for this one decision. It is
a ``str`` like any other; Django passes the object along untouched, into ``compiler.using`` and into
``instance._state.db``. So a query knows its decision exactly, even when the same alias was answered or named
in between. The trace keeps each such string while it is recorded: no other object can get its ``id()``.
"""

from __future__ import annotations

from sys import intern
from types import CodeType

from dbroute_panel.recording.sites import Site

Asked = tuple[CodeType | None, int, int | None, Site | None]
"""
A decision that was made: the code of the method that asked, the decision's id, what that was asked inside of,
and its site. There is no code where a query of the same method may have another site.
"""


class SharedAlias(LookupError):
    """Of this alias Python has one object, which everybody shares who names it."""


class Aliases(dict[str, bytes]):
    """
    What is decoded for a string of its own, by the plain alias.

    The keys are interned and kept. ``setattr()`` and its like intern the string they are given where there is
    no equal one yet: each equal name in code that is compiled later would be the answer of a decision.
    """

    def __missing__(self, alias: str) -> bytes:
        if len(alias) < 2:
            raise SharedAlias  # "" and Latin letters are there once
        try:
            encoded = alias.encode()
        except UnicodeEncodeError:
            encoded = _Surrogates(alias.encode("utf-8", "surrogatepass"))
        self[intern(encoded.decode())] = encoded
        return encoded


class _Surrogates(bytes):
    """An alias with half a character in it, which UTF-8 does not know."""

    def decode(self, encoding: str = "utf-8", errors: str = "surrogatepass") -> str:
        return super().decode(encoding, errors)
