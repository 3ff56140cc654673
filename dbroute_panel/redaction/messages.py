"""
Which messages may a finding have in a redacted trace?

Only those that the finding functions make from the redacted events alone. Some of them look at values, which
are not there: whether parameters and keys are equal, and what an error says. For these a finding is looked
for once more among its own events, with values as they must have been if it is true. So a trace that is
redacted already keeps its messages, and one that somebody only wrote into it is never among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from dbroute_panel import findings
from dbroute_panel.findings.errors import TABLE_IS_MISSING, is_in_statement, leaves_open_what_failed
from dbroute_panel.findings.registry import MOST_EVENTS
from dbroute_panel.masking import MASK
from dbroute_panel.records import Database, Decision, Event, Finding, InstanceRef, Query, Trace

Key = tuple[str, tuple[int, ...]]

# Like all messages of findings in English: it is a part of the document, and the same whoever exports it.
LEFT_OUT: Final = "What this finding says was left out of the redacted trace."

_MISSING: Final = "missing-table"

_BY_VALUES: Final = frozenset(
    {"checked-elsewhere", _MISSING, "pk-overwrite", "random-route", "same-query-elsewhere"}
)
"""Those of our findings that look at values; of the others the redacted trace itself says what they say."""

_EQUAL: Final = f"{MASK}1"
"""Stands for a key that is known, and the same as all others."""

_TABLE = re.compile(r"The table (?P<table>.+?) is not on ")

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
    events = [_favouring(event) for event in _own(found, shown)]
    if found.code == _MISSING:
        events = [about_missing_table(event, table and table["table"], shown.databases) for event in events]
    made = findings.find(replace(shown, events=events, findings=[]), redacted=True)
    said = _SETS.sub("", message, count=1)
    return any(key(one) == key(found) and one.message == said for one in made)


def _own(found: Finding, shown: Trace) -> list[Event]:
    """The events of ``found``; where there may have been more than it names, those that come later, too."""
    own, last = set(found.events), max(found.events)
    cut = len(found.events) == MOST_EVENTS
    return [event for event in shown.events if event.id in own or (cut and event.id > last)]


def _favouring(event: Event) -> Event:
    """``event`` with values that are equal."""
    if isinstance(event, Query):
        return replace(event, params=())
    if isinstance(event, Decision):
        return replace(event, args=event.args and _equal(event.args), hints=_equal(event.hints))
    return event


def _equal(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: replace(value, pk=_EQUAL) if isinstance(value, InstanceRef) and value.pk == MASK else value
        for name, value in values.items()
    }


def about_missing_table(event: Event, table: str | None, databases: Mapping[str, Database]) -> Event:
    """
    A redacted query that failed, with a message that names ``table``, if the statement does.

    Where its code leaves open what failed, it gets the one that says that a table is missing.
    """
    if not isinstance(event, Query) or event.error is None:
        return event
    is_told = table is not None and is_in_statement(table, event.sql)
    code = TABLE_IS_MISSING if leaves_open_what_failed(event, databases) else event.error_code
    return replace(event, error=f"{event.error}: {table if is_told else MASK}", error_code=code)
