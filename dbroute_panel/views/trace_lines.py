"""What does the list of traces say about each? From the store's summaries; no trace is read for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar, Final

import msgspec

from dbroute_panel.presentation import Palette, Used, shares_of
from dbroute_panel.presentation.usage_bar import WIDTH
from dbroute_panel.records import Database, Level
from dbroute_panel.stores import Summary

NAMED: Final = 3
"""So many databases are named in a line; the others in the title of the bar, and to a screen reader."""


class Count(msgspec.Struct, frozen=True):
    """The findings of one level in one line of the list."""

    level: Level
    count: int


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One trace in the list; ``new`` if it came since the page was opened."""

    summary: Summary
    used: tuple[Used, ...]
    levels: tuple[Count, ...]
    new: bool = False

    width: ClassVar[int] = WIDTH

    @classmethod
    def of(cls, summary: Summary, site: Mapping[str, Database], *, new: bool = False) -> Line:
        """``site``: the databases that are configured now."""
        counts = Counter(finding.level for finding in summary.findings)
        return cls(
            summary=summary,
            used=shares_of(summary.aliases, Palette(summary.databases, site)),
            levels=tuple(Count(level, counts[level]) for level in reversed(Level) if level in counts),
            new=new,
        )

    @property
    def named(self) -> tuple[Used, ...]:
        """The databases whose names are shown: one more would be shown as “+1”, so that one is shown too."""
        return self.used if len(self.used) <= NAMED + 1 else self.used[:NAMED]

    @property
    def unnamed(self) -> tuple[Used, ...]:
        return self.used[len(self.named) :]
