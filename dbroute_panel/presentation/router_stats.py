"""
Count from traces how often each router was asked, what came of it, and how long it took.

Counts alone are kept, so that memory does not grow with the number of traces.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from dbroute_panel.records import Action, Decision, InstanceRef, Outcome, Trace

MAX_MODELS: Final = 1000
"""Maximum models counted for each router and question; further ones count as answers only."""


class MethodStats:
    """One router and one question. ``models``: for which it answered, and how often."""

    __slots__ = ("duration_us", "models", "outcomes")

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.duration_us = 0.0
        self.models: Counter[str] = Counter()

    @property
    def asked(self) -> int:
        """How often its method was called."""
        return self.answered + self.passed + self.raised

    @property
    def answered(self) -> int:
        return self.outcomes[Outcome.ANSWERED]

    @property
    def passed(self) -> int:
        return self.outcomes[Outcome.PASSED]

    @property
    def raised(self) -> int:
        return self.outcomes[Outcome.RAISED]

    @property
    def mean_us(self) -> float | None:
        """How long a call took on average; None without any."""
        return self.duration_us / self.asked if self.asked else None


class RouterStats:
    """What the traces that were added say of every router. ``traces`` and ``decisions`` count them."""

    def __init__(self) -> None:
        self.traces = 0
        self.decisions = 0
        self._stats: dict[tuple[str, Action], MethodStats] = {}

    def add(self, trace: Trace) -> None:
        self.traces += 1
        for event in trace.events:
            if isinstance(event, Decision):
                self.decisions += 1
                self._add(event)

    def _add(self, decision: Decision) -> None:
        for step in decision.steps:
            if step.outcome in (Outcome.NOT_ASKED, Outcome.NO_METHOD):
                continue
            stats = self._stats.setdefault((step.router, decision.action), MethodStats())
            stats.outcomes[step.outcome] += 1
            stats.duration_us += step.duration_us
            if step.outcome is Outcome.ANSWERED:
                subject = _describe_subject(decision)
                if subject in stats.models or len(stats.models) < MAX_MODELS:
                    stats.models[subject] += 1

    def find(self, router: str, action: Action) -> MethodStats:
        """What is known of the router with this dotted path; zeros if it is in no trace."""
        return self._stats.get((router, action)) or MethodStats()

    def routers(self) -> list[str]:
        """Every router that a trace has asked, sorted."""
        return sorted({router for router, _action in self._stats})


def _describe_subject(decision: Decision) -> str:
    """The model or models of a question, or the app where a migration has no model."""
    if decision.model is not None:
        return decision.model
    arguments = decision.args or {}
    if decision.action is Action.RELATION:
        sides = [arguments.get(name) for name in ("obj1", "obj2")]
        return " + ".join(side.model for side in sides if isinstance(side, InstanceRef)) or "?"
    return str(arguments.get("app_label") or "?")
