"""
Work over a private connection, in transactions.

The connection is opened when there is work, and again when the settings of its alias have changed or the
server has closed it. It is made from the settings of the alias by the backend's own wrapper, and is in no
``connections`` and in no pool. Each piece of work is a transaction, of which the server is told how long it
may take; what met a deadlock is done again.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from django.db import Error, IntegrityError, connections
from django.db.backends.utils import CursorWrapper
from django.utils.connection import ConnectionDoesNotExist

from dbroute_panel.stores.base import StoreError

T = TypeVar("T")
Work = Callable[[CursorWrapper], T]

CONNECT_TIMEOUT_SECONDS: Final = 3

#: How often work that contradicts another process's is tried again.
MAX_CONFLICTS: Final = 3
#: Clocks that are read in two threads may differ by this.
CLOCK_TOLERANCE_SECONDS: Final = 0.05

#: Error codes of deadlocks, and of waits for locks that were too long: PostgreSQL's, MySQL's, SQLite's.
TRANSIENT_CODES: Final = frozenset({"40001", "40P01", "55P03", 1020, 1205, 1213, 5, 6})
#: Error codes of a missing table: PostgreSQL's, MySQL's.
NO_TABLE_CODES: Final = frozenset({"42P01", "42S02", 1146})
#: SQLite's error code of a statement that it cannot prepare, also because of a missing table.
SQLITE_ERROR_CODES: Final = frozenset({1})

#: PostgreSQL's. A trace is worth no waiting for a disk, or for replicas that a commit is made to wait for.
POSTGRESQL_BEGIN: Final = (
    "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = {milliseconds}"
)
#: MySQL's, which has no limit for a statement that writes: what takes long is waiting for a lock.
MYSQL_LIMITS: Final = (
    "SET SESSION lock_wait_timeout = {seconds}, SESSION innodb_lock_wait_timeout = {seconds}"
)

_random = random.Random()  # noqa: S311 - how long to wait is no secret; never the user's own generator


class Unreachable(StoreError):
    """No connection can be made."""


class _PrivateWrapper:
    """
    Mixed into the class of a backend's wrapper, so that nothing of the project's notices the connection.

    It connects as Django does, but sends no ``connection_created``, whose receivers may run queries or count,
    and logs no SQL.
    """

    queries_logged = False

    def connect(self: Any) -> None:
        self.check_settings()
        self.connection = self.get_new_connection(self.get_connection_params())
        self.set_autocommit(True)
        self.init_connection_state()


def make_connection(alias: str) -> Any:
    """
    Return a wrapper for ``alias``, not yet connected: outside of its pool, and of its isolation level.

    Django's defaults for the level (READ COMMITTED) are what the store's statements are made for.
    """
    connection: Any = connections.create_connection(alias)
    kind = type(connection)
    connection.__class__ = type(kind.__name__, (_PrivateWrapper, kind), {})
    options = dict(connection.settings_dict["OPTIONS"])
    options.pop("pool", None)
    options.pop("isolation_level", None)
    if connection.vendor != "sqlite":
        options.setdefault("connect_timeout", CONNECT_TIMEOUT_SECONDS)
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}
    return connection


class Session:
    """A connection to the database ``alias``, for one thread. Making one opens nothing."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.connection: Any = None
        self.opened_for: dict[str, Any] | None = None
        self.limit_seconds = 0  # as MySQL knows it

    def run(self, work: Work[T], deadline: float) -> T:
        """
        Run ``work(cursor)`` in a transaction, which should be over at ``deadline`` (``time.monotonic()``).

        Raises:
            Unreachable: No connection can be made.
            StoreError: Anything else went wrong.
        """
        conflicts = 0
        try:
            while True:
                was_open = self._connect()
                try:
                    return self._run_in_transaction(work, deadline)
                except Error as error:
                    conflicts += isinstance(error, IntegrityError)
                    conflict = isinstance(error, IntegrityError) and conflicts <= MAX_CONFLICTS
                    # One that was open may have been closed by the server meanwhile: try a new one.
                    again = was_open or conflict or has_code(error, TRANSIENT_CODES)
                    if not again or is_over(deadline):
                        raise
                    self.close()
                    time.sleep(_random.uniform(0.001, 0.02 * 2**conflicts))
        except StoreError:
            raise
        except Exception as error:
            text = self._explain(error)
            self.close()
            raise StoreError(text) from error

    def _run_in_transaction(self, work: Work[T], deadline: float) -> T:
        with self.connection.cursor() as cursor:
            self._begin(cursor, deadline)
            result = work(cursor)
            cursor.execute("COMMIT")
        return result

    def _begin(self, cursor: CursorWrapper, deadline: float) -> None:
        """Begin, and tell the server when to end what waits for a lock: it does not notice who gave up."""
        rest = max(deadline - time.monotonic(), CLOCK_TOLERANCE_SECONDS)
        if self.connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_BEGIN.format(milliseconds=math.ceil(rest * 1000)))
            return
        if self.connection.vendor == "mysql" and (limit := math.ceil(rest)) != self.limit_seconds:
            cursor.execute(MYSQL_LIMITS.format(seconds=limit))
            self.limit_seconds = limit
        cursor.execute("BEGIN")

    def _connect(self) -> bool:
        """Connect, unless it is connected; return whether it was."""
        try:
            if (given := connections.settings.get(self.alias)) is None:
                raise ConnectionDoesNotExist("it is no longer in DATABASES")
            if self.connection is not None and self.opened_for == given:
                return True
            self.close()
            self.connection = make_connection(self.alias)
            self.opened_for = dict(given)
            self.limit_seconds = 0
            self.connection.ensure_connection()
        except Exception as error:
            self.close()
            text = f"The database {self.alias!r} cannot be reached: {to_one_line(error)}."
            raise Unreachable(text) from error
        return False

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            with suppress(Exception):  # it may be broken: then there is nothing left to close
                connection.close()

    def _explain(self, error: Exception) -> str:
        if not self._lacks_tables(error):
            return f"The database {self.alias!r} cannot be used: {to_one_line(error)}."
        from dbroute_panel.stores.database.apps import StoreConfig

        command = f"manage.py migrate --database={self.alias} {StoreConfig.label}"
        return f"The database {self.alias!r} has no tables for traces. Make them with {command!r}."

    def _lacks_tables(self, error: Exception) -> bool:
        """Return whether a table was missing, by the code of the error, and it is the store's own that is."""
        codes = SQLITE_ERROR_CODES if self.connection.vendor == "sqlite" else NO_TABLE_CODES
        if not has_code(error, codes):
            return False
        from dbroute_panel.stores.database.models import Part

        with suppress(Exception), self.connection.cursor() as cursor:
            cursor.execute("ROLLBACK")  # PostgreSQL answers nothing more in a transaction that has failed
            return Part._meta.db_table not in self.connection.introspection.table_names(cursor)
        return False


def is_over(deadline: float) -> bool:
    """Return whether it is ``deadline``, as far as clocks can tell."""
    return time.monotonic() >= deadline - CLOCK_TOLERANCE_SECONDS


def has_code(error: BaseException, codes: frozenset[object]) -> bool:
    """Return whether the driver's error behind Django's has one of these codes."""
    cause = error.__cause__
    found = {getattr(cause, name, None) for name in ("sqlstate", "pgcode")}
    found.add(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
    found.update(code for code in getattr(cause, "args", ())[:1] if isinstance(code, int))
    return not codes.isdisjoint(found)


def to_one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
