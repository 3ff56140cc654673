"""
What is wrong with the routing, before anything went wrong: the static findings.

The routers are asked, which can have effects: only when a person or CI asks for it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from dbroute_panel.conf import panel_settings
from dbroute_panel.inspection.lints import LINTS, RoutingFacts
from dbroute_panel.inspection.map import RoutingMap, build_map
from dbroute_panel.recording.recorder import complain, resumed
from dbroute_panel.records import Level

CAUSE_CODES: Final = ("router-signature", "router-raised")
"""The findings that others come of, in their order."""


class StaticFinding(msgspec.Struct, frozen=True, kw_only=True):
    """A finding about the routing. ``subject``: a model label, a router's path, an alias or a migration."""

    code: str
    level: Level
    message: str
    subject: str


def run_lints(routes: RoutingMap | None = None) -> list[StaticFinding]:
    """
    Every static finding that is not silenced, worst first, then by code and subject.

    Of one level those are first that others come of: routers that Django cannot make or call.

    ``routes``: the map, where it was asked already. A check of ours that fails is logged and left out.
    """
    found: list[StaticFinding] = []
    with resumed(None):
        facts = RoutingFacts(build_map() if routes is None else routes)
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
                complain("dbroute_panel could not look for %s.", entry.code)
    return sorted(found, key=_sort_key)


def _sort_key(finding: StaticFinding) -> tuple[int, int, str, str]:
    cause = CAUSE_CODES.index(finding.code) if finding.code in CAUSE_CODES else len(CAUSE_CODES)
    return -finding.level.rank, cause, finding.code, finding.subject
