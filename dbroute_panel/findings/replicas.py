"""Find what is wrong between a primary and its replicas."""

from __future__ import annotations

from collections.abc import Iterator

from dbroute_panel.records import Action, Callsite, Finding, Query
from dbroute_panel.sql import ROWS, locks, tables_read, tables_written
from dbroute_panel.trace_index import TransactionSpan

from .errors import is_refused_as_read_only
from .facts import ERROR, WARNING, Facts, begins_of, finding, group_by, is_housekeeping


@finding("stale-read", level=WARNING)
def stale_read(trace: Facts) -> Iterator[Finding]:
    """A table that was written on a primary is read from its replica later."""
    written: dict[tuple[str, str], list[Query]] = {}
    stale: dict[tuple[str, str], list[tuple[Query, Query]]] = {}
    for query in trace.queries if trace.primaries else ():
        if query.writes:
            changed_rows = query.id in trace.change_ids and query.operation in ROWS
            if changed_rows and query.model != "migrations.Migration":
                for name in _row_sources(query):
                    written.setdefault((query.alias, name), []).append(query)
        elif not written or query.error is not None or trace.is_after_failure(query):
            continue
        elif (primary := trace.primaries.get(query.alias)) is not None:
            for name in _row_sources(query):
                write = _last_write(written.get((primary, name)), query, trace)
                if write is not None:
                    stale.setdefault((primary, name), []).append((write, query))
                    break
    for (primary, _), pairs in stale.items():
        reads = [read for _, read in pairs]
        replicas = " and ".join(sorted({read.alias for read in reads}))
        write = pairs[0][0]
        yield Finding.about(
            *{write.id: write for write, _ in pairs[:20]}.values(),
            *reads,
            message=f"{trace.subjects(reads)} was possibly read stale from {replicas}, after "
            f"{trace.subject(write)} was written on {primary}. Read it with using({primary!r})"
            f"{_suggest_router(reads, trace, f'answer {primary} after a write')}.",
        )


def _suggest_router(reads: list[Query], trace: Facts, answer: str) -> str:
    """Say what ``db_for_read`` could answer, where it was asked about the model of one of ``reads``."""
    return f", or let db_for_read {answer}" if any(map(trace.is_routed, reads)) else ""


@finding("session-stale-read", level=WARNING)
def session_stale_read(trace: Facts) -> Iterator[Finding]:
    """A table is read from a replica soon after an earlier request of the same session wrote it."""
    if not trace.session_writes or trace.request is None or trace.request.method not in ("GET", "HEAD"):
        return
    own = {(query.alias, table) for query in trace.changes for table in tables_written(query.sql)}
    before = {(write.alias, write.table): write for write in reversed(trace.session_writes)}
    found = [
        (query, before[primary, table])
        for query in trace.queries
        if not query.writes and query.error is None and (primary := trace.primaries.get(query.alias))
        for table in tables_read(query.sql)
        if (primary, table) in before and (primary, table) not in own
    ]
    for (replica, _table, primary), pairs in group_by(
        found, lambda one: (one[0].alias, one[1].table, one[1].alias)
    ).items():
        reads, write = [query for query, _write in pairs], pairs[0][1]
        yield Finding.about(
            *reads,
            message=f"{trace.subjects(reads)} was possibly read stale from {replica}: "
            f"{_format_seconds(write.age_us)} before this request, another one of the same session (trace "
            f"{write.trace[:8]}) had written it on {primary}. Let db_for_read answer {primary} for a session "
            "that has just written.",
        )


def _format_seconds(microseconds: int) -> str:
    return f"{microseconds / 1_000_000:.1f} s"


def _row_sources(query: Query) -> tuple[str, ...]:
    """Return the tables whose rows a query reads or writes, else (of SQL not understood) its model."""
    tables = tables_written(query.sql) if query.writes else tables_read(query.sql)
    return tables or ((query.model,) if query.model is not None else ())


def _last_write(writes: list[Query] | None, read: Query, trace: Facts) -> Query | None:
    """Return the last write before ``read`` that nothing has undone by then."""
    while writes and trace.undone.get(writes[-1].id, read.id) < read.id:
        writes.pop()  # it is undone for all later reads, too
    if not writes or writes[-1].at_us + writes[-1].duration_us > read.at_us + 1:
        return None  # they ran at the same time, in two threads
    return writes[-1]


