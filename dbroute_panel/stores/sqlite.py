"""The default store: one file for all processes of a project on one machine."""

# ruff: noqa: S608 - SQL is put together from CONDITIONS, every value is a parameter

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import platformdirs
from django.conf import ENVIRONMENT_VARIABLE, settings

from dbroute_panel.conf import panel_settings
from dbroute_panel.records import Trace, dumps, loads
from dbroute_panel.stores.base import (
    EVERYTHING,
    Filter,
    InvalidStoreError,
    LastRead,
    Store,
    StoreError,
    Summary,
)
from dbroute_panel.stores.sqlite_file import StoreFile
from dbroute_panel.text import DECODE_ERRORS

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Raised with every change of the tables, or of the records that changes their JSON.
SCHEMA_VERSION: Final = 4

# n is the order of arrival, started is microseconds since 1970. Documents are in a table of
# their own, so that a list never turns their pages.
SCHEMA: Final = """
    CREATE TABLE trace (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        started INTEGER NOT NULL,
        kind TEXT NOT NULL,
        status INTEGER,
        method TEXT,
        duration REAL NOT NULL,
        queries INTEGER NOT NULL,
        search TEXT NOT NULL,
        summary BLOB NOT NULL
    );
    CREATE INDEX trace_started ON trace (started, n);
    CREATE INDEX trace_kind ON trace (kind, started);
    CREATE INDEX trace_status ON trace (status, started);
    CREATE TABLE document (
        n INTEGER PRIMARY KEY REFERENCES trace ON DELETE CASCADE,
        body BLOB NOT NULL
    );
    CREATE TABLE alias (
        name TEXT NOT NULL,
        n INTEGER NOT NULL REFERENCES trace ON DELETE CASCADE,
        PRIMARY KEY (name, n)
    ) WITHOUT ROWID;
    CREATE INDEX alias_n ON alias (n);
    CREATE TABLE finding (
        code TEXT NOT NULL,
        n INTEGER NOT NULL REFERENCES trace ON DELETE CASCADE,
        PRIMARY KEY (code, n)
    ) WITHOUT ROWID;
    CREATE INDEX finding_n ON finding (n);
    CREATE TABLE remembered (
        name TEXT PRIMARY KEY,
        body BLOB NOT NULL
    ) WITHOUT ROWID
"""

CONDITIONS: Final = {
    "path": "instr(search, :path)",
    "alias": "n IN (SELECT n FROM alias WHERE name = :alias)",
    "finding": "n IN (SELECT n FROM finding WHERE code = :finding)",
    "found": "(n IN (SELECT n FROM finding)) = :found",
    "kind": "kind = :kind",
    "status": "status = :status",
    "method": "method = :method",
    "min_us": "duration >= :min_us",
    "min_queries": "queries >= :min_queries",
}

EVICT_SQL: Final = """
    DELETE FROM trace WHERE n IN (
        SELECT n FROM trace ORDER BY n LIMIT max(0, (SELECT count(*) FROM trace) - ?)
    )
"""


