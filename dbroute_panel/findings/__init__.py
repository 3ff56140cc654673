"""
Find what is wrong in a trace: one small function a finding, all of them in one registry.

``find(trace)`` runs them, and the project's own of ``DBROUTE_PANEL["FINDINGS"]``. Such a function
takes ``Facts``, a trace with an index of what belongs together in it, and yields findings; the
decorator says their code and level::

    from dbroute_panel.findings import ERROR, Facts, Finding, finding

    @finding("archive-written", level=ERROR)
    def archive_written(trace: Facts) -> Iterator[Finding]:
        for query in trace.changes:
            if query.alias == "archive":
                yield Finding.about(query, message=f"{trace.subject(query)} was written on archive.")
"""

from __future__ import annotations

from dbroute_panel.records import Finding
from dbroute_panel.trace_index import TransactionSpan

from .facts import ERROR, INFO, WARNING, Facts, FindingFunction, finding
from .registry import REGISTRY, codes, find

__all__ = [
    "ERROR",
    "INFO",
    "REGISTRY",
    "WARNING",
    "Facts",
    "Finding",
    "FindingFunction",
    "TransactionSpan",
    "codes",
    "find",
    "finding",
]
