"""How is the time of a trace cut into the columns of its picture, and written below it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

MAX_TICKS: Final = 6
"""The axis has fewer marks than this between its ends."""


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
        """An SVG path: a line of length 1 down at every round time, in columns."""
        return "".join(f"M{at * self.number / self.end_us:.2f} 0v1" for at in self._round())

    def _round(self) -> Iterator[int]:
        step = next(
            size * 10**power
            for power in range(16)
            for size in (1, 2, 5)
            if self.end_us < MAX_TICKS * size * 10**power
        )
        return iter(range(step, self.end_us, step))
