"""
Tell what a database's error means by its code, which is the same in every language and for every statement.

Which table is missing is only in the message, which names the table as it is. So it is looked for among those
of the statement, and the words around it do not matter.

SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html; numbers of MySQL and MariaDB:
https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html; of SQLite, whose low byte is the
family: https://sqlite.org/rescode.html; of Oracle: the digits of ``ORA-16000``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

from dbroute_panel.records import Database, Query
from dbroute_panel.sql import tables_altered, tables_read, tables_written

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
# The only message that is read. SQLite has code 1 for whatever is wrong with a statement, speaks one language
# only, and to ask it for its tables would be another statement on the user's connection.
_SQLITE_NO_TABLE = re.compile(r"no such table: (?:main\.)?(?P<table>.+)", re.DOTALL)

_SQLITE_FAMILY: Final = 0xFF
_SQLITE_READ_ONLY: Final = 8

_PREVENTED_BY_AN_OPTION: Final = 1290
# What MySQL's other options prevent (--secure-file-priv, --skip-grant-tables, --event-scheduler).
_OTHER_OPTIONS = re.compile(
    r"\b(?:OUT|DUMP|IN)FILE\b|^\s*(?:GRANT|REVOKE|SET|(?:CREATE|ALTER|DROP|RENAME)\s+(?:USER|ROLE|EVENT))\b",
    re.IGNORECASE,
)


# PostgreSQL has one code, 42P01, for a table that is missing and for ``author.name`` in a statement that does
# not read from ``author``, and says which in words that are translated. But its client marks the place with a
# caret. A line of more than 60 columns is cut off with three dots, at least ten characters after the mark
# (``reportErrorPosition()`` in ``src/interfaces/libpq/fe-protocol3.c``).
_DOTS: Final = "..."
_NAME = re.compile(r'"[^"]+"|\w+')
_BEFORE_A_TABLE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|ONLY|TABLE|REFERENCES)\s+$", re.IGNORECASE)


def is_refused_as_read_only(query: Query, databases: Mapping[str, Database]) -> bool:
    """Return whether the database refused a statement because it, or the transaction, is read-only."""
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
    """Return whether a row was refused because another one has the same key, or the same unique values."""
    code = query.error_code
    if not isinstance(code, int):
        return code == _UNIQUE_SQLSTATE
    return code in _UNIQUE_NUMBERS.get(vendor_of(query, databases), ())


def is_table_missing(query: Query, databases: Mapping[str, Database]) -> bool:
    """Return whether a statement failed because a table is not on the database."""
    code = query.error_code
    if code == TABLE_IS_MISSING:
        return _is_about_table(query)
    if not isinstance(code, int):
        return code in _MISSING_STATES
    vendor = vendor_of(query, databases)
    if vendor == "sqlite":
        return code == _SQLITE_ERROR and parse_sqlite_table(query) is not None
    return code in _MISSING_NUMBERS.get(vendor, ())


def is_ambiguous_error(query: Query, databases: Mapping[str, Database]) -> bool:
    """Return whether only the message says what failed: there is no code, or SQLite's for everything."""
    code = query.error_code
    return code is None or (code == _SQLITE_ERROR and vendor_of(query, databases) == "sqlite")


def parse_sqlite_table(query: Query) -> str | None:
    """Return the table that SQLite says is missing, without ``main.``; None where it says something else."""
    match = _SQLITE_NO_TABLE.match(message_of(query))
    return match and match["table"]


def message_of(query: Query) -> str:
    """Return what follows the class of the exception; "" where values are not recorded."""
    return (query.error or "").partition(": ")[2]


def vendor_of(query: Query, databases: Mapping[str, Database]) -> str:
    """Return the vendor of the database of ``query`` (MariaDB's is mysql); "" where it is not known."""
    database = databases.get(query.alias)
    return database.vendor if database is not None else ""


def _is_about_table(query: Query) -> bool:
    """
    Return whether 42P01 means a table, and no ``x.column`` without an ``x`` after FROM, nor a dropped view.

    The place that the message shows tells it; without a message it is not known.
    """
    message = message_of(query)
    if not message or _DROP.match(query.sql):
        return False
    qualifier = find_qualifier(message)
    if not qualifier:
        return qualifier is None
    # Of a table with its schema the first line says both; of a column only what is before the dot.
    first = message.partition("\n")[0]
    return re.search(rf"(?<!\w){re.escape(qualifier)}(?!\w)(?!\"?\.)", first, re.IGNORECASE) is None


def find_missing_table(query: Query, databases: Mapping[str, Database]) -> str | None:
    """Return the name of the table that is missing; "" where it is not known, None where none is missing."""
    if not is_table_missing(query, databases):
        return None
    vendor, message = vendor_of(query, databases), message_of(query)
    if vendor == "sqlite" and (name := parse_sqlite_table(query)):  # of a view's table, too
        return name
    tables = dict.fromkeys((*tables_written(query.sql), *tables_read(query.sql)))
    named = find_names(message, dict.fromkeys((*tables, *tables_altered(query.sql))))
    if len(named) == 1:
        return named[0]
    # Oracle names no table before 23ai. What the others name and the statement does not is the table of a
    # trigger or of a function; without a message only a statement that reads is sure to mean its own.
    own = vendor == "oracle" if message else not query.writes
    return next(iter(tables)) if own and len(tables) == 1 else ""


def find_names(message: str, tables: Iterable[str]) -> list[str]:
    """Return those of ``tables`` that the first line of ``message`` names, as it writes them."""
    first = message.partition("\n")[0]
    found = (re.search(_name_pattern(table), first, re.IGNORECASE) for table in tables)
    return [match[0] for match in found if match is not None]


def names_table(table: str, sql: str) -> bool:
    """Return whether ``table`` is one of those that a statement names."""
    return table.lower() in {*tables_written(sql), *tables_read(sql), *tables_altered(sql)}


def _name_pattern(table: str) -> str:
    """Return a pattern for the whole name, which is not that of a schema before another name."""
    return rf"(?<!\w){re.escape(table)}(?!\w)(?![\"`\]]?\.\w)"


def find_qualifier(message: str) -> str | None:
    """
    Return the name before a dot at PostgreSQL's mark (a table's, or a schema's), without quotes.

    "" where the name is cut off and may be one of a column; None at anything else, and without a mark.
    """
    for line, mark in pairwise(message.splitlines()):
        if mark.strip() == "^":
            at = mark.index("^")
            return _parse_qualifier(line[:at], line[at:])
    return None


def _parse_qualifier(before: str, after: str) -> str | None:
    shown = after.removesuffix(_DOTS)
    match = _NAME.match(shown)
    rest = shown[match.end() :].lstrip() if match else ""
    if match and rest:
        return match[0].strip('"') if rest.startswith(".") else None
    is_cut = shown != after
    return "" if is_cut and not _BEFORE_A_TABLE.search(before) else None
