"""The servers of this process's databases, by ``DATABASES``, without opening a connection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final

from django.db import connections

from dbroute_panel.exports.semconv import ServerInfo
from dbroute_panel.records import Trace

DEFAULT_PORTS: Final[Mapping[str, int]] = {
    "postgresql": 5432,
    "mysql": 3306,
    "oracle": 1521,
    "microsoft": 1433,
}


def find_servers(trace: Trace) -> dict[str, ServerInfo]:
    """Return the server of each database of a trace of this process, by alias."""
    configured = connections.settings
    return {
        alias: make_server_info(database.vendor, configured[alias], is_mariadb=is_mariadb(alias))
        for alias, database in trace.databases.items()
        if alias in configured
    }


def make_server_info(vendor: str, options: Mapping[str, Any], *, is_mariadb: bool = False) -> ServerInfo:
    """Read an entry of ``DATABASES``; what is left to the driver (a socket, a service file) stays unknown."""
    address = str(options.get("HOST") or "")
    if "," in address or "host" in (options.get("OPTIONS") or {}):  # libpq takes one of several
        address = ""
    return ServerInfo(
        system="mariadb" if is_mariadb else None,
        namespace=find_namespace(vendor, str(options.get("NAME") or "")),
        address=address or None,
        port=find_port(vendor, str(options.get("PORT") or "")) if address else None,
    )


def find_namespace(vendor: str, name: str) -> str | None:
    """Return the database's name; of SQLite the file's. Never a connection string: it may hold a password."""
    if vendor == "sqlite":
        path = name.removeprefix("file:").partition("?")[0] if name.startswith("file:") else name
        return PurePath(path).name or None
    return None if "=" in name or "://" in name else name or None


def find_port(vendor: str, given: str) -> int | None:
    """Return a port that is not the default: the conventions ask for no other."""
    return int(given) if given.isdecimal() and int(given) != DEFAULT_PORTS.get(vendor) else None


def is_mariadb(alias: str) -> bool:
    """Return whether a connection of this thread knows it of its server."""
    return any(
        connection.alias == alias and bool(connection.__dict__.get("mysql_is_mariadb"))
        for connection in connections.all(initialized_only=True)
    )
