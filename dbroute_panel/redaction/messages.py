"""
Choose the messages of findings in a redacted trace.

A message is kept only if the finding functions make it from the redacted events alone. Some of them look at
values, which are not there: whether parameters and keys are equal, and what an error says. These are run
again on the finding's own events, with placeholder values that make them fire. So a trace that is redacted
already keeps its messages, and a message that was only written into a document is never kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from dbroute_panel import findings
from dbroute_panel.findings.errors import TABLE_IS_MISSING, is_ambiguous_error, names_table
from dbroute_panel.findings.registry import MAX_EVENTS
from dbroute_panel.masking import MASK
from dbroute_panel.records import Database, Decision, Event, Finding, InstanceRef, Query, Trace

Key = tuple[str, tuple[int, ...]]

# Like all messages of findings in English: it is a part of the document, and the same whoever exports it.
LEFT_OUT: Final = "What this finding says was left out of the redacted trace."

_MISSING: Final = "missing-table"

_BY_VALUES: Final = frozenset(
    {"checked-elsewhere", _MISSING, "pk-overwrite", "random-route", "same-query-elsewhere"}
)
"""The package's findings that look at values; the others are found in the redacted trace as well."""

_EQUAL: Final = f"{MASK}1"
"""The placeholder of a primary key that is known, and equal to all others."""

_TABLE = re.compile(r"The table (?P<table>.+?) is not on ")

# Nothing that is left tells how many sets of parameters there were: only the bounds of this number are known.
_SETS = re.compile(r", with (?P<count>[1-9][0-9]{0,8}) sets of parameters(?=\. If one answer is enough, )")


def finding_key(found: Finding) -> Key:
    """Return what identifies a finding in a trace."""
    return found.code, tuple(found.events)


def choose_message(found: Finding, refound: str | None, shown: Trace, plain: dict[Key, str]) -> str:
    """
    Return the message of a finding in a redacted trace. One that it has, and that may be kept, comes first.

    Args:
        found: The finding as it is in the trace.
        refound: Its message where it is found with placeholders for the values, or None.
        shown: The redacted trace.
        plain: The messages of what is found in ``shown`` as it is.
    """
    there = plain.get(finding_key(found))
    for message in (found.message, refound):
        if message is not None and (message in (LEFT_OUT, there) or _is_reproducible(message, found, shown)):
            return message
    return LEFT_OUT if there is None else there


def _is_reproducible(message: str, found: Finding, shown: Trace) -> bool:
    """Return whether the message is found again among its own events, if their values favour it."""
    plain = found.code in findings.REGISTRY and found.code not in _BY_VALUES
    if plain or not 0 < len(found.events) <= MAX_EVENTS:
        return False
    sets = _SETS.search(message)
    if sets is not None and not 2 <= int(sets["count"]) <= len(shown.events) // 2:
        return False
    table = _TABLE.match(message)
    events = [_with_equal_values(event) for event in _events_of(found, shown)]
    if found.code == _MISSING:
        events = [with_missing_table(event, table and table["table"], shown.databases) for event in events]
    made = findings.find(replace(shown, events=events, findings=[]), redacted=True)
    said = _SETS.sub("", message, count=1)
    return any(finding_key(one) == finding_key(found) and one.message == said for one in made)


def _events_of(found: Finding, shown: Trace) -> list[Event]:
    """Return the events of ``found``; where it may have had more than it names, all later ones, too."""
    own, last = set(found.events), max(found.events)
    cut = len(found.events) == MAX_EVENTS
    return [event for event in shown.events if event.id in own or (cut and event.id > last)]


def _with_equal_values(event: Event) -> Event:
    """Return ``event`` with values that are equal to those of others."""
    if isinstance(event, Query):
        return replace(event, params=())
    if isinstance(event, Decision):
        return replace(event, args=event.args and _equalize(event.args), hints=_equalize(event.hints))
    return event


def _equalize(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: replace(value, pk=_EQUAL) if isinstance(value, InstanceRef) and value.pk == MASK else value
        for name, value in values.items()
    }


def with_missing_table(event: Event, table: str | None, databases: Mapping[str, Database]) -> Event:
    """
    Return a redacted query that failed with a message that names ``table``, if the statement does.

    Where its code does not tell what failed, it gets the one that says that a table is missing.
    """
    if not isinstance(event, Query) or event.error is None:
        return event
    is_told = table is not None and names_table(table, event.sql)
    code = TABLE_IS_MISSING if is_ambiguous_error(event, databases) else event.error_code
    return replace(event, error=f"{event.error}: {table if is_told else MASK}", error_code=code)
