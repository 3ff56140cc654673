"""What is wrong with the routing itself: one small function a finding, in one registry."""

from __future__ import annotations

from dbroute_panel.inspection.lints import code, contrib, relations, routers, routes, tables
from dbroute_panel.inspection.lints.registry import LINTS, Lint, Problem, RoutingFacts, lint

__all__ = [
    "LINTS",
    "Lint",
    "Problem",
    "RoutingFacts",
    "code",
    "contrib",
    "lint",
    "relations",
    "routers",
    "routes",
    "tables",
]
