"""What happens in a site with several databases, before anything special is done."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import router

from example_site.library.models import Book, Person
from example_site.notes.models import Note
from example_site.scenarios.registry import scenario


@scenario(
    1,
    "Many databases in one request",
    shows="Queries on six aliases, with the vendor of each, and how many they were and how long they took.",
)
def many_databases(client):
    response = client.get("/databases/")
    yield f"GET /databases/ answered {response.status_code}. The page read one row from each database."


@scenario(
    2,
    "Nobody claims the model, and default is empty",
    shows="Every router passes, the decision falls through to default, and default is {}.",
    findings={"empty-default"},
)
def nobody_claims_it():
    try:
        Note.objects.count()
    except ImproperlyConfigured as error:
        yield f"ImproperlyConfigured: {error}"


@scenario(
    3,
    "A database that does not exist",
    shows="Three requests fail with ConnectionDoesNotExist: twice the code named the alias, once a router.",
    findings={"unknown-alias"},
    settings=("example_site.variants.nowhere",),
)
def nowhere(client):
    for path in ("/nowhere/using/", "/nowhere/connections/", "/books/"):
        response = client.get(path)
        yield f"GET {path} answered {response.status_code}"


def make_the_library():
    call_command("migrate", "library", verbosity=0)
    adams = Person.objects.create(name="Douglas Adams")
    Book.objects.create(title="The Salmon of Doubt", author=adams)


@scenario(
    29,
    "A default that works",
    shows="Once without routers, once with one that always passes: default settles it, and nothing is wrong.",
    settings=("example_site.variants.one_database", "example_site.variants.passing"),
    databases="empty",
    prepare=make_the_library,
)
def working_default():
    yield f"DATABASE_ROUTERS = {settings.DATABASE_ROUTERS}"
    book = Book.objects.get(title="The Salmon of Doubt")
    yield f"{book} was read from {book._state.db}"
    yield f"A new book would be written to {router.db_for_write(Book)}"
