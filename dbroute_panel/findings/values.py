"""
Whether a read looked for a value that a write has in the same column.

Only as much reading of SQL as Django's own needs: ``"table"."column" = %s`` and the like, and the columns of
an INSERT or the SET of an UPDATE. Of other SQL the values alone are compared. Where the project has the
model, its columns that can be no cause of a unique violation do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.apps import apps
from django.db.models import UniqueConstraint

from dbroute_panel.records import Query

_PLACEHOLDER: Final = re.compile(r"%s")
_COLUMN: Final = r"[\"`\[]?(?P<column>\w+)[\"`\]]?"
_CONDITION: Final = re.compile(
    rf"{_COLUMN}(?:::\w+\)*|\)+)?\s*(?:=|\bI?LIKE\b(?:\s+BINARY\b)?|\bIN\b)"
    r"(?P<values>(?:\s*(?:\w+\(|\()*\s*%s(?:::\w+(?:\[\])?)?\)*\s*,?)+)",
    re.IGNORECASE,
)
_INSERT: Final = re.compile(r"\bINTO\s+[^\s(]+\s*\((?P<columns>[^()]*)\)", re.IGNORECASE)
_WHERE: Final = re.compile(r"\bWHERE\b", re.IGNORECASE)
_COMMON: Final = frozenset({"0", "1", "true", "false", "none", "null", ""})
"""Values that any two statements have in common (flags, a LIMIT)."""
_MASKED: Final = "***"

_Values = dict[str, set[str] | None]
"""The values of each column in lower case; None: they are not known."""


def has_a_value_in_common(read: Query, write: Query) -> bool:
    """Whether ``read`` looked in a column for what ``write`` put there, as far as the record tells."""
    where = _WHERE.search(read.sql)
    wanted = _conditions(read, where.end() if where is not None else 0)
    written = _written(write)
    if wanted and written:
        both = wanted.keys() & written.keys()
        if (unique := _unique_columns(write.model)) is not None:
            both &= unique
        return any(_meet(wanted[column], written[column]) for column in both)
    if read.params is None or write.params is None:
        return True
    return not (_flat(read.params) - _COMMON).isdisjoint(_flat(write.params) - _COMMON)


def _meet(one: set[str] | None, other: set[str] | None) -> bool:
    return one is None or other is None or not one.isdisjoint(other)


def _unique_columns(label: str | None) -> set[str] | None:
    """The columns of a model's unique fields and constraints; None where they are not known."""
    try:
        meta = apps.get_model(label or "")._meta
    except (LookupError, ValueError):  # the trace may be of another project
        return None
    names = {name for together in meta.unique_together for name in together}
    for constraint in meta.constraints:
        if isinstance(constraint, UniqueConstraint):
            if constraint.expressions:
                return None
            names.update(constraint.fields)
    fields = [field for field in meta.fields if field.unique or field.name in names]
    return {str(field.column).lower() for field in fields} or None


def _conditions(query: Query, start: int, end: int | None = None) -> _Values:
    """The columns that are compared with values, or set to them, between two positions of the statement."""
    params = _params(query)
    found: _Values = {}
    for match in _CONDITION.finditer(query.sql, start, len(query.sql) if end is None else end):
        first = len(_PLACEHOLDER.findall(query.sql, 0, match.start("values")))
        count = len(_PLACEHOLDER.findall(match["values"]))
        _add(found, match["column"], None if params is None else params[first : first + count])
    return found


def _params(query: Query) -> list[Any] | None:
    """The value of each placeholder; None where the record does not hold them, or not by position."""
    if query.many or not isinstance(query.params, (list, tuple)):
        return None
    return list(query.params) if len(query.params) == len(_PLACEHOLDER.findall(query.sql)) else None


def _written(query: Query) -> _Values:
    """The columns that an INSERT or UPDATE writes."""
    if query.operation == "UPDATE":
        where = _WHERE.search(query.sql)
        return _conditions(query, 0, None if where is None else where.start())
    match = _INSERT.search(query.sql)
    if match is None:
        return {}
    columns = [name.strip().strip('"`[]') for name in match["columns"].split(",")]
    found: _Values = {}
    for position, column in enumerate(columns):
        _add(found, column, _of_column(query, position, len(columns)))
    return found


def _of_column(query: Query, position: int, width: int) -> list[Any] | None:
    """The values of one column in all the rows of an INSERT; None where not every value is a parameter."""
    if query.many:
        rows = query.params if isinstance(query.params, (list, tuple)) else ()
        whole = all(isinstance(row, (list, tuple)) and len(row) == width for row in rows)
        return [row[position] for row in rows] if rows and whole else None
    params = _params(query)
    return None if params is None or len(params) % width else params[position::width]


def _add(found: _Values, column: str, params: Iterable[Any] | None) -> None:
    name = column.lower()
    values = None if params is None else _flat(params)
    if values is not None and _MASKED in values:
        values = None
    before = found.get(name, set())
    found[name] = None if values is None or before is None else before | values


def _flat(params: Any) -> set[str]:
    return {str(value).lower() for value in _each(params)}


def _each(params: Any) -> Iterator[Any]:
    """Each value, also of rows and of the lists that PostgreSQL's ``UNNEST`` takes."""
    for value in params.values() if isinstance(params, dict) else params:
        if isinstance(value, (list, tuple)):
            yield from _each(value)
        else:
            yield value
