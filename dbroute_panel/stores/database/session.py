"""
How is work done over a connection that is nobody's but the store's?

It is opened when there is work, and again when the settings of its alias have changed or the server has
closed it. Each piece of work is a transaction, of which the server is told how long it may take; what met a
deadlock is done again.
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
from dbroute_panel.stores.database.wrapper import GENERAL, NO_TABLE, TRANSIENT, is_one_of, made

T = TypeVar("T")
Work = Callable[[CursorWrapper], T]

#: How often something is tried again that contradicts another process's.
CONFLICTS: Final = 3
#: Clocks that are read in two threads may differ by so much.
TOLERANCE: Final = 0.05

#: PostgreSQL's. A trace is worth no waiting for a disk, or for replicas that a commit is made to wait for.
BEGIN: Final = "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = {milliseconds}"
#: MySQL's, which has no limit for a statement that writes: what takes long is waiting for a lock.
LIMIT: Final = "SET SESSION lock_wait_timeout = {seconds}, SESSION innodb_lock_wait_timeout = {seconds}"

_random = random.Random()  # noqa: S311 - how long to wait is no secret; never the user's own generator


class Unreachable(StoreError):
    """There is no connection to be had."""


class Session:
    """
    A connection to the database ``alias``, for one thread; another may hang up on it.

    Making one opens nothing.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.connection: Any = None
        self.opened_for: dict[str, Any] | None = None
        self.limit = 0  # in seconds, as MySQL knows it
        self.hung_up = False

    def hang_up(self) -> None:
        """Whoever waits for the server has an error at once, and nothing is done over it any more."""
        self.hung_up = True
        if (connection := self.connection) is not None:
            connection.hang_up()

    def run(self, work: Work[T], until: float) -> T:
        """
        ``work(cursor)`` in a transaction, which should be over at ``until`` (``time.monotonic()``).

        Raises ``Unreachable`` if there is no connection to be had, else ``StoreError``.
        """
        conflicts = 0
        try:
            while True:
                was_open = self._connect()
                try:
                    return self._in_transaction(work, until)
                except Error as error:
                    conflicts += isinstance(error, IntegrityError)
                    conflict = isinstance(error, IntegrityError) and conflicts <= CONFLICTS
                    # One that was open may have been closed by the server meanwhile: try a new one.
                    again = was_open or conflict or is_one_of(error, TRANSIENT)
                    if not again or self.hung_up or is_over(until):
                        raise
                    self.close()
                    time.sleep(_random.uniform(0.001, 0.02))
        except StoreError:
            raise
        except Exception as error:
            text = self._in_words(error)
            self.close()
            raise StoreError(text) from error

    def _in_transaction(self, work: Work[T], until: float) -> T:
        with self.connection.cursor() as cursor:
            self._begin(cursor, until)
            result = work(cursor)
            cursor.execute("COMMIT")
        return result

    def _begin(self, cursor: CursorWrapper, until: float) -> None:
        """Whoever waits will hang up, which a server that waits for a lock does not notice."""
        rest = max(until - time.monotonic(), TOLERANCE)
        if self.connection.vendor == "postgresql":
            cursor.execute(BEGIN.format(milliseconds=math.ceil(rest * 1000)))
            return
        if self.connection.vendor == "mysql" and (limit := math.ceil(rest)) != self.limit:
            cursor.execute(LIMIT.format(seconds=limit))
            self.limit = limit
        cursor.execute("BEGIN")

    def _connect(self) -> bool:
        """Whether there was a connection already."""
        try:
            if (given := connections.settings.get(self.alias)) is None:
                raise ConnectionDoesNotExist("it is no longer in DATABASES")
            if self.connection is not None and self.opened_for == given:
                return True
            self.close()
            self.connection = made(self.alias)
            self.opened_for = dict(given)
            self.limit = 0
            self.connection.ensure_connection()
            if self.hung_up:
                raise TimeoutError("it took too long to connect")
        except Exception as error:
            self.close()
            text = f"The database {self.alias!r} cannot be reached: {one_line(error)}."
            raise Unreachable(text) from error
        return False

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            with suppress(Exception):  # it may be broken: then there is nothing left to close
                connection.close()

    def _in_words(self, error: Exception) -> str:
        if self._lacks_tables(error):
            return no_tables(self.alias)
        return f"The database {self.alias!r} cannot be used: {one_line(error)}."

    def _lacks_tables(self, error: Exception) -> bool:
        """Whether a table was missing, by the code of the error, and it is the store's own that is."""
        if not is_one_of(error, GENERAL if self.connection.vendor == "sqlite" else NO_TABLE):
            return False
        from dbroute_panel.stores.database.models import Part

        with suppress(Exception), self.connection.cursor() as cursor:
            cursor.execute("ROLLBACK")  # PostgreSQL answers nothing more in a transaction that has failed
            return Part._meta.db_table not in self.connection.introspection.table_names(cursor)
        return False


def is_over(until: float) -> bool:
    """Whether it is ``until``, as far as clocks can tell."""
    return time.monotonic() >= until - TOLERANCE


def no_tables(alias: str) -> str:
    from dbroute_panel.stores.database.apps import StoreConfig

    command = f"manage.py migrate --database={alias} {StoreConfig.label}"
    return f"The database {alias!r} has no tables for traces. Make them with {command!r}."


def one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
