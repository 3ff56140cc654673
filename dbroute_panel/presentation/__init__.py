"""
Turn records into what a template shows: rows, lanes, totals, sentences.

Everything here is a pure function of a trace or of one decision. Details are built only for rows that
are open.
"""

from __future__ import annotations

from . import formatting, grouping
from .comparison import Comparison, build_comparison
from .detail import Chain, Detail, build_chain, build_detail
from .editor import Editor
from .filters import (
    DECIDER_LABELS,
    KIND_DECISIONS,
    KIND_QUERIES,
    SORT_BY_DURATION,
    DeciderCount,
    EventFilter,
    count_deciders,
)
from .finding_docs import documented_codes, read_finding_doc
from .grouping import StatementGroup, StatementPage, format_statement, paginate_statements
from .highlight import CodeSpan, highlight_source, plain_sql
from .index import Index, ShortNames
from .palette import Palette, Swatch
from .router_stats import MethodStats, RouterStats
from .rows import Fold, Listing, Row, RowPage
from .timeline import Timeline, build_timeline
from .totals import BarSegment, DatabaseTotals, Totals, build_usage_bar, compute_totals

__all__ = [
    "DECIDER_LABELS",
    "KIND_DECISIONS",
    "KIND_QUERIES",
    "SORT_BY_DURATION",
    "BarSegment",
    "Chain",
    "CodeSpan",
    "Comparison",
    "DatabaseTotals",
    "DeciderCount",
    "Detail",
    "Editor",
    "EventFilter",
    "Fold",
    "Index",
    "Listing",
    "MethodStats",
    "Palette",
    "RouterStats",
    "Row",
    "RowPage",
    "ShortNames",
    "StatementGroup",
    "StatementPage",
    "Swatch",
    "Timeline",
    "Totals",
    "build_chain",
    "build_comparison",
    "build_detail",
    "build_timeline",
    "build_usage_bar",
    "compute_totals",
    "count_deciders",
    "documented_codes",
    "format_statement",
    "formatting",
    "grouping",
    "highlight_source",
    "paginate_statements",
    "plain_sql",
    "read_finding_doc",
]
