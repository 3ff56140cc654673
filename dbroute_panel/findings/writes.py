"""Find what is wrong with writes and their transactions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from dbroute_panel.asked import Asked, asked_about, is_passed_on
from dbroute_panel.records import (
    Action,
    CommitHook,
    DecidedBy,
    Decision,
    ExceptionRaised,
    Finding,
    InstanceRef,
    Query,
    RouteKind,
)
from dbroute_panel.sql import locks
from dbroute_panel.trace_index import TransactionSpan

from .facts import ERROR, INFO, WARNING, Facts, begins_of, decisions_of, finding, group_by, is_housekeeping


@finding("write-outside-atomic", level=WARNING)
def write_outside_atomic(trace: Facts) -> Iterator[Finding]:
    """A write or lock in autocommit, or in the ORM's own transaction, while one was open somewhere else."""
    outside: list[tuple[Query, TransactionSpan]] = []
    orms: list[tuple[Query, TransactionSpan]] = []
    for query, spans in trace.inside if not trace.concurrent else ():
        if query.error is not None:
            continue
        if query.atomic:
            if query.id in trace.change_ids and not is_housekeeping(query):
                orms += ((query, other) for other in _find_span_beside_orm(query, spans))
            continue
        elsewhere = next((span for span in spans if span.alias != query.alias), None)
        did = query.id in trace.change_ids if query.writes else locks(query.sql)
        if elsewhere is not None and did and not is_housekeeping(query):
            outside.append((query, elsewhere))
    groups = group_by(outside, lambda one: (one[0].alias, one[1].alias, trace.model(one[0]), one[0].writes))
    for (alias, other, _, writes), found in groups.items():
        queries = [query for query, _ in found]
        done, so = ("locked", "the lock ended with the statement")
        if writes:
            done, so = ("written", "rolling that back does not undo it")
        yield Finding.about(
            *queries,
            *begins_of(span for _, span in found),
            message=f"{trace.subjects(queries)} was {done} on {alias} in autocommit while a transaction was "
            f"open on {other}: {so}. Put it into atomic(using={alias!r}), or open that block on {alias}.",
        )
    for (alias, other, _), found in group_by(
        orms, lambda one: (one[0].alias, one[1].alias, trace.model(one[0]))
    ).items():
        queries = [query for query, _ in found]
        yield Finding.about(
            *queries,
            *begins_of(span for _, span in found),
            message=f"{trace.subjects(queries)} was written on {alias}, in a transaction that the ORM opened "
            f"and committed by itself while another was open on {other}: rolling that back does not undo it. "
            f"Put it into atomic(using={alias!r}), or open that block on {alias}.",
        )
    yield from _find_refused_locks(trace)


def _find_span_beside_orm(query: Query, spans: tuple[TransactionSpan, ...]) -> Iterator[TransactionSpan]:
    """Yield the code's own transaction on another database, where the ORM committed this write by itself."""
    key = query.alias, query.transaction_number
    own = next((one for one in spans if (one.alias, one.number) == key), None)
    if own is not None and own.by_orm and own.committed:
        yield from [one for one in spans if one.alias != query.alias and not one.by_orm][:1]


def _find_refused_locks(trace: Facts) -> Iterator[Finding]:
    """Find what Django refused to lock in autocommit while a transaction was open on another database."""
    refused: list[tuple[ExceptionRaised, TransactionSpan]] = []
    for event, spans in trace.raised:
        if event.using is not None and event.error.startswith("TransactionManagementError"):
            elsewhere = (span for span in spans if span.alias != event.using and not span.by_orm)
            refused += ((event, span) for span in list(elsewhere)[:1])
    groups = group_by(refused, lambda one: (one[0].using, one[1].alias, one[0].model))
    for (alias, other, model), found in groups.items():
        yield Finding.about(
            *(event for event, _ in found),
            *begins_of(span for _, span in found),
            message=f"{model} was to be locked on {alias} with select_for_update(), but it was on {other} "
            f"that a transaction was open: Django raised TransactionManagementError. Put it into "
            f"atomic(using={alias!r}), or open that block on {alias}.",
        )


