"""
The admin pages: the list of traces, one trace, its export and replay; sandbox, map and routers.

A view is a function ``(admin, request, ...)`` that ``TraceAdmin`` has already checked the permission
for. One view serves the page and, to htmx, the part of it that changes (see ``page.part``).
"""

from __future__ import annotations

from .compare import compare_traces
from .finding import finding_page
from .imports import import_traces
from .offers import model_labels
from .replay import replay_trace
from .router_chain import routers
from .routing_map import routing_map
from .sandbox import sandbox
from .trace import delete_trace, export_trace, trace_page
from .traces import trace_list

__all__ = [
    "compare_traces",
    "delete_trace",
    "export_trace",
    "finding_page",
    "import_traces",
    "model_labels",
    "replay_trace",
    "routers",
    "routing_map",
    "sandbox",
    "trace_list",
    "trace_page",
]
