"""
Where in a statement are we: may more be shown, and is what is in double quotes here nothing but a name?

SQLite takes them for a text where it knows no such name. What came before tells, and what it does not tell
is a text.
"""

from __future__ import annotations

import re
from typing import Final

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


class _Scope:
    """
    Inside of one pair of parentheses.

    ``columns``: whether it is a list of names; ``queried``: whether a statement with a FROM began there.
    """

    __slots__ = ("columns", "queried")

    def __init__(self, columns: bool) -> None:
        self.columns = columns
        self.queried = False


class Position:
    """
    What the tokens so far say of the next one.

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
