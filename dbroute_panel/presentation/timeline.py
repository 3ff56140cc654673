"""
Draw where the time went: one lane a database and one for the routers, as columns.

The trace's time is cut into equal columns, so that a picture of ten thousand events is no larger than one
of a few hundred. A bar is as high as the share of its time that was spent; where anything happened at all
it has at least ``MIN_BAR_HEIGHT_PX``. One long query is one bar over all its columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import ceil
from typing import Final
from urllib.parse import urlencode

import msgspec
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dbroute_panel.records import DecidedBy, Decision, Query, Trace, Transaction

from .brackets import Bracket, BracketBuilder
from .filters import KIND_DECISIONS, KIND_QUERIES
from .index import Index
from .palette import Palette, Swatch

MAX_TICKS: Final = 6
"""The axis has fewer marks between its ends."""


class AxisTick(msgspec.Struct, frozen=True):
    """A mark of the axis; ``left`` is its place in per cent, for an attribute."""

    at_us: int
    left: str


class Columns:
    """``number`` columns of equal width; their edges are whole microseconds."""

    def __init__(self, end_us: int, most: int) -> None:
        self.end_us = end_us
        self.number = max(1, min(most, end_us))

    def at(self, us: float) -> int:
        """The column of a moment, so that ``edge(column) <= us``; what is beyond the end is in the last."""
        return max(0, min(int(us) * self.number // self.end_us, self.number - 1))

    def edge(self, column: int) -> int:
        """The first microsecond of a column; that of the one after the last is beyond everything."""
        if column >= self.number:
            return self.end_us + 1
        return -(-column * self.end_us // self.number)

    @property
    def ticks(self) -> list[AxisTick]:
        """Round times between the ends, those that leave room for the one at the end."""
        return [AxisTick(at, f"{at / self.end_us:.2%}") for at in self._round() if at <= 0.78 * self.end_us]

    @property
    def grid(self) -> str:
        """Return an SVG path: a line of length 1 down at every round time, in columns."""
        return "".join(f"M{at * self.number / self.end_us:.2f} 0v1" for at in self._round())

    def _round(self) -> Iterator[int]:
        step = next(
            size * 10**power
            for power in range(16)
            for size in (1, 2, 5)
            if self.end_us < MAX_TICKS * size * 10**power
        )
        return iter(range(step, self.end_us, step))


MAX_CELLS: Final = 80
"""Columns of all lanes together; one lane has at most ``MAX_COLUMNS``."""
MAX_COLUMNS: Final = 60

MAX_LANES: Final = 8
"""Lanes of databases. Of more databases, those with the most events have one."""

BAR_HEIGHT_PX: Final = 16
MIN_BAR_HEIGHT_PX: Final = 4
BARS_TOP_PX: Final = 7
"""Above the bars is room for the mark of what failed."""
BRACKETS_TOP_PX: Final = BARS_TOP_PX + BAR_HEIGHT_PX + 3


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """
    ``width`` columns from ``x`` on, ``height`` of ``BAR_HEIGHT_PX`` high, in which ``count`` events went on.

    ``failed`` of them raised. ``ends`` are microseconds, ``spent_us`` those of them that were spent.
    The events are queries or, with ``routers``, decisions.
    """

    x: int
    width: int
    height: int
    ends: tuple[int, int]
    count: int
    failed: int
    spent_us: float
    routers: bool

    @property
    def label(self) -> str:
        """``24 queries, 1 failed``."""
        if self.routers:
            label = ngettext("%(n)d decision", "%(n)d decisions", self.count) % {"n": self.count}
        else:
            label = ngettext("%(n)d query", "%(n)d queries", self.count) % {"n": self.count}
        if self.failed:
            label += ", " + _("%(n)d failed") % {"n": self.failed}
        return label

    @property
    def y(self) -> int:
        return BARS_TOP_PX + BAR_HEIGHT_PX - self.height

    @property
    def query(self) -> str:
        """What the filter of the trace's page has to be to show these events, without the lane."""
        kind = KIND_DECISIONS if self.routers else KIND_QUERIES
        return urlencode({"kind": kind, "from_us": self.ends[0], "to_us": self.ends[1]})


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One database's bars and the brackets of its transactions; ``database`` is None for the routers."""

    database: Swatch | None
    count: int
    failed: int
    duration_us: float
    bars: tuple[Bar, ...]
    brackets: tuple[Bracket, ...] = ()

    @property
    def query(self) -> str:
        """What the filter of the trace's page has to be to show this lane."""
        return urlencode({"db": self.database.alias} if self.database else {"questions": "on"})

    @property
    def height_px(self) -> int:
        """The height of its picture, in pixels: the bars, and below them the brackets."""
        return BRACKETS_TOP_PX + 4 * self.depth + 2

    @property
    def depth(self) -> int:
        """How many brackets lie below each other at most."""
        return max((bracket.level + 1 for bracket in self.brackets), default=0)


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """
    The lanes of the databases that were used, in order of DATABASES, and the routers' last.

    ``others``: how many more databases were used, and have no lane.
    """

    lanes: tuple[Lane, ...]
    duration_us: float
    columns: int
    ticks: list[AxisTick]
    grid: str
    others: int = 0
    brackets_at: int = BRACKETS_TOP_PX

    @property
    def legend(self) -> list[str]:
        """What the marks mean that are there."""
        brackets = [bracket for lane in self.lanes for bracket in lane.brackets]
        label = []
        if brackets:
            label.append(_("╞═╡ transaction"))
        if any(bracket.level for bracket in brackets):
            label.append(_("below it: savepoints"))
        if any(bracket.crossed for bracket in brackets):
            label.append(_("dashed and crossed: rolled back"))
        if any(lane.failed for lane in self.lanes):
            label.append(_("▼ failed"))
        if self.others:
            others = ngettext(
                "%(n)d more database with fewer events is not drawn",
                "%(n)d more databases with fewer events are not drawn",
                self.others,
            )
            label.append(others % {"n": self.others})
        return label


