"""
From records to what a template shows: rows, lanes, totals, sentences.

Everything here is a pure function of a trace (or of one decision): nothing is stored, asked or
changed, and nothing is formatted for a row that nobody opened. ``Index`` is built once a page.
"""

from __future__ import annotations

from . import alike, words
from .comparison import Comparison, compared
from .detail import Chain, Detail, detail_of, detail_of_decision
from .documents import document, documented
from .experience import Experience, Tally
from .highlight import Piece
from .index import Index, ShortNames
from .palette import Palette, Swatch
from .python_source import highlighted
from .rows import Fold, Listing, Page, Row, Wanted
from .shares import Used, shares_of
from .sql import plain as plain_sql
from .timeline import Timeline, timeline_of
from .totals import Share, Totals, totals_of

__all__ = [
    "Chain",
    "Comparison",
    "Detail",
    "Experience",
    "Fold",
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
    "alike",
    "compared",
    "detail_of",
    "detail_of_decision",
    "document",
    "documented",
    "highlighted",
    "plain_sql",
    "shares_of",
    "timeline_of",
    "totals_of",
    "words",
]
