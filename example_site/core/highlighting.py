"""Python source with its keywords, strings and comments marked, for the pages of the scenarios."""

from __future__ import annotations

import io
import keyword
import tokenize

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# Since Python 3.12 an f-string is several tokens.
STRING_TOKENS = ("STRING", "FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")
STRINGS = {getattr(tokenize, name, tokenize.STRING) for name in STRING_TOKENS}


def highlighted(source: str) -> SafeString:
    """The source as HTML, escaped, with a span around every token that has a colour."""
    pieces: list[SafeString | str] = []
    lines = source.splitlines(keepends=True)
    row, column = 1, 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.start > (row, column):
            pieces.append(_between(lines, (row, column), token.start))
        if token.end > token.start:
            text = _between(lines, token.start, token.end)
            css = _css(token)
            pieces.append(format_html('<span class="{}">{}</span>', css, text) if css else text)
        row, column = max((row, column), token.end)
    return format_html_join("", "{}", ((piece,) for piece in pieces))


def _css(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.COMMENT:
        return "comment"
    if token.type in STRINGS:
        return "string"
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "keyword"
    return ""


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text from one (row, column) to another, whatever lies between; rows count from 1."""
    (first, left), (last, right) = start, end
    chosen = lines[first - 1 : last]
    if first == last:
        return chosen[0][left:right] if chosen else ""
    if last <= len(lines):
        chosen[-1] = chosen[-1][:right]
    chosen[0] = chosen[0][left:]
    return "".join(chosen)
