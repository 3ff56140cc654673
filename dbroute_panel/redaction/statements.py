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
from functools import lru_cache
from typing import Final

LITERAL: Final = "?"
REST: Final = "***"

_QUERIES = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "WITH", "VALUES", "EXPLAIN"}
)
_OTHERS = frozenset({"TRUNCATE", "SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT", "START"})
_DEFINITIONS = frozenset({"CREATE", "ALTER", "DROP"})
_DEFINED = frozenset({"TABLE", "INDEX", "UNIQUE", "VIEW", "SEQUENCE", "TEMPORARY", "TEMP", "MATERIALIZED"})
_ACCOUNTS = frozenset({"IDENTIFIED", "PASSWORD"})

# What comes right before a name in double quotes, for databases where such quotes may hold a text as well.
_BEFORE_NAMES = frozenset(
    {
        "FROM",
        "JOIN",
        "INTO",
        "UPDATE",
        "TABLE",
        "INDEX",
        "VIEW",
        "AS",
        "SET",
        "BY",
        "EXISTS",
        "ONLY",
        "REFERENCES",
    }
    | {"COLUMN", "CONSTRAINT", "ADD", "DROP", "RENAME", "TO", "SAVEPOINT", "RELEASE", "WITH", "RECURSIVE"}
    | {"COLLATE", "RETURNING"}
)

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    | (?P<remark>--[^\n]*|/\*.*?\*/)
    | (?P<oracle>[nN]?[qQ]'(?P<open>.))
    | (?P<text>'(?:[^']++|'')*+')
    | (?P<dollars>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<name>"(?:[^"]++|"")*+"|`(?:[^`]++|``)*+`)
    | (?P<placeholder>%s|%\(\w+\)s|%%)
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


@lru_cache(maxsize=4096)
def without_literals(sql: str, vendor: str = "", *, failed: bool = False) -> str:
    """
    ``sql`` with ``?`` for each literal; ``vendor`` is that of its connection, empty if not known.

    Where it ``failed`` its quotes may be wrong (``name = 'O'Brien'``): it is kept up to its first string.
    """
    return _Statement(sql, vendor, failed).text()


class _Unclear(Exception):
    """From here on, what is inside a string and what is not cannot be told."""


class _Statement:
    """
    A statement while it is read.

    ``before``: the last token, a word in upper case; ``stuck``: the word that ends right where the token
    begins; ``lists``: for each open parenthesis whether it lists names; ``setting``: whether this is the
    part of an UPDATE between SET and WHERE.
    """

    def __init__(self, sql: str, vendor: str, failed: bool) -> None:
        self.sql = sql
        self.vendor = vendor
        self.failed = failed
        self.words: list[str] = []
        self.before = ""
        self.stuck = ""
        self.lists = [False]
        self.setting = False
        self.readers: dict[str, Callable[[re.Match[str]], str]] = {
            "text": self.string,
            "dollars": self.dollars,
            "oracle": self.oracle,
            "name": self.name,
            "placeholder": self.placeholder,
            "number": self.number,
            "word": self.word,
            "other": self.other,
        }

    def text(self) -> str:
        kept: list[str] = []
        first: int | None = None
        here = 0
        try:
            while here < len(self.sql):
                match = _TOKEN.match(self.sql, here)
                if (
                    match is None
                ):  # a quote without an end: what belongs to which is not known of the others, too
                    del kept[len(kept) if first is None else first :]
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
        if self.before == ";" or (self.words and not self.is_open(self.words)):
            raise _Unclear
        shown = self.readers[kind](match)
        self.before = text.upper() if kind in ("word", "other") else kind
        return shown

    def is_open(self, words: list[str]) -> bool:
        """Whether a statement that begins so may be shown further."""
        if words[0] in _DEFINITIONS:
            return words[-1] not in _ACCOUNTS and (len(words) < 2 or words[1] in _DEFINED)
        return words[0] in _QUERIES or words[0] in _OTHERS

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

    def placeholder(self, match: re.Match[str]) -> str:
        return match[0]

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

    def word(self, match: re.Match[str]) -> str:
        word = match[0].upper()
        self.words.append(word)
        if len(self.lists) == 1:
            self.setting = word == "SET" or (self.setting and word != "WHERE")
        return match[0]

    def name(self, match: re.Match[str]) -> str:
        """A name in quotes. In MySQL double quotes hold a text, in SQLite where no such name is known."""
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
        qualified = self.before == "." or self.sql.startswith(".", match.end())
        listed = self.before in (",", "(") and self.lists[-1]
        assigned = self.before == "," and self.setting and len(self.lists) == 1
        defined = self.before == "ON" and self.words[0] in _DEFINITIONS
        known = qualified or listed or assigned or defined or self.before in _BEFORE_NAMES
        return text if known else self.literal()

    def other(self, match: re.Match[str]) -> str:
        mark = match[0]
        if mark == "(":  # behind a table's name: INSERT INTO "t" ("a", "b")
            self.lists.append(self.before == "name")
        elif mark == ")" and len(self.lists) > 1:
            self.lists.pop()
        elif mark == "#" and self.vendor not in ("postgresql", "sqlite", "oracle"):  # MySQL's remark
            raise _Unclear
        elif mark == "[" and self.vendor not in ("postgresql", "mysql", "oracle"):  # a name in brackets
            inside = self.sql[match.end() :].partition("]")[0]
            if _QUOTES.search(inside):
                raise _Unclear
        return mark
