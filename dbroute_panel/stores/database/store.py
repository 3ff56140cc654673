"""A store in one of ``DATABASES``, for all machines of a project."""

# ruff: noqa: S608 - SQL is put together from what is written here, every value is a parameter

from __future__ import annotations

import hashlib
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
from dbroute_panel.stores.database.alias import validate_alias, vendor_of
from dbroute_panel.stores.database.connection import StoreConnection
from dbroute_panel.text import DECODE_ERRORS

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: The size of a piece of a document. MySQL takes no statement larger than max_allowed_packet, once 1 MB by
#: default, and what is not text may double when it is escaped.
PART_BYTES: Final = 256 * 1024
#: The number of rows, or of parameters, of one statement.
MAX_ROWS: Final = 200
#: How long a reader waits for a list; a request waits less for its trace to be saved.
READ_TIMEOUT_SECONDS: Final = 30.0

UNREADABLE: Final = "Kept traces cannot be read"

#: By vendor: finds a text in ``search``. Both are bytes, so that no collation matters.
CONTAINS: Final = {
    "postgresql": "position(%s::bytea in search) > 0",
    "mysql": "locate(%s, search) > 0",
    "sqlite": "instr(search, %s) > 0",
}

# The second pair of brackets is MySQL's: it refuses to read from the table that it deletes from.
EVICT_SQL: Final = """
    DELETE FROM dbroute_panel_store_trace WHERE n <= (
        SELECT n FROM (SELECT n FROM dbroute_panel_store_trace ORDER BY n DESC LIMIT 1 OFFSET %s) AS oldest
    )
"""


class DatabaseStore(Store):
    """
    Keeps traces in the database ``alias``, a key of ``DATABASES``, in the tables of the app beside it.

    Every statement is sent to that alias, over connections that belong to the store
    (``connection.py``); no router is asked. Raises ``InvalidStoreError`` if it cannot be there.
    """

    def __init__(self, alias: str | None = None) -> None:
        self.alias = validate_alias(alias)
        self._vendor = vendor_of(self.alias)
        # Two, so that no request waits behind a list that takes long.
        self._writer = StoreConnection(self.alias)
        self._reader = StoreConnection(self.alias)
        self._logged: set[str] = set()
        self._last = LastRead()

    def save(self, trace: Trace, *, imported: bool = False, evict: bool = True) -> None:
        summary = Summary.from_trace(trace, imported=imported)
        trace_key = hash_key(trace.id)
        row = (
            trace_key,
            summary.started_us,
            summary.duration_us,
            summary.queries,
            encode_text(summary.search),
            zlib.compress(msgspec.json.encode(summary), 1),
        )
        # Level 1 makes a trace 20 times smaller in a fifth of the time that sending it would take.
        body = zlib.compress(dumps(trace), 1)
        parts = [body[start : start + PART_BYTES] for start in range(0, len(body), PART_BYTES)]
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
            for some in split_rows(sorted(marks)):
                cursor.execute(
                    "INSERT INTO dbroute_panel_store_mark (trace_id, kind, mark_key, name) VALUES "
                    + ", ".join(["(%s, %s, %s, %s)"] * len(some)),
                    [value for kind, name in some for value in (n, kind, hash_key(name), encode_text(name))],
                )

        # After the commit, so that of several processes the last sees the traces of all. Whatever is in
        # its way, the trace is saved: what should go goes with the next.
        self._writer.run(insert, then=make_eviction() if evict else None)

    def evict(self) -> None:
        self._writer.run(make_eviction(), seconds=READ_TIMEOUT_SECONDS)

    def get(self, trace_id: str) -> Trace | None:
        body = self._read_body(
            "JOIN dbroute_panel_store_trace t ON t.n = p.trace_id WHERE t.trace_key = %s", hash_key(trace_id)
        )
        return self._last.get(body, lambda body: self._decode([body], loads)) if body else None

    def summary(self, trace_id: str) -> Summary | None:
        rows = self._read_rows(
            "SELECT summary FROM dbroute_panel_store_trace WHERE trace_key = %s", [hash_key(trace_id)]
        )
        return self._decode([rows[0][0]], SUMMARY_DECODER.decode) if rows else None

    def summaries(self, query: Filter = EVERYTHING, *, offset: int = 0, limit: int = 100) -> list[Summary]:
        selected, values = build_where(query, self._vendor)
        rows = self._read_rows(
            f"SELECT summary FROM dbroute_panel_store_trace {selected} "
            "ORDER BY started DESC, n DESC LIMIT %s OFFSET %s",
            [*values, limit, offset],
        )
        found = (self._decode([blob], SUMMARY_DECODER.decode) for (blob,) in rows)
        return [summary for summary in found if summary is not None]

    def count(self, query: Filter = EVERYTHING) -> int:
        selected, values = build_where(query, self._vendor)
        rows = self._read_rows(f"SELECT count(*) FROM dbroute_panel_store_trace {selected}", values)
        return int(rows[0][0]) if rows else 0

    def codes(self) -> set[str]:
        rows = self._read_rows(
            "SELECT DISTINCT name FROM dbroute_panel_store_mark WHERE kind = 'finding'", []
        )
        return {bytes(name).decode("utf-8", "surrogatepass") for (name,) in rows}

    def traces(self, query: Filter = EVERYTHING) -> Iterator[Trace]:
        # The keys of a page, then one document at a time: what is deleted meanwhile does not come.
        selected, values = build_where(query, self._vendor, "started >= %s AND (started > %s OR n > %s)")
        ordered = f"{selected} ORDER BY started, n LIMIT {MAX_ROWS}"
        sql = f"SELECT started, n FROM dbroute_panel_store_trace {ordered}"
        started, n = -(2**63), 0
        while rows := self._read_rows(sql, [started, started, n, *values]):
            for started, n in rows:  # noqa: B007 - the next page begins after the last of this one
                body = self._read_body("WHERE p.trace_id = %s", n)
                if body and (trace := self._decode([body], loads)) is not None:
                    yield trace

    def delete(self, trace_ids: Iterable[str]) -> int:
        keys = [hash_key(trace_id) for trace_id in trace_ids]

        def delete(cursor: CursorWrapper) -> int:
            count = 0
            for some in split_rows(keys):
                marks = ", ".join(["%s"] * len(some))
                cursor.execute(f"DELETE FROM dbroute_panel_store_trace WHERE trace_key IN ({marks})", some)
                count += cursor.rowcount
            return count

        return self._reader.run(delete, seconds=READ_TIMEOUT_SECONDS)

    def clear(self) -> int:
        def clear(cursor: CursorWrapper) -> int:
            cursor.execute("DELETE FROM dbroute_panel_store_trace")
            count: int = cursor.rowcount
            return count

        return self._reader.run(clear, seconds=READ_TIMEOUT_SECONDS)

    def remember(self, name: str, document: bytes) -> None:
        body = zlib.compress(document, 1)

        def replace(cursor: CursorWrapper) -> None:
            cursor.execute("DELETE FROM dbroute_panel_store_remembered WHERE name_key = %s", [hash_key(name)])
            cursor.execute(
                "INSERT INTO dbroute_panel_store_remembered (name_key, body) VALUES (%s, %s)",
                [hash_key(name), body],
            )

        self._writer.run(replace)

    def recall(self, name: str) -> bytes | None:
        sql = "SELECT body FROM dbroute_panel_store_remembered WHERE name_key = %s"
        rows = self._read_rows(sql, [hash_key(name)])
        return self._decode([rows[0][0]], bytes) if rows else None

    def problem(self) -> str | None:
        sql = "DELETE FROM dbroute_panel_store_trace WHERE n = 0"  # no row, but it needs the right to delete
        try:
            self._writer.run(lambda cursor: cursor.execute(sql))
        except StoreError as error:
            return str(error)
        return None

    def close(self) -> None:
        self._writer.close()
        self._reader.close()

    def _read_body(self, which: str, value: Any) -> bytes:
        """Return the document as it is kept; empty where there is none."""
        rows = self._read_rows(
            f"SELECT p.body FROM dbroute_panel_store_part p {which} ORDER BY p.number", [value]
        )
        return b"".join(body for (body,) in rows)

    def _read_rows(self, sql: str, values: Sequence[Any]) -> list[Any]:
        def read(cursor: CursorWrapper) -> list[Any]:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

        try:
            rows = self._reader.run(read, seconds=READ_TIMEOUT_SECONDS)
        except StoreError as error:
            self._log(UNREADABLE, error)
            return []
        self._logged.discard(UNREADABLE)  # it can be read again: the next time it cannot is news
        return rows

    def _decode(self, blobs: list[Any], decode: Callable[[bytes], T]) -> T | None:
        try:
            return decode(zlib.decompress(b"".join(blobs)))
        except (zlib.error, *DECODE_ERRORS) as error:
            self._log("A kept trace is broken and left out", error)
            return None

    def _log(self, message: str, error: Exception) -> None:
        if message not in self._logged:
            self._logged.add(message)
            logger.warning("%s: %s", message, error)


