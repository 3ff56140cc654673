"""What goes wrong between a primary and its replicas. Without a declared replica group: nothing."""

from __future__ import annotations

from collections.abc import Iterator

from dbroute_panel.records import Finding, Query

from .facts import Facts, Span
from .function import ERROR, WARNING, finding
from .grouping import by
from .statements import ROWS, tables_read, tables_written


@finding("stale-read", level=WARNING)
def stale_read(trace: Facts) -> Iterator[Finding]:
    """A table that was written on a primary is read from its replica later."""
    written: dict[tuple[str, str], list[Query]] = {}
    stale: dict[tuple[str, str], list[tuple[Query, Query]]] = {}
    changes = {query.id for query in trace.changes}
    for query in trace.queries if trace.primaries else ():
        if query.writes:
            if query.id in changes and query.operation in ROWS and query.model != "migrations.Migration":
                for name in _rows(query):
                    written.setdefault((query.alias, name), []).append(query)
        elif written and query.error is None and (primary := trace.primaries.get(query.alias)) is not None:
            for name in _rows(query):
                write = _last(written.get((primary, name)), query, trace)
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
            f"{trace.subject(write)} was written on {primary}. Read it with using({primary!r}), or let "
            f"db_for_read answer {primary} after a write.",
        )


def _rows(query: Query) -> tuple[str, ...]:
    """What a query reads or writes the rows of: its tables, else (SQL that we cannot read) its model."""
    tables = tables_written(query.sql) if query.writes else tables_read(query.sql)
    return tables or ((query.model,) if query.model is not None else ())


def _last(writes: list[Query] | None, read: Query, trace: Facts) -> Query | None:
    """The last write before ``read`` that nothing has undone by then."""
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
        for span in spans
        if span.alias == trace.primaries[query.alias] and _concerns(span, query)
    ]
    groups = by(found, lambda one: (one[0].alias, one[1].alias, trace.model(one[0])))
    for (alias, primary, _), reads in groups.items():
        queries = [query for query, _ in reads]
        yield Finding.about(
            *queries,
            *{span.begin.id: span.begin for _, span in reads}.values(),
            message=f"{trace.subjects(queries)} was read from {alias} while a transaction was open on "
            f"{primary}: what that writes cannot be seen there. Read with using({primary!r}) inside the "
            f"block, or let db_for_read answer {primary} while connections[{primary!r}].in_atomic_block.",
        )


def _concerns(span: Span, query: Query) -> bool:
    """
    Whether a read is the transaction's business.

    Not where one line of the user's made Django open the transaction and read before it wrote, as a form of
    the admin does: nobody put that read into that block.
    """
    written = bool(span.writes) and span.writes[0].id < query.id
    return written or query.callsite != span.begin.callsite


@finding("write-to-replica", level=ERROR)
def write_to_replica(trace: Facts) -> Iterator[Finding]:
    """A write on a replica: refused at best, else lost or in the way of replication."""
    found = [query for query in trace.writes if query.alias in trace.primaries]
    groups = by(found, lambda one: (one.alias, trace.model(one), one.error is None))
    for (alias, _, ran), queries in groups.items():
        primary = trace.primary_of(alias)
        what = trace.subjects(queries)
        done = (
            f"{what} was written on {alias}, a replica of {primary}"
            if ran
            else f"A write of {what} went to {alias}, a replica of {primary}, and failed "
            f"({trace.error(queries[0].error)})"
        )
        yield Finding.about(
            *queries,
            message=f"{done}. Let db_for_write answer {primary}, or write {primary} where the code says "
            f"{alias}.",
        )
