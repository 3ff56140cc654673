"""
How is one statement shown? Formatted and cut into coloured pieces by sqlparse, for opened rows only.

sqlparse takes about 5 ms for 500 characters, so a statement that is very long is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import sqlparse
from sqlparse import lexer, tokens
from sqlparse.exceptions import SQLParseError

LONGEST_FORMATTED: Final = 10_000
LONGEST_SHOWN: Final = 50_000

_CLASSES = (
    (tokens.Keyword, "dbroute-sql-keyword"),
    (tokens.Comment, "dbroute-sql-comment"),
    (tokens.String.Symbol, ""),  # "library_book": a quoted name
    (tokens.String.Single, "dbroute-sql-literal"),
    (tokens.Number, "dbroute-sql-literal"),
    (tokens.Name.Placeholder, "dbroute-sql-placeholder"),
)


class Piece(msgspec.Struct, frozen=True):
    """A piece of text and its CSS class ("" for none)."""

    text: str
    css: str = ""


def plain(sql: str, longest: int = LONGEST_SHOWN) -> tuple[Piece, ...]:
    """The statement as it was sent, cut at ``longest`` characters."""
    return (Piece(sql[:longest] + ("…" if len(sql) > longest else "")),)


def formatted(sql: str) -> tuple[Piece, ...]:
    """The statement over several lines, in pieces; as it was sent where it is too long or too deep."""
    if len(sql) > LONGEST_FORMATTED:
        return plain(sql)
    try:
        lines = sqlparse.format(sql, reindent=True)
        return _merged(lexer.tokenize(lines))  # type: ignore[no-untyped-call]
    except (SQLParseError, RecursionError):
        return plain(sql)


def _merged(stream: Iterable[tuple[Any, str]]) -> tuple[Piece, ...]:
    """Neighbours of one class as one piece."""
    pieces: list[tuple[str, list[str]]] = []
    for kind, text in stream:
        css = next((name for token, name in _CLASSES if kind in token), "")
        if pieces and (pieces[-1][0] == css or text.isspace()):
            pieces[-1][1].append(text)
        else:
            pieces.append((css, [text]))
    return tuple(Piece("".join(texts), css) for css, texts in pieces)
