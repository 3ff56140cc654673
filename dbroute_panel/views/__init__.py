"""
The admin pages: the list of traces, one trace, its export and replay; sandbox, map and routers.

A view is a function ``(admin, request, ...)`` that ``TraceAdmin`` has already checked the permission
for. One view serves the page and, to htmx, the part of it that changes (see ``rendering.render_partial``).
"""

from __future__ import annotations

from .compare import compare_traces
from .map import map_page
from .rendering import finding_page
from .replay import replay_trace
from .routers import routers_page
from .sandbox import model_labels, sandbox_page
from .trace import delete_trace, trace_page
from .traces import trace_list
from .transfer import export_trace, import_traces

__all__ = [
    "compare_traces",
    "delete_trace",
    "export_trace",
    "finding_page",
    "import_traces",
    "map_page",
    "model_labels",
    "replay_trace",
    "routers_page",
    "sandbox_page",
    "trace_list",
    "trace_page",
]
