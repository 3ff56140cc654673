"""
What does the table of the map show? Models by app, one cell a question, findings where they belong.

Pure functions of a kept map: nobody is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

import msgspec
from django.http import QueryDict

from dbroute_panel.inspection.lints import StaticFinding
from dbroute_panel.inspection.map import ModelMark, ModelRoutes
from dbroute_panel.presentation import Palette, Swatch
from dbroute_panel.records import Action, Level

from .kept_map import SavedMap

CELLS_PER_PAGE: Final = 400
"""A page has about so many cells: the more databases, the fewer models."""
MAX_MESSAGES: Final = 5
"""So many messages of one code are listed above the table; the filter shows the rest in place."""
REPEAT_COUNT: Final = 100
"""A cell with several answers opens the sandbox with this many times to ask."""


class MapFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which models: those for which everything given holds."""

    text: str = ""
    app: str = ""
    alias: str = ""
    finding: str = ""


class MapCell(msgspec.Struct, frozen=True, kw_only=True):
    """
    One answer. ``databases``: where it is read or written; several where answers differ. ``table``:
    ``yes``, ``no``, ``copy`` (a replica of where it is) or ``unknown`` (asking raised). ``link``: the
    parameters that fill the sandbox in.
    """

    databases: tuple[Swatch, ...] = ()
    table: str = ""
    error: str | None = None
    link: str


class MapRow(msgspec.Struct, frozen=True, kw_only=True):
    """One model."""

    label: str
    app: str
    name: str
    marks: tuple[ModelMark, ...]
    read: MapCell
    write: MapCell
    tables: tuple[MapCell, ...]
    findings: tuple[StaticFinding, ...]
    level: Level | None


class FindingGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of one code: the first messages, and how many more there are."""

    code: str
    level: Level
    count: int
    messages: tuple[str, ...]
    more: int


class MapTable:
    """The models of ``kept`` that are wanted. ``columns``: every database, in order of ``DATABASES``."""

    def __init__(self, kept: SavedMap, palette: Palette, wanted: MapFilter) -> None:
        self.kept = kept
        self.palette = palette
        self.wanted = wanted
        self.aliases = palette.order(set(kept.routes.databases))
        self.columns = tuple(palette[alias] for alias in self.aliases)
        self.findings_of: dict[str, list[StaticFinding]] = {}
        for finding in kept.findings:
            self.findings_of.setdefault(finding.subject, []).append(finding)
        self.labels = [label for label in sorted(kept.routes.models) if self._is_wanted(label)]

    def _is_wanted(self, label: str) -> bool:
        wanted, routes = self.wanted, self.kept.routes.models[label]
        return (
            wanted.text.casefold() in label.casefold()
            and wanted.app in ("", label.partition(".")[0])
            and (not wanted.alias or wanted.alias in _iter_aliases(routes))
            and (not wanted.finding or any(f.code == wanted.finding for f in self.findings_of.get(label, ())))
        )

    @property
    def page(self) -> int:
        """How many models a page has: 10 at least, 100 at most."""
        return max(10, min(100, CELLS_PER_PAGE // (len(self.columns) + 2)))

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.labels) // self.page))

    def apps(self, number: int) -> list[tuple[str, list[MapRow]]]:
        """The rows of page ``number`` (from 1), by app."""
        labels = self.labels[(number - 1) * self.page : number * self.page]
        return [
            (app, rows)
            for app, made in groupby(map(self.row, labels), lambda row: row.app)
            if (rows := list(made))
        ]

    def row(self, label: str) -> MapRow:
        routes = self.kept.routes.models[label]
        app, _dot, name = label.partition(".")
        findings = tuple(self.findings_of.get(label, ()))
        return MapRow(
            label=label,
            app=app,
            name=name,
            marks=tuple(self.kept.marks.get(label, ())),
            read=self._aliases(label, Action.READ, routes.read, routes.errors),
            write=self._aliases(label, Action.WRITE, routes.write, routes.errors),
            tables=tuple(self._table(label, alias, routes) for alias in self.aliases),
            findings=findings,
            level=max((f.level for f in findings), key=lambda level: level.rank, default=None),
        )

    def _aliases(self, label: str, action: Action, aliases: list[str], errors: dict[str, str]) -> MapCell:
        asked = {"repeat": str(REPEAT_COUNT)} if len(aliases) > 1 else {}
        return MapCell(
            databases=tuple(self.palette[alias] for alias in self.palette.order(set(aliases))),
            error=errors.get(action.value),
            link=_build_link(model=label, action=action.value, **asked),
        )

    def _table(self, label: str, alias: str, routes: ModelRoutes) -> MapCell:
        allowed = routes.migrate.get(alias)
        primary = self.palette[alias].replica_of
        if allowed is None:
            table = "unknown"
        elif allowed:
            table = "yes"
        else:
            table = "copy" if primary is not None and routes.migrate.get(primary) else "no"
        return MapCell(
            databases=(self.palette[alias],),
            table=table,
            error=routes.errors.get(Action.MIGRATE.value) if allowed is None else None,
            link=_build_link(model=label, action=Action.MIGRATE.value, db=alias),
        )

    def groups(self) -> list[FindingGroup]:
        """The findings by code, worst first; with a filter only those that it leaves."""
        shown = set(self.labels)
        models = self.kept.routes.models
        left = [
            finding
            for finding in self.kept.findings
            if (finding.subject in shown if finding.subject in models else self._concerns(finding))
        ]
        return [_build_group(list(those)) for _code, those in groupby(left, lambda finding: finding.code)]

    def _concerns(self, finding: StaticFinding) -> bool:
        """Whether a finding about something else than a model is left by the filter."""
        wanted = self.wanted
        return not wanted.text and (
            wanted.finding in ("", finding.code)
            and wanted.alias in ("", finding.subject)
            and wanted.app in ("", finding.subject.partition(".")[0])
        )


def _build_group(findings: list[StaticFinding]) -> FindingGroup:
    first = findings[0]
    return FindingGroup(
        code=first.code,
        level=first.level,
        count=len(findings),
        messages=tuple(finding.message for finding in findings[:MAX_MESSAGES]),
        more=max(0, len(findings) - MAX_MESSAGES),
    )


def list_apps(labels: Iterable[str]) -> list[str]:
    """The app labels, sorted."""
    return sorted({label.partition(".")[0] for label in labels})


def _iter_aliases(routes: ModelRoutes) -> Iterator[str]:
    """Every alias that a model has to do with."""
    yield from routes.read
    yield from routes.write
    yield from (alias for alias, allowed in routes.migrate.items() if allowed)


def _build_link(**parameters: str) -> str:
    link = QueryDict(mutable=True)
    link.update(parameters)
    return f"?{link.urlencode()}"
