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


# PostgreSQL has one code, 42P01, for a table that is missing and for ``author.name`` in a statement that does
# not read from ``author``, and says which in words that are translated. But its client marks the place with a
# caret. A line of more than 60 columns is cut off with three dots, at least ten characters after the mark
# (``reportErrorPosition()`` in ``src/interfaces/libpq/fe-protocol3.c``).
_DOTS: Final = "..."
_NAME = re.compile(r'"[^"]+"|\w+')
_BEFORE_A_TABLE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|ONLY|TABLE|REFERENCES)\s+$", re.IGNORECASE)


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


def missing_table_of(query: Query, databases: Mapping[str, Database]) -> str | None:
    """The name of the table that is missing; "" where it is not known which one, None where none is."""
    if not says_table_is_missing(query, databases):
        return None
    vendor, message = vendor_of(query, databases), message_of(query)
    if vendor == "sqlite" and (name := name_from_sqlite(query)):  # of a view's table, too
        return name
    tables = dict.fromkeys((*tables_written(query.sql), *tables_read(query.sql)))
    named = names_in(message, dict.fromkeys((*tables, *tables_altered(query.sql))))
    if len(named) == 1:
        return named[0]
    # Oracle names no table before 23ai. What the others name and the statement does not is the table of a
    # trigger or of a function; without a message only a statement that reads is sure to mean its own.
    own = vendor == "oracle" if message else not query.writes
    return next(iter(tables)) if own and len(tables) == 1 else ""


def names_in(message: str, tables: Iterable[str]) -> list[str]:
    """Those of ``tables`` that the first line of ``message`` names, as it writes them."""
    first = message.partition("\n")[0]
    found = (re.search(_word(table), first, re.IGNORECASE) for table in tables)
    return [match[0] for match in found if match is not None]


def is_in_statement(table: str, sql: str) -> bool:
    """Whether ``table`` is one of those that a statement names."""
    return table.lower() in {*tables_written(sql), *tables_read(sql), *tables_altered(sql)}


def _word(table: str) -> str:
    """A pattern for the whole name, which is not that of a schema before another name."""
    return rf"(?<!\w){re.escape(table)}(?!\w)(?![\"`\]]?\.\w)"


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
