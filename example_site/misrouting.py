"""Routers that do what a router should not: for scenario 27, each for one model."""

from __future__ import annotations

import random
import threading

from django.db import connections


class RaisingRouter:
    """Looks something up, and does not expect that it is missing."""

    shards = {"library.Book": "primary"}

    def db_for_read(self, model, **hints):
        if model._meta.label == "library.Review":
            return self.shards[model._meta.label]
        return None


class QueryingRouter:
    """Asks a database where to read: one query more for every question."""

    def db_for_read(self, model, **hints):
        if model._meta.label != "users.User":
            return None
        with connections["new_users"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM users_user WHERE email = ''")
            (incomplete,) = cursor.fetchone()
        return "legacy_users" if incomplete else "new_users"


class RandomRouter:
    """Draws lots between two databases that do not hold the same."""

    def db_for_read(self, model, **hints):
        if model._meta.label == "library.Person":
            return random.choice(["primary", "archive"])
        return None


class PinningRouter:
    """Once a thread has written, it reads on the primary."""

    here = threading.local()

    def db_for_read(self, model, **hints):
        if model._meta.label == "library.Tag":
            return "primary" if getattr(self.here, "pinned", False) else "replica1"
        return None

    def db_for_write(self, model, **hints):
        if model._meta.label == "library.Tag":
            self.here.pinned = True
            return "primary"
        return None


class ReadingRouter:
    """Knows where to read a note, and has no other method."""

    def db_for_read(self, model, **hints):
        if model._meta.label == "notes.Note":
            return "archive"
        return None
