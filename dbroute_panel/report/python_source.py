"""
How is Python source shown? Cut into coloured pieces by Python's own tokenizer; as it is where that fails.
"""

from __future__ import annotations

import io
import keyword
import tokenize
from collections.abc import Iterator
from typing import Final

from .sql import Piece

LONGEST: Final = 50_000

# Since Python 3.12 an f-string is several tokens, since 3.14 a t-string too.
_STRINGS = {
    getattr(tokenize, f"{kind}{part}", tokenize.STRING)
    for kind in ("F", "T")
    for part in ("STRING_START", "STRING_MIDDLE", "STRING_END")
} | {tokenize.STRING}


def highlighted(source: str) -> tuple[Piece, ...]:
    """The whole source, cut at ``LONGEST`` characters, in pieces."""
    if len(source) > LONGEST:
        return (Piece(source[:LONGEST] + "…"),)
    try:
        return tuple(_pieces(source))
    except (tokenize.TokenError, SyntaxError):
        return (Piece(source),)


def _pieces(source: str) -> Iterator[Piece]:
    """What has a colour, and the plain text between."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    done, previous = 0, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if css := _css(token, previous):
            start = starts[token.start[0] - 1] + token.start[1]
            end = starts[token.end[0] - 1] + token.end[1]
            if start > done:
                yield Piece(source[done:start])
            yield Piece(source[start:end], css)
            done = end
        previous = token.string
    if done < len(source):
        yield Piece(source[done:])


def _css(token: tokenize.TokenInfo, previous: str) -> str:
    if token.type == tokenize.COMMENT:
        return "dbroute-py-comment"
    if token.type in _STRINGS:
        return "dbroute-py-string"
    if token.type == tokenize.NAME:
        if keyword.iskeyword(token.string):
            return "dbroute-py-keyword"
        if previous in ("def", "class"):
            return "dbroute-py-name"
    return ""
