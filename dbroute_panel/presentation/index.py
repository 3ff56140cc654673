"""
Look up what the pages of a trace show beside its events: rows, levels, colours and short names.

It is made once a page, so that no row has to look through all events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from math import ceil

from dbroute_panel.asked import Asked, asked_about
from dbroute_panel.records import Database, Decision, Event, Finding, Level, Query, Trace
from dbroute_panel.trace_index import TraceIndex

from .palette import Palette


class Index(TraceIndex):
    """
    A ``TraceIndex`` with what is shown alone.

    Args:
        trace: The trace that is shown.
        site: The databases of the site that shows it, as ``Palette`` wants them.
    """

    def __init__(self, trace: Trace, site: Mapping[str, Database] | None = None) -> None:
        super().__init__(trace)
        self.palette = Palette(trace.databases, site)
        self.router_names = ShortNames(trace.routers)
        self._rows: dict[int, int] = {}

    @cached_property
    def end_us(self) -> int:
        """The end of the trace, in whole microseconds from its start; at least 1."""
        return ceil(max(self.last_end_us, 1.0))

    @cached_property
    def aliases(self) -> set[str]:
        """The databases that an event is about."""
        return {alias for event in self.events if (alias := _alias_of(event)) is not None}

    @cached_property
    def models(self) -> set[str]:
        """The models that an event is about."""
        return {model for event in self.events if (model := getattr(event, "model", None)) is not None}

    @cached_property
    def deciders(self) -> set[str]:
        """The routers that have decided something."""
        return {router for decision in self.decisions if (router := decision.router) is not None}

    def row_of(self, number: int) -> int:
        """
        Return the id of the event whose row shows this one: a decision is part of its first query's row.

        That is the first query of the model that was asked about; where there is none, the first of all.
        """
        if (row := self._rows.get(number)) is None:
            row = self._rows[number] = self._find_row(number)
        return row

    def _find_row(self, number: int) -> int:
        queries, decision = self.queries_of.get(number, []), self.decision(number)
        if decision is not None:
            for query in queries:
                if asked_about(query, decision) is Asked.SAME_MODEL:
                    return query.id
        return queries[0].id if queries else number

    def findings_in_row(self, number: int) -> list[Finding]:
        """Return the findings about an event, and about the decision that its row shows too; each once."""
        if not self.findings_of:
            return []
        event, shown = self.by_id.get(number), [number]
        if (
            isinstance(event, Query)
            and event.decision_id is not None
            and self.row_of(event.decision_id) == number
        ):
            shown.append(event.decision_id)
        found = {id(one): one for each in shown for one in self.findings_of.get(each, ())}
        return list(found.values())

    def level_of(self, number: int) -> Level | None:
        """Return the worst level of the findings in the row of this event, or None."""
        levels = (finding.level for finding in self.findings_in_row(number))
        return max(levels, key=lambda level: level.rank, default=None)


def _alias_of(event: Event) -> str | None:
    """The database that an event is about, if it is one."""
    if not isinstance(event, Decision):
        return event.alias
    return event.answer if event.action.names_alias and isinstance(event.answer, str) else None


class ShortNames:
    """Dotted paths of routers as their class names; in full where two share a class name."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = set(paths)
        self._shared = {name for name, n in Counter(_last(path) for path in self._paths).items() if n > 1}

    def __call__(self, path: str) -> str:
        name = _last(path)
        return path if name in self._shared else name


def _last(path: str) -> str:
    return path.rpartition(".")[2] or path
