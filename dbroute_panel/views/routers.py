"""The routers: the chain as it is asked, their source, and what the stored traces say of each."""

from __future__ import annotations

import inspect
import time
from typing import Any, Final

import msgspec
from django.db import router
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from dbroute_panel.environment import base_dir, dotted_path, relative_path
from dbroute_panel.inspection.explain import find_source
from dbroute_panel.presentation import (
    CodeSpan,
    MethodStats,
    RouterStats,
    ShortNames,
    formatting,
    highlight_source,
)
from dbroute_panel.records import Action, Callsite
from dbroute_panel.stores import Store, get_store

from .databases import list_databases
from .rendering import Admin, render_page

MAX_TRACES: Final = 200
"""Maximum traces that are read, the newest ones."""
TIME_BUDGET_SECONDS: Final = 1.0
"""Time limit for reading traces."""
SHOWN_MODELS: Final = 8
"""Models a router answered for that are shown at once."""
FOLDED_MODELS: Final = 92
"""Further models that unfold; of the rest only the number is shown."""


class RouterMethod(msgspec.Struct, frozen=True, kw_only=True):
    """
    One of the four methods of a router. ``has``: whether there is one; None where only asking it would
    tell (``__getattr__``). ``place``: its file without folders, and line. ``models`` are (label, how many
    answers), the most frequent first; ``beyond``: how many of them are in neither list.
    """

    action: str
    has: bool | None
    source: Callsite | None
    place: str
    stats: MethodStats
    models: tuple[tuple[str, int], ...]
    more: tuple[tuple[str, int], ...]
    beyond: int


class ClassSource(msgspec.Struct, frozen=True, kw_only=True):
    """The source of a class of the router. ``place`` is file and line."""

    name: str
    place: str
    pieces: tuple[CodeSpan, ...]


class ChainRouter(msgspec.Struct, frozen=True, kw_only=True):
    """One router of the chain. ``sources``: its class, then those from which it has methods."""

    name: str
    path: str
    place: str
    methods: tuple[RouterMethod, ...]
    sources: tuple[ClassSource, ...]


def routers_page(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """GET: the chain. No router is asked."""
    store = get_store()
    router_stats = read_stats(store)
    chain = list(router.routers)
    paths = [dotted_path(each) for each in chain]
    short = ShortNames(paths)
    context = {
        "chain": [describe_router(each, short, router_stats) for each in chain],
        "places": list_databases(),
        "router_stats": router_stats,
        "stored": store.count(),
        "gone": [path for path in router_stats.routers() if path not in paths],
    }
    return render_page(admin, request, "routers.html", context, title=_("Routers"))


def read_stats(store: Store) -> RouterStats:
    """Read the newest traces, one at a time in memory."""
    router_stats, end = RouterStats(), time.monotonic() + TIME_BUDGET_SECONDS
    for summary in store.summaries(limit=MAX_TRACES):
        if (trace := store.get(summary.id)) is not None:
            router_stats.add(trace)
        if time.monotonic() > end:
            break
    return router_stats


def describe_router(router: Any, short: ShortNames, router_stats: RouterStats) -> ChainRouter:
    path = dotted_path(router)
    sources = [source for cls in list_classes(router) if (source := read_source(cls)) is not None]
    return ChainRouter(
        name=short(path),
        path=path,
        place=sources[0].place if sources else "",
        methods=tuple(describe_method(router, action, router_stats.find(path, action)) for action in Action),
        sources=tuple(sources),
    )


def describe_method(router: Any, action: Action, stats: MethodStats) -> RouterMethod:
    models, source = tuple(stats.models.most_common()), find_source(router, action)
    return RouterMethod(
        action=action.value,
        has=has_method(router, action),
        source=source,
        place=formatting.place(source),
        stats=stats,
        models=models[:SHOWN_MODELS],
        more=models[SHOWN_MODELS : SHOWN_MODELS + FOLDED_MODELS],
        beyond=max(0, len(models) - SHOWN_MODELS - FOLDED_MODELS),
    )


def has_method(router: Any, action: Action) -> bool | None:
    """Return whether the router has this method, without running its code."""
    if inspect.getattr_static(router, action.value, None) is not None:
        return True
    return None if inspect.getattr_static(router, "__getattr__", None) is not None else False


def list_classes(router: Any) -> list[Any]:
    """The router's class (or the module that is the router), and the classes it has its methods from."""
    if inspect.ismodule(router):
        return [router]
    cls = router if isinstance(router, type) else type(router)
    return [cls, *(base for base in cls.__mro__[1:] if any(action.value in vars(base) for action in Action))]


def read_source(cls: Any) -> ClassSource | None:
    """Return its source as it is in the file now; None if there is none."""
    try:
        lines, first = inspect.getsourcelines(cls)
        file = inspect.getsourcefile(cls) or ""
    except (OSError, TypeError, IndexError, SyntaxError):
        return None
    return ClassSource(
        name=cls.__name__ if inspect.ismodule(cls) else cls.__qualname__,
        place=f"{relative_path(file, base_dir())}:{max(first, 1)}",
        pieces=highlight_source("".join(lines)),
    )
