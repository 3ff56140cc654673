"""
How do slices of time lie on lanes so that on each lane they follow each other or nest?

A viewer draws what lies inside another slice as called by it. So slices that overlap without one being
inside the other by what is known of them (two queries on two threads) get a lane each.

The document counts starts in whole microseconds, cut off, and durations in nanoseconds: by these numbers
a query may end some hundred nanoseconds after the next one began. The slices are moved to where all of
it can be: each starts at most one microsecond later than the document says, still inside the microsecond
that it names, and what encloses others is at most that much longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

MICROSECOND: Final = 1000


class Lane(msgspec.Struct, eq=False):
    """``row`` are its outermost slices, ``tid`` is its number in the file."""

    name: str
    tid: int = 0
    row: list[Slice] = []


class Slice(msgspec.Struct, eq=False, kw_only=True):
    """
    A piece of time, in nanoseconds from the trace's start: ``at`` and ``length`` as the document has them.

    ``from_to``: its end was recorded by itself, also in whole microseconds, and does not move with its
    start. ``start`` and ``end`` are where it lies on its ``lane``; ``row`` are the slices it lies among,
    ``inner`` those inside it, ``outer`` the one around it.
    """

    at: int
    length: int
    content: dict[str, Any]
    from_to: bool = False
    start: int = 0
    end: int = 0
    lane: Lane = msgspec.UNSET  # type: ignore[assignment]  # until it is put on one
    outer: Slice | None = None
    row: list[Slice] = []
    inner: list[Slice] = []

    def around(self) -> Iterator[Slice]:
        """This slice and those around it, the innermost first."""
        around: Slice | None = self
        while around is not None:
            yield around
            around = around.outer

    def can_end(self, end: int) -> bool:
        """Whether it can end there: less than a microsecond late, and with nobody after it."""
        return end <= self.end or (self.row[-1] is self and end < self.at + self.length + MICROSECOND)

    def lie(self, row: list[Slice], outer: Slice | None, after: int) -> bool:
        """Lie down at the end of ``row``, inside ``outer``; or, where it does not fit there, do nothing."""
        free = max(self.at, row[-1].end if row else 0, outer.start if outer else 0)
        start = max(free, after) if after < self.at + MICROSECOND else free
        end = max(start, self.at + self.length) if self.from_to else start + self.length
        around = list(outer.around()) if outer else []
        if start >= self.at + MICROSECOND or not all(one.can_end(end) for one in around):
            return False
        for one in around:
            one.end = max(one.end, end)
        self.start, self.end, self.outer, self.row = start, end, outer, row
        row.append(self)
        return True


class Lanes:
    """The lanes of one database, or of the routers. Their ``slices`` are put in order of their start."""

    def __init__(self, name: str, note: str = "") -> None:
        self.name = name
        self.note = note
        self.lanes: list[Lane] = []
        self.slices: list[Slice] = []

    def put(self, piece: Slice, outer: Slice | None = None, after: int = 0) -> Slice:
        """
        Lay ``piece`` inside of ``outer`` if it fits there, else on the first lane that is free.

        ``after``: it did not begin before that; not heeded where it did, by a microsecond or more.
        """
        self.slices.append(piece)
        if outer is not None and piece.lie(outer.inner, outer, after):
            piece.lane = outer.lane
            return piece
        free = next((lane for lane in self.lanes if piece.lie(lane.row, None, after)), None)
        if free is None:
            free = self.add()
            piece.lie(free.row, None, after)
        piece.lane = free
        return piece

    def add(self) -> Lane:
        """Another lane: ``primary``, then ``primary (2)``."""
        number = len(self.lanes) + 1
        self.lanes.append(Lane(f"{self.name} ({number}){self.note}" if number > 1 else self.name + self.note))
        return self.lanes[-1]