SUMMARY_DECODER: Final = msgspec.json.Decoder(Summary)


def make_eviction() -> Callable[[CursorWrapper], object]:
    """Return the work that lets the oldest traces go, beyond as many as are kept now."""
    most = panel_settings.MAX_TRACES
    return lambda cursor: cursor.execute(EVICT_SQL, [most])


def split_rows(rows: list[T]) -> Iterator[list[T]]:
    """Yield ``rows``, as many at a time as one statement has."""
    for start in range(0, len(rows), MAX_ROWS):
        yield rows[start : start + MAX_ROWS]


def build_where(query: Filter, vendor: str, *conditions: str) -> tuple[str, list[Any]]:
    """Return the WHERE of ``query`` and of ``conditions``, and the values of the former, in order."""
    found = list(conditions)
    values: list[Any] = []
    if query.path is not None:
        found.append(CONTAINS[vendor])
        values.append(encode_text(query.path.casefold()))
    for column, least in (("duration", query.min_us), ("queries", query.min_queries)):
        if least is not None:
            found.append(f"{column} >= %s")
            values.append(least)
    for kind in ("alias", "finding", "kind", "status", "method"):
        if (wanted := getattr(query, kind)) is not None:
            found.append(
                "n IN (SELECT trace_id FROM dbroute_panel_store_mark WHERE kind = %s AND mark_key = %s)"
            )
            values += (kind, hash_key(str(wanted)))
    if query.found is not None:
        found.append(
            f"n {'IN' if query.found else 'NOT IN'} "
            "(SELECT trace_id FROM dbroute_panel_store_mark WHERE kind = 'finding')"
        )
    return ("WHERE " + " AND ".join(found) if found else ""), values


def encode_text(text: str) -> bytes:
    """Encode any string, half a surrogate pair too."""
    return text.encode("utf-8", "surrogatepass")


def hash_key(text: str) -> str:
    """Return ``text`` as 32 hexadecimal digits, which are the same in every collation."""
    return hashlib.sha256(encode_text(text)).hexdigest()[:32]
