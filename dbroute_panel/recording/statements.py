"""
What kind of statement a piece of SQL is: its first keyword, and whether it writes.

Only as much reading as these two facts need, because it is done for every query of a trace;
sqlparse would take milliseconds for each.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

WRITING = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "TRUNCATE"}
    | {"CREATE", "ALTER", "DROP", "RENAME", "COMMENT"}
)
"""Statements that change rows or tables."""

_SKIPPED = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|/\*.*?\*/|\()+", re.DOTALL)
_KEYWORD = re.compile(r"[A-Za-z_]+")
_NO_CODE = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*` | --[^\n]* | /\*.*?\*/""", re.DOTALL | re.VERBOSE
)
# "FOR UPDATE", "FOR NO KEY UPDATE" lock rows; they write none.
_WRITING_PART = re.compile(r"(?<!\bFOR\s)(?<!\bKEY\s)\b(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)


class Statement(NamedTuple):
    """``operation``: the first SQL keyword in upper case, comments and ``(`` skipped; or empty."""

    operation: str
    writes: bool


def read(sql: str) -> Statement:
    """What ``sql`` is. ``SELECT ... FOR UPDATE`` does not write. Only short texts are remembered."""
    return _remembered(sql) if len(sql) <= 4096 else _read(sql)


def _read(sql: str) -> Statement:
    first = _operation(sql)
    if first == "WITH":
        code = " ".join(_NO_CODE.sub(" ", sql).split())
        return Statement(first, _WRITING_PART.search(code) is not None)
    return Statement(first, first in WRITING)


_remembered = lru_cache(maxsize=2048)(_read)


def _operation(sql: str) -> str:
    start = skipped.end() if (skipped := _SKIPPED.match(sql)) else 0
    keyword = _KEYWORD.match(sql, start)
    return keyword[0].upper() if keyword else ""