@finding("replica-read-in-atomic", level=WARNING)
def replica_read_in_atomic(trace: Facts) -> Iterator[Finding]:
    """A read from a replica, which sees nothing of the transaction that is open on its primary."""
    found = [
        (query, span)
        for query, spans in (trace.inside if not trace.concurrent else ())
        if query.alias in trace.primaries and not query.writes and query.error is None
        if not trace.is_after_failure(query)
        for span in spans
        if span.alias == trace.primaries[query.alias] and _concerns(span, query)
    ]
    groups = group_by(found, lambda one: (one[0].alias, one[1].alias, trace.model(one[0])))
    for (alias, primary, _), reads in groups.items():
        queries = [query for query, _ in reads]
        answer = f"answer {primary} while connections[{primary!r}].in_atomic_block"
        yield Finding.about(
            *queries,
            *begins_of(span for _, span in reads),
            message=f"{trace.subjects(queries)} was read from {alias} while a transaction was open on "
            f"{primary}: what that writes cannot be seen there. Read with using({primary!r}) inside the "
            f"block{_suggest_router(queries, trace, answer)}.",
        )


def _concerns(span: TransactionSpan, query: Query) -> bool:
    """
    Return whether a read could miss something of the transaction.

    It could not where the transaction ended and wrote nothing, as that of each page that only reads, with
    ``ATOMIC_REQUESTS``. What Django writes beside the user's data does not count, unless that is what was
    read. Nor does a read count where one line of the user's, or a view of a library, made Django open the
    transaction and read before it wrote, as a form of the admin does.
    """
    writes = [write for write in span.writes if not is_housekeeping(write) or write.model == query.model]
    if not writes and span.end is not None:
        return False
    began_at = span.begin.callsite if span.begin is not None else None
    return bool(writes and writes[0].id < query.id) or not _have_one_caller(query.callsite, began_at)


def _have_one_caller(site: Callsite | None, other: Callsite | None) -> bool:
    """Return whether both are one line, or lines of libraries in what Django had called."""
    if site is None or other is None or site.entry is None:
        return site == other
    return site.entry == other.entry


@finding("write-to-replica", level=ERROR)
def write_to_replica(trace: Facts) -> Iterator[Finding]:
    """
    A write or lock on a replica: refused at best, else lost or in the way of replication.

    Also whatever a database refused because it is read-only, as its error code says, declared or not.
    """
    found = [
        query
        for query in trace.queries
        if (query.alias in trace.primaries and (query.writes or locks(query.sql)))
        or (query.error_code is not None and is_refused_as_read_only(query, trace.databases))
    ]
    groups = group_by(found, lambda one: (one.alias, trace.model(one), one.error is None, _noun_of(one)))
    for (alias, _, ran, noun), queries in groups.items():
        yield Finding.about(*queries, message=_describe_replica_write(trace, alias, queries, noun, ran=ran))


def _noun_of(query: Query) -> str:
    """Return what a statement is called in a message: a write, a lock, or its keyword."""
    if query.writes:
        return "write"
    return "lock" if locks(query.sql) else query.operation


def _describe_replica_write(trace: Facts, alias: str, queries: list[Query], noun: str, *, ran: bool) -> str:
    what, primary = trace.subjects(queries), trace.primary_of(alias)
    error = trace.error(queries[0].error)
    went = f"A {noun} of {what}" if noun in ("write", "lock") else f"{noun} ({what})"
    if primary == alias:
        routed = any(map(trace.is_routed, queries))
        remedy = "Let db_for_write answer the" if routed else "Name in the code the"
        return (
            f"{went} was refused by {alias}, which is read-only ({error}). {remedy} "
            f"database that takes writes. If {alias} is a replica of it, say so in DBROUTE_PANEL['REPLICAS']."
        )
    remedy = _suggest_remedy(queries, alias, primary, trace)
    if not ran:
        return f"{went} went to {alias}, a replica of {primary}, and failed ({error}). {remedy}"
    if noun == "lock":
        return (
            f"{what} was locked on {alias}, a replica of {primary}: on {primary}, where it is written, that "
            f"locks nothing. {remedy}"
        )
    return f"{what} was written on {alias}, a replica of {primary}. {remedy}"


def _suggest_remedy(queries: list[Query], alias: str, primary: str, trace: Facts) -> str:
    """Say what to change: the router's answer about the model, else the code that names the alias."""
    decisions = [decision for query in queries if (decision := trace.decision_of(query)) is not None]
    if any(map(trace.is_routed, queries)):
        if decisions and all(decision.action is Action.READ for decision in decisions):
            return f"It is what db_for_read answered: write where db_for_write answers {primary}."
        return f"Let db_for_write answer {primary}, or write {primary} where the code says {alias}."
    if not decisions:
        return f"Write {primary} where the code says {alias}."
    return (
        f"It is the alias of {trace.question(decisions[0])}, and no router was asked about "
        f"{trace.model(queries[0])}: name {primary} where that is passed on."
    )
