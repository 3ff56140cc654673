"""Filter the events of a trace, also by who decided: a router, or one of ``DeciderGroup``."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from django.utils.translation import gettext_lazy

from dbroute_panel.asked import is_passed_on
from dbroute_panel.records import (
    Callsite,
    CommitHook,
    DecidedBy,
    Decision,
    Event,
    ExceptionRaised,
    Query,
    RouteKind,
    Transaction,
)

from . import formatting
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
    Return a router's dotted path, or a ``DeciderGroup``; None for what is not decided (a transaction).

    ``decision`` is the event itself, or the one that led to it. Where that was not kept, the query's
    route still tells, unless it was a router. A query whose alias is the answer to a
    question about another model was not decided about.
    """
    if isinstance(event, Query) and is_passed_on(event, decision):
        return DeciderGroup.OTHER_MODEL
    if decision is not None:
        return _BY_DECISION.get(decision.decided_by) or decision.router
    return _BY_ROUTE.get(event.route) if isinstance(event, Query) else None


class DeciderCount(msgspec.Struct, frozen=True, kw_only=True):
    """
    How many ``queries`` one decider sent. ``by`` is as in ``find_decider()``; ``name`` is for people.

    ``by`` is "" for a router whose decision the trace has not kept.
    """

    by: str
    name: Any
    queries: int


def count_deciders(index: Index) -> tuple[DeciderCount, ...]:
    """Count who decided where the queries of a trace go, the most frequent first."""
    queries = index.trace.queries
    counts = Counter(find_decider(query, index.decision_of(query)) or "" for query in queries)
    names: dict[str, Any] = {str(by): name for by, name in DECIDER_LABELS.items()}
    names[""] = gettext_lazy("a router, not kept which")
    return tuple(
        DeciderCount(by=by, name=names.get(by) or index.router_names(by), queries=number)
        for by, number in counts.most_common()
    )


SORT_BY_DURATION: Final = "duration"
"""The order with the longest event first."""


KIND_QUERIES: Final = "queries"
KIND_DECISIONS: Final = "decisions"
"""The kinds of events that can be shown alone, as a bar of the timeline counts them."""


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """
    The filter, and the order; "" means all, and as it happened.

    ``by``: as ``find_decider()`` has it; ``least_us``: a duration; ``questions``: decisions without a query
    are rows of their own; ``findings``: only rows that a finding is about; ``like``: the id of a query,
    only those with its statement on its database; ``from_us`` and ``to_us``: only what went on between the
    two, in microseconds from the trace's start; ``kind``: ``KIND_QUERIES`` or ``KIND_DECISIONS``, each of
    which is in one row: that of its first query, if it has any.
    """

    text: str = ""
    alias: str = ""
    route: str = ""
    by: str = ""
    model: str = ""
    action: str = ""
    least_us: float = 0.0
    questions: bool = False
    findings: bool = False
    like: int = 0
    from_us: int | None = None
    to_us: int | None = None
    kind: str = ""
    sort: str = ""

    @property
    def unfolded(self) -> bool:
        return self.questions or self.findings or bool(self.action) or self.kind == KIND_DECISIONS


Condition = Callable[[Event, Decision | None], bool]


