"""Find what is wrong with queries, wherever they went."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from operator import attrgetter
from typing import Final

from dbroute_panel.asked import Asked, asked_about
from dbroute_panel.records import Callsite, Decision, Finding, Query, RouteKind
from dbroute_panel.sql import fingerprint, reads_catalog, tables_read, tables_written

from .errors import find_missing_table
from .facts import ERROR, INFO, WARNING, Facts, finding, group_by, is_housekeeping

CACHE_MODEL: Final = "django_cache.CacheEntry"
"""The label that Django's database cache gives to routers: no model, and no migration makes its table."""

MIN_REPEATS: Final = 10
"""Equal queries from one line that make a loop."""

MIN_BATCH_VALUES: Final = 50
"""Values of a query that is for many rows already: Django works in batches by itself."""

_PLACEHOLDER = re.compile(r"%s|%\(")


@finding("missing-table", level=ERROR)
def missing_table(trace: Facts) -> Iterator[Finding]:
    """A query failed because its table is not on that database."""
    failed = [
        (table, query)
        for query in trace.queries
        if query.error is not None
        and not trace.is_after_failure(query)
        and (table := find_missing_table(query, trace.databases)) is not None
    ]
    groups = group_by(failed, lambda one: (one[1].alias, one[0], _remedy(one[1], trace)))
    for (alias, table, remedy), found in groups.items():
        queries = [query for _, query in found]
        what = f"The table {table}" if table else "A table"
        told = (one for query in queries if (one := _decision_to_name(query, trace)) is not None)
        yield Finding.about(
            *queries,
            *{one.id: one for one in told}.values(),
            message=f"{what} is not on {alias}, where a query of {trace.subjects(queries)} failed. {remedy}.",
        )


def _decision_to_name(query: Query, trace: Facts) -> Decision | None:
    """Return the decision that the remedy names: one about another model, or about the database cache."""
    decision = trace.decision_of(query)
    if decision is not None:
        return None if asked_about(query, decision) is Asked.SAME_MODEL else decision
    # The cache opens a raw cursor on the answer, right after it has asked.
    before = [one for one in trace.decisions if one.id < query.id] if query.route is RouteKind.CURSOR else []
    is_cache = bool(before) and before[-1].model == CACHE_MODEL and before[-1].answer == query.alias
    return before[-1] if is_cache else None


def _remedy(query: Query, trace: Facts) -> str:
    """Say what to change: how the table gets there, and who could have sent the query elsewhere."""
    alias, decision, asked = query.alias, _decision_to_name(query, trace), trace.asked(query)
    if decision is not None and asked is Asked.OTHER_MODEL:
        return (
            f"No router was asked about {query.model}: {alias} is the alias of {trace.question(decision)}, "
            f"which was passed on. Name the database of {query.model} in the code, or have both on one "
            "database"
        )
    primary = trace.primaries.get(alias)
    if decision is not None and decision.model == CACHE_MODEL:
        make = f"Make it with createcachetable --database {primary or alias}"
    else:
        make = f"Migrate {primary}" if primary else "Migrate it there"
    if primary:
        make = f"{alias} is a replica of {primary}. {make} and let replication bring the table"
    if decision is not None and asked is Asked.SAVED_OBJECT:
        return f"{make}, or let a router name another database for {decision.model}, whose object was saved"
    if decision is not None or trace.is_routed(query):
        return f"{make}, or let a router name the database that has it"
    return f"{make}, or name the database that has it in the code"


@finding("repeated-query", level=WARNING)
def repeated_query(trace: Facts) -> Iterator[Finding]:
    """
    One line of code reads again and again: a query for each row (N+1).

    Only reads count: to save many objects takes a statement each. Queries of routers (``router-queried``), of
    Django itself, in batches and of Django's error page do not count.
    """
    reads = [
        query
        for query in trace.queries
        if not query.writes and query.parent_id is None and not trace.is_after_failure(query)
    ]
    for (alias, site), queries in group_by(reads, attrgetter("alias", "callsite")).items():
        if site is None or len(queries) < MIN_REPEATS:
            continue
        texts = group_by(queries, attrgetter("sql"))  # mostly one, whose shape is then looked up once
        for found in group_by(texts, lambda sql: fingerprint(sql).text).values():
            same = [query for sql in found for query in texts[sql]]
            if len(same) < MIN_REPEATS or not _can_be_merged(same[0]):
                continue
            yield Finding.about(
                *same,
                message=f"The same query of {trace.model(same[0])} ran {len(same)} times on {alias}, called "
                f"from {_format_place(site)}. Read the rows at once: select_related(), prefetch_related(), "
                "or one query with __in.",
            )


def _can_be_merged(query: Query) -> bool:
    """Return whether a query can be merged with its like: it is the user's, and not for many rows already."""
    is_own = not is_housekeeping(query) and not reads_catalog(query.sql)
    return is_own and fingerprint(query.sql).values < MIN_BATCH_VALUES


def _format_place(site: Callsite) -> str:
    file = site.file if site.entry is not None else site.file.rpartition("/")[2]
    place = f"{file}:{site.line}, in {site.entry}" if site.entry else f"{file}:{site.line}"
    return f"{place}, template {site.template[0]}:{site.template[1]}" if site.template else place


@finding("same-query-elsewhere", level=INFO)
def same_query_elsewhere(trace: Facts) -> Iterator[Finding]:
    """The same SQL with the same parameters ran on several databases."""
    meant = [query for query in trace.queries if not trace.is_after_failure(query)]
    for queries in group_by(meant, attrgetter("sql")).values():
        if not _ran_on_several(queries, trace) or not _is_about_rows(queries[0]):
            continue
        same = group_by(filter(_has_all_params, queries), lambda query: repr(query.params)).values()
        on_several = [found for found in same if _ran_on_several(found, trace)]
        for groups in group_by(on_several, lambda found: frozenset(query.alias for query in found)).values():
            aliases = " and ".join(dict.fromkeys(query.alias for query in groups[0]))
            times = "" if len(groups) == 1 else f", with {len(groups)} sets of parameters"
            yield Finding.about(
                *chain.from_iterable(groups),
                message=f"The same query of {trace.model(groups[0][0])} ran on {aliases}{times}. "
                "If one answer is enough, name the database; if they are compared, nothing is wrong.",
            )


def _ran_on_several(queries: list[Query], trace: Facts) -> bool:
    """Return whether they ran on several databases; a primary and its replicas count as one."""
    return len({trace.primary_of(query.alias) for query in queries}) > 1


def _is_about_rows(query: Query) -> bool:
    tables = tables_written(query.sql) if query.writes else tables_read(query.sql)
    return bool(tables) and not is_housekeeping(query) and not reads_catalog(query.sql)


def _has_all_params(query: Query) -> bool:
    """Return whether the record holds all the parameters, and none of them masked."""
    if query.many:
        return False
    if query.params is None:
        return _PLACEHOLDER.search(query.sql) is None
    values = query.params.values() if isinstance(query.params, dict) else query.params
    return "***" not in values
