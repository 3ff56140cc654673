"""
What does PostgreSQL's mark under a statement stand at?

PostgreSQL gives one code, 42P01, to a table that is missing and to ``author.name`` in a statement that does
not read from ``author``, and it says which in words that are translated. But its client shows the place::

    LINE 1: SELECT author.name FROM library_book
                   ^

A line of more than 60 columns is cut off with three dots, at least ten characters after the mark
(``reportErrorPosition()`` in ``src/interfaces/libpq/fe-protocol3.c``).
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

_DOTS: Final = "..."
_NAME = re.compile(r'"[^"]+"|\w+')
_BEFORE_A_TABLE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|ONLY|TABLE|REFERENCES)\s+$", re.IGNORECASE)


def qualifier_at_mark(message: str) -> str | None:
    """
    The name before a dot at the mark (a table's before a column, or a schema's), without quotes.

    "" where the name is cut off and may be one of a column; None at anything else, and without a mark.
    """
    for line, mark in pairwise(message.splitlines()):
        if mark.strip() == "^":
            at = mark.index("^")
            return _qualifier(line[:at], line[at:])
    return None


def _qualifier(before: str, after: str) -> str | None:
    shown = after.removesuffix(_DOTS)
    match = _NAME.match(shown)
    rest = shown[match.end() :].lstrip() if match else ""
    if match and rest:
        return match[0].strip('"') if rest.startswith(".") else None
    is_cut = shown != after
    return "" if is_cut and not _BEFORE_A_TABLE.search(before) else None
