"""
How do 10,000 events fit into a file that a browser opens at once?

Of a trace with more than ``FEW`` of them, the first event of each kind has everything: chain, hints, SQL,
parameters. One that is like it (same line of code, SQL, answers and steps) is one line, with its time, its
values, and a link to the first. So is what comes when the file has no more room, without a link.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Final

import msgspec

from dbroute_panel.presentation import Index, Listing, Row, detail_of, formatting, grouping, plain_sql
from dbroute_panel.records import Event, Query

FEW: Final = 300
"""So many events are all shown with everything."""

LARGEST: Final = 2_700_000
"""So many bytes a trace's rows have at most, as long as it has at most 10,000 events."""

SHORT: Final = 230
"""So many bytes a short row has at most, about."""

FORMATTED: Final = 150
"""So many statements are formatted: each takes milliseconds."""

Render = Callable[[str, dict[str, object]], str]


class Short(msgspec.Struct, frozen=True, kw_only=True):
    """An event on one line. ``like``: the id of the row that has the rest, or 0; ``values``: its own."""

    row: Row
    what: str
    why: str
    like: int
    values: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A whole row (``html``), or several short ones, or a fold (``row``) with the ``lines`` in it."""

    html: str = ""
    short: tuple[Short, ...] = ()
    row: Row | None = None
    lines: tuple[Line, ...] = ()

    @property
    def like(self) -> list[int]:
        """The rows that the short ones are like, the first few."""
        return list(dict.fromkeys(one.like for one in self.short if one.like))[:5]


def lines_of(index: Index, here: str, render: Render) -> list[Line]:
    """All rows of a trace, in the order of its page."""
    return list(_Lines(index, here, render).all())


class _Lines:
    def __init__(self, index: Index, here: str, render: Render) -> None:
        self.index = index
        self.here = here
        self.render = render
        self.room = LARGEST - SHORT * len(index.events)
        self.seen: dict[Hashable, int] = {}
        self.formatted = 0
        self.few = len(index.events) <= FEW

    def all(self) -> Iterator[Line]:
        rows: list[Row] = []
        for row, inside in Listing(self.index).first(len(self.index.events)):
            if not inside:
                rows.append(row)
                continue
            yield from self.lines(rows)
            rows = []
            yield Line(row=row, lines=tuple(self.lines(inside)))
        yield from self.lines(rows)

    def lines(self, rows: Sequence[Row]) -> Iterator[Line]:
        """Short rows that follow each other are one line."""
        short: list[Short] = []
        for row in rows:
            shown = self.shown(row)
            if isinstance(shown, Short):
                short.append(shown)
                continue
            if short:
                yield Line(short=tuple(short))
                short = []
            yield shown
        if short:
            yield Line(short=tuple(short))

    def shown(self, row: Row) -> Line | Short:
        event = self.index.events[row.id]
        kind = self.kind(row)
        like = 0 if self.few else self.seen.get(kind, 0)
        if not like and self.room > 0:
            html = self.whole(row, event)
            self.room -= len(html.encode())
            if self.room > 0:  # else nothing is tried any more: the rest of the rows is short
                self.seen[kind] = row.id
                return Line(html=html)
        return Short(
            row=row,
            what=formatting.cut(row.what, 60),
            why="" if like else formatting.cut(row.why, 40),
            like=like,
            values=formatting.cut(grouping.values(self.index, event), 48) if like else "",
        )

    def kind(self, row: Row) -> Hashable:
        """What is the same for events that are alike. A finding or an error makes an event one of its own."""
        return row.id if row.level or row.error else grouping.kind(self.index, row)

    def whole(self, row: Row, event: Event) -> str:
        formatted = self.formatted < FORMATTED
        self.formatted += 1
        detail = detail_of(self.index, event, format_sql=formatted)
        if not formatted and isinstance(event, Query):
            detail = msgspec.structs.replace(detail, sql=plain_sql(event.sql))
        return self.render("file_row.html", {"row": row, "detail": detail, "here": self.here})
