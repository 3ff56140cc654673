"""
Find work that was done on one database and belongs to another, or that Django refused for that.

Whether a read looked for a value that a write has in the same column is told from Django's own SQL:
``"table"."column" = %s`` and the like, and the columns of an INSERT or the SET of an UPDATE. Of other SQL the
values alone are compared. Where the project has the model, its columns that can be no cause of a unique
violation do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.apps import apps
from django.db.models import UniqueConstraint

from dbroute_panel.records import Action, Decision, ExceptionRaised, Finding, Query
from dbroute_panel.sql import tables_read, tables_written

from .errors import violates_unique
from .facts import ERROR, WARNING, Facts, finding, group_by

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

_COUNTS: Final = re.compile(r"\s*SELECT\s+COUNT\(", re.IGNORECASE)


@finding("add-across-databases", level=ERROR)
def add_across_databases(trace: Facts) -> Iterator[Finding]:
    """``parent.children.add(child)`` with a child of another database, which Django refuses."""
    for (model, using, other), events in _group_refusals(trace, "add").items():
        yield Finding.about(
            *events,
            message=f"{model} is in {other}, and was to be added to a relation of an object whose related "
            f"objects are written on {using}: Django raised ValueError. Get both from one database; with "
            f"bulk=False it would be saved on {using}, too.",
        )


@finding("subquery-across-databases", level=ERROR)
def subquery_across_databases(trace: Facts) -> Iterator[Finding]:
    """A query with a subquery that has another database by name, which Django refuses."""
    for (model, using, other), events in _group_refusals(trace, "process_rhs").items():
        yield Finding.about(
            *events,
            message=f"A query on {using} had a subquery of {model} that names {other}: Django raised "
            "ValueError. Name one database for both, or evaluate the inner query first, with list().",
        )


def _group_refusals(trace: Facts, function: str) -> dict[tuple[str | None, ...], list[ExceptionRaised]]:
    """Return the exceptions over two databases that a function of Django raised, by model and databases."""
    raised = (
        event
        for event, _ in trace.raised
        if event.using is not None
        and event.other not in (None, event.using)
        and event.raised_at is not None
        and event.raised_at.function == function
    )
    return group_by(raised, lambda event: (event.model, event.using, event.other))


@finding("checked-elsewhere", level=WARNING)
def checked_elsewhere(trace: Facts) -> Iterator[Finding]:
    """
    A row was looked for on one database, and inserted on another, which had one with the same unique values.

    Both are about one column, in which they have a value in common where parameters are kept. A look on the
    insert's own database explains nothing: then another process was quicker.
    """
    found: list[tuple[Query, Query]] = []
    for insert in trace.writes:
        if insert.error_code is None or not violates_unique(insert, trace.databases):
            continue
        checks = [
            query for query in trace.queries if query.id < insert.id and _may_be_check_of(query, insert)
        ]
        if checks and all(check.alias != insert.alias for check in checks):
            found.append((checks[-1], insert))
    groups = group_by(found, lambda one: (trace.model(one[1]), one[0].alias, one[1].alias))
    for (model, read_on, written_on), pairs in groups.items():
        inserts = [insert for _check, insert in pairs]
        yield Finding.about(
            *(query for pair in pairs for query in pair),
            message=f"{model} was looked for on {read_on}, and the write that followed on {written_on} "
            f"failed: a row with the same unique values is there ({trace.error(inserts[0].error)}). Look "
            f"where you write, with using({written_on!r}), or let db_for_read answer {written_on} for such a "
            "check, as that of full_clean().",
        )


def _may_be_check_of(query: Query, insert: Query) -> bool:
    """Return whether ``query`` looked, as far as the record tells in vain, for what ``insert`` wrote."""
    if query.writes or query.error is not None or query.parent_id is not None:
        return False
    if not set(tables_read(query.sql)) & set(tables_written(insert.sql)):
        return False
    if query.rowcount and not _COUNTS.match(query.sql):
        return False
    if not _WHERE.search(query.sql):
        return False
    return shares_value(query, insert)


@finding("migration-elsewhere", level=WARNING)
def migration_elsewhere(trace: Facts) -> Iterator[Finding]:
    """
    A migration wrote rows through a historical model, on another alias than the one that it migrates.

    The last question before tells which one that is: Django asks ``allow_migrate`` about it before it runs
    ``RunPython`` (``django/db/migrations/operations/special.py``). Questions of routers, and of the function
    that writes, do not count.
    """
    historical = [query for query in trace.writes if query.historical]
    if not historical:
        return
    asked = [decision for decision in trace.decisions if decision.action is Action.MIGRATE]
    found: list[tuple[Query, Decision]] = []
    for query in historical:
        before = [one for one in asked if one.id < query.id and not _is_asked_by_code(one, query)]
        if before and _migrated_alias(before[-1]) not in (None, query.alias):
            found.append((query, before[-1]))
    groups = group_by(found, lambda one: (trace.model(one[0]), one[0].alias, _migrated_alias(one[1])))
    for (_model, alias, migrated), pairs in groups.items():
        queries = [query for query, _decision in pairs]
        yield Finding.about(
            *queries,
            *{decision.id: decision for _query, decision in pairs}.values(),
            message=f"A migration of {migrated} wrote {trace.subjects(queries)} on {alias}: once for each "
            f"database that is migrated, and none of it on {migrated}. Write with "
            "using(schema_editor.connection.alias).",
        )


def _is_asked_by_code(decision: Decision, query: Query) -> bool:
    """Return whether the function that wrote ``query``, or a router, asked what ``decision`` answered."""
    if decision.parent_id is not None:
        return True
    one, other = decision.callsite, query.callsite
    if one is None or other is None:
        return False
    return (one.file, one.function) == (other.file, other.function)


def _migrated_alias(decision: Decision) -> str | None:
    db = (decision.args or {}).get("db")
    return db if isinstance(db, str) else None


def shares_value(read: Query, write: Query) -> bool:
    """Return whether ``read`` looked in a column for what ``write`` put there, as far as the record tells."""
    where = _WHERE.search(read.sql)
    wanted = _compared_values(read, where.end() if where is not None else 0)
    written = _written_values(write)
    if wanted and written:
        both = wanted.keys() & written.keys()
        if (unique := _unique_columns(write.model)) is not None:
            both &= unique
        return any(_overlap(wanted[column], written[column]) for column in both)
    if read.params is None or write.params is None:
        return True
    return not (_flatten(read.params) - _COMMON).isdisjoint(_flatten(write.params) - _COMMON)


def _overlap(one: set[str] | None, other: set[str] | None) -> bool:
    return one is None or other is None or not one.isdisjoint(other)


def _unique_columns(label: str | None) -> set[str] | None:
    """Return the columns of a model's unique fields and constraints; None where they are not known."""
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