class EventMatcher:
    """Whether an event passes a filter: every condition that was given holds."""

    def __init__(self, index: Index, event_filter: EventFilter) -> None:
        self.index = index
        self.event_filter = event_filter
        self.text = event_filter.text.casefold()
        like = index.by_id.get(event_filter.like)
        self.statement = (like.alias, like.sql) if isinstance(like, Query) else None
        # The same statement runs many times, on the same line: each is searched once.
        self._sites: dict[Callsite, bool] = {}
        self._texts: dict[str, bool] = {}
        conditions: tuple[tuple[object, Condition], ...] = (
            (event_filter.findings, self._found),
            (event_filter.alias, self._alias),
            (event_filter.from_us is not None or event_filter.to_us is not None, self._meanwhile),
            (event_filter.kind, self._kind),
            (event_filter.like, self._like),
            (event_filter.route, self._route),
            (event_filter.action, self._action),
            (event_filter.model, self._model),
            (event_filter.least_us, self._duration),
            (event_filter.by, self._by),
            (event_filter.text, self._text),
        )
        self.conditions = [condition for given, condition in conditions if given]

    def __call__(self, event: Event) -> bool:
        if not self.conditions:
            return True
        decision: Decision | None = None
        if isinstance(event, Decision):
            decision = event
        elif isinstance(event, Query):
            decision = self.index.decision_of(event)
        return all(condition(event, decision) for condition in self.conditions)

    def _found(self, event: Event, decision: Decision | None) -> bool:
        return self.index.level_of(event.id) is not None

    def _alias(self, event: Event, decision: Decision | None) -> bool:
        if not isinstance(event, Decision):
            return event.alias == self.event_filter.alias
        if event.action.names_alias:
            return str(event.answer) == self.event_filter.alias
        return str((event.args or {}).get("db", "")) == self.event_filter.alias

    def _meanwhile(self, event: Event, decision: Decision | None) -> bool:
        """It went on in the given time; with ``questions``, so may the decision in a query's row."""
        shown: list[Event] = [event]
        if isinstance(event, Query) and decision is not None:
            if self.event_filter.kind == KIND_DECISIONS:
                shown = [decision]
            elif self.event_filter.questions and not self.event_filter.kind:
                shown.append(decision)
        first, last = self.event_filter.from_us, self.event_filter.to_us
        return any(
            (last is None or one.at_us < last)
            and (first is None or one.at_us >= first or one.at_us + getattr(one, "duration_us", 0.0) > first)
            for one in shown
        )

    def _kind(self, event: Event, decision: Decision | None) -> bool:
        if self.event_filter.kind == KIND_QUERIES:
            return isinstance(event, Query)
        return decision is not None and self.index.row_of(decision.id) == event.id

    def _like(self, event: Event, decision: Decision | None) -> bool:
        return isinstance(event, Query) and (event.alias, event.sql) == self.statement

    def _route(self, event: Event, decision: Decision | None) -> bool:
        if isinstance(event, Query):
            return event.route == self.event_filter.route
        return decision is not None and decision.decided_by == self.event_filter.route

    def _action(self, event: Event, decision: Decision | None) -> bool:
        return decision is not None and decision.action == self.event_filter.action

    def _model(self, event: Event, decision: Decision | None) -> bool:
        """Match the model; a query's row also shows its decision, which may be about another."""
        if not isinstance(event, (Decision, Query, ExceptionRaised)):
            return False
        if event.model == self.event_filter.model or decision is None:
            return event.model == self.event_filter.model
        return decision.model == self.event_filter.model and self.index.row_of(decision.id) == event.id

    def _duration(self, event: Event, decision: Decision | None) -> bool:
        return isinstance(event, (Decision, Query)) and event.duration_us >= self.event_filter.least_us

    def _by(self, event: Event, decision: Decision | None) -> bool:
        return find_decider(event, decision) == self.event_filter.by

    def _text(self, event: Event, decision: Decision | None) -> bool:
        return self._at(event.callsite) or any(map(self._has, _searchable_texts(event, decision)))

    def _at(self, site: Callsite | None) -> bool:
        if site is None:
            return False
        known = self._sites.get(site)
        if known is None:
            text = f"{site.file}:{site.line} {site.function} {site.template or ''} {site.entry or ''}"
            known = self._sites[site] = self.text in text.casefold()
        return known

    def _has(self, text: str) -> bool:
        known = self._texts.get(text)
        if known is None:
            known = self._texts[text] = self.text in text.casefold()
        return known


def _searchable_texts(event: Event, decision: Decision | None) -> Iterator[str]:
    """Yield what the free text filter searches, beside the place in the code."""
    if isinstance(event, Query):
        yield from (event.sql, event.model or "", event.alias, event.error or "")
    elif isinstance(event, Transaction):
        yield from (str(event.operation), event.alias)
    elif isinstance(event, CommitHook):
        yield from (event.function, event.alias)
    elif isinstance(event, ExceptionRaised):
        yield from (event.error, event.alias or "")
    if decision is not None:
        yield from (decision.router or "", formatting.question(decision), str(decision.answer))
        for step in decision.steps:
            if step.error:
                yield step.error
