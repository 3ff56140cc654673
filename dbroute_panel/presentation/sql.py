"""
How is one statement shown? Formatted by sqlparse and coloured by Pygments, for opened rows only.

sqlparse takes about 5 ms for 500 characters, so a statement that is very long is shown as it is.
"""

from __future__ import annotations

from typing import Final

import sqlparse
from sqlparse.exceptions import SQLParseError

from . import highlight
from .highlight import Piece

LONGEST_FORMATTED: Final = 10_000
LONGEST_SHOWN: Final = 50_000


def plain(sql: str, longest: int = LONGEST_SHOWN) -> tuple[Piece, ...]:
    """The statement as it was sent, cut at ``longest`` characters."""
    return (Piece(sql[:longest] + ("…" if len(sql) > longest else "")),)


def formatted(sql: str) -> tuple[Piece, ...]:
    """The statement over several lines, in pieces; as it was sent where it is too long or too deep."""
    if len(sql) > LONGEST_FORMATTED:
        return plain(sql)
    try:
        lines = sqlparse.format(sql, reindent=True)
    except (SQLParseError, RecursionError):
        return plain(sql)
    return highlight.sql(lines)
