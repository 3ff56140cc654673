"""
How is a connection made that is nobody's but the store's, and what do its errors mean?

From the settings of the alias, by the backend's own wrapper; ``connection.py`` says why.
"""

from __future__ import annotations

from typing import Any, Final

from django.db import connections

#: How long a connection may take to be made, in seconds.
CONNECT_SECONDS: Final = 3

#: Deadlocks, and waits for locks that were too long: PostgreSQL's, MySQL's, SQLite's.
TRANSIENT: Final = frozenset({"40001", "40P01", "55P03", 1020, 1205, 1213, 5, 6})
#: There is no such table: PostgreSQL's, MySQL's. SQLite says so in words.
NO_TABLE: Final = frozenset({"42P01", "42S02", 1146})


class Quiet:
    """Mixed into the class of a backend's wrapper: it connects as Django does, and tells nobody."""

    queries_logged = False

    def connect(self: Any) -> None:
        self.check_settings()
        self.connection = self.get_new_connection(self.get_connection_params())
        self.set_autocommit(True)
        self.init_connection_state()


def made(alias: str) -> Any:
    """
    The backend's wrapper for ``alias``, not yet connected: outside of its pool, and of its isolation level.

    Django's defaults for the level (READ COMMITTED) are what the store's statements are made for.
    """
    connection: Any = connections.create_connection(alias)
    kind = type(connection)
    connection.__class__ = type(kind.__name__, (Quiet, kind), {})
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
