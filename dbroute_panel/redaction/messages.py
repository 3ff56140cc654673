"""
Which messages may a finding have in a redacted trace?

Only those that the finding functions make from the redacted events alone. Some of them look at values, which
are not there: whether parameters and keys are equal, and what an error says. For these a finding is looked
for once more among its own events, with values as they must have been if it is true. So a trace that is
redacted already keeps its messages, and one that somebody only wrote into it is never among them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec.structs import replace

from dbroute_panel import findings
from dbroute_panel.findings.registry import MOST_EVENTS
from dbroute_panel.recording.secrets import MASK
from dbroute_panel.records import Decision, Event, Finding, InstanceRef, Query, Trace

Key = tuple[str, tuple[int, ...]]

# Like all messages of findings in English: it is a part of the document, and the same whoever exports it.
LEFT_OUT: Final = "What this finding says was left out of the redacted trace."

_BY_VALUES: Final = frozenset(
    {"checked-elsewhere", "missing-table", "pk-overwrite", "random-route", "same-query-elsewhere"}
)
"""Those of our findings that look at values; of the others the redacted trace itself says what they say."""

_EQUAL: Final = f"{MASK}1"
"""Stands for a key that is known, and the same as all others."""

_MISSING: Final = {
    "sqlite": "no such table: {}",
    "postgresql": 'relation "{}" does not exist',
    "mysql": "(1146, \"Table '{}' doesn't exist\")",
    "oracle": "ORA-00942",
}
"""What an error of each vendor says where a table is missing."""

_TABLE = re.compile(r"The table (?P<table>.+?) is not on ")
_QUOTES = re.compile(r'["`\[\]]')

# How many sets of parameters there were nothing tells that is left: of this number only the bounds are known.
_SETS = re.compile(r", with (?P<count>[1-9][0-9]{0,8}) sets of parameters(?=\. If one answer is enough, )")


def key(found: Finding) -> Key:
    """By what a finding is known again."""
    return found.code, tuple(found.events)


def chosen(found: Finding, anew: str | None, shown: Trace, plain: dict[Key, str]) -> str:
    """
    The message of ``found`` in the redacted trace ``shown``.

    ``anew`` is how it reads where it is found with names for the values, ``plain`` what is found in ``shown``
    as it is. The message that it has comes first, if it may be kept: then nothing changes any more.
    """
    there = plain.get(key(found))
    for message in (found.message, anew):
        if message is not None and (message in (LEFT_OUT, there) or _is_made(message, found, shown)):
            return message
    return LEFT_OUT if there is None else there


def _is_made(message: str, found: Finding, shown: Trace) -> bool:
    """Whether ``message`` is what is said of the events of ``found`` where their values favour it."""
    plain = found.code in findings.REGISTRY and found.code not in _BY_VALUES
    if plain or not 0 < len(found.events) <= MOST_EVENTS:
        return False
    sets = _SETS.search(message)
    if sets is not None and not 2 <= int(sets["count"]) <= len(shown.events) // 2:
        return False
    table = _TABLE.match(message)
    events = [_favouring(event, table and table["table"], shown) for event in _own(found, shown)]
    made = findings.find(replace(shown, events=events, findings=[]), redacted=True)
    said = _SETS.sub("", message, count=1)
    return any(key(one) == key(found) and one.message == said for one in made)


def _own(found: Finding, shown: Trace) -> list[Event]:
    """The events of ``found``; where there may have been more than it names, those that come later, too."""
    own, last = set(found.events), max(found.events)
    cut = len(found.events) == MOST_EVENTS
    return [event for event in shown.events if event.id in own or (cut and event.id > last)]


def _favouring(event: Event, table: str | None, shown: Trace) -> Event:
    """``event`` with values that are equal, and an error that says that ``table`` is missing."""
    if isinstance(event, Query):
        return replace(event, params=(), error=event.error and _error(event, table, shown))
    if isinstance(event, Decision):
        return replace(event, args=event.args and _equal(event.args), hints=_equal(event.hints))
    return event


def _equal(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: replace(value, pk=_EQUAL) if isinstance(value, InstanceRef) and value.pk == MASK else value
        for name, value in values.items()
    }


def _error(query: Query, table: str | None, shown: Trace) -> str | None:
    """The error of ``query``; of a missing table if ``table`` is one that the error can be about."""
    database = shown.databases.get(query.alias)
    words = _MISSING.get(database.vendor) if database is not None else None
    if words is None or ("{}" in words and not (table and _names(query.sql, table))):
        return query.error
    return f"{query.error}: {words.format(table)}"


def _names(sql: str, table: str) -> bool:
    """Whether ``table`` is literally in the redacted statement, or masked; so may its database be."""
    name = table.removeprefix(f"{MASK}.")
    words = rf"(?<!\w){re.escape(name)}(?!\w)"
    return name == MASK or (bool(name) and re.search(words, _QUOTES.sub("", sql)) is not None)
