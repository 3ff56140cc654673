"""The map: where every model is read, written and has its table, as the routers said when asked last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import msgspec
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import router
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.utils.translation import gettext as _

from dbroute_panel.environment import dotted_path
from dbroute_panel.forms import MapFilterForm
from dbroute_panel.inspection.isolation import RouterTimeoutError, run_isolated
from dbroute_panel.inspection.lints import StaticFinding, run_lints
from dbroute_panel.inspection.map import ModelMark, ModelRoutes, RoutingMap, build_map, find_marks
from dbroute_panel.presentation import Palette, Swatch
from dbroute_panel.records import Action, Level
from dbroute_panel.stores import Store, StoreError, get_store
from dbroute_panel.text import DECODE_ERRORS

from .databases import project_palette
from .rendering import (
    Admin,
    has_perm,
    parse_int,
    query_without,
    render_page,
    render_partial,
    reverse_page,
    wants_partial,
)


def map_page(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """GET shows the last answer and asks nothing. POST asks the routers, and keeps what they said."""
    if request.method != "POST":
        return _respond(admin, request, load_map(get_store()))
    if not has_perm(request, "use_sandbox"):
        raise PermissionDenied
    try:
        saved = run_isolated(ask_map)
    except RouterTimeoutError as error:
        return _respond(admin, request, load_map(get_store()), problem=str(error))
    try:
        save_map(get_store(), saved)
    except StoreError as error:
        text = _("This map could not be kept, so it is gone with this page: %(error)s") % {"error": error}
        return _respond(admin, request, saved, problem=text)
    return HttpResponseRedirect(request.get_full_path())


def _respond(
    admin: Admin, request: HttpRequest, saved: SavedMap | None, *, problem: str | None = None
) -> HttpResponseBase:
    form = MapFilterForm(
        request.GET,
        apps=list_apps(saved.routes.models) if saved else [],
        aliases=saved.routes.databases if saved else [],
        findings=sorted({finding.code for finding in saved.findings}) if saved else [],
    )
    # With no map there is nothing that a filter could be wrong about.
    valid = saved is None or form.is_valid()
    context: dict[str, Any] = {
        "form": form,
        "saved": saved,
        "table": None,
        "sandbox": reverse_page(admin, "sandbox") if has_perm(request, "use_sandbox") else "",
        "links": query_without(request.GET, "page"),
        "unfiltered": request.path,
    }
    if saved is not None and valid:
        given = form.cleaned_data
        map_filter = MapFilter(text=given["q"], app=given["app"], alias=given["db"], finding=given["finding"])
        table = MapTable(saved, project_palette(), map_filter)
        number = min(parse_int(request.GET.get("page")) or 1, table.pages)
        context |= {
            "table": table,
            "apps": table.apps(number),
            "groups": table.groups(),
            "number": number,
            "filtered": map_filter != MapFilter(),
        }
    status = 200 if valid else 400
    if wants_partial(request):
        return render_partial(request, "_map.html", context, status=status)
    context |= {
        "problem": problem,
        "here": request.get_full_path(),
        "others": saved is not None and saved.routers != list_routers(),
    }
    return render_page(admin, request, "map.html", context, title=_("Routing map"), status=status)


MAP_DOCUMENT: Final = "routing-map/1"


class SavedMap(msgspec.Struct, frozen=True, kw_only=True):
    """The routers' answers, when they were given (RFC 3339, UTC), by whom, and what is wrong with them."""

    asked_at: str
    routers: list[str]
    routes: RoutingMap
    marks: dict[str, list[ModelMark]]
    findings: list[StaticFinding]


def ask_map() -> SavedMap:
    """Ask the routers about every model."""
    asked_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    routes = build_map()
    return SavedMap(
        asked_at=asked_at,
        routers=list_routers(),
        routes=routes,
        marks=find_marks(),
        findings=run_lints(routes),
    )


def list_routers() -> list[str]:
    """The dotted paths of the routers, in the order in which they are asked. Asks none of them."""
    return [dotted_path(each) for each in router.routers]


def save_map(store: Store, saved: SavedMap) -> None:
    """Save the map. Raises ``StoreError``."""
    store.remember(MAP_DOCUMENT, msgspec.json.encode(saved))


def load_map(store: Store) -> SavedMap | None:
    """Return the last map; None if there is none, or another version of this package saved it."""
    document = store.recall(MAP_DOCUMENT)
    try:
        return None if document is None else msgspec.json.decode(document, type=SavedMap)
    except DECODE_ERRORS:
        return None


CELLS_PER_PAGE: Final = 400
"""Approximate size of a page: the more databases, the fewer models."""
MAX_MESSAGES: Final = 5
"""Messages of one code above the table; the filter shows the rest in place."""
REPEAT_COUNT: Final = 100
"""How often the sandbox asks when opened from a cell with several answers."""


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
    """The models of ``saved`` that pass the filter. ``columns``: all databases, in order of ``DATABASES``."""

    def __init__(self, saved: SavedMap, palette: Palette, map_filter: MapFilter) -> None:
        self.saved = saved
        self.palette = palette
        self.map_filter = map_filter
        self.aliases = palette.order(set(saved.routes.databases))
        self.columns = tuple(palette[alias] for alias in self.aliases)
        self.findings_of: dict[str, list[StaticFinding]] = {}
        for finding in saved.findings:
            self.findings_of.setdefault(finding.subject, []).append(finding)
        self.labels = [label for label in sorted(saved.routes.models) if self._matches(label)]

    def _matches(self, label: str) -> bool:
        map_filter, routes = self.map_filter, self.saved.routes.models[label]
        return (
            map_filter.text.casefold() in label.casefold()
            and map_filter.app in ("", label.partition(".")[0])
            and (not map_filter.alias or map_filter.alias in _iter_aliases(routes))
            and (
                not map_filter.finding
                or any(f.code == map_filter.finding for f in self.findings_of.get(label, ()))
            )
        )

    @property
    def page_size(self) -> int:
        """How many models a page has: 10 at least, 100 at most."""
        return max(10, min(100, CELLS_PER_PAGE // (len(self.columns) + 2)))

    @cached_property
    def paginator(self) -> Paginator[str]:
        return Paginator(self.labels, self.page_size)

    @property
    def pages(self) -> int:
        return self.paginator.num_pages

    def apps(self, number: int) -> list[tuple[str, list[MapRow]]]:
        """Return the rows of page ``number`` (from 1) by app."""
        rows = map(self.row, self.paginator.get_page(number))
        return [(app, list(group)) for app, group in groupby(rows, attrgetter("app"))]

    def row(self, label: str) -> MapRow:
        routes = self.saved.routes.models[label]
        app, _dot, name = label.partition(".")
        findings = tuple(self.findings_of.get(label, ()))
        return MapRow(
            label=label,
            app=app,
            name=name,
            marks=tuple(self.saved.marks.get(label, ())),
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
        models = self.saved.routes.models
        remaining = [
            finding
            for finding in self.saved.findings
            if (finding.subject in shown if finding.subject in models else self._concerns(finding))
        ]
        return [
            _build_group(list(those)) for _code, those in groupby(remaining, lambda finding: finding.code)
        ]

    def _concerns(self, finding: StaticFinding) -> bool:
        """Whether a finding about something else than a model is left by the filter."""
        map_filter = self.map_filter
        return not map_filter.text and (
            map_filter.finding in ("", finding.code)
            and map_filter.alias in ("", finding.subject)
            and map_filter.app in ("", finding.subject.partition(".")[0])
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
