"""
Show the project's databases: their colours, and the settings that hold no secret.

Only settings on a fixed list are shown, never USER, PASSWORD or OPTIONS; and of a NAME or HOST that
holds more than a name (a URL, a connection string) only the parts that cannot be credentials.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

import msgspec
from django.db import connections
from django.db.utils import load_backend
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dbroute_panel.conf import DUMMY, replicas
from dbroute_panel.presentation import Palette, Swatch
from dbroute_panel.records import Database

MASK: Final = "***"

_URL = re.compile(r"[a-zA-Z][\w+.:-]*://|file:", re.ASCII)
# Of a connection string: ``name=value`` pairs as libpq and ODBC have them, quoted in one way or another.
_PAIR = re.compile(
    r"""\s*(\w[\w ]*?)\s*=\s*('(?:\\.|[^'\\])*'|\{[^}]*\}|"[^"]*"|(?:\\.|[^\s;\\])*)(?:;|\s+|$)"""
)
_HARMLESS = frozenset({"dbname", "database", "host", "hostaddr", "port", "server"})
_PORT = re.compile(r"[\d, ]*", re.ASCII)


class ConfiguredDatabase(msgspec.Struct, frozen=True, kw_only=True):
    """One of ``DATABASES``: ``facts`` are (name of the setting, its value as a text)."""

    database: Swatch
    vendor: str
    engine: str
    facts: tuple[tuple[str, str], ...]


def project_palette() -> Palette:
    """The colours of the databases as they are configured now."""
    return Palette(
        {
            str(alias): Database(vendor="", engine="", replica_of=replicas().get(alias))
            for alias in connections.settings
        }
    )


def list_databases() -> list[ConfiguredDatabase]:
    """Every configured database, in order. None is connected to."""
    palette = project_palette()
    return [
        ConfiguredDatabase(
            database=palette[str(alias)],
            vendor=find_vendor(options.get("ENGINE") or DUMMY),
            engine=str(options.get("ENGINE") or DUMMY),
            facts=tuple(public_settings(options)),
        )
        for alias, options in connections.settings.items()
    ]


def public_settings(options: dict[str, Any]) -> list[tuple[str, str]]:
    """What of one database's settings may be seen; of ``{}``, which is no database, nothing."""
    if (options.get("ENGINE") or DUMMY) == DUMMY:
        return []
    found = [(key, mask_credentials(options.get(key))) for key in ("NAME", "HOST")]
    port = str(options.get("PORT") or "")
    found.append(("PORT", port if _PORT.fullmatch(port) else MASK))
    found.append(("ATOMIC_REQUESTS", _("yes") if options.get("ATOMIC_REQUESTS") else _("no")))
    found.append(("CONN_MAX_AGE", _format_age(options.get("CONN_MAX_AGE", 0))))
    return [(name, value) for name, value in found if value]


def mask_credentials(value: Any) -> str:
    """``value`` without what may be credentials; a wholly masked text rather than a doubtful one."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if not isinstance(value, str):
        return "" if value is None else MASK
    return _strip_credentials(value.strip())


def _strip_credentials(value: str) -> str:
    if (scheme := _URL.match(value)) is not None:
        # A password may have any character in it that should have been escaped: the last "@" is the one.
        credentials, at, place = value[scheme.end() :].rpartition("@")
        return f"{scheme[0]}{MASK}@{_strip_parameters(place)}" if at else scheme[0] + _strip_parameters(place)
    if value.startswith("/"):  # a file or a socket
        return value
    if "=" in value:
        return _strip_pairs(value)
    credentials, at, place = value.rpartition("@")  # Oracle: user/password@host:port/service
    return f"{MASK}@{place}" if credentials else value


def _strip_parameters(rest: str) -> str:
    """Host and path of a URL, without its parameters."""
    return re.split(r"[?#;]", rest, maxsplit=1)[0]


def _strip_pairs(value: str) -> str:
    """The harmless pairs of a connection string; nothing of one that is not understood to its end."""
    shown, end = [], 0
    while end < len(value):
        pair = _PAIR.match(value, end)
        if pair is None or pair.end() == end:
            return MASK
        end = pair.end()
        if pair[1].lower() in _HARMLESS:
            shown.append(f"{pair[1]}={pair[2]}")
    return " ".join([*shown, "…"])


def find_vendor(engine: str) -> str:
    """What Django calls this kind of database; "" where its driver is not installed."""
    if engine == DUMMY:
        return ""
    try:
        return str(load_backend(engine).DatabaseWrapper.vendor)
    except Exception:  # noqa: BLE001 - importing a backend runs its code
        return ""


def _format_age(seconds: Any) -> str:
    if seconds is None:
        return _("kept open")
    if not isinstance(seconds, (int, float)):
        return ""
    return (
        ngettext("%(n)d second", "%(n)d seconds", int(seconds)) % {"n": seconds}
        if seconds
        else _("0: closed after each request")
    )
