"""How do the queries of a trace divide over its databases? A bar of constant width for a line of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from .palette import Palette, Swatch

BAR_WIDTH: Final = 200
MIN_SEGMENT_WIDTH: Final = 4
"""So wide is a database with one query of thousands: it can be seen, and pointed at."""


class BarSegment(msgspec.Struct, frozen=True, kw_only=True):
    """One database: how many of the queries ran there, and its part of the bar."""

    database: Swatch
    queries: int
    x: int
    width: int


def build_usage_bar(queries: Mapping[str, int], palette: Palette) -> tuple[BarSegment, ...]:
    """``queries`` by alias, in order of ``DATABASES``; their parts fill the bar, whatever the counts."""
    aliases = palette.order({alias for alias, count in queries.items() if count})
    if not aliases:
        return ()
    least = min(MIN_SEGMENT_WIDTH, BAR_WIDTH // len(aliases))
    free = BAR_WIDTH - least * len(aliases)
    total = sum(queries[alias] for alias in aliases)
    shares, before = [], 0
    for place, alias in enumerate(aliases):
        x = place * least + free * before // total
        before += queries[alias]
        end = (place + 1) * least + free * before // total
        shares.append(BarSegment(database=palette[alias], queries=queries[alias], x=x, width=end - x))
    return tuple(shares)
