"""
From records to what a template shows: rows, lanes, totals, sentences.

Everything here is a pure function of a trace (or of one decision): nothing is stored, asked or
changed, and nothing is formatted for a row that nobody opened. ``Index`` is built once a page.
"""

from __future__ import annotations

from . import formatting, grouping
from .comparison import Comparison, compared
from .deciders import DECIDERS, Decided, decided_in
from .detail import Chain, Detail, detail_of, detail_of_decision
from .editor import Editor
from .filters import DECISIONS, DURATION, QUERIES, Wanted
from .finding_docs import document, documented
from .highlight import Piece
from .index import Index, ShortNames
from .palette import Palette, Swatch
from .python_source import highlighted
from .router_stats import Experience, Tally
from .rows import Fold, Listing, Page, Row
from .sql import plain as plain_sql
from .statements import Group, GroupPage, groups_page, statement_of
from .timeline import Timeline, timeline_of
from .totals import Share, Totals, totals_of
from .usage_bar import Used, shares_of

__all__ = [
    "DECIDERS",
    "DECISIONS",
    "DURATION",
    "QUERIES",
    "Chain",
    "Comparison",
    "Decided",
    "Detail",
    "Editor",
    "Experience",
    "Fold",
    "Group",
    "GroupPage",
    "Index",
    "Listing",
    "Page",
    "Palette",
    "Piece",
    "Row",
    "Share",
    "ShortNames",
    "Swatch",
    "Tally",
    "Timeline",
    "Totals",
    "Used",
    "Wanted",
    "compared",
    "decided_in",
    "detail_of",
    "detail_of_decision",
    "document",
    "documented",
    "formatting",
    "grouping",
    "groups_page",
    "highlighted",
    "plain_sql",
    "shares_of",
    "statement_of",
    "timeline_of",
    "totals_of",
]
