"""Who decided where a query goes? One router, or one of the words of ``Decider``."""

from __future__ import annotations

import enum
from collections import Counter
from typing import Any, Final

import msgspec
from django.utils.translation import gettext_lazy

from dbroute_panel.asked import is_passed_on
from dbroute_panel.records import Decision, Event, Query, Route, Settled

from .index import Index


class Decider(enum.StrEnum):
    """Who decided, where no router did."""

    INSTANCE = "instance"
    DEFAULT = "default"
    OTHER_MODEL = "other_model"
    CODE = "code"
    DJANGO = "django"
    RAISED = "raised"


DECIDERS: Final = {
    Decider.INSTANCE: gettext_lazy("the instance"),
    Decider.DEFAULT: gettext_lazy("default, nobody said"),
    Decider.OTHER_MODEL: gettext_lazy("an answer about another model"),
    Decider.CODE: gettext_lazy("the code itself"),
    Decider.DJANGO: gettext_lazy("Django, nobody said"),
    Decider.RAISED: gettext_lazy("nobody, a router raised"),
}

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
    Route.PEERS: Decider.INSTANCE,
}


def decider_of(event: Event, decision: Decision | None) -> str | None:
    """
    A router's dotted path, or a word of ``Decider``; None for what nobody decides (a transaction).

    ``decision`` is the event itself, or the one that led to it. Where that was not kept, the query's
    route still tells, unless it was a router. Nobody has decided about a query's model where its alias is the
    answer to a question about another one.
    """
    if isinstance(event, Query) and is_passed_on(event, decision):
        return Decider.OTHER_MODEL
    if decision is not None:
        return _SETTLED.get(decision.settled_by) or decision.router
    return _ROUTES.get(event.route) if isinstance(event, Query) else None


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where so many ``queries`` go was decided ``by``, as ``decider_of()`` has it; ``name`` is for people.

    ``by`` is "" for a router whose decision the trace has not kept.
    """

    by: str
    name: Any
    queries: int


def decided_in(index: Index) -> tuple[Decided, ...]:
    """Who decided where the queries of a trace go; who decided most often is first."""
    queries = index.trace.queries
    counts = Counter(decider_of(query, index.decision_of(query)) or "" for query in queries)
    names: dict[str, Any] = {str(by): name for by, name in DECIDERS.items()}
    names[""] = gettext_lazy("a router, not kept which")
    return tuple(
        Decided(by=by, name=names.get(by) or index.routers(by), queries=number)
        for by, number in counts.most_common()
    )
