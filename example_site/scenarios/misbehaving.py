"""Routers that do what a router should not, or not everything that it could."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.db.utils import ConnectionDoesNotExist

from example_site.library.models import Book, Person, Review, Tag
from example_site.notes.models import Note
from example_site.scenarios.registry import scenario
from example_site.users.models import User


@scenario(
    27,
    "Routers that misbehave",
    shows="One raises, one queries, one names no database, one draws lots, one remembers, one lacks methods.",
    findings={"router-raised", "router-queried", "unknown-alias", "empty-default"},
    settings=("example_site.variants.misbehaving",),
)
def misbehaving():
    try:
        Review.objects.count()
    except LookupError as error:
        yield f"RaisingRouter raises {type(error).__name__}: {error}"

    ada = User.objects.get(username="ada")
    yield f"QueryingRouter asks a database before it answers {ada._state.db}"

    try:
        Book.objects.count()
    except ConnectionDoesNotExist as error:
        yield f"NowhereRouter names a database that is not there: {error}"

    answers = [router.db_for_read(Person) for _ in range(40)]
    yield f"RandomRouter, asked the same 40 times, answers {' or '.join(sorted(set(answers)))}"

    before = Tag.objects.first()
    Tag.objects.get_or_create(name="tin")
    after = Tag.objects.first()
    yield f"PinningRouter: read from {before._state.db}; once this thread has written, {after._state.db}"

    try:
        Note.objects.create(text="Where does this go?")
    except ImproperlyConfigured as error:
        yield f"ReadingRouter has no db_for_write, and nobody else answers: {error}"
