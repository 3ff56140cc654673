"""Who decided where a query goes? One router, or one of the words of ``Decider``."""

from __future__ import annotations

import enum
from typing import Final

from dbroute_panel.records import Decision, Event, Query, Route, Settled


class Decider(enum.StrEnum):
    """Who decided, where no router did."""

    INSTANCE = "instance"
    DEFAULT = "default"
    CODE = "code"
    DJANGO = "django"
    RAISED = "raised"


_SETTLED: Final = {
    Settled.INSTANCE: Decider.INSTANCE,
    Settled.DEFAULT: Decider.DEFAULT,
    Settled.SAME_DATABASE: Decider.DJANGO,
    Settled.ALLOWED: Decider.DJANGO,
    Settled.ERROR: Decider.RAISED,
}

_ROUTES: Final = {
    Route.INSTANCE: Decider.INSTANCE,
    Route.DEFAULT: Decider.DEFAULT,
    Route.EXPLICIT: Decider.CODE,
    Route.CURSOR: Decider.CODE,
    Route.SCHEMA: Decider.CODE,
}


def decider_of(event: Event, decision: Decision | None) -> str | None:
    """
    A router's dotted path, or a word of ``Decider``; None for what nobody decides (a transaction).

    ``decision`` is the event itself, or the one that led to it. Where that was not kept, the query's
    route still tells, unless it was a router.
    """
    if decision is not None:
        return _SETTLED.get(decision.settled_by) or decision.router
    return _ROUTES.get(event.route) if isinstance(event, Query) else None
