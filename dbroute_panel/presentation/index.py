"""
What hangs together in a trace? Built once, so that no row has to look through all events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from math import ceil

from dbroute_panel.asked import Asked, asked_about
from dbroute_panel.records import Database, Decision, Event, Finding, Level, Query, Trace

from .palette import Palette


class Index:
    """
    A trace with its events by id, the queries of every decision, the findings of every event.

    ``site``: the databases of the site that shows it, as ``Palette`` wants them.
    """

    def __init__(self, trace: Trace, site: Mapping[str, Database] | None = None) -> None:
        self.trace = trace
        self.palette = Palette(trace.databases, site)
        self.events: dict[int, Event] = {}
        self.queries_of: dict[int, list[int]] = {}
        self.findings_of: dict[int, list[Finding]] = {}
        self.worst: dict[int, Level] = {}
        self._rows: dict[int, int] = {}
        self.aliases: set[str] = set()
        self.models: set[str] = set()
        for event in trace.events:
            self.events[event.id] = event
            if (alias := _alias_of(event)) is not None:
                self.aliases.add(alias)
            if isinstance(event, Query) and event.decision_id is not None:
                self.queries_of.setdefault(event.decision_id, []).append(event.id)
            if (model := getattr(event, "model", None)) is not None:
                self.models.add(model)
        for finding in sorted(trace.findings, key=lambda finding: finding.level.rank):
            for number in finding.events:
                self.worst[number] = finding.level  # the worst of them comes last
        for finding in trace.findings:
            for number in finding.events:
                self.findings_of.setdefault(number, []).append(finding)
        self.routers = ShortNames(trace.routers)

    @cached_property
    def end_us(self) -> int:
        """The end of the trace, in microseconds from its start."""
        return end_of(self.trace)

    def decision(self, number: int | None) -> Decision | None:
        """The decision with this id, or None."""
        event = self.events.get(number) if number is not None else None
        return event if isinstance(event, Decision) else None

    def decision_of(self, query: Query) -> Decision | None:
        """The decision that sent ``query`` to its alias, or None if no router was asked."""
        return self.decision(query.decision_id)

    def row_of(self, number: int) -> int:
        """
        The id of the event whose row shows this one: a decision is part of its first query's row.

        That is the first query of the model that was asked about; where there is none, the first of all.
        """
        if (row := self._rows.get(number)) is None:
            row = self._rows[number] = self._find_row(number)
        return row

    def _find_row(self, number: int) -> int:
        queries = [self.events[each] for each in self.queries_of.get(number, ())]
        decision = self.decision(number)
        if decision is not None:
            for query in queries:
                if isinstance(query, Query) and asked_about(query, decision) is Asked.SAME_MODEL:
                    return query.id
        return queries[0].id if queries else number

    def findings_in_row(self, number: int) -> list[Finding]:
        """The findings about an event, and about the decision that its row shows too; each once."""
        found = {id(one): one for each in self._shown(number) for one in self.findings_of.get(each, ())}
        return list(found.values())

    def level_of(self, number: int) -> Level | None:
        """The worst level of the findings in the row of this event, or None."""
        if not self.worst:
            return None
        levels = [self.worst[each] for each in self._shown(number) if each in self.worst]
        return max(levels, key=lambda level: level.rank, default=None)

    def _shown(self, number: int) -> list[int]:
        """This event, and the decision that its row shows too."""
        event = self.events.get(number)
        if (
            isinstance(event, Query)
            and (asked := event.decision_id) is not None
            and self.row_of(asked) == number
        ):
            return [number, asked]
        return [number]

    @cached_property
    def deciders(self) -> set[str]:
        """The routers that have decided something."""
        decisions = (event for event in self.events.values() if isinstance(event, Decision))
        return {router for decision in decisions if (router := decision.router) is not None}


def _alias_of(event: Event) -> str | None:
    """The database that an event is about, if it is one."""
    if not isinstance(event, Decision):
        return event.alias
    return event.answer if event.action.names_alias and isinstance(event.answer, str) else None


def end_of(trace: Trace) -> int:
    """When all of it was over, in whole microseconds: an event may last longer than its trace."""
    ends = (event.at_us + getattr(event, "duration_us", 0.0) for event in trace.events)
    return ceil(max(trace.duration_us, 1.0, max(ends, default=0.0)))


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
