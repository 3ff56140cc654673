"""
Which table did a database not find?

That one is missing says the error's code, in every language. Which one says its message, which names the
table as it is; so it is looked for among those of the statement, and the words around it do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from dbroute_panel.records import Database, Query

from .error_codes import message_of, name_from_sqlite, says_table_is_missing, vendor_of
from .statements import tables_altered, tables_read, tables_written


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