@finding("on-commit-elsewhere", level=WARNING)
def on_commit_elsewhere(trace: Facts) -> Iterator[Finding]:
    """A function given to on_commit() where no transaction was open, while one was open somewhere else."""
    early: list[tuple[CommitHook, TransactionSpan]] = []
    for hook, spans in trace.hooks if not trace.concurrent else ():
        if not hook.atomic:
            unfinished = (span for span in spans if span.alias != hook.alias and _continued(span, hook))
            early += ((hook, span) for span in list(unfinished)[:1])
    groups = group_by(early, lambda one: (one[0].alias, one[1].alias, one[0].function, one[1].rolled_back))
    for (alias, other, function, rolled_back), found in groups.items():
        became = "was rolled back" if rolled_back else "went on to write"
        yield Finding.about(
            *(hook for hook, _ in found),
            *{event.id: event for _, span in found for event in span.edges}.values(),
            message=f"{function} was given to on_commit() of {alias}, where no transaction was open, so that "
            f"it does not wait for the one that was open on {other}, which {became}. Say on_commit(..., "
            f"using={other!r}), or open the block on {alias}.",
        )


def _continued(span: TransactionSpan, hook: CommitHook) -> bool:
    """Return whether the transaction was rolled back after the function was given, or wrote after it."""
    return span.rolled_back or any(write.id > hook.id for write in span.writes)


@finding("write-by-fallback", level=WARNING)
def write_by_fallback(trace: Facts) -> Iterator[Finding]:
    """
    A write that went where the instance came from, or to ``default``: no router had an opinion.

    It is about the model of the question: about others that were written along with it there was none.
    """
    fallen = [
        (query, decision)
        for query in trace.writes
        if query.route in (RouteKind.INSTANCE, RouteKind.DEFAULT)
        and (decision := trace.decision_of(query)) is not None
        and decision.action is Action.WRITE
    ]
    if not fallen or not trace.routers:
        return
    # A default that works is Django's rule for what no router claims; it is odd for a model that one claims.
    claimed = {
        decision.model
        for decision in trace.decisions
        if decision.decided_by is DecidedBy.ROUTER and decision.action.names_alias
    }
    odd = (one for one in fallen if one[0].alias != "default" or one[1].model in claimed)
    groups = group_by(odd, lambda one: (one[0].alias, one[1].model or trace.model(one[0]), one[0].route))
    for (alias, model, route), found in groups.items():
        why = "it is Django's last resort" if route is RouteKind.DEFAULT else "its instance was bound to it"
        own = [query for query, decision in found if _is_about(query, decision)]
        if own:
            what = f"{trace.subjects(own)} was written on {alias} only because {why}"
        else:
            along = " and ".join(dict.fromkeys(trace.model(query) for query, _ in found))
            what = f"{along} was written on {alias}, the alias of db_for_write({model}), only because {why}"
        queries = own or [query for query, _ in found]
        yield Finding.about(
            *queries,
            *decisions_of(trace, queries),
            message=f"{what}: no router answered db_for_write. Let a router answer it for {model}.",
        )


def _is_about(query: Query, decision: Decision) -> bool:
    """Return whether a write is of what was asked about, as far as the record tells."""
    return decision.model is None or asked_about(query, decision) in (Asked.SAME_MODEL, Asked.SAVED_OBJECT)


