"""What was done on one database and belongs to another: the check before a write, and a migration's rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dbroute_panel.records import Action, Decision, Finding, Query

from .error_codes import violates_unique
from .facts import Facts
from .function import WARNING, finding
from .grouping import by
from .statements import tables_read, tables_written
from .values import has_a_value_in_common

_WHERE: Final = re.compile(r"\bWHERE\b", re.IGNORECASE)
_COUNTS: Final = re.compile(r"\s*SELECT\s+COUNT\(", re.IGNORECASE)


@finding("checked-elsewhere", level=WARNING)
def checked_elsewhere(trace: Facts) -> Iterator[Finding]:
    """
    A row was looked for on one database, and inserted on another, which had one with the same unique values.

    Both are about one column, in which they have a value in common where parameters are kept. A look on the
    insert's own database explains nothing: then somebody else was quicker.
    """
    found: list[tuple[Query, Query]] = []
    for insert in trace.writes:
        if insert.error_code is None or not violates_unique(insert, trace.databases):
            continue
        checks = [
            query for query in trace.queries if query.id < insert.id and _may_be_its_check(query, insert)
        ]
        if checks and all(check.alias != insert.alias for check in checks):
            found.append((checks[-1], insert))
    groups = by(found, lambda one: (trace.model(one[1]), one[0].alias, one[1].alias))
    for (model, read_on, written_on), pairs in groups.items():
        inserts = [insert for _check, insert in pairs]
        yield Finding.about(
            *(query for pair in pairs for query in pair),
            message=f"{model} was looked for on {read_on}, and the write that followed on {written_on} "
            f"failed: a row with the same unique values is there ({trace.error(inserts[0].error)}). Look "
            f"where you write, with using({written_on!r}), or let db_for_read answer {written_on} for such a "
            "check, as that of full_clean().",
        )


def _may_be_its_check(query: Query, insert: Query) -> bool:
    """Whether ``query`` looked, as far as the record tells in vain, for what ``insert`` wrote."""
    if query.writes or query.error is not None or query.parent_id is not None:
        return False
    if not set(tables_read(query.sql)) & set(tables_written(insert.sql)):
        return False
    if query.rowcount and not _COUNTS.match(query.sql):
        return False
    if not _WHERE.search(query.sql):
        return False
    return has_a_value_in_common(query, insert)


@finding("migration-elsewhere", level=WARNING)
def migration_elsewhere(trace: Facts) -> Iterator[Finding]:
    """
    A migration wrote rows through a historical model, on another alias than the one that it migrates.

    Which one that is says the last question before: Django asks ``allow_migrate`` of it before it runs
    ``RunPython`` (``django/db/migrations/operations/special.py``). What routers, and the function that
    writes, ask themselves says nothing of it.
    """
    historical = [query for query in trace.writes if query.historical]
    if not historical:
        return
    asked = [decision for decision in trace.decisions if decision.action is Action.MIGRATE]
    found: list[tuple[Query, Decision]] = []
    for query in historical:
        before = [one for one in asked if one.id < query.id and not _is_the_code_s_own(one, query)]
        if before and _alias_of(before[-1]) not in (None, query.alias):
            found.append((query, before[-1]))
    groups = by(found, lambda one: (trace.model(one[0]), one[0].alias, _alias_of(one[1])))
    for (_model, alias, migrated), pairs in groups.items():
        queries = [query for query, _decision in pairs]
        yield Finding.about(
            *queries,
            *{decision.id: decision for _query, decision in pairs}.values(),
            message=f"A migration of {migrated} wrote {trace.subjects(queries)} on {alias}: once for each "
            f"database that is migrated, and none of it on {migrated}. Write with "
            "using(schema_editor.connection.alias).",
        )


def _is_the_code_s_own(decision: Decision, query: Query) -> bool:
    """Whether the function that wrote ``query``, or a router, asked what ``decision`` answered."""
    if decision.parent_id is not None:
        return True
    one, other = decision.callsite, query.callsite
    if one is None or other is None:
        return False
    return (one.file, one.function) == (other.file, other.function)


def _alias_of(decision: Decision) -> str | None:
    db = (decision.args or {}).get("db")
    return db if isinstance(db, str) else None
