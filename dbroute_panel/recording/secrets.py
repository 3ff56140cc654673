"""
What is never kept, whatever the settings: session keys and data, password hashes, keys that tell.

A session's key opens the session, so the rows of every ``AbstractBaseSession`` model are masked: by
model, and by table name for raw SQL and joins. Password hashes are what ``identify_hasher()`` knows.
"""

from __future__ import annotations

import re
import sys
import uuid
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.contrib.auth.hashers import identify_hasher
from django.db.models import Model

MASK = "***"

_LITERAL = re.compile(r"'(?:[^'\\]|''|\\.)*+\\?(?:'|\Z)", re.DOTALL)  # also one that is cut off
_CACHED = "django.contrib.sessions.c"
"""In the keys of Django's session backends that keep sessions in a cache, which may be a table."""
# An encoded hash in a text: its algorithm, "$", and what follows, which may have "," and "=" in it.
_ENCODED = re.compile(r"\w+\$[^\s'\"()]*[^\s'\"(),;]")


class Sessions:
    """
    The models and tables that hold sessions or point to them, in this project, now.

    ``keyed``: labels of the models whose primary key is that of a session.
    """

    def __init__(self) -> None:
        self.keyed, self.labels, self.tables = _sessions(tuple(apps.get_models(include_auto_created=True)))

    def concern(self, model: str | None, sql: str, params: Any = None) -> bool:
        """Whether a query reads or writes a session: its row, or where a cache keeps it in a table."""
        return (
            model in self.labels
            or any(table in sql for table in self.tables)
            or (type(params) is tuple and any(type(it) is str and _CACHED in it for it in params))
        )


@lru_cache(maxsize=4)
def _sessions(models: tuple[type[Model], ...]) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    base = sys.modules.get("django.contrib.sessions.base_session")
    if base is None:
        return frozenset(), frozenset(), ()
    sessions = {model for model in models if issubclass(model, base.AbstractBaseSession)}
    near = [m for m in models if m in sessions or any(f.related_model in sessions for f in m._meta.fields)]
    keyed = [m for m in near if m in sessions or m._meta.pk.related_model in sessions]
    return (
        frozenset(model._meta.label for model in keyed),
        frozenset(model._meta.label for model in near),
        tuple(model._meta.db_table for model in near),
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


def without_literals(sql: str) -> str:
    """A statement with every string in it masked."""
    return _LITERAL.sub(f"'{MASK}'", sql)


def may_keep_key(value: Any) -> bool:
    """Whether a primary key may be kept where parameters are not: integers and UUIDs tell nothing."""
    return type(value) in (int, uuid.UUID)
