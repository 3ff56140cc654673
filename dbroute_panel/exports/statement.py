"""
What does a statement do to which tables, in a few words? ``SELECT library_book library_person``.

As OpenTelemetry makes a ``db.query.summary``: each operation with the tables it names, in their order,
without columns and values. It reads words and no grammar: a summary groups statements.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

LONGEST: Final = 255
"""Characters of a summary; a longer one is cut between two words."""

_NAME: Final = r'(?:"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|[^\W\d][\w$]*)'
_TOKEN: Final = re.compile(
    rf"""
    '(?:[^']|'')*' | --[^\n]* | /\*.*?\*/ | \$(\w*)\$.*?\$\1\$   # literals and comments
  | %s | %\(\w+\)s | ::\s*\w+ | [:@$]\w+ | \d[\w.]*               # placeholders, casts, numbers
  | (?P<token> {_NAME} (?:\s*\.\s*{_NAME})* | [(),;] )
    """,
    re.DOTALL | re.VERBOSE,
)
_SIGNS: Final = frozenset("(),;")
_UNQUOTED: Final = str.maketrans("", "", '"`[]')

_STATEMENTS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"})
_DEFINITIONS: Final = frozenset({"CREATE", "ALTER", "DROP", "TRUNCATE"})
_KINDS: Final = frozenset(
    {"TABLE", "VIEW", "INDEX", "SEQUENCE", "TRIGGER", "SCHEMA", "DATABASE", "EXTENSION"}
)
_BEFORE_A_STATEMENT: Final = frozenset({"", "(", ")", ";", "EXPLAIN", "ANALYZE", "PLAN", "AS"})
_BETWEEN: Final = frozenset({"ONLY", "IF", "NOT", "EXISTS", "LATERAL", "IGNORE", "INTO", "FROM", "TABLE"})
_AFTER_A_LIST: Final = frozenset(
    {"WHERE", "ON", "SET", "USING", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", "VALUES", "RETURNING"}
)


class Statement(NamedTuple):
    """``tables`` are in order, each once; ``procedure`` is the one that is called."""

    summary: str
    tables: tuple[str, ...]
    procedure: str | None

    @property
    def table(self) -> str | None:
        """The only table that is named; None of none and of several."""
        return self.tables[0] if len(self.tables) == 1 else None


def read(sql: str) -> Statement:
    """What ``sql`` does. Only short texts are remembered."""
    return _remembered(sql) if len(sql) <= 4096 else _read(sql)


def _read(sql: str) -> Statement:
    reader = _Reader()
    tokens = [found for match in _TOKEN.finditer(sql) if (found := match["token"])]
    for token, following in zip(tokens, [*tokens[1:], ""], strict=False):
        reader.take(token, token.upper(), following)
    words = reader.words
    first = next((token.upper() for token in tokens if token not in _SIGNS), "")
    if first not in ("", "WITH") and not (words and words[0].startswith(first)):
        words.insert(0, first)
    return Statement(_cut(words), tuple(dict.fromkeys(reader.tables)), reader.procedure)


_remembered = lru_cache(maxsize=2048)(_read)


class _Scope:
    """Inside of one pair of parentheses: whether a statement began there, and the latest name."""

    def __init__(self) -> None:
        self.began = False
        self.name = ""


class _Reader:
    """Takes the words of a statement one by one. A name in quotes keeps them, and so is no keyword."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.tables: list[str] = []
        self.procedure: str | None = None
        self.naming = False  # whether there was a WITH
        self.queries: set[str] = set()  # that it named
        self.scopes = [_Scope()]
        self.before = ""
        self.after = ""  # the keyword that a table's name comes after; "" where none is expected
        self.listing = 0  # with so many words, less one, a comma and another table may come
        self.defining = False

    def take(self, token: str, word: str, following: str) -> None:
        scope = self.scopes[-1]
        if token in _SIGNS:
            self.sign(token)
        elif word in _STATEMENTS and self.begins(word, following):
            scope.began, self.listing = True, 0
            self.after = word if word in ("UPDATE", "MERGE") else ""
            self.words.append(word)
        elif self.defines(word):
            self.defining = True
        elif word == "CALL" and not self.words:
            self.after = word
        elif word in ("INTO", "JOIN") or (word == "FROM" and scope.began and self.before != "DISTINCT"):
            self.after, self.listing = word, 0
        elif self.after and word not in _BETWEEN:
            self.named(token, following)
        else:
            self.listing = 0 if word in _AFTER_A_LIST else max(0, self.listing - 1)
            self.names_query(word, following)
        if word not in ("AS", "NOT", "MATERIALIZED", *_SIGNS):
            scope.name = _plain(token)
        self.before = word

    def defines(self, word: str) -> bool:
        """Whether the word is one of those before the name in CREATE TABLE, CREATE INDEX ... ON, TRUNCATE."""
        if word in _DEFINITIONS and self.before in ("", ";"):
            self.words.append(word)
            self.after = word if word == "TRUNCATE" else ""
        elif self.defining and word in _KINDS and self.words[-1:] in (["CREATE"], ["ALTER"], ["DROP"]):
            self.words[-1] += f" {word}"
            self.after = word if word in ("TABLE", "VIEW") else ""
        elif self.defining and word == "ON":
            self.after = word
        else:
            return False
        return True

    def names_query(self, word: str, following: str) -> None:
        """``WITH name AS (`` gives a query a name, which is no table's."""
        self.naming = self.naming or word == "WITH"
        if self.naming and following == "(" and word in ("AS", "MATERIALIZED"):
            self.queries.add(self.scopes[-1].name)

    def begins(self, word: str, following: str) -> bool:
        """SELECT is a keyword everywhere; UPDATE may end a SELECT, REPLACE may be a function."""
        return word == "SELECT" or (self.before in _BEFORE_A_STATEMENT and following != "(")

    def sign(self, sign: str) -> None:
        if sign == "(":
            self.scopes.append(_Scope())
        elif sign == ")" and len(self.scopes) > 1:
            self.scopes.pop()
        self.after = "FROM" if sign == "," and self.listing else ""
        self.listing = 0

    def named(self, token: str, following: str) -> None:
        """The name that was expected: of a procedure, of a table, or of a function that gives rows."""
        name, after, self.after = _plain(token), self.after, ""
        if after == "CALL":
            self.procedure = name
            self.words += ["CALL", name]
        elif name not in self.queries and not (after in ("FROM", "JOIN") and following == "("):
            self.tables.append(name)
            if self.words[-1:] != [name]:
                self.words.append(name)
        self.listing = 3 if after in ("FROM", "TRUNCATE") else 0


def _plain(name: str) -> str:
    return re.sub(r"\s*\.\s*", ".", name.translate(_UNQUOTED))


def _cut(words: list[str]) -> str:
    summary = " ".join(words)
    if len(summary) <= LONGEST:
        return summary
    return summary[: LONGEST + 1].rpartition(" ")[0] or summary[:LONGEST]
