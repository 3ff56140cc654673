"""
Read what the package needs to know of a statement: its kind, its tables, its fingerprint, its summary.

Each reader looks at as little as its answer needs, with patterns rather than a grammar: statements come by
the thousand, and sqlparse takes milliseconds for each. What they do not understand has no tables. Redaction
has its own reader (``redaction/statements.py``), which must never be wrong about where a literal ends.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

MAX_REMEMBERED_CHARACTERS: Final = 4096
"""Longer statements are read each time, so that the caches stay small."""

_STRING: Final = r"'(?:[^']|'')*'"
_COMMENT: Final = r"--[^\n]*|/\*.*?\*/"

# The kind


class StatementKind(NamedTuple):
    """``operation``: the first SQL keyword in upper case, comments and ``(`` skipped; or empty."""

    operation: str
    writes: bool


WRITING: Final = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "TRUNCATE"}
    | {"CREATE", "ALTER", "DROP", "RENAME", "COMMENT"}
)
"""Operations that change rows or tables."""

ROWS: Final = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "TRUNCATE", "WITH"})
"""Operations that write rows, where they write; the others change tables."""

_SKIPPED: Final = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|/\*.*?\*/|\()+", re.DOTALL)
_KEYWORD: Final = re.compile(r"[A-Za-z_]+")
_STRING_NAME_OR_COMMENT: Final = re.compile(rf'{_STRING}|"(?:[^"]|"")*"|`[^`]*`|{_COMMENT}', re.DOTALL)
# "FOR UPDATE", "FOR NO KEY UPDATE" lock rows; they write none.
_WRITING_PART: Final = re.compile(r"(?<!\bFOR\s)(?<!\bKEY\s)\b(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)


def classify(sql: str) -> StatementKind:
    """Return the operation of ``sql``, and whether it writes: ``SELECT ... FOR UPDATE`` does not."""
    return _classify_cached(sql) if len(sql) <= MAX_REMEMBERED_CHARACTERS else _classify(sql)


def _classify(sql: str) -> StatementKind:
    start = skipped.end() if (skipped := _SKIPPED.match(sql)) else 0
    keyword = _KEYWORD.match(sql, start)
    operation = keyword[0].upper() if keyword else ""
    if operation == "WITH":
        code = " ".join(_STRING_NAME_OR_COMMENT.sub(" ", sql).split())
        return StatementKind(operation, _WRITING_PART.search(code) is not None)
    return StatementKind(operation, operation in WRITING)


_classify_cached = lru_cache(maxsize=2048)(_classify)

# Tables and locks

_PART: Final = r'(?:"[^"]+"|`[^`]+`|\[[^\]]+\]|\w+)'
_TABLE: Final = rf"(?i:ONLY\s+)?({_PART}(?:\.{_PART})*)"
_STRING_OR_COMMENT: Final = re.compile(f"{_STRING}|{_COMMENT}", re.DOTALL)
# A pattern that begins with a set of characters is ten times as fast as one with \b and IGNORECASE.
# (?<!\w.): what was just matched begins a word.
_READ: Final = re.compile(rf"[FfJj](?<!\w.)(?:[Rr][Oo][Mm]|[Oo][Ii][Nn])\s+{_TABLE}")
# "DO UPDATE SET" and "ON DUPLICATE KEY UPDATE" belong to an INSERT; "FOR UPDATE" locks.
_WRITTEN: Final = re.compile(
    rf"[IiUuDdTt](?<!\w.)(?i:NTO|(?<!\bDO\s.)(?<!\bKEY\s.)(?<!\bFOR\s.)PDATE|ELETE\s+FROM"
    rf"|RUNCATE(?:\s+TABLE)?)\s+{_TABLE}"
)
_ALTERED: Final = re.compile(
    rf"\b(?i:TABLE(?:\s+IF\s+EXISTS)?|REFERENCES|INDEX\s+(?:CONCURRENTLY\s+)?{_PART}\s+ON)\s+{_TABLE}"
)
_LOCK: Final = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
_CATALOG: Final = re.compile(
    r"\bsqlite_(?:temp_)?(?:master|schema|sequence)\b|\bpragma_\w+|\bpg_[a-z]\w*|\binformation_schema\b"
    r"|\b(?:user|all|dba)_(?:tables|tab_|views|cons|ind|seq)",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def tables_read(sql: str) -> tuple[str, ...]:
    """Return the tables that a SELECT reads, in order, without schema and quotes, in lower case."""
    return _find_tables(_READ, sql)


@lru_cache(maxsize=4096)
def tables_written(sql: str) -> tuple[str, ...]:
    """Return the tables whose rows an INSERT, UPDATE, DELETE, REPLACE, MERGE or TRUNCATE writes."""
    return _find_tables(_WRITTEN, sql)


def tables_altered(sql: str) -> tuple[str, ...]:
    """Return the tables that a change of tables, keys or indexes is about."""
    return _find_tables(_ALTERED, sql)


def _find_tables(pattern: re.Pattern[str], sql: str) -> tuple[str, ...]:
    if "'" in sql or "--" in sql or "/*" in sql:
        sql = _STRING_OR_COMMENT.sub(" ", sql)
    return tuple(dict.fromkeys(map(_unqualify, pattern.findall(sql))))


def _unqualify(name: str) -> str:
    last: str = re.findall(_PART, name)[-1] if "." in name else name
    return last.strip('"`[]').lower()


def locks(sql: str) -> bool:
    """Return whether it is a ``SELECT ... FOR UPDATE``."""
    return "UPDATE" in sql.upper() and _LOCK.search(_STRING_OR_COMMENT.sub(" ", sql)) is not None


def returns_rows(sql: str) -> bool:
    """Return whether a write has ``RETURNING``: SQLite counts its rows only when they have been fetched."""
    return "RETURNING" in sql.upper()


@lru_cache(maxsize=4096)
def reads_catalog(sql: str) -> bool:
    """Return whether it asks the database about its tables, as migrations and introspection do."""
    return _CATALOG.search(sql) is not None


# The fingerprint


class Fingerprint(NamedTuple):
    """A statement with ``?`` for each value, and each list of values as one; ``values`` is their number."""

    text: str
    values: int


_VALUE: Final = re.compile(
    r"['%0-9](?:(?<=')(?:[^']|'')*'|(?<=%)(?:s|\(\w+\)s)|(?<=[0-9])(?<!\w.)[0-9.]*(?!\w))"
)
_KEPT_STRING_OR_COMMENT: Final = re.compile(f"({_STRING})|{_COMMENT}", re.DOTALL)
_LIST: Final = re.compile(r"[Ii](?<!\w.)[Nn] ?\( ?\?(?: ?, ?\?)* ?\)")


@lru_cache(maxsize=4096)
def fingerprint(sql: str) -> Fingerprint:
    """Return the statement without its values: what is equal when a line of code runs again."""
    if "--" in sql or "/*" in sql:
        sql = _KEPT_STRING_OR_COMMENT.sub(lambda match: match[1] or " ", sql)
    text = " ".join(_VALUE.sub("?", sql).split())
    values = text.count("?")
    return Fingerprint(_LIST.sub("IN (?)", text) if values else text, values)


# The summary

MAX_SUMMARY_CHARACTERS: Final = 255
"""A longer summary is cut between two words."""

_NAME: Final = r'(?:"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|[^\W\d][\w$]*)'
_TOKEN: Final = re.compile(
    rf"""
    {_STRING} | {_COMMENT} | \$(\w*)\$.*?\$\1\$       # literals and comments
  | %s | %\(\w+\)s | ::\s*\w+ | [:@$]\w+ | \d[\w.]*   # placeholders, casts, numbers
  | (?P<token> {_NAME} (?:\s*\.\s*{_NAME})* | [(),;] )
    """,
    re.DOTALL | re.VERBOSE,
)
_SIGNS: Final = frozenset("(),;")
_UNQUOTED: Final = str.maketrans("", "", '"`[]')

_STATEMENTS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"})
_DEFINITIONS: Final = frozenset({"CREATE", "ALTER", "DROP", "TRUNCATE"})
_DEFINED: Final = frozenset(
    {"TABLE", "VIEW", "INDEX", "SEQUENCE", "TRIGGER", "SCHEMA", "DATABASE", "EXTENSION"}
)
_BEFORE_A_STATEMENT: Final = frozenset({"", "(", ")", ";", "EXPLAIN", "ANALYZE", "PLAN", "AS"})
_BEFORE_A_NAME: Final = frozenset(
    {"ONLY", "IF", "NOT", "EXISTS", "LATERAL", "IGNORE", "INTO", "FROM", "TABLE"}
)
_AFTER_A_LIST: Final = frozenset(
    {"WHERE", "ON", "SET", "USING", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", "VALUES", "RETURNING"}
)


class Summary(NamedTuple):
    """
    What a statement does in a few words, as ``SELECT library_book library_person``.

    ``tables`` are in order, each once, with their schema; ``procedure`` is the one that is called.
    """

    text: str
    tables: tuple[str, ...]
    procedure: str | None

    @property
    def table(self) -> str | None:
        """The only table that is named; None of none and of several."""
        return self.tables[0] if len(self.tables) == 1 else None


def summarize(sql: str) -> Summary:
    """
    Return what OpenTelemetry calls ``db.query.summary``, without columns and values.

    Each operation stands before the tables that it names, in their order: a summary groups statements.
    """
    return _summarize_cached(sql) if len(sql) <= MAX_REMEMBERED_CHARACTERS else _summarize(sql)


def _summarize(sql: str) -> Summary:
    reader = _SummaryReader()
    tokens = [found for match in _TOKEN.finditer(sql) if (found := match["token"])]
    for token, following in zip(tokens, [*tokens[1:], ""], strict=False):
        reader.read(token, token.upper(), following)
    words = reader.words
    first = next((token.upper() for token in tokens if token not in _SIGNS), "")
    if first not in ("", "WITH") and not (words and words[0].startswith(first)):
        words.insert(0, first)
    text = " ".join(words)
    if len(text) > MAX_SUMMARY_CHARACTERS:
        cut = text[: MAX_SUMMARY_CHARACTERS + 1].rpartition(" ")[0]
        text = cut or text[:MAX_SUMMARY_CHARACTERS]
    return Summary(text, tuple(dict.fromkeys(reader.tables)), reader.procedure)


_summarize_cached = lru_cache(maxsize=2048)(_summarize)


class _Parentheses:
    """What is known inside one pair of parentheses: whether a statement began there, and the latest name."""

    def __init__(self) -> None:
        self.began = False
        self.name = ""


class _SummaryReader:
    """Reads the words of a statement one by one. A name in quotes keeps them, and so is no keyword."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.tables: list[str] = []
        self.procedure: str | None = None
        self.has_with = False
        self.named_queries: set[str] = set()  # WITH name AS (...)
        self.scopes = [_Parentheses()]
        self.before = ""
        self.after = ""  # the keyword that a table's name comes after; "" where none is expected
        self.listing = 0  # within this number of words, less one, a comma and another table may come
        self.defining = False

    def read(self, token: str, word: str, following: str) -> None:
        scope = self.scopes[-1]
        if token in _SIGNS:
            self.read_sign(token)
        elif word in _STATEMENTS and self.begins_statement(word, following):
            scope.began, self.listing = True, 0
            self.after = word if word in ("UPDATE", "MERGE") else ""
            self.words.append(word)
        elif self.read_definition(word):
            self.defining = True
        elif word == "CALL" and not self.words:
            self.after = word
        elif word in ("INTO", "JOIN") or (word == "FROM" and scope.began and self.before != "DISTINCT"):
            self.after, self.listing = word, 0
        elif self.after and word not in _BEFORE_A_NAME:
            self.read_name(token, following)
        else:
            self.listing = 0 if word in _AFTER_A_LIST else max(0, self.listing - 1)
            self.read_with(word, following)
        if word not in ("AS", "NOT", "MATERIALIZED", *_SIGNS):
            scope.name = _unquote(token)
        self.before = word

    def read_definition(self, word: str) -> bool:
        """Return whether the word is before the name in CREATE TABLE, CREATE INDEX ... ON, TRUNCATE."""
        if word in _DEFINITIONS and self.before in ("", ";"):
            self.words.append(word)
            self.after = word if word == "TRUNCATE" else ""
        elif self.defining and word in _DEFINED and self.words[-1:] in (["CREATE"], ["ALTER"], ["DROP"]):
            self.words[-1] += f" {word}"
            self.after = word if word in ("TABLE", "VIEW") else ""
        elif self.defining and word == "ON":
            self.after = word
        else:
            return False
        return True

    def read_with(self, word: str, following: str) -> None:
        """Note that ``WITH name AS (`` gives a query a name, which is no table's."""
        self.has_with = self.has_with or word == "WITH"
        if self.has_with and following == "(" and word in ("AS", "MATERIALIZED"):
            self.named_queries.add(self.scopes[-1].name)

    def begins_statement(self, word: str, following: str) -> bool:
        """SELECT is a keyword everywhere; UPDATE may end a SELECT, REPLACE may be a function."""
        return word == "SELECT" or (self.before in _BEFORE_A_STATEMENT and following != "(")

    def read_sign(self, sign: str) -> None:
        if sign == "(":
            self.scopes.append(_Parentheses())
        elif sign == ")" and len(self.scopes) > 1:
            self.scopes.pop()
        self.after = "FROM" if sign == "," and self.listing else ""
        self.listing = 0

    def read_name(self, token: str, following: str) -> None:
        """Take the name that was expected: of a procedure, a table, or a function that gives rows."""
        name, after, self.after = _unquote(token), self.after, ""
        if after == "CALL":
            self.procedure = name
            self.words += ["CALL", name]
        elif name not in self.named_queries and not (after in ("FROM", "JOIN") and following == "("):
            self.tables.append(name)
            if self.words[-1:] != [name]:
                self.words.append(name)
        self.listing = 3 if after in ("FROM", "TRUNCATE") else 0


def _unquote(name: str) -> str:
    return re.sub(r"\s*\.\s*", ".", name.translate(_UNQUOTED))
