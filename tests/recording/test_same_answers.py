"""The same seed sends every statement to the same databases, whether it is recorded or not."""

from __future__ import annotations

import random

import pytest
from django.db import router, transaction
from django.db.backends.utils import CursorWrapper

from dbroute_panel import trace
from example_site.library.models import Book, Person
from tools.watched.listener import Listener

ALIASES = ["primary", "replica1", "replica2", "archive"]


class AtRandom:
    """Draws from the global generator, which a test of the user's may have seeded."""

    def db_for_read(self, model, **hints):
        return random.choice(ALIASES)

    def db_for_write(self, model, **hints):
        return random.choice(["primary", "archive", None])

    def allow_relation(self, obj1, obj2, **hints):
        return random.random() < 2


class InTurn:
    """Answers what the one before left open, in turn."""

    def __init__(self):
        self.asked = 0

    def db_for_write(self, model, **hints):
        self.asked += 1
        return ("primary", "archive")[self.asked % 2]


@pytest.fixture
def heard(monkeypatch):
    listener = Listener()
    for name in ("_execute", "_executemany"):
        monkeypatch.setattr(CursorWrapper, name, listener.wrap_execute(getattr(CursorWrapper, name)))
    return listener


def some_work():
    """Reads and writes of many kinds; every router question draws."""
    for number in range(30):
        list(Book.objects.all()[:3])
        book = Book.objects.select_related("author").first()
        if book is not None:
            book.author  # noqa: B018 - it may load
            list(book.tags.all()[:2])
        Person.objects.filter(name__startswith="x").exists()
        list(Book.objects.prefetch_related("tags")[:2])
        alias = router.db_for_write(Person)
        with transaction.atomic(using=alias):
            person = Person(name=f"Seeded {number}")
            person.save(using=alias)
            person.delete()


@pytest.mark.parametrize("seed", range(5))
def test_a_seeded_random_router_answers_the_same(site, settings, heard, seed):
    def aliases():
        settings.DATABASE_ROUTERS = [AtRandom(), InTurn()]
        random.seed(seed)
        heard.take()
        some_work()
        return heard.take(), random.random()

    without = aliases()
    with trace("seeded", keep=False) as t:
        recorded = aliases()
    assert recorded == without
    assert len({alias for alias, _count in without[0].aliases}) >= 3
    assert len(t.decisions) > 100
    assert len(t.queries) > 100
