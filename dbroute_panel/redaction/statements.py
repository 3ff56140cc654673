r"""
What is left of a statement without its literals and remarks?

One pattern cuts it into tokens. Where databases, or settings of one, read the same characters differently
(``'it\'s'``, ``--it's``, ``/* /* */``), nobody can tell here what is a string: the statement is left out from
its first string on. So is what follows a statement's end, and whatever is no query, no change of rows and no
definition of tables: a password may stand there as a plain word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from secrets import token_bytes
from threading import Lock
from typing import Final

from .position import Position

LITERAL: Final = "?"
REST: Final = "***"

REMEMBERED: Final = 512
"""Statements whose redacted form is kept in memory."""

LONGEST: Final = 4096
"""Characters of a statement that is remembered."""

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    | (?P<remark>--[^\n]*|/\*.*?\*/)
    | (?P<oracle>[nN]?[qQ]'(?P<open>.))
    | (?P<text>'(?:[^']++|'')*+')
    | (?P<dollars>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<name>"(?:[^"]++|"")*+"|`(?:[^`]++|``)*+`)
    | (?P<placeholder>%s(?:,\s?%s)*+|%\(\w+\)s|%%)
    | (?P<number>[?:$@]?(?:\d|\.\d)[\w.$]*)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<other>[^'"`$/\-]|-(?!-)|/(?!\*)|\$(?=\w)(?!\w*\$))
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED = frozenset({"text", "oracle", "dollars"})
_PREFIXES = frozenset({"", "E", "N", "B", "X", "R"})
_STUCK = re.compile(r"[\w$\"`]")
_CLOSING = {"[": "]", "{": "}", "(": ")", "<": ">"}
_QUOTES = re.compile(r"['\"`]|--|/\*")

_key: Final = token_bytes(32)
_remembered: dict[tuple[bytes, str, bool], str] = {}
_lock: Final = Lock()


def without_literals(sql: str, vendor: str = "", *, failed: bool = False) -> str:
    """
    ``sql`` with ``?`` for each literal; ``vendor`` is that of its connection, empty if not known.

    Where it ``failed`` its quotes may be wrong (``name = 'O'Brien'``): it is kept up to its first string.

    Of short statements the result is remembered, by a digest: no literal stays in memory.
    """
    if len(sql) > LONGEST:
        return _Statement(sql, vendor, failed).text()
    digest = blake2b(sql.encode("utf-8", "surrogatepass"), digest_size=32, key=_key).digest()
    key = (digest, vendor, failed)
    left = _remembered.get(key)
    if left is None:
        left = _Statement(sql, vendor, failed).text()
        with _lock:
            while len(_remembered) >= REMEMBERED:
                del _remembered[next(iter(_remembered))]
            _remembered[key] = left
    return left


class _Unclear(Exception):
    """From here on, what is inside a string and what is not cannot be told."""


class _Statement:
    """
    A statement while it is read.

    ``position`` is what the grammar says of the next token; ``stuck``: the word that ends right where that
    begins; ``bracket``: where the last ``[`` is closed.
    """

    def __init__(self, sql: str, vendor: str, failed: bool) -> None:
        self.sql = sql
        self.vendor = vendor
        self.failed = failed
        self.position = Position()
        self.stuck = ""
        self.bracket = 0
        self.readers: dict[str, Callable[[re.Match[str]], str]] = {
            "text": self.string,
            "dollars": self.dollars,
            "oracle": self.oracle,
            "name": self.name,
            "placeholder": self.as_it_is,
            "number": self.number,
            "word": self.as_it_is,
            "other": self.other,
        }

    def text(self) -> str:
        kept: list[str] = []
        first: int | None = None
        here = 0
        try:
            while here < len(self.sql):
                match = _TOKEN.match(self.sql, here)
                if match is None:  # a quote without an end
                    raise _Unclear
                if match.lastgroup in _QUOTED and first is None:
                    first = len(kept)
                kept.append(self.token(match))
                self.stuck = match[0] if match.lastgroup == "word" else ""
                here = match.end() if match.lastgroup != "oracle" else self.end_of(match)
        except _Unclear:  # so it is not known of the strings before, too, whether they are some
            kept[len(kept) if first is None else first :] = [REST]
        return "".join(kept)

    def token(self, match: re.Match[str]) -> str:
        """What is kept of this token. Raises ``_Unclear``."""
        text, kind = match[0], str(match.lastgroup)
        if kind == "space":
            return text
        if kind == "remark":
            return self.remark(text)
        if self.position.closed:
            raise _Unclear
        shown = self.readers[kind](match)
        if kind == "word":
            self.position.word(text.upper())
        else:
            self.position.other(text if kind == "other" else kind)
        return shown

    def as_it_is(self, match: re.Match[str]) -> str:
        return match[0]

    def number(self, match: re.Match[str]) -> str:
        return LITERAL

    def string(self, match: re.Match[str]) -> str:
        """Raises ``_Unclear`` where it may not be the string that it seems to be."""
        self.ended(match[0])
        known = self.stuck.upper() in _PREFIXES or self.stuck.startswith("_")
        if not known or _STUCK.match(self.sql, match.end()):
            raise _Unclear
        return self.literal()

    def literal(self) -> str:
        """Raises ``_Unclear`` where the statement's quotes may be wrong."""
        if self.failed:
            raise _Unclear
        return LITERAL

    def ended(self, text: str) -> None:
        """Raises ``_Unclear`` where a backslash that escapes would make the text in quotes longer."""
        if "\\" + text[0] in text.replace("\\\\", ""):
            raise _Unclear

    def remark(self, text: str) -> str:
        """Nothing, if every database takes this for a remark, and the same characters."""
        if text.startswith("/*"):
            clear = not text.startswith(("/*!", "/*M!")) and "/*" not in text[2:]
        else:
            sure = self.vendor in ("postgresql", "sqlite", "oracle") or text[2:3].strip() == ""
            clear = sure and "\r" not in text.rstrip("\r")
        if not clear:
            raise _Unclear
        return " "

    def dollars(self, match: re.Match[str]) -> str:
        if self.vendor != "postgresql":
            raise _Unclear
        return self.literal()

    def oracle(self, match: re.Match[str]) -> str:
        if self.vendor != "oracle":
            raise _Unclear
        return self.literal()

    def end_of(self, match: re.Match[str]) -> int:
        """Where Oracle's ``q'[...]'`` ends. Raises ``_Unclear``."""
        closing = _CLOSING.get(match["open"], match["open"]) + "'"
        end = self.sql.find(closing, match.end())
        if end < 0:
            raise _Unclear
        return end + len(closing)

    def name(self, match: re.Match[str]) -> str:
        """A name in quotes, or a text in double quotes. Raises ``_Unclear``."""
        text = match[0]
        if text[0] == "`":
            if self.vendor not in ("mysql", "sqlite"):
                raise _Unclear
            return text
        self.ended(text)
        if self.vendor in ("postgresql", "oracle"):
            return text
        if self.vendor == "mysql":
            return self.literal()
        return text if self.position.is_name(self.sql, match.end()) else self.literal()

    def other(self, match: re.Match[str]) -> str:
        mark = match[0]
        if mark == "#" and self.vendor not in ("postgresql", "sqlite", "oracle"):  # MySQL's remark
            raise _Unclear
        if mark == "[" and self.vendor not in ("postgresql", "mysql", "oracle"):  # a name in brackets
            self.open_bracket(match.end())
        return mark

    def open_bracket(self, start: int) -> None:
        """Raises ``_Unclear`` where a quote would be part of a name in brackets."""
        if start <= self.bracket:  # inside of one that was looked at
            return
        end = self.sql.find("]", start)
        self.bracket = len(self.sql) if end < 0 else end
        if _QUOTES.search(self.sql, start, self.bracket):
            raise _Unclear
