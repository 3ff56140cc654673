"""One program: run it, note what it gets and sends, and hold its trace against the notes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connections, models
from django.db.models.signals import post_save

from dbroute_panel import trace
from dbroute_panel.records import Action, DecidedBy, Decision, Outcome, Query, RouteKind, Trace
from tests.fuzz.backend.base import shared
from tests.fuzz.models import Author, Book, Entry, Mark, Tag
from tests.fuzz.notes import Asked, Sent, log
from tests.fuzz.operations import OPERATIONS, Shelf
from tests.fuzz.routers import turns
from tests.fuzz.settings import NAMED


class Program(NamedTuple):
    """``calls``: (operation, two numbers). ``passes``: the router answers every second question only."""

    calls: tuple[tuple[str, int, int], ...]
    passes: bool = False
    receiver: bool = False


class Run(NamedTuple):
    """What one run got (``results``) and did (``notes``)."""

    results: list[Any]
    notes: list[Asked | Sent]
    document: Trace | None


template = sqlite3.connect(":memory:")
"""The database as each run finds it."""


def prepare() -> None:
    """Make the database that every run begins with."""
    call_command("migrate", database="default", run_syncdb=True, verbosity=0)
    authors = [Author.objects.using("default").create(name=f"author {number}") for number in range(3)]
    Author.objects.using("default").filter(pk__gt=1).update(mentor=authors[0])
    tags = [Tag.objects.using("default").create(name=f"tag {number}") for number in range(3)]
    for number in range(4):
        book = Book(title=f"book {number}", author=authors[number % 3])
        book.save(using="default")
        book.tags.add(tags[number % 3])
        content_type = ContentType.objects.db_manager("default").get_for_model(Book)
        Mark(content_type=content_type, object_id=book.pk).save(using="default")
    shared[0].backup(template)


def run(program: Program, *, recorded: bool) -> Run:
    """Run a program from its start, on the database as ``prepare()`` left it."""
    connections.close_all()
    template.backup(shared[0])
    ContentType.objects.clear_cache()
    turns.restart(passes=program.passes)
    log.clear()
    if not recorded:
        with _receiver(program.receiver):
            results = _results(program)
        return Run(results, log[:], None)
    with trace("fuzz", keep=False) as block, _receiver(program.receiver):
        results = _results(program)
    return Run(results, log[:], block.document)


def check(program: Program) -> None:
    """Raise ``AssertionError`` where the recording changes anything, or the trace is not what happened."""
    plain, watched, again = (run(program, recorded=recorded) for recorded in (False, True, False))
    for number, (ours, theirs) in enumerate(zip(watched.results, plain.results, strict=True)):
        assert ours == theirs, f"call {number} {program.calls[number]}: {ours} with, {theirs} without"
    assert watched.notes == plain.notes, "with the recording, other statements or questions"
    assert (again.results, again.notes) == (plain.results, plain.notes), "the program is not the same twice"
    assert watched.document is not None
    compare(watched.document, watched.notes)


def compare(document: Trace, notes: list[Asked | Sent]) -> None:
    """Hold a trace against what the router and the backend have noted."""
    events = [event for event in document.events if type(event) in (Decision, Query)]
    assert not any((document.dropped.decision, document.dropped.query, document.dropped.transaction))
    assert len(events) == len(notes), f"{len(events)} events, {len(notes)} notes"
    # A router that answers anew each time has one question for each of its aliases.
    answered: dict[Any, list[int]] = {}
    for event, note in zip(events, notes, strict=True):
        if isinstance(event, Decision):
            assert isinstance(note, Asked), f"{event} for {note}"
            _compare_decision(event, note)
            answered.setdefault(event.answer, []).append(event.id)
    decisions = {decision.id: decision for decision in document.decisions}
    for event, note in zip(events, notes, strict=True):
        if isinstance(event, Query):
            assert isinstance(note, Sent), f"{event} for {note}"
            _compare_query(event, note, answered, decisions)


def _compare_decision(decision: Decision, note: Asked) -> None:
    assert (decision.action, decision.model) == (note.action, note.model), f"{decision} for {note}"
    steps = tuple(
        (step.router, step.answer) for step in decision.steps if step.outcome is not Outcome.NO_METHOD
    )
    expected = note.chain[1:] if note.action == Action.RELATION else note.chain
    assert steps == expected, f"{decision} for {note}"
    if note.answer is not None:
        assert (decision.decided_by, decision.answer) == (DecidedBy.ROUTER, note.answer), (
            f"{decision} for {note}"
        )
    else:
        assert decision.decided_by in (DecidedBy.INSTANCE, DecidedBy.DEFAULT), f"{decision} for {note}"


def _compare_query(
    query: Query, note: Sent, answered: dict[Any, list[int]], decisions: dict[int, Decision]
) -> None:
    assert query.alias == note.alias, f"{query} for {note}"
    assert _statement(query.sql, query.params) == _statement(note.sql, None), f"{query} for {note}"
    asked = [number for number in answered.get(query.alias, []) if number < query.id]
    if query.route in (RouteKind.CURSOR, RouteKind.PEERS) and query.decision_id is None:
        return  # the code chose the connection, or Django did, and no router was asked about this query
    if query.alias in NAMED and query.decision_id is None:
        assert query.route is RouteKind.EXPLICIT, f"{query} on an alias that the code named"
        return
    assert query.decision_id in asked, f"{query} is on the alias of {asked}"
    decision = decisions[query.decision_id]
    if query.route is not RouteKind.CURSOR:
        assert query.route == decision.decided_by, f"{query} says another route than {decision}"


def _statement(sql: str, params: Any) -> str:
    """A statement as the driver has it: Django writes ``%s`` and SQLite takes ``?``."""
    return sql.replace("%s", "?").replace("%%", "%")


@contextmanager
def _receiver(wanted: bool) -> Iterator[None]:
    """A receiver that writes to the alias which it is told of, as an audit log does."""

    def write(sender: type[models.Model], using: str, **named: Any) -> None:
        if sender is not Entry:
            Entry(text=sender.__name__).save(using=using)

    if wanted:
        post_save.connect(write)
    try:
        yield
    finally:
        post_save.disconnect(write)


def _results(program: Program) -> list[Any]:
    shelf, results = Shelf(), []
    for name, a, b in program.calls:
        try:
            result = _plain(OPERATIONS[name](shelf, a, b))
        except Exception as error:  # noqa: BLE001 - an exception is what the program gets
            result = (type(error).__name__, str(error))
        results.append(result)
    return results


def _plain(value: Any) -> Any:
    """A result that can be compared, with the type of everything in it."""
    if isinstance(value, models.Model):
        state = value._state
        return (type(value).__name__, value.pk, state.db, type(state.db).__name__, state.adding)
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [_plain(each) for each in value])
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return (type(value).__name__, value)
