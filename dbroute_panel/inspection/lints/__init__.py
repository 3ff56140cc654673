"""
Static findings: what is wrong with the routing before a query was made.

Asking the routers can have effects, so this runs only when a person or CI asks for it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from dbroute_panel.conf import panel_settings
from dbroute_panel.inspection.lints import relations, routers, routes
from dbroute_panel.inspection.lints.registry import LINTS, Lint, Problem, RoutingFacts, lint
from dbroute_panel.inspection.map import RoutingMap, build_map
from dbroute_panel.recording.recorder import log_once, use_recorder
from dbroute_panel.records import Level

__all__ = [
    "LINTS",
    "Lint",
    "Problem",
    "RoutingFacts",
    "StaticFinding",
    "lint",
    "relations",
    "routers",
    "routes",
    "run_lints",
]

CAUSE_CODES: Final = ("router-signature", "router-raised")
"""Findings that cause others, in the order in which they are listed first."""


class StaticFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding about the routing. ``subject``: a model label, a router's path, an alias or a migration."""

    code: str
    level: Level
    message: str
    subject: str


def run_lints(routing_map: RoutingMap | None = None) -> list[StaticFinding]:
    """
    Return every static finding that is not silenced, worst first, then causes, then by code and subject.

    A lint that fails is logged and left out.

    Args:
        routing_map: The map, if it is known already; otherwise the routers are asked for it.
    """
    found: list[StaticFinding] = []
    with use_recorder(None):
        facts = RoutingFacts(build_map() if routing_map is None else routing_map)
        for entry in LINTS.values():
            if entry.code in panel_settings.SILENCED_FINDINGS:
                continue
            try:
                found += [
                    StaticFinding(
                        code=entry.code, level=entry.level, message=problem.message, subject=problem.subject
                    )
                    for problem in entry.problems(facts)
                ]
            except Exception:
                log_once("dbroute_panel could not look for %s.", entry.code)
    return sorted(found, key=_sort_key)


def _sort_key(finding: StaticFinding) -> tuple[int, int, str, str]:
    cause = CAUSE_CODES.index(finding.code) if finding.code in CAUSE_CODES else len(CAUSE_CODES)
    return -finding.level.rank, cause, finding.code, finding.subject
