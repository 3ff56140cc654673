"""Where are the databases of this process? What ``DATABASES`` says, without opening a connection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final

from django.db import connections

from dbroute_panel.exports.semconv import Place
from dbroute_panel.records import Trace

DEFAULT_PORTS: Final[Mapping[str, int]] = {
    "postgresql": 5432,
    "mysql": 3306,
    "oracle": 1521,
    "microsoft": 1433,
}


def places_of(trace: Trace) -> dict[str, Place]:
    """The place of each database of a trace of this process, by alias."""
    configured = connections.settings
    return {
        alias: place(database.vendor, configured[alias], is_mariadb=is_mariadb(alias))
        for alias, database in trace.databases.items()
        if alias in configured
    }


def place(vendor: str, options: Mapping[str, Any], *, is_mariadb: bool = False) -> Place:
    """Of one entry of ``DATABASES``; what is left to the driver (a socket, a service file) stays unknown."""
    address = str(options.get("HOST") or "")
    if "," in address or "host" in (options.get("OPTIONS") or {}):  # libpq takes one of several
        address = ""
    return Place(
        system="mariadb" if is_mariadb else None,
        namespace=namespace(vendor, str(options.get("NAME") or "")),
        address=address or None,
        port=port(vendor, str(options.get("PORT") or "")) if address else None,
    )


def namespace(vendor: str, name: str) -> str | None:
    """The database's name; of SQLite the file's, without its folder. Never a connection string: passwords."""
    if vendor == "sqlite":
        path = name.removeprefix("file:").partition("?")[0] if name.startswith("file:") else name
        return PurePath(path).name or None
    return None if "=" in name or "://" in name else name or None


def port(vendor: str, given: str) -> int | None:
    """Only one that is not the default: the conventions ask for no other."""
    return int(given) if given.isdecimal() and int(given) != DEFAULT_PORTS.get(vendor) else None


def is_mariadb(alias: str) -> bool:
    """Whether the server has told so, on a connection of this thread, to somebody who wanted to know."""
    return any(
        connection.alias == alias and bool(connection.__dict__.get("mysql_is_mariadb"))
        for connection in connections.all(initialized_only=True)
    )
