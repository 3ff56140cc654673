"""
Where is the time, per database? One lane a database and one for the routers, as columns.

The trace's time is cut into ``COLUMNS`` equal columns, so that a picture of ten thousand events is no
larger than one of ten. A column is as high as the share of its time that was spent; one in which
anything happened at all has at least ``LOWEST``.
"""

from __future__ import annotations

from typing import Final

import msgspec

from dbroute_panel.records import Operation, Query, Trace, Transaction

from .palette import Palette, Swatch

COLUMNS: Final = 120
HEIGHT: Final = 16
LOWEST: Final = 4

_ENDS = {Operation.COMMIT, Operation.ROLLBACK}


class Bar(msgspec.Struct, frozen=True):
    """``width`` columns from ``x`` on, ``height`` of ``HEIGHT`` high, standing on the ground."""

    x: int
    width: int
    height: int

    @property
    def y(self) -> int:
        return HEIGHT - self.height


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One database's bars and the spans of its transactions; ``database`` is None for the routers."""

    database: Swatch | None
    count: int
    duration_us: float
    bars: tuple[Bar, ...]
    atomic: tuple[Bar, ...] = ()


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The lanes of the databases that were used, in order of DATABASES, and the routers' last."""

    lanes: tuple[Lane, ...]
    duration_us: float
    columns: int = COLUMNS

    @property
    def atomic(self) -> bool:
        """Whether there was a transaction at all."""
        return any(lane.atomic for lane in self.lanes)


class _Track:
    """Counts what is put on it, and the time spent in each column."""

    def __init__(self, scale: float) -> None:
        self.scale = scale  # columns per microsecond
        self.count = 0
        self.duration_us = 0.0
        self.spent: list[float] = [0.0] * COLUMNS
        self.touched: set[int] = set()

    def put(self, at_us: int, duration_us: float) -> None:
        self.count += 1
        self.duration_us += duration_us
        start, end = at_us * self.scale, (at_us + duration_us) * self.scale
        first, last = min(int(start), COLUMNS - 1), min(int(end), COLUMNS - 1)
        self.touched.update(range(first, last + 1))
        for column in range(first, last + 1):
            self.spent[column] += max(0.0, min(end, column + 1) - max(start, column))

    def bars(self) -> tuple[Bar, ...]:
        heights = [0] * COLUMNS
        for column in self.touched:
            heights[column] = LOWEST + round((HEIGHT - LOWEST) * min(1.0, self.spent[column]))
        return _runs(heights)


def _runs(heights: list[int]) -> tuple[Bar, ...]:
    """Neighbouring columns of one height as one bar; empty ones left out."""
    bars: list[Bar] = []
    for x, height in enumerate(heights):
        if height and bars and bars[-1].x + bars[-1].width == x and bars[-1].height == height:
            bars[-1] = Bar(bars[-1].x, bars[-1].width + 1, height)
        elif height:
            bars.append(Bar(x, 1, height))
    return tuple(bars)


class _Transactions:
    """Which columns of which database lie inside a transaction."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.begun: dict[str, int] = {}
        self.covered: dict[str, list[int]] = {}

    def put(self, event: Transaction) -> None:
        if event.operation is Operation.BEGIN:
            self.begun[event.alias] = event.at_us
        elif event.operation in _ENDS:  # one that began before the trace covers it from the start
            self.cover(event.alias, self.begun.pop(event.alias, 0), event.at_us)

    def end(self, at_us: float) -> None:
        """Those still open at the end of the trace last until there."""
        for alias, since_us in self.begun.items():
            self.cover(alias, since_us, at_us)

    def cover(self, alias: str, first_us: float, last_us: float) -> None:
        columns = self.covered.setdefault(alias, [0] * COLUMNS)
        first, last = (min(int(at * self.scale), COLUMNS - 1) for at in (first_us, last_us))
        columns[first : last + 1] = [1] * (last + 1 - first)


def timeline_of(trace: Trace, palette: Palette | None = None) -> Timeline:
    """The timeline of ``trace``."""
    palette = palette or Palette(trace.databases)
    ends = (event.at_us + getattr(event, "duration_us", 0.0) for event in trace.events)
    whole_us = max(trace.duration_us, 1.0, max(ends, default=0.0))
    scale = COLUMNS / whole_us
    tracks: dict[str, _Track] = {}
    routers, transactions = _Track(scale), _Transactions(scale)
    for event in trace.events:
        if isinstance(event, Query):
            tracks.setdefault(event.alias, _Track(scale)).put(event.at_us, event.duration_us)
        elif isinstance(event, Transaction):
            transactions.put(event)
        elif event.parent is None:
            routers.put(event.at_us, event.duration_us)
        else:  # the time of an inner question is part of the outer's
            routers.count += 1
    transactions.end(whole_us)
    covered = transactions.covered
    lanes = []
    for alias in palette.order(set(tracks) | set(covered)):
        track, spans = tracks.get(alias, _Track(scale)), _runs(covered.get(alias, []))
        lanes.append(_lane(palette[alias], track, spans))
    if routers.count:
        lanes.append(_lane(None, routers))
    return Timeline(lanes=tuple(lanes), duration_us=whole_us)


def _lane(database: Swatch | None, track: _Track, atomic: tuple[Bar, ...] = ()) -> Lane:
    return Lane(
        database=database,
        count=track.count,
        duration_us=track.duration_us,
        bars=track.bars(),
        atomic=atomic,
    )
