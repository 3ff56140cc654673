"""When the code names the database, no router is asked."""

from __future__ import annotations

from django.db import connections

from example_site.library.models import Book, Tag
from example_site.scenarios.registry import scenario
from example_site.users.models import User


@scenario(
    14,
    "all(), using(primary), using(archive)",
    shows="Only the first one is a decision; the other two say explicitly where.",
)
def three_times_all():
    for queryset in (Book.objects.all(), Book.objects.using("primary"), Book.objects.using("archive")):
        books = list(queryset)
        yield f"{len(books)} books from {books[0]._state.db}"


def without_margaret():
    for alias in ("legacy_users", "new_users"):
        User.objects.using(alias).filter(username="margaret").delete()


@scenario(
    15,
    "save(using=...)",
    shows="One INSERT on the database that was named, and no decision.",
    prepare=without_margaret,
)
def save_using():
    user = User(username="margaret", email="margaret@example.com")
    user.save(using="legacy_users")
    yield f"{user} was saved on {user._state.db}"


def two_readers_to_delete():
    for username in ("arthur", "tricia"):
        User.objects.using("legacy_users").get_or_create(username=username)


@scenario(
    17,
    "delete() and delete(using=...)",
    shows="Without using, the routers are asked, with the object as a hint; with it, nobody is.",
    prepare=two_readers_to_delete,
)
def delete_using():
    arthur = User.objects.using("legacy_users").get(username="arthur")
    arthur.delete()
    yield f"arthur was deleted on {arthur._state.db}: UserRouter said so"

    tricia = User.objects.using("legacy_users").get(username="tricia")
    tricia.delete(using="legacy_users")
    yield f"tricia was deleted on {tricia._state.db}: the code said so"


BOOKS_BEFORE = """
    CREATE OR REPLACE FUNCTION books_before(before integer) RETURNS bigint LANGUAGE sql STABLE
    AS 'SELECT count(*) FROM library_book WHERE year < before'
"""


def without_metal_tags():
    Tag.objects.using("primary").filter(name__in=["brass", "copper"]).delete()
    if connections["primary"].vendor == "postgresql":
        with connections["primary"].cursor() as cursor:
            cursor.execute(BOOKS_BEFORE)


@scenario(
    21,
    "Raw SQL",
    shows="A cursor names its database itself, also for callproc() (on PostgreSQL); raw() asks the routers; "
    "executemany() is one event.",
    prepare=without_metal_tags,
)
def raw_sql():
    with connections["primary"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM library_book")
        yield f"{cursor.fetchone()[0]} books, counted with a cursor on primary"

    old_books = list(Book.objects.raw("SELECT * FROM library_book WHERE year < %s", [1980]))
    yield f"{len(old_books)} old books, read with raw() from {old_books[0]._state.db}"

    with connections["primary"].cursor() as cursor:
        cursor.executemany("INSERT INTO library_tag (name) VALUES (%s)", [["brass"], ["copper"]])
        yield f"{cursor.rowcount} tags, written with executemany() on primary"

    # SQLite has no functions of its own to call.
    if connections["primary"].vendor == "postgresql":
        with connections["primary"].cursor() as cursor:
            cursor.callproc("books_before", [1980])
            yield f"{cursor.fetchone()[0]} old books, counted by a function on primary with callproc()"
