"""
Open the store, and find traces in it.

A store that cannot be read never raises, because a page would break: it logs, and has no traces. A command
reports the first logged message and fails.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dbroute_panel.cli.subcommand import CheckFailed, UsageError
from dbroute_panel.records import Trace
from dbroute_panel.stores import Filter, Store, Summary, get_store
from dbroute_panel.stores.base import EVERYTHING

PAGE_SIZE: Final = 1000
"""Number of summaries that are in memory at once."""

MIN_ID_DIGITS: Final = 4
"""Minimum number of digits that name a trace, if no other id begins with them."""

LOGGER: Final = logging.getLogger("dbroute_panel.stores")


class ComplaintHandler(logging.Handler):
    """Collects what the stores log, which would otherwise be on ``stderr`` with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def collect_complaints() -> Iterator[list[str]]:
    """Yield a list to which the messages of the stores are appended inside the block."""
    heard = ComplaintHandler()
    propagate, LOGGER.propagate = LOGGER.propagate, False
    LOGGER.addHandler(heard)
    try:
        yield heard.messages
    finally:
        LOGGER.removeHandler(heard)
        LOGGER.propagate = propagate


@contextmanager
def open_store() -> Iterator[Store]:
    """Yield the configured store. Raises ``CheckFailed`` before or after the block if it cannot be read."""
    with collect_complaints() as heard:
        store = get_store()
        store.count()
        raise_complaint(heard)
        yield store
        raise_complaint(heard)


def raise_complaint(heard: list[str]) -> None:
    if heard:
        raise CheckFailed(heard[0])


def iterate_summaries(store: Store, query: Filter = EVERYTHING) -> Iterator[Summary]:
    """Yield the summaries that ``query`` selects, newest first."""
    offset = 0
    while page := store.summaries(query, offset=offset, limit=PAGE_SIZE):
        yield from page
        offset += len(page)


def find_trace(store: Store, trace_id: str) -> Trace:
    """Return the trace with this id, or the only one whose id begins with it. Raises ``UsageError``."""
    trace_id = trace_id.strip().lower()
    if (trace := store.get(trace_id)) is not None:
        return trace
    similar = [summary.id for summary in iterate_summaries(store) if summary.id.startswith(trace_id)]
    if len(trace_id) >= MIN_ID_DIGITS and len(similar) == 1 and (trace := store.get(similar[0])) is not None:
        return trace
    if len(trace_id) >= MIN_ID_DIGITS and similar:
        raise UsageError(
            _("%(count)d traces begin with %(id)r: %(ids)s.")
            % {"count": len(similar), "id": trace_id, "ids": ", ".join(similar[:5])}
        )
    raise UsageError(_("No trace %(id)r. %(hint)s") % {"id": trace_id, "hint": describe_store(store)})


def describe_store(store: Store) -> str:
    count = store.count()
    if not count:
        return _("There are no traces yet: record one with 'manage.py dbroute run -- check'.")
    return ngettext(
        "'manage.py dbroute traces' shows the one that is there.",
        "'manage.py dbroute traces' lists the %(count)d that are there.",
        count,
    ) % {"count": count}
