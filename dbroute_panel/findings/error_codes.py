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

from .carets import qualifier_at_mark

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
TABLE_IS_MISSING: Final = "42P01"
"""The SQLSTATE of a table that is not there: PostgreSQL's."""

_MISSING_STATES: Final = frozenset({TABLE_IS_MISSING, "42S02"})  # ODBC's
_MISSING_NUMBERS: Final[Mapping[str, frozenset[int]]] = {
    "mysql": frozenset({1146}),
    "oracle": frozenset({942}),
}
_DROP = re.compile(r"\s*DROP\s+(?!TABLE\b)", re.IGNORECASE)

_SQLITE_ERROR: Final = 1
# The only words of others that are read. SQLite has code 1 for whatever is wrong with a statement, speaks one
# language only, and to ask it for its tables would be a statement of ours on the user's connection.
_SQLITE_NO_TABLE = re.compile(r"no such table: (?:main\.)?(?P<table>.+)", re.DOTALL)

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
    vendor = vendor_of(query, databases)
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
    return code in _UNIQUE_NUMBERS.get(vendor_of(query, databases), ())


def says_table_is_missing(query: Query, databases: Mapping[str, Database]) -> bool:
    """Whether a statement failed because a table is not on the database."""
    code = query.error_code
    if code == TABLE_IS_MISSING:
        return _is_about_a_table(query)
    if not isinstance(code, int):
        return code in _MISSING_STATES
    vendor = vendor_of(query, databases)
    if vendor == "sqlite":
        return code == _SQLITE_ERROR and name_from_sqlite(query) is not None
    return code in _MISSING_NUMBERS.get(vendor, ())


def leaves_open_what_failed(query: Query, databases: Mapping[str, Database]) -> bool:
    """Whether there is no code (in old documents), or SQLite's for everything: the message alone told it."""
    code = query.error_code
    return code is None or (code == _SQLITE_ERROR and vendor_of(query, databases) == "sqlite")


def name_from_sqlite(query: Query) -> str | None:
    """The table that SQLite says is missing, without ``main.``; None where it says something else."""
    match = _SQLITE_NO_TABLE.match(message_of(query))
    return match and match["table"]


def message_of(query: Query) -> str:
    """What follows the class of the exception; "" where values are not recorded."""
    return (query.error or "").partition(": ")[2]


def vendor_of(query: Query, databases: Mapping[str, Database]) -> str:
    """The vendor of the database that ``query`` went to (MariaDB's is mysql); "" where it is not known."""
    database = databases.get(query.alias)
    return database.vendor if database is not None else ""


def _is_about_a_table(query: Query) -> bool:
    """
    Whether 42P01 means a table: not ``x.column`` without an ``x`` after FROM, nor a view that is dropped.

    That tells the place that the message shows; without a message it is not known.
    """
    message = message_of(query)
    if not message or _DROP.match(query.sql):
        return False
    qualifier = qualifier_at_mark(message)
    if not qualifier:
        return qualifier is None
    # Of a table with its schema the first line says both; of a column only what is before the dot.
    first = message.partition("\n")[0]
    return re.search(rf"(?<!\w){re.escape(qualifier)}(?!\w)(?!\"?\.)", first, re.IGNORECASE) is None
