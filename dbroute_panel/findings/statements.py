"""
Which tables does a piece of SQL touch, and what is left of it without its values?

Only as much reading as findings need: names after FROM, JOIN, INTO, UPDATE. What it does not
understand has no tables, and nothing is found about it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_REMARK = r"/\*.*?\*/|--[^\n]*"
_STRING = r"'(?:[^']|'')*'"
_PART = r'(?:"[^"]+"|`[^`]+`|\[[^\]]+\]|\w+)'
_NAME = rf"(?i:ONLY\s+)?({_PART}(?:\.{_PART})*)"

_NO_CODE = re.compile(f"{_STRING}|{_REMARK}", re.DOTALL)
# A pattern that begins with a set of characters is ten times as fast as one with \b and IGNORECASE,
# and these are for thousands of statements. (?<!\w.): what was just matched begins a word.
_READ = re.compile(rf"[FfJj](?<!\w.)(?:[Rr][Oo][Mm]|[Oo][Ii][Nn])\s+{_NAME}")
# "DO UPDATE SET" and "ON DUPLICATE KEY UPDATE" belong to an INSERT; "FOR UPDATE" locks.
_WRITTEN = re.compile(
    rf"[IiUuDdTt](?<!\w.)(?i:NTO|(?<!\bDO\s.)(?<!\bKEY\s.)(?<!\bFOR\s.)PDATE|ELETE\s+FROM"
    rf"|RUNCATE(?:\s+TABLE)?)\s+{_NAME}"
)
_ALTERED = re.compile(
    rf"\b(?i:TABLE(?:\s+IF\s+EXISTS)?|REFERENCES|INDEX\s+(?:CONCURRENTLY\s+)?{_PART}\s+ON)\s+{_NAME}"
)
_LOCK = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
_VALUE = re.compile(r"['%0-9](?:(?<=')(?:[^']|'')*'|(?<=%)(?:s|\(\w+\)s)|(?<=[0-9])(?<!\w.)[0-9.]*(?!\w))")
_REMARKS = re.compile(f"({_STRING})|{_REMARK}", re.DOTALL)
_LIST = re.compile(r"[Ii](?<!\w.)[Nn] ?\( ?\?(?: ?, ?\?)* ?\)")

ROWS = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "TRUNCATE", "WITH"})
"""Operations that write rows, where they write; the others change tables."""

_CATALOG = re.compile(
    r"\bsqlite_(?:temp_)?(?:master|schema|sequence)\b|\bpragma_\w+|\bpg_[a-z]\w*|\binformation_schema\b"
    r"|\b(?:user|all|dba)_(?:tables|tab_|views|cons|ind|seq)",
    re.IGNORECASE,
)


class Shape(NamedTuple):
    """A statement with ``?`` for each value, and each list of values as one; ``values`` is their number."""

    text: str
    values: int


@lru_cache(maxsize=4096)
def tables_read(sql: str) -> tuple[str, ...]:
    """The tables that a SELECT reads, in order, without schema and quotes, in lower case."""
    return _names(_READ, sql)


@lru_cache(maxsize=4096)
def tables_written(sql: str) -> tuple[str, ...]:
    """The tables whose rows an INSERT, UPDATE, DELETE, REPLACE, MERGE or TRUNCATE writes."""
    return _names(_WRITTEN, sql)


def tables_altered(sql: str) -> tuple[str, ...]:
    """The tables that a change of tables, keys or indexes is about."""
    return _names(_ALTERED, sql)


def _names(pattern: re.Pattern[str], sql: str) -> tuple[str, ...]:
    if "'" in sql or "--" in sql or "/*" in sql:
        sql = _NO_CODE.sub(" ", sql)
    return tuple(dict.fromkeys(map(_bare, pattern.findall(sql))))


def _bare(name: str) -> str:
    last: str = re.findall(_PART, name)[-1] if "." in name else name
    return last.strip('"`[]').lower()


def locks(sql: str) -> bool:
    """Whether it is a ``SELECT ... FOR UPDATE``."""
    return "UPDATE" in sql.upper() and _LOCK.search(_NO_CODE.sub(" ", sql)) is not None


def returns_rows(sql: str) -> bool:
    """Whether a write has ``RETURNING``: SQLite counts its rows only when they have been fetched."""
    return "RETURNING" in sql.upper()


@lru_cache(maxsize=4096)
def shape(sql: str) -> Shape:
    """The statement without its values: what is equal when a line of code runs again."""
    if "--" in sql or "/*" in sql:
        sql = _REMARKS.sub(lambda match: match[1] or " ", sql)
    text = " ".join(_VALUE.sub("?", sql).split())
    values = text.count("?")
    return Shape(_LIST.sub("IN (?)", text) if values else text, values)


@lru_cache(maxsize=4096)
def reads_catalog(sql: str) -> bool:
    """Whether it asks the database about its tables, as migrations and introspection do."""
    return _CATALOG.search(sql) is not None
