"""
Which map do all workers show? The last one that was asked for, kept in the store with its findings.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec
from django.db import router

from dbroute_panel.environment import dotted_path
from dbroute_panel.inspection.lints import StaticFinding, run_lints
from dbroute_panel.inspection.map import ModelMark, RoutingMap, build_map, find_marks
from dbroute_panel.stores import Store
from dbroute_panel.text import DECODE_ERRORS

MAP_DOCUMENT: Final = "routing-map/1"


class SavedMap(msgspec.Struct, frozen=True, kw_only=True):
    """The routers' answers, when they were given (RFC 3339, UTC), by whom, and what is wrong with them."""

    asked_at: str
    routers: list[str]
    routes: RoutingMap
    marks: dict[str, list[ModelMark]]
    findings: list[StaticFinding]


def ask_map() -> SavedMap:
    """Ask the routers about every model."""
    asked_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    routes = build_map()
    return SavedMap(
        asked_at=asked_at,
        routers=list_routers(),
        routes=routes,
        marks=find_marks(),
        findings=run_lints(routes),
    )


def list_routers() -> list[str]:
    """The dotted paths of the routers, in the order in which they are asked. Asks none of them."""
    return [dotted_path(each) for each in router.routers]


def save_map(store: Store, kept: SavedMap) -> None:
    """Raises ``StoreError``."""
    store.remember(MAP_DOCUMENT, msgspec.json.encode(kept))


def load_map(store: Store) -> SavedMap | None:
    """The last map; None where none was asked for yet, or another version of this package kept it."""
    document = store.recall(MAP_DOCUMENT)
    try:
        return None if document is None else msgspec.json.decode(document, type=SavedMap)
    except DECODE_ERRORS:
        return None
