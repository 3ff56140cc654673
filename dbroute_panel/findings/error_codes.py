"""
What the database's own code says of an error: the same in every language, and for every statement.

SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html; numbers of MySQL and MariaDB:
https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html; of SQLite, whose low byte is the
family: https://sqlite.org/rescode.html; of Oracle: the digits of ``ORA-16000``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from dbroute_panel.records import Database, Query

_READ_ONLY_SQLSTATE: Final = "25006"
_UNIQUE_SQLSTATE: Final = "23505"
_READ_ONLY_NUMBERS: Final[Mapping[str, frozenset[int]]] = {
    "mysql": frozenset({1290, 1792, 1836}),
    "oracle": frozenset({16000}),
}
_UNIQUE_NUMBERS: Final[Mapping[str, frozenset[int]]] = {
    "mysql": frozenset({1062, 1586}),
    "oracle": frozenset({1}),
    "sqlite": frozenset({1555, 2067, 2579}),
}
_SQLITE_FAMILY: Final = 0xFF
_SQLITE_READ_ONLY: Final = 8

_PREVENTED_BY_AN_OPTION: Final = 1290
# What MySQL's other options prevent (--secure-file-priv, --skip-grant-tables, --event-scheduler).
_OTHER_OPTIONS = re.compile(
    r"\b(?:OUT|DUMP|IN)FILE\b|^\s*(?:GRANT|REVOKE|SET|(?:CREATE|ALTER|DROP|RENAME)\s+(?:USER|ROLE|EVENT))\b",
    re.IGNORECASE,
)


def is_refused_as_read_only(query: Query, databases: Mapping[str, Database]) -> bool:
    """Whether the database refused a statement because it, or the transaction, is read-only."""
    code = query.error_code
    if not isinstance(code, int):
        return code == _READ_ONLY_SQLSTATE
    vendor = _vendor(query, databases)
    if vendor == "sqlite":
        return code & _SQLITE_FAMILY == _SQLITE_READ_ONLY
    if code == _PREVENTED_BY_AN_OPTION and _OTHER_OPTIONS.search(query.sql):
        return False
    return code in _READ_ONLY_NUMBERS.get(vendor, ())


def violates_unique(query: Query, databases: Mapping[str, Database]) -> bool:
    """Whether a row was refused because another one has the same key, or the same unique values."""
    code = query.error_code
    if not isinstance(code, int):
        return code == _UNIQUE_SQLSTATE
    return code in _UNIQUE_NUMBERS.get(_vendor(query, databases), ())


def _vendor(query: Query, databases: Mapping[str, Database]) -> str:
    database = databases.get(query.alias)
    return database.vendor if database is not None else ""
