"""
What is never kept, whatever the settings: session keys and data, password hashes, keys that tell.

A session's key opens the session, so the rows of every ``AbstractBaseSession`` model are masked: by
model, and by table name for raw SQL and joins. Password hashes are what ``identify_hasher()`` knows.
"""

from __future__ import annotations

import re
import sys
import uuid
from typing import Any

from django.apps import apps
from django.contrib.auth.hashers import identify_hasher

MASK = "***"

_WORD = re.compile(r"[^\s'\"(),;=]+")


class Sessions:
    """The models and tables that hold sessions, in this project, now."""

    def __init__(self) -> None:
        base = sys.modules.get("django.contrib.sessions.base_session")
        models = (
            [] if base is None else [m for m in apps.get_models() if issubclass(m, base.AbstractBaseSession)]
        )
        self.labels = frozenset(model._meta.label for model in models)
        self.tables = tuple(model._meta.db_table for model in models)

    def concern(self, model: str | None, sql: str) -> bool:
        """Whether a query reads or writes a session."""
        return model in self.labels or any(table in sql for table in self.tables)


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
    """A driver's message with every password hash in it masked ("Failing row contains (1, pbkdf2_...)")."""
    return _WORD.sub(lambda word: MASK if is_password_hash(word[0]) else word[0], text)


def may_keep_key(value: Any) -> bool:
    """Whether a primary key may be kept where parameters are not: integers and UUIDs tell nothing."""
    return type(value) in (int, uuid.UUID)