@finding("write-on-read-route", level=ERROR)
def write_on_read_route(trace: Facts) -> Iterator[Finding]:
    """A write that ran where ``db_for_read`` sent it, as GenericRelation.update() does (Django #36389)."""
    found: list[tuple[Query, str | None]] = []
    for query in trace.writes:
        decision = trace.decision_of(query)
        if decision is not None and decision.action is Action.READ:
            found.append((query, decision.model if is_passed_on(query, decision) else None))
    groups = group_by(found, lambda one: (one[0].alias, trace.model(one[0]), one[1]))
    for (alias, model, other), written in groups.items():
        queries = [query for query, _ in written]
        which, asked = "which db_for_read chose", "..."
        if other is not None:
            which, asked = f"which db_for_read chose for {other}: no router was asked about {model}", model
        yield Finding.about(
            *queries,
            *decisions_of(trace, queries),
            message=f"{trace.subjects(queries)} was written on {alias}, {which}. "
            f"Name the database in the code: using(router.db_for_write({asked})).",
        )


@finding("pk-overwrite", level=ERROR)
def pk_overwrite(trace: Facts) -> Iterator[Finding]:
    """An object saved by name to another database with its key, where a row had that key."""
    found: list[tuple[InstanceRef, Query]] = []
    for query in trace.changes:
        saved = query.instance
        if (
            saved is not None
            and (query.route is RouteKind.EXPLICIT or trace.asked(query) is Asked.OTHER_MODEL)
            and query.operation == "UPDATE"
            and query.rowcount
            and not saved.adding
            and saved.state_db is not None
            and trace.primary_of(saved.state_db) != trace.primary_of(query.alias)
        ):
            found.append((saved, query))
    for (ref, alias), overwriting in group_by(found, lambda one: (one[0], one[1].alias)).items():
        yield Finding.about(
            *(query for _, query in overwriting),
            message=f"{trace.label(ref)} from {ref.state_db} was saved on {alias} with its primary key and "
            "overwrote the row that had this key there. To add it as a new row, set pk = None before; to "
            "keep the key and never overwrite, save(force_insert=True).",
        )


@finding("several-databases-written", level=INFO)
def several_databases_written(trace: Facts) -> Iterator[Finding]:
    """Writes on more than one primary: whatever is done, no transaction spans them."""
    own = (query for query in trace.changes if not is_housekeeping(query))
    groups = group_by(own, lambda query: trace.primary_of(query.alias))
    if len(groups) > 1:
        counts = ", ".join(f"{alias} ({len(queries)})" for alias, queries in groups.items())
        # The first writes of each, so that no database is left out of a long list.
        first = (queries[: 50 // len(groups) or 1] for queries in groups.values())
        yield Finding.about(
            *chain.from_iterable(first),
            message=f"{len(groups)} databases were written: {counts}; no transaction spans them. "
            "Write last where a failure is most likely, and make the rest repeatable.",
        )


@finding("partial-commit", level=ERROR)
def partial_commit(trace: Facts) -> Iterator[Finding]:
    """Of two transactions that were open together, one was committed and the other rolled back."""
    written = {span: [query for query in span.writes if not is_housekeeping(query)] for span in trace.spans}
    pairs: list[tuple[TransactionSpan, TransactionSpan]] = []
    for kept in trace.spans if not trace.concurrent else ():
        if kept.committed and any(query.id not in trace.undone for query in written[kept]):
            pairs += (
                (kept, lost)
                for lost in kept.beside
                if lost.rolled_back
                and written[lost]
                and trace.primary_of(lost.alias) != trace.primary_of(kept.alias)
            )
    for (kept_alias, lost_alias), found in group_by(
        pairs, lambda pair: (pair[0].alias, pair[1].alias)
    ).items():
        kept, lost = found[0]
        times = "" if len(found) == 1 else f" ({len(found)} times)"
        yield Finding.about(
            *(event for span in found[0] for event in span.edges),
            *written[kept][:20],
            *written[lost][:20],
            message=f"The transaction on {kept_alias} ({trace.model(written[kept][0])}) was committed, the "
            f"one on {lost_alias} ({trace.model(written[lost][0])}) that was open at the same time was "
            f"rolled back{times}: half of the work is lost. Let an exception leave both blocks, and expect "
            "that the second commit can still fail.",
        )
