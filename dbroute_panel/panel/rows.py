"""
How do a hundred events fit into a panel that opens at once, each with its chain, hints, SQL and place?

The first of its kind is the row that the trace's page has, with its detail in it. One that is like it (same
SQL, answers, steps and line of code) names it, and has what is its own. When the first ones have filled the
room, the others say the same in a few lines, without the time of each router. Nothing is fetched later:
there is no htmx in the user's page.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any, Final

import msgspec
from django.template.loader import get_template
from django.utils.safestring import SafeString

from dbroute_panel.presentation import Detail, Editor, Index, Listing, Row, build_detail, formatting, grouping

EVENTS: Final = 100
"""So many events are shown; the page in the admin has them all."""

FEW: Final = 20
"""So many events are all shown with everything."""

LARGEST: Final = 115_000
"""So many characters all rows have at most, about."""

ALONE: Final = 1_300
LIKE: Final = 900
"""So many characters a short row has at most, about: one of its own kind, and one that is like another."""

CELL: Final = 80
LINK: Final = 250
"""So many characters a link to the editor has, about."""

SQL: Final = 160
VALUES: Final = 160
"""So many characters of a cell, a statement and its values a short row has at most."""


class Line(msgspec.Struct, frozen=True):
    """A whole row, or a fold (``row``) with the ``lines`` in it."""

    html: str = ""
    row: Row | None = None
    lines: tuple[Line, ...] = ()

    @property
    def events(self) -> int:
        """How many events of the list it shows."""
        return len(self.lines) or 1


class Short(msgspec.Struct, frozen=True, kw_only=True):
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


def build_lines(index: Index, here: str | None, editor: Editor | None = None) -> tuple[list[Line], int]:
    """
    The rows of the first ``EVENTS`` events of the list, and how many more there are.

    ``here``: the trace's page in the admin, or None; ``editor``: what opens the project's files, or None.
    """
    listing = Listing(index)
    lines = list(_Lines(index, here, editor, list(listing.first(EVENTS))).all())
    return lines, sum(map(len, listing.units)) - sum(line.events for line in lines)


class _Lines:
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
        self.few = len(index.events) <= FEW
        shown = [one for row, inside in rows for one in (inside or (row,))]
        self.kinds = {row.id: self.kind(row) for row in shown}
        kinds = len(set(self.kinds.values()))
        self.room = LARGEST - ALONE * kinds - LIKE * (len(shown) - kinds)
        if editor is not None:
            self.room -= LINK * len(shown)
        self.seen: dict[Hashable, int] = {}
        self.rendered = cache(_rendered)  # of this panel alone: the next may be in another language

    def all(self) -> Iterator[Line]:
        for row, inside in self.rows:
            if inside:
                yield Line(row=row, lines=tuple(self.line(one) for one in inside))
            else:
                yield self.line(row)

    def line(self, row: Row) -> Line:
        like = self.seen.setdefault(self.kinds[row.id], row.id)
        if like != row.id and not self.few:
            return Line(self.short(row, like))
        if self.room > 0:
            html = self.whole(row)
            self.room -= len(html) - ALONE
            if self.room > 0:  # else nothing is tried any more: the rest is short
                return Line(html)
        return Line(self.short(row, 0))

    def kind(self, row: Row) -> Hashable:
        """What is the same for events that are alike: what was found about them, too."""
        codes = tuple(finding.code for finding in self.index.findings_in_row(row.id))
        return row.id if row.error else (codes, grouping.group_key(self.index, row))

    def whole(self, row: Row) -> SafeString:
        detail = build_detail(self.index, self.index.by_id[row.id], format_sql=False)
        context = {"row": row, "inline": detail, "here": self.here, "editor": self.editor}
        return _rendered("_row.html", **context)

    def short(self, row: Row, like: int) -> SafeString:
        event = self.index.by_id[row.id]
        if like:
            detail = Short(
                like=like, values=formatting.truncate(grouping.own_values(self.index, event), VALUES)
            )
        else:
            detail = _alone(build_detail(self.index, event, format_sql=False))
        database, level = "", ""
        if row.database is not None:
            database = self.rendered("_database.html", database=row.database)
        if row.level:
            level = self.rendered("_level.html", level=row.level)
        context = {
            "row": row,
            "why": formatting.truncate(row.why, CELL),
            "what": formatting.truncate(row.what, CELL),
            "database": database,
            "level": level,
            "detail": detail,
            "editor": self.editor,
        }
        return _rendered("_panel_row.html", **context)


def _rendered(template: str, **context: Any) -> SafeString:
    html: SafeString = get_template(f"dbroute_panel/{template}").render(context)  # type: ignore[assignment]
    return html


def _alone(detail: Detail) -> Short:
    sql = "".join(piece.text for piece in detail.sql)
    return Short(
        decided_by=_decided_by(detail),
        facts=_facts(detail),
        sql=formatting.truncate(sql, SQL),
        params=_params(detail),
        codes=tuple(finding.code for finding in detail.findings),
        error=formatting.truncate(detail.error),
        site=formatting.called_from(detail.site) if detail.site else "",
    )


def _decided_by(detail: Detail) -> str:
    """What decided where it went; before it, whether that was about another model."""
    if detail.chain is None:
        return detail.sentence
    return f"{detail.sentence} {detail.chain.decided_by}" if detail.about_other else detail.chain.decided_by


def _facts(detail: Detail) -> tuple[str, ...]:
    """Arguments, hints and the object saved, each with where its database comes from."""
    given = [*detail.chain.arguments, *detail.chain.hints] if detail.chain else []
    if detail.instance is not None:
        given.append(detail.instance)
    return tuple(
        formatting.truncate(
            " ".join(filter(None, (fact.name, fact.value, fact.note and f"({fact.note})"))), VALUES
        )
        for fact in given[:10]
    )


def _params(detail: Detail) -> str:
    return formatting.truncate(", ".join(detail.params), VALUES)
