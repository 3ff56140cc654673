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

_QUERIES: Final = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "WITH", "VALUES", "EXPLAIN"}
)
_OTHERS: Final = frozenset({"TRUNCATE", "SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT", "START"})
_DEFINITIONS: Final = frozenset({"CREATE", "ALTER", "DROP"})
_DEFINED: Final = frozenset(
    {"TABLE", "INDEX", "UNIQUE", "VIEW", "SEQUENCE", "TEMPORARY", "TEMP", "MATERIALIZED"}
)
_ACCOUNTS: Final = frozenset({"IDENTIFIED", "PASSWORD"})

# What an EXPLAIN may have before the statement it explains.
_OF_EXPLAIN: Final = frozenset(
    {"EXPLAIN", "QUERY", "PLAN", "FOR", "ANALYZE", "VERBOSE", "COSTS", "SETTINGS", "GENERIC_PLAN", "BUFFERS"}
    | {"SERIALIZE", "NONE", "BINARY", "WAL", "TIMING", "SUMMARY", "MEMORY", "FORMAT", "EXTENDED"}
    | {"PARTITIONS", "TEXT", "XML", "JSON", "YAML", "TREE", "TRADITIONAL", "TRUE", "FALSE", "ON", "OFF"}
)

# What comes right before a name in double quotes, for databases where such quotes may hold a text as well:
# where the grammar has a name and no expression. FROM, ON and EXISTS are so only at times, see ``word()``.
_BEFORE_NAMES: Final = frozenset(
    {"JOIN", "INTO", "UPDATE", "TABLE", "INDEX", "VIEW", "AS", "SET", "ONLY", "REFERENCES", "COLLATE"}
    | {"COLUMN", "CONSTRAINT", "ADD", "DROP", "RENAME", "TO", "SAVEPOINT", "RELEASE", "WITH", "RECURSIVE"}
)
# Of these, what comes before a table's name that may have a list of columns behind it.
_BEFORE_LISTED: Final = frozenset({"INTO", "TABLE", "REFERENCES", "WITH", "RECURSIVE", "EXISTS", "ON"})
_AFTER_SET: Final = frozenset({"WHERE", "FROM", "RETURNING", "ORDER", "LIMIT", "OUTPUT", "OPTION"})
_WITH_FROM: Final = frozenset({"SELECT", "DELETE", "UPDATE"})

_DOT: Final = re.compile(r"\s*\.(?!\d)")
_IS: Final = re.compile(r"\s*=(?!=)")
_WORD_FOLLOWS: Final = re.compile(r"\s*[^\W\d]")
_ENDS_COLUMN: Final = re.compile(r"\s*(?:[,)]|(?:ASC|DESC|COLLATE)\b)", re.IGNORECASE)

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
        self.position = _Position()
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


class _Scope:
    """
    Inside of one pair of parentheses.

    ``columns``: whether it is a list of names; ``queried``: whether a statement with a FROM began there.
    """

    __slots__ = ("columns", "queried")

    def __init__(self, columns: bool) -> None:
        self.columns = columns
        self.queried = False


class _Position:
    """
    What the tokens so far say of the next one.

    SQLite takes what is in double quotes for a text where it knows no such name: what came before tells, and
    what it does not tell is a text.

    ``before``: the last token, a word in upper case; ``words``: all words; ``closed``: whether nothing more
    may be shown; ``explained``: whether the statement of an EXPLAIN began; ``names``: whether the last token
    comes right before a name; ``table``: whether it is part of a table's name that may have a list of columns
    behind it; ``scopes``: the open parentheses; ``setting``: whether this is the part of an UPDATE between
    SET and WHERE.
    """

    __slots__ = ("before", "closed", "explained", "names", "scopes", "setting", "table", "words")

    def __init__(self) -> None:
        self.before = ""
        self.words: list[str] = []
        self.closed = False
        self.explained = False
        self.names = False
        self.table = False
        self.scopes = [_Scope(columns=False)]
        self.setting = False

    def word(self, word: str) -> None:
        """Go on behind ``word``, which is in upper case."""
        self.words.append(word)
        scope = self.scopes[-1]
        if word == "FROM":  # not in IS DISTINCT FROM, and not in TRIM(x FROM y)
            self.names = scope.queried and self.before != "DISTINCT"
        elif word == "ON":  # of CREATE INDEX
            self.names = self._on_index()
        elif word == "EXISTS":
            self.names = self.words[0] in _DEFINITIONS
        else:
            self.names = word in _BEFORE_NAMES
        scope.queried = scope.queried or word in _WITH_FROM
        if len(self.scopes) == 1:
            self.setting = word == "SET" or (self.setting and word not in _AFTER_SET)
        self.table = self.names and word in _BEFORE_LISTED
        self.closed = not self._is_open()
        self.before = word

    def other(self, mark: str) -> None:
        """Go on behind what is no word: a character, or what kind of token it is (``name``)."""
        if mark == "(":  # behind a table's name: INSERT INTO "t" ("a", "b")
            self.scopes.append(_Scope(columns=self.table and self.before == "name"))
        elif mark == ")" and len(self.scopes) > 1:
            self.scopes.pop()
        elif mark == ";":
            self.closed = True
        self.names = False
        self.table = self.table and mark in ("name", ".")
        self.before = mark

    def is_name(self, sql: str, end: int) -> bool:
        """Whether what is in double quotes here, and ends at ``end``, can be nothing but a name."""
        before, scope = self.before, self.scopes[-1]
        if before == "." or _DOT.match(sql, end):
            return True
        if before in (",", "(") and scope.columns:
            typed = "TABLE" in self.words[1:3] and _WORD_FOLLOWS.match(sql, end)
            return bool(typed or _ENDS_COLUMN.match(sql, end))
        if before == "," and self.setting and len(self.scopes) == 1:
            return bool(_IS.match(sql, end))
        return self.names

    def _is_open(self) -> bool:
        """Whether a statement that begins with these words may be shown further."""
        first, last = self.words[0], self.words[-1]
        if first in _DEFINITIONS:
            return last not in _ACCOUNTS and (len(self.words) < 2 or self.words[1] in _DEFINED)
        if first == "EXPLAIN" and not self.explained:
            self.explained = last in _QUERIES and last != "EXPLAIN"
            return self.explained or last in _OF_EXPLAIN
        return first in _QUERIES or first in _OTHERS

    def _on_index(self) -> bool:
        """Whether the ON that was just read is the one of CREATE INDEX and DROP INDEX."""
        words = self.words
        short = len(words) <= 8  # CREATE UNIQUE INDEX IF NOT EXISTS name ON
        return short and words[0] in _DEFINITIONS and "INDEX" in words[1:3] and "ON" not in words[:-1]
