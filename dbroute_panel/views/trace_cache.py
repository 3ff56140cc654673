"""
The trace that was looked at last, and which of its events were listed.

Whoever looks at a trace looks at its next page, or opens a row: then nothing is gone through again.
"""

from __future__ import annotations

from functools import cached_property

from dbroute_panel import environment
from dbroute_panel.presentation import (
    Decided,
    Index,
    Listing,
    Timeline,
    Totals,
    Wanted,
    decided_in,
    timeline_of,
    totals_of,
)
from dbroute_panel.records import Trace

LISTINGS = 8
"""So many filters of it are remembered."""


class LookedAt:
    """A trace's index, and its listings by what was wanted."""

    def __init__(self, trace: Trace) -> None:
        self.index = Index(trace, environment.databases())
        self._listings: dict[Wanted, Listing] = {}

    @cached_property
    def totals(self) -> Totals:
        return totals_of(self.index.trace, self.index.palette)

    @cached_property
    def decided(self) -> tuple[Decided, ...]:
        return decided_in(self.index)

    @cached_property
    def timeline(self) -> Timeline:
        return timeline_of(self.index.trace, self.index.palette)

    def listing(self, wanted: Wanted) -> Listing:
        found = self._listings.get(wanted)
        if found is None:
            if len(self._listings) >= LISTINGS:
                self._listings = {}
            found = self._listings[wanted] = Listing(self.index, wanted)
        return found


_last: LookedAt | None = None


def looked_at(trace: Trace) -> LookedAt:
    """What is known of this very object, which a store gives out again while it has it."""
    global _last
    last = _last
    if last is None or last.index.trace is not trace:
        last = _last = LookedAt(trace)
    return last