def _compared_values(query: Query, start: int, end: int | None = None) -> _Values:
    """Return the values that columns are compared with, or set to, between two positions of the statement."""
    params = _positional_params(query)
    found: _Values = {}
    for match in _CONDITION.finditer(query.sql, start, len(query.sql) if end is None else end):
        first = len(_PLACEHOLDER.findall(query.sql, 0, match.start("values")))
        count = len(_PLACEHOLDER.findall(match["values"]))
        _add_values(found, match["column"], None if params is None else params[first : first + count])
    return found


def _positional_params(query: Query) -> list[Any] | None:
    """Return the value of each placeholder; None where the record does not hold them, or not by position."""
    if query.many or not isinstance(query.params, (list, tuple)):
        return None
    return list(query.params) if len(query.params) == len(_PLACEHOLDER.findall(query.sql)) else None


def _written_values(query: Query) -> _Values:
    """Return the values that an INSERT or UPDATE writes, by column."""
    if query.operation == "UPDATE":
        where = _WHERE.search(query.sql)
        return _compared_values(query, 0, None if where is None else where.start())
    match = _INSERT.search(query.sql)
    if match is None:
        return {}
    columns = [name.strip().strip('"`[]') for name in match["columns"].split(",")]
    found: _Values = {}
    for position, column in enumerate(columns):
        _add_values(found, column, _column_values(query, position, len(columns)))
    return found


def _column_values(query: Query, position: int, width: int) -> list[Any] | None:
    """Return the values of one column in all rows of an INSERT; None where not every one is a parameter."""
    if query.many:
        rows = query.params if isinstance(query.params, (list, tuple)) else ()
        whole = all(isinstance(row, (list, tuple)) and len(row) == width for row in rows)
        return [row[position] for row in rows] if rows and whole else None
    params = _positional_params(query)
    return None if params is None or len(params) % width else params[position::width]


def _add_values(found: _Values, column: str, params: Iterable[Any] | None) -> None:
    name = column.lower()
    values = None if params is None else _flatten(params)
    if values is not None and _MASKED in values:
        values = None
    before = found.get(name, set())
    found[name] = None if values is None or before is None else before | values


def _flatten(params: Any) -> set[str]:
    return {str(value).lower() for value in _iterate(params)}


def _iterate(params: Any) -> Iterator[Any]:
    """Yield each value, also of rows and of the lists that PostgreSQL's ``UNNEST`` takes."""
    for value in params.values() if isinstance(params, dict) else params:
        if isinstance(value, (list, tuple)):
            yield from _iterate(value)
        else:
            yield value
