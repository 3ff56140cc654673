"""
What is never kept, whatever the settings: what opens a session or an account, and keys that tell.

A session's key opens the session, so the rows of every ``AbstractBaseSession`` model are masked: by
model, and by table name for raw SQL and joins. So are those of Django REST framework's ``Token``, whose
primary key is what the API's user sends. Password hashes are what ``identify_hasher()`` knows, reset tokens
what ``PasswordResetTokenGenerator`` makes; both are masked in any text. And what a request itself came with
to get in (its session, its Authorization header) is masked wherever its value turns up in its trace.
"""

from __future__ import annotations

import re
import sys
import uuid
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.hashers import identify_hasher
from django.db.models import Model
from django.http import HttpRequest

MASK = "***"

TOKENS = frozenset({"authtoken.Token", "authtoken.TokenProxy"})
"""The models of Django REST framework whose primary key is a token that opens an account."""

# Strings, and comments, which may hold anything; a text that does not end is one to the end.
_BACKSLASHED = r"'(?:[^'\\]|''|\\.)*+\\?(?:'|\Z)"
_ESCAPED = re.compile(
    rf"""{_BACKSLASHED}|"(?:[^"\\]|\\.)*+\\?(?:"|\Z)|`[^`]*`|(?:--[ ]|\#)[^\n]*|/\*.*?(?:\*/|\Z)""", re.DOTALL
)
_STANDARD = re.compile(
    rf"""(?:\b[eE]{_BACKSLASHED})|'(?:[^']|'')*+(?:'|\Z)|"[^"]*(?:"|\Z)|--[^\n]*|/\*.*?(?:\*/|\Z)"""
    r"""|\$(\w*)\$.*?(?:\$\1\$|\Z)""",
    re.DOTALL,
)
# The key of a session as Django draws one, in quotes that are meant for names, or bare.
_KEY = re.compile(r"(?<![0-9A-Za-z_])[0-9a-z]{32}(?![0-9A-Za-z_])")
_CACHED = "django.contrib.sessions.c"
"""In the keys of Django's session backends that keep sessions in a cache, which may be a table."""
# An encoded hash in a text: its algorithm, "$", and what follows, which may have "," and "=" in it.
_ENCODED = re.compile(r"(?<!\w)\w{1,50}\$[^\s'\"()]*[^\s'\"(),;]")
# Seconds since 2001 in base 36, and every second digit of a hash, of SHA-256 unless a project says otherwise.
_RESET = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-z]{6,7}-(?:[0-9a-f]{64}|[0-9a-f]{48}|[0-9a-f]{32}|[0-9a-f]{20})(?![0-9A-Za-z])"
)
TEXTLESS = frozenset({int, float, bool, type(None)})
"""Exact types of parameters that give nothing away, and whose text is ``str()`` of them."""

SHORTEST = 8
"""Of what a request came with, what is shorter opens nothing: no session has a shorter key."""


class Sessions:
    """
    The models and tables that hold sessions or point to them, in this project, now.

    ``keyed``: labels of the models whose primary key is that of a session.
    """

    def __init__(self) -> None:
        self.keyed, self.labels, self.tables = _sessions(tuple(apps.get_models(include_auto_created=True)))
        # A backend that keeps sessions in a cache may name its keys as it likes (cache_key_prefix).
        engine = sys.modules.get(settings.SESSION_ENGINE)
        prefix = getattr(getattr(engine, "SessionStore", None), "cache_key_prefix", None)
        self.cached = (_CACHED, prefix) if isinstance(prefix, str) and prefix else (_CACHED,)

    def concern(self, model: str | None, sql: str) -> bool:
        """Whether a statement reads or writes a session, or names the key under which a cache keeps one."""
        if model in self.labels:
            return True
        folded = sql.casefold()  # names of tables may be written in either case
        return any(table in folded for table in self.tables) or any(prefix in sql for prefix in self.cached)

    def are_named(self, params: Any) -> bool:
        """Whether a parameter is the key under which a cache keeps a session."""
        if type(params) is str:
            for prefix in self.cached:
                if prefix in params:
                    return True
        elif isinstance(params, (tuple, list)):
            return any(map(self.are_named, params))
        elif isinstance(params, dict):
            return any(map(self.are_named, params.values()))
        return False


@lru_cache(maxsize=4)
def _sessions(models: tuple[type[Model], ...]) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    base = sys.modules.get("django.contrib.sessions.base_session")
    sessions = {
        model
        for model in models
        if (base is not None and issubclass(model, base.AbstractBaseSession)) or model._meta.label in TOKENS
    }
    near = [m for m in models if m in sessions or any(f.related_model in sessions for f in m._meta.fields)]
    keyed = [m for m in near if m in sessions or m._meta.pk.related_model in sessions]
    return (
        frozenset(model._meta.label for model in keyed),
        frozenset(model._meta.label for model in near),
        tuple(model._meta.db_table.casefold() for model in near),
    )


def is_password_hash(value: str) -> bool:
    """Whether ``identify_hasher()`` knows ``value`` as the hash of a password."""
    if "$" not in value and len(value) != 32:  # every encoded hash has one, but for unsalted MD5
        return False
    try:
        identify_hasher(value)
    except Exception:  # ValueError: it is none; else PASSWORD_HASHERS is broken, and has made none
        return False
    return True


def without_hashes(text: str) -> str:
    """A message or statement with every password hash in it masked ("Failing row contains (1, md5$...)")."""
    if "$" not in text:
        return text
    return _ENCODED.sub(lambda found: MASK if is_password_hash(found[0]) else found[0], text)


def without_tokens(text: str) -> str:
    """A message, path or statement with every token in it masked that resets a password."""
    return _RESET.sub(MASK, text) if "-" in text else text


def without_literals(sql: str, vendor: str = "mysql") -> str:
    """
    A statement with every string and comment in it masked.

    ``vendor``: only on MySQL a backslash escapes a quote, and double quotes are those of a string.
    """
    escaped = vendor == "mysql"

    def masked(found: re.Match[str]) -> str:
        text = found[0]
        if text[0] in "-#/":
            return f"/* {MASK} */"
        return text if text[0] == "`" or (text[0] == '"' and not escaped) else f"'{MASK}'"

    return _KEY.sub(MASK, (_ESCAPED if escaped else _STANDARD).sub(masked, sql))


def brought(request: HttpRequest) -> set[str]:
    """
    What opens something, of what is known of a request: its session's key, its Authorization header.

    And the cookie that it came with, which may not be what its session has become: it logged out, or in.
    """
    session = vars(request).get("session")  # never made here: reading it may query
    key = getattr(session, "session_key", None) if isinstance(session, _session_base()) else None
    authorization = request.META.get("HTTP_AUTHORIZATION", "")
    cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    found = (key, cookie, *authorization.split()[1:])
    return {text for text in found if isinstance(text, str) and len(text) >= SHORTEST}


def _session_base() -> Any:
    module = sys.modules.get("django.contrib.sessions.backends.base")
    return () if module is None else module.SessionBase


def may_keep_key(value: Any) -> bool:
    """Whether a primary key may be kept where parameters are not: integers and UUIDs tell nothing."""
    return type(value) in (int, uuid.UUID)
