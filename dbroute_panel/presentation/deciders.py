"""Who decided where a query goes? One router, or one of the words of ``DeciderGroup``."""

from __future__ import annotations

import enum
from collections import Counter
from typing import Any, Final

import msgspec
from django.utils.translation import gettext_lazy

from dbroute_panel.asked import is_passed_on
from dbroute_panel.records import DecidedBy, Decision, Event, Query, RouteKind

from .index import Index


class DeciderGroup(enum.StrEnum):
    """
    Who decided, where no router did, as people look for it.

    ``DecidedBy`` says it of a decision and ``RouteKind`` of a query, both in more detail.
    """

    INSTANCE = "instance"
    DEFAULT = "default"
    OTHER_MODEL = "other_model"
    CODE = "code"
    DJANGO = "django"
    RAISED = "raised"


DECIDER_LABELS: Final = {
    DeciderGroup.INSTANCE: gettext_lazy("the instance"),
    DeciderGroup.DEFAULT: gettext_lazy("default, nobody said"),
    DeciderGroup.OTHER_MODEL: gettext_lazy("an answer about another model"),
    DeciderGroup.CODE: gettext_lazy("the code itself"),
    DeciderGroup.DJANGO: gettext_lazy("Django, nobody said"),
    DeciderGroup.RAISED: gettext_lazy("nobody, a router raised"),
}

_BY_DECISION: Final = {
    DecidedBy.INSTANCE: DeciderGroup.INSTANCE,
    DecidedBy.DEFAULT: DeciderGroup.DEFAULT,
    DecidedBy.SAME_DATABASE: DeciderGroup.DJANGO,
    DecidedBy.ALLOWED: DeciderGroup.DJANGO,
    DecidedBy.ERROR: DeciderGroup.RAISED,
}

_BY_ROUTE: Final = {
    RouteKind.INSTANCE: DeciderGroup.INSTANCE,
    RouteKind.DEFAULT: DeciderGroup.DEFAULT,
    RouteKind.EXPLICIT: DeciderGroup.CODE,
    RouteKind.CURSOR: DeciderGroup.CODE,
    RouteKind.SCHEMA: DeciderGroup.CODE,
    RouteKind.PEERS: DeciderGroup.INSTANCE,
}


def find_decider(event: Event, decision: Decision | None) -> str | None:
    """
    A router's dotted path, or a word of ``DeciderGroup``; None for what nobody decides (a transaction).

    ``decision`` is the event itself, or the one that led to it. Where that was not kept, the query's
    route still tells, unless it was a router. Nobody has decided about a query's model where its alias is the
    answer to a question about another one.
    """
    if isinstance(event, Query) and is_passed_on(event, decision):
        return DeciderGroup.OTHER_MODEL
    if decision is not None:
        return _BY_DECISION.get(decision.decided_by) or decision.router
    return _BY_ROUTE.get(event.route) if isinstance(event, Query) else None


class DeciderCount(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where so many ``queries`` go was decided ``by``, as ``find_decider()`` has it; ``name`` is for people.

    ``by`` is "" for a router whose decision the trace has not kept.
    """

    by: str
    name: Any
    queries: int


def count_deciders(index: Index) -> tuple[DeciderCount, ...]:
    """Who decided where the queries of a trace go; who decided most often is first."""
    queries = index.trace.queries
    counts = Counter(find_decider(query, index.decision_of(query)) or "" for query in queries)
    names: dict[str, Any] = {str(by): name for by, name in DECIDER_LABELS.items()}
    names[""] = gettext_lazy("a router, not kept which")
    return tuple(
        DeciderCount(by=by, name=names.get(by) or index.routers(by), queries=number)
        for by, number in counts.most_common()
    )
