"""
Keep in the store what each session wrote on a primary within the last seconds.

Processes that share a store share this: those of one machine with ``SQLiteStore``, those of several with
``DatabaseStore``. Two that write at the same moment may lose a note: a finding is missed, none is false.
"""

from __future__ import annotations

import logging
import time
from typing import Final

import msgspec

from dbroute_panel.conf import replicas
from dbroute_panel.findings import Facts
from dbroute_panel.findings.facts import is_housekeeping
from dbroute_panel.masking.credentials import log_exception
from dbroute_panel.records import SessionWrite, Trace
from dbroute_panel.sql import ROWS, tables_written
from dbroute_panel.stores import get_store

logger = logging.getLogger("dbroute_panel")

NAME: Final = "session-writes"
MAX_AGE_SECONDS: Final = 15.0
"""How long a write counts: as long as routers commonly pin a session to the primary after it."""
MAX_SESSIONS: Final = 200
MAX_TABLES: Final = 50


class Written(msgspec.Struct, frozen=True):
    """A table that a session wrote; ``at``: when its request ended, in seconds since 1970."""

    trace: str
    alias: str
    table: str
    at: float


_Kept = dict[str, list[Written]]


def recall(session: str, moment: float) -> tuple[SessionWrite, ...]:
    """Return what ``session`` wrote in requests that ended shortly before ``moment``. Never raises."""
    try:
        kept = _load().get(session, [])
    except Exception as error:  # noqa: BLE001 - the user's response is more important than a finding
        _complain(error)
        return ()
    return tuple(
        SessionWrite(
            trace=one.trace, alias=one.alias, table=one.table, age_us=int((moment - one.at) * 1_000_000)
        )
        for one in kept
        if 0 <= moment - one.at <= MAX_AGE_SECONDS
    )


def note(session: str, trace: Trace) -> None:
    """Remember which tables of primaries with replicas ``trace`` wrote. Never raises."""
    try:
        written = _written(trace)
        if not written:
            return
        now = time.time()
        kept = {
            known: young
            for known, writes in _load().items()
            if (young := [one for one in writes if 0 <= now - one.at <= MAX_AGE_SECONDS])
        }
        new = [Written(trace.id, alias, table, now) for alias, table in written]
        kept[session] = [*new, *kept.pop(session, [])][:MAX_TABLES]  # the last one that wrote comes last
        while len(kept) > MAX_SESSIONS:
            del kept[next(iter(kept))]
        get_store().remember(NAME, msgspec.json.encode(kept))
    except Exception as error:  # noqa: BLE001 - as above
        _complain(error)


def _written(trace: Trace) -> list[tuple[str, str]]:
    """Return (alias, table) of each change that was not undone, without Django's own bookkeeping."""
    facts, primaries = Facts(trace), set(replicas().values())
    return list(
        dict.fromkeys(
            (query.alias, table)
            for query in facts.changes
            if query.alias in primaries
            and query.operation in ROWS
            and query.id not in facts.undone
            and not is_housekeeping(query)
            for table in tables_written(query.sql)
        )
    )


def _load() -> _Kept:
    document = get_store().recall(NAME)
    return {} if document is None else msgspec.json.decode(document, type=_Kept)


_complaints: set[str] = set()


def _complain(error: Exception) -> None:
    name = type(error).__name__
    if name not in _complaints:
        _complaints.add(name)
        log_exception(logger, logging.WARNING, "dbroute_panel could not follow a session: %s", error)
