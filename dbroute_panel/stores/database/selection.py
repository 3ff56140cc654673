"""
Which rows does a ``Filter`` select, on every database and in every collation?

A text is looked for as bytes, and compared by a key of hexadecimal digits.
"""

# ruff: noqa: S608 - SQL is put together from what is written here, every value is a parameter

from __future__ import annotations

import hashlib
from typing import Any, Final

from dbroute_panel.stores.base import Filter

#: By vendor: where a trace has what is looked for. Both are bytes, so no collation has a say.
CONTAINS: Final = {
    "postgresql": "position(%s::bytea in search) > 0",
    "mysql": "locate(%s, search) > 0",
    "sqlite": "instr(search, %s) > 0",
}


def where(query: Filter, vendor: str, *conditions: str) -> tuple[str, list[Any]]:
    """The WHERE of what ``query`` selects and of ``conditions``, and the values of the former, in order."""
    found = list(conditions)
    values: list[Any] = []
    if query.path is not None:
        found.append(CONTAINS[vendor])
        values.append(as_bytes(query.path.casefold()))
    for column, least in (("duration", query.min_us), ("queries", query.min_queries)):
        if least is not None:
            found.append(f"{column} >= %s")
            values.append(least)
    for kind in ("alias", "finding", "kind", "status", "method"):
        if (wanted := getattr(query, kind)) is not None:
            found.append(
                "n IN (SELECT trace_id FROM dbroute_panel_store_mark WHERE kind = %s AND mark_key = %s)"
            )
            values += (kind, key(str(wanted)))
    if query.found is not None:
        found.append(
            f"n {'IN' if query.found else 'NOT IN'} "
            "(SELECT trace_id FROM dbroute_panel_store_mark WHERE kind = 'finding')"
        )
    return ("WHERE " + " AND ".join(found) if found else ""), values


def as_bytes(text: str) -> bytes:
    """Every string there is, half a surrogate pair too."""
    return text.encode("utf-8", "surrogatepass")


def key(text: str) -> str:
    """``text`` as 32 hexadecimal digits, which are the same in every collation."""
    return hashlib.sha256(as_bytes(text)).hexdigest()[:32]
