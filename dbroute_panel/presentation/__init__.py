"""
From records to what a template shows: rows, lanes, totals, sentences.

Everything here is a pure function of a trace (or of one decision): nothing is stored, asked or
changed, and nothing is formatted for a row that nobody opened. ``Index`` is built once a page.
"""

from __future__ import annotations

from . import formatting, grouping
from .comparison import Comparison, build_comparison
from .deciders import DECIDER_LABELS, DeciderCount, count_deciders
from .detail import Chain, Detail, build_chain, build_detail
from .editor import Editor
from .filters import KIND_DECISIONS, KIND_QUERIES, SORT_BY_DURATION, EventFilter
from .finding_docs import documented_codes, read_finding_doc
from .highlight import CodeSpan
from .index import Index, ShortNames
from .palette import Palette, Swatch
from .python_source import highlight_source
from .router_stats import MethodStats, RouterStats
from .rows import Fold, Listing, Row, RowPage
from .sql import plain_sql
from .statements import StatementGroup, StatementPage, format_statement, paginate_statements
from .timeline import Timeline, build_timeline
from .totals import DatabaseTotals, Totals, compute_totals
from .usage_bar import BarSegment, build_usage_bar

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
