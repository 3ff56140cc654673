"""
How is one statement shown? Formatted by sqlparse and coloured by Pygments, for opened rows only.

sqlparse takes about 5 ms for 500 characters, so a statement that is very long is shown as it is.
"""

from __future__ import annotations

from typing import Final

import sqlparse
from sqlparse.exceptions import SQLParseError

from . import highlight
from .highlight import CodeSpan

MAX_FORMATTED_LENGTH: Final = 10_000
MAX_SHOWN_LENGTH: Final = 50_000


def plain_sql(sql: str, longest: int = MAX_SHOWN_LENGTH) -> tuple[CodeSpan, ...]:
    """The statement as it was sent, cut at ``longest`` characters."""
    return (CodeSpan(sql[:longest] + ("…" if len(sql) > longest else "")),)


def format_sql(sql: str) -> tuple[CodeSpan, ...]:
    """The statement over several lines, in pieces; as it was sent where it is too long or too deep."""
    if len(sql) > MAX_FORMATTED_LENGTH:
        return plain_sql(sql)
    try:
        lines = sqlparse.format(sql, reindent=True)
    except (SQLParseError, RecursionError):
        return plain_sql(sql)
    return highlight.highlight_sql(lines)
