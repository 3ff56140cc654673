"""A store in one of ``DATABASES``, for all machines of a project."""

# ruff: noqa: S608 - SQL is put together from what is written here, every value is a parameter

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec
from django.db.backends.utils import CursorWrapper

from dbroute_panel.conf import panel_settings
from dbroute_panel.records import Trace, dumps, loads
from dbroute_panel.stores.base import (
    EVERYTHING,
    Filter,
    LastRead,
    Store,
    StoreError,
    Summary,
)
from dbroute_panel.stores.database.alias import usable_alias, vendor
from dbroute_panel.stores.database.connection import OwnConnection
from dbroute_panel.stores.database.selection import as_bytes, key, where
from dbroute_panel.text import DECODE_ERRORS

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Of a document, in bytes. MySQL takes no statement larger than max_allowed_packet, once 1 MB by default,
#: and what is not text may double when it is escaped.
PART: Final = 256 * 1024
#: How many rows, or parameters, one statement has at most.
ROWS: Final = 200
#: How long somebody waits for a list, in seconds; a request waits less for its trace to be saved.
READ_SECONDS: Final = 30.0

UNREADABLE: Final = "Kept traces cannot be read"

# The second pair of brackets is MySQL's: it refuses to read from the table that it deletes from.
EVICT: Final = """
    DELETE FROM dbroute_panel_store_trace WHERE n <= (
        SELECT n FROM (SELECT n FROM dbroute_panel_store_trace ORDER BY n DESC LIMIT 1 OFFSET %s) AS oldest
    )
"""