class _Cell(msgspec.Struct):
    """One column: how many events go on in it, how many of them began before it, and the time spent."""

    count: int = 0
    earlier: int = 0
    failed: int = 0
    spent_us: float = 0.0


class _Track:
    """Counts what is put on it, and the time spent in each column."""

    def __init__(self, columns: Columns, *, routers: bool = False) -> None:
        self.columns = columns
        self.routers = routers
        self.count = self.failed = 0
        self.duration_us = 0.0
        self.cells: dict[int, _Cell] = {}

    def add(self, at_us: int, duration_us: float, *, failed: bool, counts_time: bool = True) -> None:
        self.count += 1
        self.failed += failed
        if counts_time:
            self.duration_us += duration_us
        end = at_us + duration_us
        first = self.columns.at(at_us)
        last = max(first, self.columns.at(ceil(end) - 1))
        if first == last and at_us >= 0:  # nearly all: all of it is in this column
            cell = self.cells.get(first)
            if cell is None:
                cell = self.cells[first] = _Cell()
            cell.count += 1
            cell.failed += failed
            if counts_time:
                cell.spent_us += max(0.0, duration_us)
            return
        for column in range(first, last + 1):
            cell = self.cells.setdefault(column, _Cell())
            cell.count += 1
            cell.earlier += column > first
            cell.failed += failed
            if not counts_time:
                continue
            within = min(end, self.columns.edge(column + 1)) - max(at_us, self.columns.edge(column))
            cell.spent_us += max(0.0, within)

    def bars(self) -> tuple[Bar, ...]:
        """Build bars: a column, with the next ones as long as nothing else begins in them."""
        runs: list[list[int]] = []
        for column, cell in sorted(self.cells.items()):
            if runs and runs[-1][-1] == column - 1 and cell.earlier == cell.count == 1:
                runs[-1].append(column)
            else:
                runs.append([column])
        return tuple(self._bar(run) for run in runs)

    def _bar(self, run: list[int]) -> Bar:
        ends = self.columns.edge(run[0]), self.columns.edge(run[-1] + 1)
        spent = sum(self.cells[column].spent_us for column in run)
        return Bar(
            x=run[0],
            width=len(run),
            height=MIN_BAR_HEIGHT_PX
            + round((BAR_HEIGHT_PX - MIN_BAR_HEIGHT_PX) * min(1.0, spent / (ends[1] - ends[0]))),
            ends=ends,
            count=self.cells[run[0]].count,
            failed=self.cells[run[0]].failed,
            spent_us=spent,
            routers=self.routers,
        )


def build_timeline(trace: Trace, palette: Palette | None = None) -> Timeline:
    """The timeline of ``trace``."""
    palette = palette or Palette(trace.databases)
    uses = Counter(event.alias for event in trace.events if isinstance(event, (Query, Transaction)))
    aliases = palette.order({alias for alias, _uses in uses.most_common(MAX_LANES)})
    asked = any(isinstance(event, Decision) for event in trace.events)
    columns = Columns(Index(trace).end_us, min(MAX_COLUMNS, MAX_CELLS // max(1, len(aliases) + asked)))
    tracks = {alias: _Track(columns) for alias in aliases}
    brackets = {alias: BracketBuilder(columns) for alias in aliases}
    routers = _Track(columns, routers=True)
    for event in trace.events:
        if isinstance(event, Query):
            if (track := tracks.get(event.alias)) is not None:
                track.add(event.at_us, event.duration_us, failed=event.error is not None)
        elif isinstance(event, Transaction):
            if event.alias in brackets:
                brackets[event.alias].add(event)
        elif isinstance(event, Decision):
            failed = event.decided_by is DecidedBy.ERROR
            # The time of an inner question is part of the outer's.
            routers.add(event.at_us, event.duration_us, failed=failed, counts_time=event.parent_id is None)
    lanes = [_build_lane(palette[alias], tracks[alias], brackets[alias].build()) for alias in aliases]
    if asked:
        lanes.append(_build_lane(None, routers))
    return Timeline(
        lanes=tuple(lanes),
        duration_us=columns.end_us,
        columns=columns.number,
        ticks=columns.ticks,
        grid=columns.grid,
        others=len(uses) - len(aliases),
    )


def _build_lane(database: Swatch | None, track: _Track, brackets: tuple[Bracket, ...] = ()) -> Lane:
    return Lane(
        database=database,
        count=track.count,
        failed=track.failed,
        duration_us=track.duration_us,
        bars=track.bars(),
        brackets=brackets,
    )
