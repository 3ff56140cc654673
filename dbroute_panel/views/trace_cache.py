"""
The trace that was looked at last, and which of its events were listed.

Whoever looks at a trace looks at its next page, or opens a row: then nothing is gone through again.
"""

from __future__ import annotations

from functools import cached_property

from dbroute_panel import environment
from dbroute_panel.presentation import (
    DeciderCount,
    EventFilter,
    Index,
    Listing,
    Timeline,
    Totals,
    build_timeline,
    compute_totals,
    count_deciders,
)
from dbroute_panel.records import Trace

MAX_LISTINGS = 8
"""So many filters of it are remembered."""


class ViewedTrace:
    """A trace's index, and its listings by what was wanted."""

    def __init__(self, trace: Trace) -> None:
        self.index = Index(trace, environment.databases())
        self._listings: dict[EventFilter, Listing] = {}

    @cached_property
    def totals(self) -> Totals:
        return compute_totals(self.index.trace, self.index.palette)

    @cached_property
    def decided(self) -> tuple[DeciderCount, ...]:
        return count_deciders(self.index)

    @cached_property
    def timeline(self) -> Timeline:
        return build_timeline(self.index.trace, self.index.palette)

    def listing(self, wanted: EventFilter) -> Listing:
        found = self._listings.get(wanted)
        if found is None:
            if len(self._listings) >= MAX_LISTINGS:
                self._listings = {}
            found = self._listings[wanted] = Listing(self.index, wanted)
        return found


_last: ViewedTrace | None = None


def get_viewed_trace(trace: Trace) -> ViewedTrace:
    """What is known of this very object, which a store gives out again while it has it."""
    global _last
    last = _last
    if last is None or last.index.trace is not trace:
        last = _last = ViewedTrace(trace)
    return last
