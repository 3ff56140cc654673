"""Routers for tests of asking: what real ones do, one habit each."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

from django.db import connections, router

NOT_A_ROUTER = "a string"


class Silent:
    """No method at all."""


class Constant:
    """The same answer to everything; an exception is raised."""

    def __init__(self, read=None, write=None, relation=None, migrate=None):
        self.answers = {"read": read, "write": write, "relation": relation, "migrate": migrate}
        self.asked = {"read": 0, "write": 0, "relation": 0, "migrate": 0}

    def answer(self, question):
        self.asked[question] += 1
        answer = self.answers[question]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def db_for_read(self, model, **hints):
        return self.answer("read")

    def db_for_write(self, model, **hints):
        return self.answer("write")

    def allow_relation(self, obj1, obj2, **hints):
        return self.answer("relation")

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return self.answer("migrate")


class Recording(Constant):
    """Notes what it is asked."""

    def __init__(self, **answers):
        super().__init__(**answers)
        self.calls = []

    def db_for_read(self, model, **hints):
        self.calls.append((model, hints))
        return self.answer("read")

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        self.calls.append((obj1, obj2, hints))
        return self.answer("relation")

    def allow_migrate(self, db, app_label, **hints):
        self.calls.append((db, app_label, hints))
        return self.answer("migrate")


class Among:
    """Any of some aliases, at random; seeded."""

    def __init__(self, *aliases, seed=1):
        self.aliases = aliases
        self.random = random.Random(seed)

    def db_for_read(self, model, **hints):
        return self.random.choice(self.aliases)


class Pinning:
    """Reads from the primary in a context, or a thread, that has asked where to write."""

    def __init__(self, how="context"):
        self.pinned = ContextVar("pinned", default=False)
        self.local = threading.local()
        self.how = how

    def db_for_read(self, model, **hints):
        pinned = self.pinned.get() if self.how == "context" else getattr(self.local, "pinned", False)
        return "primary" if pinned else "archive"

    def db_for_write(self, model, **hints):
        self.pinned.set(True)
        self.local.pinned = True
        return "primary"


class Asking:
    """Calls ``does(model, hints)`` while it is asked where to read; its answer is the answer."""

    def __init__(self, does):
        self.does = does

    def db_for_read(self, model, **hints):
        return self.does(model, hints)


class Elsewhere:
    """Lets Django's router decide, as if it were asked about writing."""

    def db_for_read(self, model, **hints):
        return router.db_for_write(model, **hints)


class Broken:
    """Cannot be made."""

    def __init__(self):
        raise RuntimeError("no configuration")


def query(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()


def in_thread(function, *args):
    """What ``function`` returns in a new thread, or the exception as ``raised``."""
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(function(*args)))
    thread.start()
    thread.join()
    return outcome


def in_pool(pool: ThreadPoolExecutor, function, *args):
    return pool.submit(function, *args).result()
