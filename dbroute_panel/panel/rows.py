"""
Fit a hundred events into a panel that opens at once, each with its chain, hints, SQL and place.

The first event of each kind is shown in full, as on the trace's page. One that is like it (same SQL, answers,
steps and line of code) is a short row with its values and a link to the first. When the budget is used up,
the rest are short rows, too. Nothing is fetched later: the user's page has no htmx.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any, Final

import msgspec
from django.template.loader import get_template
from django.utils.safestring import SafeString

from dbroute_panel.presentation import Detail, Editor, Index, Listing, Row, build_detail, formatting, grouping

MAX_EVENTS: Final = 100
"""Events that the panel shows; the page in the admin has them all."""

MAX_FULL_ROWS: Final = 20
"""A trace with no more events has every row in full."""

ROWS_BUDGET_CHARACTERS: Final = 115_000
"""The approximate size of all rows."""

SHORT_ROW_CHARACTERS: Final = 1_300
ALIKE_ROW_CHARACTERS: Final = 900
"""The approximate size of a short row: one of a kind, and one that is like another."""

MAX_CELL_LENGTH: Final = 80
EDITOR_LINK_CHARACTERS: Final = 250
"""The approximate size of a link to the editor."""

MAX_SQL_LENGTH: Final = 160
MAX_VALUES_LENGTH: Final = 160
"""Maximum lengths of a cell, a statement and its values in a short row."""


class PanelLine(msgspec.Struct, frozen=True):
    """A whole row, or a fold (``row``) with the ``lines`` in it."""

    html: str = ""
    row: Row | None = None
    lines: tuple[PanelLine, ...] = ()

    @property
    def events(self) -> int:
        """How many events of the list it shows."""
        return len(self.lines) or 1


class ShortDetail(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a short row shows once it is opened.

    ``like``: the id of the row that has all but the ``values``, which are the event's own; or 0.
    """

    like: int = 0
    decided_by: str = ""
    facts: tuple[str, ...] = ()
    sql: str = ""
    params: str = ""
    values: str = ""
    codes: tuple[str, ...] = ()
    error: str = ""
    site: str = ""


def build_lines(index: Index, here: str | None, editor: Editor | None = None) -> tuple[list[PanelLine], int]:
    """
    Build the rows of the first ``MAX_EVENTS`` events of the list, and count how many more there are.

    ``here``: the trace's page in the admin, or None; ``editor``: what opens the project's files, or None.
    """
    listing = Listing(index)
    lines = list(_LineBuilder(index, here, editor, list(listing.first(MAX_EVENTS))).build())
    return lines, sum(map(len, listing.units)) - sum(line.events for line in lines)


class _LineBuilder:
    def __init__(
        self,
        index: Index,
        here: str | None,
        editor: Editor | None,
        rows: list[tuple[Row, tuple[Row, ...]]],
    ) -> None:
        self.index = index
        self.here = here
        self.editor = editor
        self.rows = rows
        self.shows_all = len(index.events) <= MAX_FULL_ROWS
        shown = [one for row, inside in rows for one in (inside or (row,))]
        self.kinds = {row.id: self.find_kind(row) for row in shown}
        kinds = len(set(self.kinds.values()))
        self.budget = (
            ROWS_BUDGET_CHARACTERS
            - SHORT_ROW_CHARACTERS * kinds
            - ALIKE_ROW_CHARACTERS * (len(shown) - kinds)
        )
        if editor is not None:
            self.budget -= EDITOR_LINK_CHARACTERS * len(shown)
        self.seen: dict[Hashable, int] = {}
        self.render = cache(_render)  # of this panel alone: the next may be in another language

    def build(self) -> Iterator[PanelLine]:
        for row, inside in self.rows:
            if inside:
                yield PanelLine(row=row, lines=tuple(self.build_line(one) for one in inside))
            else:
                yield self.build_line(row)

    def build_line(self, row: Row) -> PanelLine:
        like = self.seen.setdefault(self.kinds[row.id], row.id)
        if like != row.id and not self.shows_all:
            return PanelLine(self.render_short(row, like))
        if self.budget > 0:
            html = self.render_full(row)
            self.budget -= len(html) - SHORT_ROW_CHARACTERS
            if self.budget > 0:  # else no row in full is tried any more
                return PanelLine(html)
        return PanelLine(self.render_short(row, 0))

    def find_kind(self, row: Row) -> Hashable:
        """Return what events that are alike share, with what was found about them."""
        codes = tuple(finding.code for finding in self.index.findings_in_row(row.id))
        return row.id if row.error else (codes, grouping.group_key(self.index, row))

    def render_full(self, row: Row) -> SafeString:
        detail = build_detail(self.index, self.index.by_id[row.id], format_sql=False)
        context = {"row": row, "inline": detail, "here": self.here, "editor": self.editor}
        return _render("_row.html", **context)

    def render_short(self, row: Row, like: int) -> SafeString:
        event = self.index.by_id[row.id]
        if like:
            detail = ShortDetail(
                like=like,
                values=formatting.truncate(grouping.own_values(self.index, event), MAX_VALUES_LENGTH),
            )
        else:
            detail = _build_short_detail(build_detail(self.index, event, format_sql=False))
        database, level = "", ""
        if row.database is not None:
            database = self.render("_database.html", database=row.database)
        if row.level:
            level = self.render("_level.html", level=row.level)
        context = {
            "row": row,
            "why": formatting.truncate(row.why, MAX_CELL_LENGTH),
            "what": formatting.truncate(row.what, MAX_CELL_LENGTH),
            "database": database,
            "level": level,
            "detail": detail,
            "editor": self.editor,
        }
        return _render("_panel_row.html", **context)


def _render(template: str, **context: Any) -> SafeString:
    html: SafeString = get_template(f"dbroute_panel/{template}").render(context)  # type: ignore[assignment]
    return html


def _build_short_detail(detail: Detail) -> ShortDetail:
    sql = "".join(piece.text for piece in detail.sql)
    return ShortDetail(
        decided_by=_explain_decided_by(detail),
        facts=_format_items(detail),
        sql=formatting.truncate(sql, MAX_SQL_LENGTH),
        params=_format_params(detail),
        codes=tuple(finding.code for finding in detail.findings),
        error=formatting.truncate(detail.error),
        site=formatting.called_from(detail.site) if detail.site else "",
    )


def _explain_decided_by(detail: Detail) -> str:
    """Explain what decided where it went; before it, whether that was about another model."""
    if detail.chain is None:
        return detail.sentence
    return f"{detail.sentence} {detail.chain.decided_by}" if detail.about_other else detail.chain.decided_by


def _format_items(detail: Detail) -> tuple[str, ...]:
    """Format arguments, hints and the object saved, each with where its database comes from."""
    given = [*detail.chain.arguments, *detail.chain.hints] if detail.chain else []
    if detail.instance is not None:
        given.append(detail.instance)
    return tuple(
        formatting.truncate(
            " ".join(filter(None, (item.name, item.value, item.note and f"({item.note})"))), MAX_VALUES_LENGTH
        )
        for item in given[:10]
    )


def _format_params(detail: Detail) -> str:
    return formatting.truncate(", ".join(detail.params), MAX_VALUES_LENGTH)
