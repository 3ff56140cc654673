"""
How is a connection made that is nobody's but the store's, and what do its errors mean?

From the settings of the alias, by the backend's own wrapper; ``connection.py`` says why.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from typing import Any, Final

from django.db import OperationalError, connections

#: How long a connection may take to be made, in seconds.
CONNECT_SECONDS: Final = 3

#: Deadlocks, and waits for locks that were too long: PostgreSQL's, MySQL's, SQLite's.
TRANSIENT: Final = frozenset({"40001", "40P01", "55P03", 1020, 1205, 1213, 5, 6})
#: There is no such table: PostgreSQL's, MySQL's.
NO_TABLE: Final = frozenset({"42P01", "42S02", 1146})
#: SQLite's, of a statement that it cannot prepare, also because there is no such table.
GENERAL: Final = frozenset({1})


class Quiet:
    """
    Mixed into the class of a backend's wrapper: it connects as Django does, and tells nobody.

    Another thread can hang up on it. No driver lets another thread close what one waits on, so the socket
    is shut down, by a file descriptor of our own: the driver's number may meanwhile be another file's.
    """

    queries_logged = False
    line: int | None = None
    hung_up = False

    def connect(self: Any) -> None:
        self.check_settings()
        self.connection = self.get_new_connection(self.get_connection_params())
        with self.line_lock:
            with suppress(Exception):  # SQLite has none, nor has every driver one to show
                self.line = os.dup(self.connection.fileno())
            if self.hung_up:
                raise OperationalError("it took too long to connect")
        self.set_autocommit(True)
        self.init_connection_state()

    def close(self: Any) -> None:
        try:
            super().close()  # type: ignore[misc]
        finally:
            with self.line_lock:
                line, self.line = self.line, None
                if line is not None:
                    os.close(line)

    def hang_up(self: Any) -> None:
        """Whoever waits for the server over it has an error at once."""
        with self.line_lock:
            self.hung_up = True
            if self.line is not None:
                # Made here alone: with a default timeout, Python would make the driver's non-blocking too.
                line = socket.socket(fileno=self.line)
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
                line.detach()


def made(alias: str) -> Any:
    """
    The backend's wrapper for ``alias``, not yet connected: outside of its pool, and of its isolation level.

    Django's defaults for the level (READ COMMITTED) are what the store's statements are made for.
    """
    connection: Any = connections.create_connection(alias)
    kind = type(connection)
    connection.__class__ = type(kind.__name__, (Quiet, kind), {})
    connection.line_lock = threading.Lock()
    options = dict(connection.settings_dict["OPTIONS"])
    options.pop("pool", None)
    options.pop("isolation_level", None)
    if connection.vendor != "sqlite":
        options.setdefault("connect_timeout", CONNECT_SECONDS)
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}
    return connection


def is_one_of(error: BaseException, codes: frozenset[object]) -> bool:
    """Whether the driver's error behind Django's has one of these codes."""
    cause = error.__cause__
    found = {getattr(cause, name, None) for name in ("sqlstate", "pgcode")}
    found.add(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
    found.update(code for code in getattr(cause, "args", ())[:1] if isinstance(code, int))
    return not codes.isdisjoint(found)
