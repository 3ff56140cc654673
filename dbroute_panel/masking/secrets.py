"""
Find and mask what is never kept, whatever the settings: what opens a session or an account.

The key of a session opens it, so the rows of every ``AbstractBaseSession`` model are masked: by model, and by
table name for raw SQL and joins. So are those of Django REST framework's ``Token``, whose primary key is what
a client of the API sends. Password hashes are what ``identify_hasher()`` knows, reset tokens what
``PasswordResetTokenGenerator`` makes; both are masked in any text. What a request came with (its session, its
Authorization header) is masked wherever its value turns up in its trace.
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

from dbroute_panel.masking import MASK

TOKEN_MODELS = frozenset({"authtoken.Token", "authtoken.TokenProxy"})
"""The models of Django REST framework whose primary key is a token that opens an account."""

# Strings, and comments, which may hold anything. One that is not closed goes on to the end.
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
_CACHE_PREFIX = "django.contrib.sessions.c"
"""The beginning of the keys of Django's session backends that use a cache, which may be a table."""
# An encoded hash in a text: its algorithm, "$", and what follows, which may have "," and "=" in it.
_ENCODED = re.compile(r"(?<!\w)\w{1,50}\$[^\s'\"()]*[^\s'\"(),;]")
# Seconds since 2001 in base 36, and every second digit of a hash, of SHA-256 unless a project says otherwise.
_RESET = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-z]{6,7}-(?:[0-9a-f]{64}|[0-9a-f]{48}|[0-9a-f]{32}|[0-9a-f]{20})(?![0-9A-Za-z])"
)
HARMLESS_TYPES = frozenset({int, float, bool, type(None)})
"""Exact types of parameters that give nothing away; their text is ``str()`` of them."""

MIN_SECRET_LENGTH = 8
"""Anything shorter that a request came with opens nothing: Django refuses such session keys."""


class SessionTables:
    """
    The models and tables of this project that hold sessions or point to them.

    ``keyed_models`` has the labels of the models whose primary key is that of a session.
    """

    def __init__(self) -> None:
        self.keyed_models, self.models, self.tables = _find_tables(
            tuple(apps.get_models(include_auto_created=True))
        )
        # A backend that keeps sessions in a cache may name its keys as it likes (cache_key_prefix).
        engine = sys.modules.get(settings.SESSION_ENGINE)
        prefix = getattr(getattr(engine, "SessionStore", None), "cache_key_prefix", None)
        own = (prefix,) if isinstance(prefix, str) and prefix else ()
        self.cache_prefixes = (_CACHE_PREFIX, *own)

    def concerns(self, model: str | None, sql: str) -> bool:
        """Return whether a statement reads or writes a session, or has the cache key of one in it."""
        if model in self.models:
            return True
        folded = sql.casefold()  # names of tables may be written in either case
        return any(table in folded for table in self.tables) or self.has_cache_key(sql)

    def has_cache_key(self, params: Any) -> bool:
        """Return whether one of the parameters is the key under which a cache keeps a session."""
        if type(params) is str:
            for prefix in self.cache_prefixes:
                if prefix in params:
                    return True
        elif isinstance(params, (tuple, list)):
            return any(map(self.has_cache_key, params))
        elif isinstance(params, dict):
            return any(map(self.has_cache_key, params.values()))
        return False


@lru_cache(maxsize=4)
def _find_tables(models: tuple[type[Model], ...]) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    base = sys.modules.get("django.contrib.sessions.base_session")
    sessions = {
        model
        for model in models
        if (base is not None and issubclass(model, base.AbstractBaseSession))
        or model._meta.label in TOKEN_MODELS
    }
    near = [m for m in models if m in sessions or any(f.related_model in sessions for f in m._meta.fields)]
    keyed = [m for m in near if m in sessions or m._meta.pk.related_model in sessions]
    return (
        frozenset(model._meta.label for model in keyed),
        frozenset(model._meta.label for model in near),
        tuple(model._meta.db_table.casefold() for model in near),
    )


def is_password_hash(value: str) -> bool:
    """Return whether ``identify_hasher()`` knows ``value`` as the hash of a password."""
    if "$" not in value and len(value) != 32:  # every encoded hash has one, but for unsalted MD5
        return False
    try:
        identify_hasher(value)
    except Exception:  # noqa: BLE001 - ValueError: it is none; else PASSWORD_HASHERS is broken
        return False
    return True


def mask_hashes(text: str) -> str:
    """Mask every password hash in a message or statement ("Failing row contains (1, md5$...)")."""
    if "$" not in text:
        return text
    return _ENCODED.sub(lambda found: MASK if is_password_hash(found[0]) else found[0], text)


def mask_tokens(text: str) -> str:
    """Mask every token that resets a password in a message, path or statement."""
    return _RESET.sub(MASK, text) if "-" in text else text


def mask_literals(sql: str, vendor: str = "mysql") -> str:
    """
    Mask every string and comment in a statement.

    Args:
        sql: The statement.
        vendor: Only on ``"mysql"`` a backslash escapes a quote, and double quotes are those of a string.
    """
    escaped = vendor == "mysql"

    def mask(found: re.Match[str]) -> str:
        text = found[0]
        if text[0] in "-#/":
            return f"/* {MASK} */"
        return text if text[0] == "`" or (text[0] == '"' and not escaped) else f"'{MASK}'"

    return _KEY.sub(MASK, (_ESCAPED if escaped else _STANDARD).sub(mask, sql))


def find_request_secrets(request: HttpRequest) -> set[str]:
    """
    Return what a request came with that opens something: its session's key, its Authorization header.

    The session cookie is one of them: its session may have another key since (a login or logout).
    """
    session = vars(request).get("session")  # never made here: reading it may query
    key = getattr(session, "session_key", None) if isinstance(session, _session_base()) else None
    authorization = request.META.get("HTTP_AUTHORIZATION", "")
    cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    found = (key, cookie, *authorization.split()[1:])
    return {text for text in found if isinstance(text, str) and len(text) >= MIN_SECRET_LENGTH}


def _session_base() -> Any:
    module = sys.modules.get("django.contrib.sessions.backends.base")
    return () if module is None else module.SessionBase


def may_keep_key(value: Any) -> bool:
    """Return whether a primary key may be kept where parameters are not: integers and UUIDs tell nothing."""
    return type(value) in (int, uuid.UUID)
