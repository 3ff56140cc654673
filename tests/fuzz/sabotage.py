"""Whether the comparison would notice: each way to spoil a true trace must be a difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from dbroute_panel.records import Decision, Event, Query, Trace
from tests.fuzz.program import Program, compare, run

PROGRAM = Program((("get_one", 0, 0), ("forward", 0, 0), ("save_again", 0, 1), ("many_read", 0, 0)))

Spoil = Callable[[list[Event]], list[Event]]


def _change(kind: type, **changes: Any) -> Spoil:
    """Change fields of the last event of a kind."""

    def spoil(events: list[Event]) -> list[Event]:
        last = max(number for number, event in enumerate(events) if type(event) is kind)
        return [*events[:last], replace(events[last], **changes), *events[last + 1 :]]

    return spoil


def _swap_links(events: list[Event]) -> list[Event]:
    """Give the last query the decision of the first one."""
    first = next(event.decision_id for event in events if type(event) is Query)
    return _change(Query, decision_id=first)(events)


SPOILS: dict[str, Spoil] = {
    "another alias": _change(Query, alias="db299"),
    "no decision": _change(Query, decision_id=None),
    "the decision of another query": _swap_links,
    "another statement": _change(Query, sql="SELECT 3"),
    "another answer": _change(Decision, answer="db299"),
    "another model": _change(Decision, model="fuzz.Entry"),
    "another action": _change(Decision, action="allow_migrate"),
    "no chain": _change(Decision, steps=()),
    "an event less": lambda events: events[:-1],
    "two in another order": lambda events: [*events[:-2], events[-1], events[-2]],
}


def count_noticed() -> int:
    """How many ways to spoil a trace are noticed: all of them, or ``AssertionError`` names the others."""
    watched = run(PROGRAM, recorded=True)
    document: Trace | None = watched.document
    assert document is not None
    compare(document, watched.notes)
    missed = [name for name, spoil in SPOILS.items() if not _is_noticed(document, spoil, watched.notes)]
    assert not missed, f"the comparison does not notice: {missed}"
    return len(SPOILS)


def _is_noticed(document: Trace, spoil: Spoil, notes: Any) -> bool:
    try:
        compare(replace(document, events=spoil(list(document.events))), notes)
    except AssertionError:
        return True
    return False
