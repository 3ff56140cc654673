"""
The admin pages: the list of traces, one trace, its export, the sandbox.

A view is a function ``(admin, request, ...)`` that ``TraceAdmin`` has already checked the permission
for. One view serves the page and, to htmx, the part of it that changes (see ``page.part``).
"""

from __future__ import annotations

from .sandbox import sandbox
from .trace import delete_trace, export_trace, trace_page
from .traces import trace_list

__all__ = ["delete_trace", "export_trace", "sandbox", "trace_list", "trace_page"]
