r"""
Replace the literals of a statement, and remove its comments.

One pattern cuts it into tokens. Where databases, or settings of one, read the same characters differently
(``'it\'s'``, ``--it's``, ``/* /* */``), what is a string cannot be told: the statement is left out from its
first string on. So is what follows a statement's end, and whatever is no query, no change of rows and no
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

MAX_REMEMBERED: Final = 512
"""Maximum statements whose redacted form is kept in memory."""

MAX_REMEMBERED_CHARACTERS: Final = 4096
"""Longer statements are redacted each time."""

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    | (?P<comment>--[^\n]*|/\*.*?\*/)
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
# where the grammar has a name and no expression. Of FROM, ON and EXISTS ``pass_word()`` decides.
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
_cache: dict[tuple[bytes, str, bool], str] = {}
_lock: Final = Lock()


def without_literals(sql: str, vendor: str = "", *, failed: bool = False) -> str:
    """
    Return ``sql`` with ``?`` for each literal.

    The results of short statements are remembered by a digest: no literal stays in memory.

    Args:
        sql: One statement.
        vendor: That of its connection, empty if not known.
        failed: Its quotes may be wrong (``name = 'O'Brien'``): it is kept up to its first string.
    """
    if len(sql) > MAX_REMEMBERED_CHARACTERS:
        return _Statement(sql, vendor, failed).redact()
    digest = blake2b(sql.encode("utf-8", "surrogatepass"), digest_size=32, key=_key).digest()
    key = (digest, vendor, failed)
    left = _cache.get(key)
    if left is None:
        left = _Statement(sql, vendor, failed).redact()
        with _lock:
            while len(_cache) >= MAX_REMEMBERED:
                del _cache[next(iter(_cache))]
            _cache[key] = left
    return left


class _UnclearError(Exception):
    """From here on it cannot be told what is inside a string."""


class _Statement:
    """
    A statement while it is read.

    ``position`` says what may come next; ``stuck`` is the word that ends right where the next token begins,
    ``bracket`` where the last ``[`` is closed.
    """

    def __init__(self, sql: str, vendor: str, failed: bool) -> None:
        self.sql = sql
        self.vendor = vendor
        self.failed = failed
        self.position = _Position()
        self.stuck = ""
        self.bracket = 0
        self.readers: dict[str, Callable[[re.Match[str]], str]] = {
            "text": self.read_string,
            "dollars": self.read_dollars,
            "oracle": self.read_oracle,
            "name": self.read_name,
            "placeholder": lambda match: match[0],
            "number": lambda match: LITERAL,
            "word": lambda match: match[0],
            "other": self.read_other,
        }

    def redact(self) -> str:
        kept: list[str] = []
        first: int | None = None
        here = 0
        try:
            while here < len(self.sql):
                match = _TOKEN.match(self.sql, here)
                if match is None:  # a quote without an end
                    raise _UnclearError
                if match.lastgroup in _QUOTED and first is None:
                    first = len(kept)
                kept.append(self.read_token(match))
                self.stuck = match[0] if match.lastgroup == "word" else ""
                here = match.end() if match.lastgroup != "oracle" else self.find_oracle_end(match)
        except _UnclearError:  # so it is not known of the strings before, too, whether they are some
            kept[len(kept) if first is None else first :] = [REST]
        return "".join(kept)

    def read_token(self, match: re.Match[str]) -> str:
        """Return what is kept of this token. Raises ``_UnclearError``."""
        text, kind = match[0], str(match.lastgroup)
        if kind == "space":
            return text
        if kind == "comment":
            return self.read_comment(text)
        if self.position.closed:
            raise _UnclearError
        shown = self.readers[kind](match)
        if kind == "word":
            self.position.pass_word(text.upper())
        else:
            self.position.pass_mark(text if kind == "other" else kind)
        return shown

    def read_string(self, match: re.Match[str]) -> str:
        """Raises ``_UnclearError`` where it may not be the string that it seems to be."""
        self.check_end(match[0])
        known = self.stuck.upper() in _PREFIXES or self.stuck.startswith("_")
        if not known or _STUCK.match(self.sql, match.end()):
            raise _UnclearError
        return self.make_literal()

    def make_literal(self) -> str:
        """Raises ``_UnclearError`` where the statement's quotes may be wrong."""
        if self.failed:
            raise _UnclearError
        return LITERAL

    def check_end(self, text: str) -> None:
        """Raises ``_UnclearError`` where a backslash that escapes would make the text in quotes longer."""
        if "\\" + text[0] in text.replace("\\\\", ""):
            raise _UnclearError

    def read_comment(self, text: str) -> str:
        """Return a blank, if every database takes this for a comment. Raises ``_UnclearError``."""
        if text.startswith("/*"):
            clear = not text.startswith(("/*!", "/*M!")) and "/*" not in text[2:]
        else:
            sure = self.vendor in ("postgresql", "sqlite", "oracle") or text[2:3].strip() == ""
            clear = sure and "\r" not in text.rstrip("\r")
        if not clear:
            raise _UnclearError
        return " "

    def read_dollars(self, match: re.Match[str]) -> str:
        if self.vendor != "postgresql":
            raise _UnclearError
        return self.make_literal()

    def read_oracle(self, match: re.Match[str]) -> str:
        if self.vendor != "oracle":
            raise _UnclearError
        return self.make_literal()

    def find_oracle_end(self, match: re.Match[str]) -> int:
        """Return where Oracle's ``q'[...]'`` ends. Raises ``_UnclearError``."""
        closing = _CLOSING.get(match["open"], match["open"]) + "'"
        end = self.sql.find(closing, match.end())
        if end < 0:
            raise _UnclearError
        return end + len(closing)

    def read_name(self, match: re.Match[str]) -> str:
        """Keep a name in quotes, and replace a text in double quotes. Raises ``_UnclearError``."""
        text = match[0]
        if text[0] == "`":
            if self.vendor not in ("mysql", "sqlite"):
                raise _UnclearError
            return text
        self.check_end(text)
        if self.vendor in ("postgresql", "oracle"):
            return text
        if self.vendor == "mysql":
            return self.make_literal()
        return text if self.position.is_name(self.sql, match.end()) else self.make_literal()

    def read_other(self, match: re.Match[str]) -> str:
        mark = match[0]
        if mark == "#" and self.vendor not in ("postgresql", "sqlite", "oracle"):  # MySQL's comment
            raise _UnclearError
        if mark == "[" and self.vendor not in ("postgresql", "mysql", "oracle"):  # a name in brackets
            self.open_bracket(match.end())
        return mark

    def open_bracket(self, start: int) -> None:
        """Raises ``_UnclearError`` where a quote would be part of a name in brackets."""
        if start <= self.bracket:  # inside of one that was looked at
            return
        end = self.sql.find("]", start)
        self.bracket = len(self.sql) if end < 0 else end
        if _QUOTES.search(self.sql, start, self.bracket):
            raise _UnclearError


class _Scope:
    """One pair of parentheses. ``columns``: it is a list of names; ``queried``: a FROM belongs to it."""

    __slots__ = ("columns", "queried")

    def __init__(self, columns: bool) -> None:
        self.columns = columns
        self.queried = False


class _Position:
    """
    What the tokens so far say about the next one.

    SQLite takes what is in double quotes for a text where it knows no such name. What came before tells
    names; all else is a text.

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

    def pass_word(self, word: str) -> None:
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

    def pass_mark(self, mark: str) -> None:
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
        """Return whether what is in double quotes here, and ends at ``end``, can be nothing but a name."""
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
        """Return whether a statement that begins with these words may be shown further."""
        first, last = self.words[0], self.words[-1]
        if first in _DEFINITIONS:
            return last not in _ACCOUNTS and (len(self.words) < 2 or self.words[1] in _DEFINED)
        if first == "EXPLAIN" and not self.explained:
            self.explained = last in _QUERIES and last != "EXPLAIN"
            return self.explained or last in _OF_EXPLAIN
        return first in _QUERIES or first in _OTHERS

    def _on_index(self) -> bool:
        """Return whether the ON that was just read is the one of CREATE INDEX or DROP INDEX."""
        words = self.words
        short = len(words) <= 8  # CREATE UNIQUE INDEX IF NOT EXISTS name ON
        return short and words[0] in _DEFINITIONS and "INDEX" in words[1:3] and "ON" not in words[:-1]
