"""
Format and colour SQL and Python: Pygments cuts code into spans, each with one of a few CSS classes.

The template makes the markup, so that no HTML is made here and no page needs an inline style.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import msgspec
import sqlparse
from pygments.token import Comment, Keyword, Name, Number, String, _TokenType
from sqlparse.exceptions import SQLParseError


class CodeSpan(msgspec.Struct, frozen=True):
    """A piece of text and its CSS class ("" for none)."""

    text: str
    css: str = ""


CSS_CLASSES: Final[tuple[tuple[_TokenType, str], ...]] = (
    (Keyword.Type, ""),  # to SQL's lexer also a column called "date" or "text"
    (Keyword, "dbroute-hl-keyword"),
    (Name.Variable, "dbroute-hl-placeholder"),
    (Name.Function, "dbroute-hl-name"),
    (Name.Class, "dbroute-hl-name"),
    (String.Symbol, ""),  # "library_book": a quoted name
    (String, "dbroute-hl-literal"),
    (Number, "dbroute-hl-literal"),
    (Comment, "dbroute-hl-comment"),
)
"""The first entry that includes a token's type holds."""


def highlight_sql(text: str) -> tuple[CodeSpan, ...]:
    """SQL as Django sends it, the placeholders of all drivers marked."""
    return _merge_tokens(_sql_lexer().get_tokens_unprocessed(text))


def highlight_python(text: str) -> tuple[CodeSpan, ...]:
    """Python, also a part of a file or a version that is not this one's: a lexer never fails."""
    return _merge_tokens(_python_lexer().get_tokens_unprocessed(text))


# Both lexers are made when the first code is shown: their modules take some 20 ms to import.


@cache
def _sql_lexer() -> Any:
    from pygments.lexer import inherit
    from pygments.lexers.sql import SqlLexer

    class Lexer(SqlLexer):  # type: ignore[misc]
        """With placeholders (``%s``, ``%(name)s``, ``:name``, ``$1``, ``?``) and MySQL's quoted names."""

        tokens = {
            "root": [
                (r"%s|%\(\w+\)s|(?<!:):[A-Za-z_]\w*|\$\d+|\?(?!\|)", Name.Variable),
                (r"`[^`]*`", String.Symbol),
                inherit,
            ]
        }

    return Lexer()


@cache
def _python_lexer() -> Any:
    from pygments.lexers.python import PythonLexer

    return PythonLexer()


@cache
def _css_class(kind: _TokenType) -> str:
    return next((name for token, name in CSS_CLASSES if kind in token), "")


def _merge_tokens(stream: Iterable[tuple[int, _TokenType, str]]) -> tuple[CodeSpan, ...]:
    """Neighbours of one class as one piece; a blank belongs to what is before it."""
    pieces: list[tuple[str, list[str]]] = []
    for _at, kind, text in stream:
        css = _css_class(kind)
        if pieces and (pieces[-1][0] == css or text.isspace()):
            pieces[-1][1].append(text)
        else:
            pieces.append((css, [text]))
    return tuple(CodeSpan("".join(texts), css) for css, texts in pieces)


MAX_FORMATTED_LENGTH: Final = 10_000
MAX_SHOWN_LENGTH: Final = 50_000


def plain_sql(sql: str, longest: int = MAX_SHOWN_LENGTH) -> tuple[CodeSpan, ...]:
    """The statement as it was sent, cut at ``longest`` characters."""
    return (CodeSpan(sql[:longest] + ("…" if len(sql) > longest else "")),)


def format_sql(sql: str) -> tuple[CodeSpan, ...]:
    """The statement over several lines, in pieces; as it was sent where it is too long or too deep."""
    if len(sql) > MAX_FORMATTED_LENGTH:
        return plain_sql(sql)
    try:
        lines = sqlparse.format(sql, reindent=True)
    except (SQLParseError, RecursionError):
        return plain_sql(sql)
    return highlight_sql(lines)


MAX_SOURCE_LENGTH: Final = 50_000


def highlight_source(source: str) -> tuple[CodeSpan, ...]:
    """The whole source, cut at ``MAX_SOURCE_LENGTH`` characters, in pieces."""
    if len(source) > MAX_SOURCE_LENGTH:
        return (CodeSpan(source[:MAX_SOURCE_LENGTH] + "…"),)
    return highlight_python(source)
