"""What the backend and the router note, in the order in which it happens."""

from __future__ import annotations

from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A question to the routers, by what the first router was called with; ``answer`` is the second's."""

    action: str
    model: str | None
    answer: Any
    chain: tuple[tuple[str, Any], ...]


class Sent(NamedTuple):
    """A statement that arrived at the backend."""

    alias: str
    sql: str
    params: str


log: list[Asked | Sent] = []
"""Of the program that runs now."""