class DatabaseStore(Store):
    """
    Keeps traces in the database ``alias``, a key of ``DATABASES``, in the tables of an app of its own.

    Every statement is sent to that alias, over connections that belong to the store
    (``connection.py``); no router is asked. Raises ``InvalidStoreError`` if it cannot be there.
    """

    def __init__(self, alias: str | None = None) -> None:
        self.alias = usable_alias(alias)
        self._vendor = vendor(self.alias)
        # Two, so that no request waits behind a list that takes long.
        self._own = OwnConnection(self.alias)
        self._pages = OwnConnection(self.alias)
        self._logged: set[str] = set()
        self._last = LastRead()

    def save(self, trace: Trace, *, imported: bool = False, evict: bool = True) -> None:
        summary = Summary.of(trace, imported=imported)
        trace_key = key(trace.id)
        row = (
            trace_key,
            summary.started_us,
            summary.duration_us,
            summary.queries,
            as_bytes(summary.search),
            zlib.compress(msgspec.json.encode(summary), 1),
        )
        # Level 1 makes a trace 20 times smaller in a fifth of the time that sending it would take.
        body = zlib.compress(dumps(trace), 1)
        parts = [body[start : start + PART] for start in range(0, len(body), PART)]
        marks = {
            *(("alias", alias) for alias in summary.aliases),
            *(("finding", finding.code) for finding in trace.findings),
            ("kind", trace.kind),
            *(("status", str(status)) for status in (summary.status,) if status is not None),
            *(("method", method) for method in (summary.method,) if method is not None),
        }

        def insert(cursor: CursorWrapper) -> None:
            cursor.execute("DELETE FROM dbroute_panel_store_trace WHERE trace_key = %s", [trace_key])
            cursor.execute(
                "INSERT INTO dbroute_panel_store_trace "
                "(trace_key, started, duration, queries, search, summary) "
                "VALUES (%s, %s, %s, %s, %s, %s)",
                row,
            )
            cursor.execute("SELECT n FROM dbroute_panel_store_trace WHERE trace_key = %s", [trace_key])
            (n,) = cursor.fetchone()
            for number, part in enumerate(parts):
                cursor.execute(
                    "INSERT INTO dbroute_panel_store_part (trace_id, number, body) VALUES (%s, %s, %s)",
                    (n, number, part),
                )
            for some in pieces(sorted(marks)):
                cursor.execute(
                    "INSERT INTO dbroute_panel_store_mark (trace_id, kind, mark_key, name) VALUES "
                    + ", ".join(["(%s, %s, %s, %s)"] * len(some)),
                    [value for kind, name in some for value in (n, kind, key(name), as_bytes(name))],
                )

        # After the commit, so that of several processes the last sees the traces of all. Whatever is in
        # its way, the trace is saved: what should go goes with the next.
        self._own.run(insert, then=evicting() if evict else None)

    def evict(self) -> None:
        self._own.run(evicting(), seconds=READ_SECONDS)

    def get(self, trace_id: str) -> Trace | None:
        body = self._body(
            "JOIN dbroute_panel_store_trace t ON t.n = p.trace_id WHERE t.trace_key = %s", key(trace_id)
        )
        return self._last.get(body, lambda body: self._decoded([body], loads)) if body else None

    def summary(self, trace_id: str) -> Summary | None:
        rows = self._rows(
            "SELECT summary FROM dbroute_panel_store_trace WHERE trace_key = %s", [key(trace_id)]
        )
        return self._decoded([rows[0][0]], SUMMARY.decode) if rows else None

    def summaries(self, query: Filter = EVERYTHING, *, offset: int = 0, limit: int = 100) -> list[Summary]:
        selected, values = where(query, self._vendor)
        rows = self._rows(
            f"SELECT summary FROM dbroute_panel_store_trace {selected} "
            "ORDER BY started DESC, n DESC LIMIT %s OFFSET %s",
            [*values, limit, offset],
        )
        found = (self._decoded([blob], SUMMARY.decode) for (blob,) in rows)
        return [summary for summary in found if summary is not None]

    def count(self, query: Filter = EVERYTHING) -> int:
        selected, values = where(query, self._vendor)
        rows = self._rows(f"SELECT count(*) FROM dbroute_panel_store_trace {selected}", values)
        return int(rows[0][0]) if rows else 0

    def codes(self) -> set[str]:
        rows = self._rows("SELECT DISTINCT name FROM dbroute_panel_store_mark WHERE kind = 'finding'", [])
        return {bytes(name).decode("utf-8", "surrogatepass") for (name,) in rows}

    def traces(self, query: Filter = EVERYTHING) -> Iterator[Trace]:
        # The keys of a page, then one document at a time: what is deleted meanwhile does not come.
        selected, values = where(query, self._vendor, "started >= %s AND (started > %s OR n > %s)")
        sql = f"SELECT started, n FROM dbroute_panel_store_trace {selected} ORDER BY started, n LIMIT {ROWS}"
        started, n = -(2**63), 0
        while rows := self._rows(sql, [started, started, n, *values]):
            for started, n in rows:  # noqa: B007 - the next page begins after the last of this one
                body = self._body("WHERE p.trace_id = %s", n)
                if body and (trace := self._decoded([body], loads)) is not None:
                    yield trace

    def delete(self, trace_ids: Iterable[str]) -> int:
        keys = [key(trace_id) for trace_id in trace_ids]

        def delete(cursor: CursorWrapper) -> int:
            count = 0
            for some in pieces(keys):
                marks = ", ".join(["%s"] * len(some))
                cursor.execute(f"DELETE FROM dbroute_panel_store_trace WHERE trace_key IN ({marks})", some)
                count += cursor.rowcount
            return count

        return self._pages.run(delete, seconds=READ_SECONDS)

    def clear(self) -> int:
        def clear(cursor: CursorWrapper) -> int:
            cursor.execute("DELETE FROM dbroute_panel_store_trace")
            count: int = cursor.rowcount
            return count

        return self._pages.run(clear, seconds=READ_SECONDS)

    def remember(self, name: str, document: bytes) -> None:
        body = zlib.compress(document, 1)

        def replace(cursor: CursorWrapper) -> None:
            cursor.execute("DELETE FROM dbroute_panel_store_remembered WHERE name_key = %s", [key(name)])
            cursor.execute(
                "INSERT INTO dbroute_panel_store_remembered (name_key, body) VALUES (%s, %s)",
                [key(name), body],
            )

        self._own.run(replace)

    def recall(self, name: str) -> bytes | None:
        rows = self._rows("SELECT body FROM dbroute_panel_store_remembered WHERE name_key = %s", [key(name)])
        return self._decoded([rows[0][0]], bytes) if rows else None

    def problem(self) -> str | None:
        # It deletes nothing, but only somebody who may write is allowed to.
        try:
            self._own.run(lambda cursor: cursor.execute("DELETE FROM dbroute_panel_store_trace WHERE n = 0"))
        except StoreError as error:
            return str(error)
        return None

    def close(self) -> None:
        self._own.close()
        self._pages.close()

    def _body(self, which: str, value: Any) -> bytes:
        """The document as it is kept; empty where there is none."""
        rows = self._rows(f"SELECT p.body FROM dbroute_panel_store_part p {which} ORDER BY p.number", [value])
        return b"".join(body for (body,) in rows)

    def _rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        def read(cursor: CursorWrapper) -> list[Any]:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

        try:
            rows = self._pages.run(read, seconds=READ_SECONDS)
        except StoreError as error:
            self._log(UNREADABLE, error)
            return []
        self._logged.discard(UNREADABLE)  # it can be read again: the next time it cannot is news
        return rows

    def _decoded(self, blobs: list[Any], decode: Callable[[bytes], T]) -> T | None:
        try:
            return decode(zlib.decompress(b"".join(blobs)))
        except (zlib.error, *DECODE_ERRORS) as error:
            self._log("A kept trace is broken and left out", error)
            return None

    def _log(self, message: str, error: Exception) -> None:
        if message not in self._logged:
            self._logged.add(message)
            logger.warning("%s: %s", message, error)


SUMMARY: Final = msgspec.json.Decoder(Summary)


def evicting() -> Callable[[CursorWrapper], object]:
    """Lets the oldest traces go, beyond as many as are kept now."""
    most = panel_settings.MAX_TRACES
    return lambda cursor: cursor.execute(EVICT, [most])


def pieces(rows: list[T]) -> Iterator[list[T]]:
    """``rows``, as many at a time as one statement has."""
    for start in range(0, len(rows), ROWS):
        yield rows[start : start + ROWS]
