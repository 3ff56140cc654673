"""
One file that a colleague opens in any browser, without Django, network or JavaScript: a section a trace.

The rows are those of the trace's page, from the same templates, each with its detail in it. The file loads
nothing: its policy allows the one style in it, by hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import chain, islice
from typing import Final

import msgspec
from django.template import Context, Engine
from django.utils.safestring import SafeString
from django.utils.translation import get_language, get_language_bidi, gettext_lazy

from dbroute_panel.exports.base import Format
from dbroute_panel.presentation import (
    Index,
    Listing,
    Row,
    build_detail,
    build_timeline,
    compute_totals,
    count_deciders,
    formatting,
    grouping,
    plain_sql,
)
from dbroute_panel.records import Event, Query, Trace

_PACKAGE: Final = files("dbroute_panel")
_STYLES: Final = (
    "colours.css",
    "dbroute.css",
    "events.css",
    "detail.css",
    "timeline.css",
    "print.css",
    "file.css",
)

MAX_FULL_ROWS: Final = 300
"""A trace with no more events has every row in full."""

ROWS_BUDGET_BYTES: Final = 2_700_000
"""The size of the rows of a trace with at most 10,000 events."""

SHORT_ROW_BYTES: Final = 230
"""The approximate size of a short row."""

MAX_FORMATTED_STATEMENTS: Final = 150
"""Formatting a statement takes milliseconds."""


class ShortRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event on one line. ``like``: the id of the row that has the rest, or 0; ``values``: its own."""

    row: Row
    what: str
    why: str
    like: int
    values: str


class FileLine(msgspec.Struct, frozen=True, kw_only=True):
    """A whole row (``html``), or several short ones, or a fold (``row``) with the ``lines`` in it."""

    html: str = ""
    short: tuple[ShortRow, ...] = ()
    row: Row | None = None
    lines: tuple[FileLine, ...] = ()

    @property
    def like(self) -> list[int]:
        """The rows that the short ones are like, the first few."""
        return list(dict.fromkeys(one.like for one in self.short if one.like))[:5]


class _LineBuilder:
    """
    Fits 10,000 events into a file that a browser opens at once.

    Of a trace with more than ``MAX_FULL_ROWS`` events, the first event of each kind is shown in full: chain,
    hints, SQL, parameters. One that is like it (same line of code, SQL, answers and steps) is a short row
    with its time, its values, and a link to the first. When the budget is used up, the rest are short rows
    too, without a link.
    """

    def __init__(self, index: Index, here: str) -> None:
        self.index = index
        self.here = here
        self.budget = ROWS_BUDGET_BYTES - SHORT_ROW_BYTES * len(index.events)
        self.seen: dict[Hashable, int] = {}
        self.formatted = 0
        self.shows_all = len(index.events) <= MAX_FULL_ROWS

    def build(self) -> Iterator[FileLine]:
        """Yield the lines of all events, in the order of the trace's page."""
        rows: list[Row] = []
        for row, inside in Listing(self.index).first(len(self.index.events)):
            if not inside:
                rows.append(row)
                continue
            yield from self.build_lines(rows)
            rows = []
            yield FileLine(row=row, lines=tuple(self.build_lines(inside)))
        yield from self.build_lines(rows)

    def build_lines(self, rows: Sequence[Row]) -> Iterator[FileLine]:
        """Join short rows that follow each other into one line."""
        short: list[ShortRow] = []
        for built in map(self.build_row, rows):
            if isinstance(built, ShortRow):
                short.append(built)
                continue
            if short:
                yield FileLine(short=tuple(short))
                short = []
            yield built
        if short:
            yield FileLine(short=tuple(short))

    def build_row(self, row: Row) -> FileLine | ShortRow:
        event = self.index.by_id[row.id]
        kind = self.find_kind(row)
        like = 0 if self.shows_all else self.seen.get(kind, 0)
        if not like and self.budget > 0:
            html = self.render_full(row, event)
            self.budget -= len(html.encode())
            if self.budget > 0:  # else no row in full is tried any more
                self.seen[kind] = row.id
                return FileLine(html=html)
        return ShortRow(
            row=row,
            what=formatting.truncate(row.what, 60),
            why="" if like else formatting.truncate(row.why, 40),
            like=like,
            values=formatting.truncate(grouping.own_values(self.index, event), 48) if like else "",
        )

    def find_kind(self, row: Row) -> Hashable:
        """Return what events that are alike share. One with a finding or an error is like no other."""
        return row.id if row.level or row.error else grouping.group_key(self.index, row)

    def render_full(self, row: Row, event: Event) -> SafeString:
        formatted = self.formatted < MAX_FORMATTED_STATEMENTS
        self.formatted += 1
        detail = build_detail(self.index, event, format_sql=formatted)
        if not formatted and isinstance(event, Query):
            detail = msgspec.structs.replace(detail, sql=plain_sql(event.sql))
        return _render("file_row.html", row=row, detail=detail, here=self.here)


def write(traces: Iterable[Trace]) -> Iterator[bytes]:
    """Yield the file, a trace at a time. Holds two traces at most."""
    remaining = iter(traces)
    ahead = list(islice(remaining, 2))
    style = _read_style()
    yield _render(
        "file_head.html",
        style=style,
        hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        name=ahead[0].name if len(ahead) == 1 else "",
        empty=not ahead,
        language=get_language() or "en",
        direction="rtl" if get_language_bidi() else "ltr",
    ).encode()
    for number, trace in enumerate(chain(ahead, remaining), 1):
        yield _render_trace(trace, number).encode()
    yield b"</main></body></html>\n"


def _render_trace(trace: Trace, number: int) -> SafeString:
    """Render one trace. ``here`` begins the links to its events, and without the ``#`` their ids."""
    index = Index(trace)
    here = f"#t{number}-"
    return _render(
        "file_trace.html",
        trace=trace,
        here=here,
        totals=compute_totals(trace, index.palette),
        decided=count_deciders(index),
        timeline=build_timeline(trace, index.palette),
        lines=list(_LineBuilder(index, here).build()),
    )


def _render(template: str, **context: object) -> SafeString:
    return _engine().get_template(f"dbroute_panel/{template}").render(Context(context))


@cache
def _engine() -> Engine:
    """An engine of our own: a project may have no Django templates, or other tags in its own."""
    return Engine(
        dirs=[str(_PACKAGE / "templates")],
        libraries={
            "dbroute": "dbroute_panel.templatetags.dbroute",
            "i18n": "django.templatetags.i18n",
            "l10n": "django.templatetags.l10n",
        },
    )


@cache
def _read_style() -> str:
    folder = _PACKAGE / "static" / "dbroute_panel"
    return "".join((folder / name).read_text(encoding="utf-8") for name in _STYLES)


FORMAT = Format(
    name="html",
    label="HTML",
    purpose=gettext_lazy("One page for a colleague, without Django and network"),
    content_type="text/html; charset=utf-8",
    extension="html",
    write=write,
)