class SQLiteStore(Store):
    """
    Keeps traces in a separate SQLite file, in WAL mode, readable by its owner alone.

    ``path`` is absolute, or begins with ``~``; without it the file is in the user's cache folder
    and named after the project. A folder that is missing is made, for the owner alone.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = default_path() if path is None else validate_path(path)
        self._file = StoreFile(self.path, schema=SCHEMA, version=SCHEMA_VERSION, private_folder=path is None)
        self._logged = False
        self._last = LastRead()

    def save(self, trace: Trace, *, imported: bool = False, evict: bool = True) -> None:
        summary = Summary.from_trace(trace, imported=imported)
        row = (
            trace.id,
            summary.started_us,
            trace.kind,
            summary.status,
            summary.method,
            summary.duration_us,
            summary.queries,
            summary.search,
            msgspec.json.encode(summary),
        )
        # Level 1 makes a trace 20 times smaller in a fifth of the time that writing it would take.
        body = zlib.compress(dumps(trace), 1)
        codes = {finding.code: None for finding in trace.findings}
        most = panel_settings.MAX_TRACES

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM trace WHERE id = ?", (trace.id,))
            n = connection.execute(
                "INSERT INTO trace (id, started, kind, status, method, duration, queries, search, summary) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            ).lastrowid
            connection.execute("INSERT INTO document (n, body) VALUES (?, ?)", (n, body))
            for sql, names in (
                ("INSERT INTO alias (name, n) VALUES (?, ?)", summary.aliases),
                ("INSERT INTO finding (code, n) VALUES (?, ?)", codes),
            ):
                connection.executemany(sql, [(name, n) for name in names])
            if evict:
                connection.execute(EVICT_SQL, (most,))

        self._file.run(insert, write=True)

    def evict(self) -> None:
        most = panel_settings.MAX_TRACES
        self._file.run(lambda connection: connection.execute(EVICT_SQL, (most,)), write=True)

    def get(self, trace_id: str) -> Trace | None:
        sql = "SELECT body FROM document JOIN trace USING (n) WHERE id = ?"
        rows = self._read_rows(sql, (trace_id,))
        return self._last.get(rows[0][0], lambda body: self._decode(body, decode_trace)) if rows else None

    def summary(self, trace_id: str) -> Summary | None:
        rows = self._read_rows("SELECT summary FROM trace WHERE id = ?", (trace_id,))
        return self._decode(rows[0][0], SUMMARY_DECODER.decode) if rows else None

    def summaries(self, query: Filter = EVERYTHING, *, offset: int = 0, limit: int = 100) -> list[Summary]:
        where, values = _build_where(query)
        sql = f"SELECT summary FROM trace {where} ORDER BY started DESC, n DESC LIMIT :limit OFFSET :offset"
        rows = self._read_rows(sql, values | {"limit": limit, "offset": offset})
        found = (self._decode(blob, SUMMARY_DECODER.decode) for (blob,) in rows)
        return [summary for summary in found if summary is not None]

    def count(self, query: Filter = EVERYTHING) -> int:
        where, values = _build_where(query)
        rows = self._read_rows(f"SELECT count(*) FROM trace {where}", values)
        return int(rows[0][0]) if rows else 0

    def codes(self) -> set[str]:
        return {code for (code,) in self._read_rows("SELECT DISTINCT code FROM finding", ())}

    def traces(self, query: Filter = EVERYTHING) -> Iterator[Trace]:
        # One query a trace: a cursor left open would keep the log from being checkpointed, and
        # what is added or evicted meanwhile does no harm.
        where, values = _build_where(query, "(started, n) > (:started, :last)")
        sql = f"""
            SELECT started, n, (SELECT body FROM document WHERE document.n = trace.n)
            FROM trace {where} ORDER BY started, n LIMIT 1
        """
        started, last = -(2**63), 0
        while rows := self._read_rows(sql, values | {"started": started, "last": last}):
            started, last, body = rows[0]
            if (trace := self._decode(body, decode_trace)) is not None:
                yield trace

    def delete(self, trace_ids: Iterable[str]) -> int:
        ids = [(trace_id,) for trace_id in trace_ids]
        return self._file.run(
            lambda connection: connection.executemany("DELETE FROM trace WHERE id = ?", ids).rowcount,
            write=True,
        )

    def clear(self) -> int:
        sql = "DELETE FROM trace"
        count = self._file.run(lambda connection: connection.execute(sql).rowcount, write=True)
        # Each step gives back a page, and only executescript() takes more than one.
        self._file.run(lambda connection: connection.executescript("PRAGMA incremental_vacuum"))
        return count

    def remember(self, name: str, document: bytes) -> None:
        sql = "INSERT OR REPLACE INTO remembered (name, body) VALUES (?, ?)"
        values = (name, zlib.compress(document, 1))
        self._file.run(lambda connection: connection.execute(sql, values), write=True)

    def recall(self, name: str) -> bytes | None:
        rows = self._read_rows("SELECT body FROM remembered WHERE name = ?", (name,))
        return self._decode(rows[0][0], zlib.decompress) if rows else None

    def problem(self) -> str | None:
        return self._file.problem()

    def close(self) -> None:
        self._file.close()

    def _read_rows(self, sql: str, values: Any) -> list[Any]:
        try:
            return self._file.run(lambda connection: connection.execute(sql, values).fetchall())
        except (OverflowError, UnicodeEncodeError):  # no such number or text can be in the file
            return []
        except StoreError as error:
            self._log("Kept traces cannot be read", error)
            return []

    def _decode(self, blob: bytes, decode: Callable[[bytes], T]) -> T | None:
        try:
            return decode(blob)
        except (zlib.error, *DECODE_ERRORS) as error:
            self._log("A kept trace is broken and left out", error)
            return None

    def _log(self, message: str, error: Exception) -> None:
        if not self._logged:
            self._logged = True
            logger.warning("%s: %s (%s)", message, error, self.path)


SUMMARY_DECODER: Final = msgspec.json.Decoder(Summary)


def decode_trace(body: bytes) -> Trace:
    return loads(zlib.decompress(body))


def _build_where(query: Filter, *conditions: str) -> tuple[str, dict[str, Any]]:
    given = {name: value for name, value in msgspec.structs.asdict(query).items() if value is not None}
    if "path" in given:
        given["path"] = given["path"].casefold()
    conditions += tuple(CONDITIONS[name] for name in given)
    return ("WHERE " + " AND ".join(conditions) if conditions else ""), given


def default_path() -> Path:
    """
    Return ``<user cache>/dbroute-panel/<12 hex of the project>.sqlite3``.

    The project is its settings module, by name and file; of a project without one
    (``settings.configure()``) its main program. Without a home the cache folder is relative
    (``~/.cache``): below the root it can at least not depend on the working directory.
    """
    # Under override_settings, settings.SETTINGS_MODULE is None.
    name = settings.SETTINGS_MODULE or os.environ.get(ENVIRONMENT_VARIABLE, "__main__")
    file = getattr(sys.modules.get(name), "__file__", None)
    project = hashlib.sha256(f"{name}\n{Path(file).absolute() if file else ''}".encode()).hexdigest()[:12]
    folder = platformdirs.user_cache_path("dbroute-panel", appauthor=False, opinion=False)
    return Path(os.sep, folder, f"{project}.sqlite3")


def validate_path(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` as an absolute path; raise ``InvalidStoreError`` if it cannot be used."""
    hint = "Use an absolute path of a file that nothing else uses, as BASE_DIR / 'traces.sqlite3'."
    try:
        found = Path(path).expanduser()
    except (TypeError, RuntimeError) as error:
        raise InvalidStoreError(f"The option 'path' is no path: {error}.", hint) from error
    if not found.is_absolute() or "\0" in str(found):
        raise InvalidStoreError(f"The option 'path' is {str(path)!r}, which is not absolute.", hint)
    for alias, database in settings.DATABASES.items():
        name = database.get("NAME")
        if isinstance(name, (str, os.PathLike)) and os.path.realpath(name) == os.path.realpath(found):
            raise InvalidStoreError(f"The option 'path' is the database {alias!r} itself.", hint)
    return found
