"""
The variants that are measured side by side: the same project, each time with another tool, in a process.

A tool is set up as its documentation says. What would leave the process (an exporter, a transport) is
dropped, so that no network is measured; what a tool keeps on the machine, it keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.benchmarks import peers

Settings = dict[str, Any]

SQL_PANEL: Final = "debug_toolbar.panels.sql.SQLPanel"
# The response has the header with the id of the request where this one is shown.
HISTORY_PANEL: Final = "debug_toolbar.panels.history.HistoryPanel"
ROUTING_PANEL: Final = "dbroute_panel.panel.RoutingPanel"
TOOLBAR: Final = "debug_toolbar.middleware.DebugToolbarMiddleware"
OURS: Final = "dbroute_panel.middleware.TraceMiddleware"


def _nothing() -> None:
    return


def _no_settings(folder: Path) -> Settings:
    return {}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """
    A tool and how it is set up.

    ``prepare`` is called before ``django.setup()``. ``settle`` is called after the requests of a round and
    counts as their cost: it does what the tool has left for later.
    """

    name: str
    title: str
    apps: tuple[str, ...] = ()
    middleware: tuple[str, ...] = ()
    settings: Callable[[Path], Settings] = _no_settings
    databases: tuple[str, ...] = ()
    prepare: Callable[[], None] = _nothing
    settle: Callable[[], None] = _nothing


def always(request: object) -> bool:
    return True


def never(request: object) -> bool:
    return False


def ours(
    *, store: str = "MemoryStore", record: Callable[[object], bool] = always, params: bool = False
) -> Callable[[Path], Settings]:
    """Return a variant that records chain, origin and line, and no parameters, as with ``DEBUG`` off."""

    def settings(folder: Path) -> Settings:
        options = {"path": str(folder / "traces.sqlite3")} if store == "SQLiteStore" else {}
        return {
            "DBROUTE_PANEL": {
                "SHOULD_RECORD": record,
                "RECORD_PARAMS": params,
                "REPLICAS": {"replica": "default"},
                "STORE": {"BACKEND": f"dbroute_panel.stores.{store}", "OPTIONS": options},
            }
        }

    return settings


def toolbar(*panels: str, stacktraces: bool = True) -> Callable[[Path], Settings]:
    """Return a variant with the debug toolbar and these panels, or its default panels if none is named."""

    def settings(folder: Path) -> Settings:
        return (
            ours(params=True)(folder)
            | ({"DEBUG_TOOLBAR_PANELS": list(panels)} if panels else {})
            | {
                "DEBUG_TOOLBAR_CONFIG": {"SHOW_TOOLBAR_CALLBACK": always, "ENABLE_STACKTRACES": stacktraces},
            }
        )

    return settings


SIDE_BY_SIDE: Final = (
    Variant(name="bare", title="Django alone"),
    Variant(
        name="tuple",
        title="floor: a wrapper that appends a tuple",
        middleware=("tools.benchmarks.floors.appends_a_tuple",),
    ),
    Variant(
        name="record",
        title="floor: a wrapper that keeps a record of 15 fields, the user's line and the model",
        middleware=("tools.benchmarks.floors.keeps_a_record",),
    ),
    Variant(
        name="idle",
        title="dbroute_panel, idle",
        apps=("dbroute_panel",),
        middleware=(OURS,),
        settings=ours(record=never),
    ),
    Variant(
        name="recording", title="dbroute_panel", apps=("dbroute_panel",), middleware=(OURS,), settings=ours()
    ),
    Variant(
        name="parameters",
        title="dbroute_panel, with parameters",
        apps=("dbroute_panel",),
        middleware=(OURS,),
        settings=ours(params=True),
    ),
    Variant(
        name="stored",
        title="dbroute_panel, SQLiteStore",
        apps=("dbroute_panel",),
        middleware=(OURS,),
        settings=ours(store="SQLiteStore"),
    ),
    Variant(
        name="panel",
        title="debug toolbar, our panel alone",
        apps=("debug_toolbar", "dbroute_panel"),
        middleware=(TOOLBAR,),
        settings=toolbar(ROUTING_PANEL),
    ),
    Variant(
        name="toolbar",
        title="debug toolbar, its SQL panel",
        apps=("debug_toolbar",),
        middleware=(TOOLBAR,),
        settings=toolbar(SQL_PANEL),
    ),
    Variant(
        name="toolbar-short",
        title="debug toolbar, its SQL panel without stack traces",
        apps=("debug_toolbar",),
        middleware=(TOOLBAR,),
        settings=toolbar(SQL_PANEL, stacktraces=False),
    ),
    Variant(
        name="toolbar-whole",
        title="debug toolbar, all its panels",
        apps=("debug_toolbar",),
        middleware=(TOOLBAR,),
        settings=toolbar(),
    ),
    Variant(
        name="silk",
        title="django-silk",
        apps=("silk",),
        middleware=("silk.middleware.SilkyMiddleware",),
    ),
    Variant(
        name="opentelemetry",
        title="OpenTelemetry, Django and sqlite3",
        prepare=peers.begin_opentelemetry,
        settle=peers.flush_opentelemetry,
    ),
    Variant(name="sentry", title="Sentry, traces of all requests", prepare=peers.begin_sentry),
)

ALONE: Final = (
    Variant(
        name="pages",
        title="all pages of dbroute_panel, in the admin and in the toolbar",
        apps=("debug_toolbar", "dbroute_panel"),
        middleware=(TOOLBAR,),
        settings=lambda folder: (
            toolbar(HISTORY_PANEL, SQL_PANEL, ROUTING_PANEL)(folder)
            | ours(store="SQLiteStore", params=True)(folder)
        ),
    ),
    Variant(
        name="models",
        title="a thousand models, six databases, three routers",
        apps=("dbroute_panel", "tools.benchmarks.project.many"),
        databases=("a", "b", "c", "d"),
        settings=lambda folder: (
            ours()(folder)
            | {
                "DATABASE_ROUTERS": [
                    f"tools.benchmarks.project.routers.{name}"
                    for name in ("AccountsRouter", "PrimaryReplicaRouter", "EverythingRouter")
                ]
            }
        ),
    ),
)

VARIANTS: Final = {variant.name: variant for variant in (*SIDE_BY_SIDE, *ALONE)}
