"""Figures of several rounds: their median, least and most, and the comparison of one figure with another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from operator import sub, truediv
from statistics import median
from typing import Self


@dataclass(frozen=True)
class Series:
    """
    One figure, round by round.

    Two series are compared round by round before the median is taken: a machine that was slow in one round
    was slow for both.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def most(self) -> float:
        return max(self.values)

    def minus(self, other: Series) -> Self:
        return self._with(other, sub)

    def over(self, other: Series) -> Self:
        """
        Divide by another series. A round in which that is zero, or negative by noise, counts as infinite.
        """
        return self._with(other, lambda one, two: truediv(one, two) if two > 0 else float("inf"))

    def times(self, factor: float) -> Self:
        return type(self)(tuple(value * factor for value in self.values))

    def _with(self, other: Series, combined: Callable[[float, float], float]) -> Self:
        pairs = zip(self.values, other.values, strict=True)
        return type(self)(tuple(combined(one, two) for one, two in pairs))


class Results:
    """All figures, by name: ``requests/recording/1000/total``."""

    def __init__(self) -> None:
        self._noted: dict[str, list[float]] = defaultdict(list)

    def note(self, name: str, figures: dict[str, float]) -> None:
        """Add the figures of one round, each under ``name``."""
        for figure, value in figures.items():
            self._noted[f"{name}/{figure}"].append(value)

    def __getitem__(self, name: str) -> Series:
        """Return a series; raise ``KeyError`` for what was not measured."""
        if name not in self._noted:
            raise KeyError(name)
        return Series(tuple(self._noted[name]))

    def added(self, variant: str, queries: int, part: str = "total") -> Series:
        """Return the microseconds a query that a variant adds to Django alone in the same round."""
        return self[f"requests/{variant}/{queries}/{part}"].minus(self[f"requests/bare/{queries}/{part}"])
