"""How do the queries of a trace divide over its databases? A bar of constant width for a line of a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from .palette import Palette, Swatch

WIDTH: Final = 200
LEAST: Final = 4
"""So wide is a database with one query of thousands: it can be seen, and pointed at."""


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """One database: how many of the queries ran there, and its part of the bar."""

    database: Swatch
    queries: int
    x: int
    width: int


def shares_of(queries: Mapping[str, int], palette: Palette) -> tuple[Used, ...]:
    """``queries`` by alias, in order of ``DATABASES``; their parts fill the bar, whatever the counts."""
    aliases = palette.order({alias for alias, count in queries.items() if count})
    if not aliases:
        return ()
    least = min(LEAST, WIDTH // len(aliases))
    free = WIDTH - least * len(aliases)
    total = sum(queries[alias] for alias in aliases)
    shares, before = [], 0
    for place, alias in enumerate(aliases):
        x = place * least + free * before // total
        before += queries[alias]
        end = (place + 1) * least + free * before // total
        shares.append(Used(database=palette[alias], queries=queries[alias], x=x, width=end - x))
    return tuple(shares)
