"""What does the list of traces say about each? From the store's summaries; no trace is read for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar, Final

import msgspec

from dbroute_panel.presentation import BarSegment, Palette, build_usage_bar
from dbroute_panel.presentation.usage_bar import BAR_WIDTH
from dbroute_panel.records import Database, Level
from dbroute_panel.stores import Summary

SHOWN_DATABASES: Final = 3
"""So many databases are named in a line; the others in the title of the bar, and to a screen reader."""


class LevelCount(msgspec.Struct, frozen=True):
    """The findings of one level in one line of the list."""

    level: Level
    count: int


class TraceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One trace in the list; ``new`` if it came since the page was opened."""

    summary: Summary
    used: tuple[BarSegment, ...]
    levels: tuple[LevelCount, ...]
    new: bool = False

    width: ClassVar[int] = BAR_WIDTH

    @classmethod
    def of(cls, summary: Summary, site: Mapping[str, Database], *, new: bool = False) -> TraceLine:
        """``site``: the databases that are configured now."""
        counts = Counter(finding.level for finding in summary.findings)
        return cls(
            summary=summary,
            used=build_usage_bar(summary.aliases, Palette(summary.databases, site)),
            levels=tuple(LevelCount(level, counts[level]) for level in reversed(Level) if level in counts),
            new=new,
        )

    @property
    def named(self) -> tuple[BarSegment, ...]:
        """The databases whose names are shown: one more would be shown as “+1”, so that one is shown too."""
        return self.used if len(self.used) <= SHOWN_DATABASES + 1 else self.used[:SHOWN_DATABASES]

    @property
    def unnamed(self) -> tuple[BarSegment, ...]:
        return self.used[len(self.named) :]
