"""The rows that the scenarios find: the same ones however often they are loaded."""

from __future__ import annotations

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import User as Account
from django.contrib.contenttypes.models import ContentType
from django.db import connections

from example_site.library.models import Book, Person, Review, Tag
from example_site.notes.models import Note
from example_site.users.models import Card, Loan, User

BOOKS = [
    # title, year, author, tags
    ("The Hitchhiker's Guide to the Galaxy", 1979, "Douglas Adams", ["comedy", "space"]),
    ("The Restaurant at the End of the Universe", 1980, "Douglas Adams", ["comedy", "space"]),
    ("The Salmon of Doubt", 2002, "Douglas Adams", ["comedy"]),
    ("The Left Hand of Darkness", 1969, "Ursula K. Le Guin", ["space"]),
    ("Lavinia", 2008, "Ursula K. Le Guin", ["myth"]),
    ("Small Gods", 1992, "Terry Pratchett", ["comedy", "myth"]),
    ("Going Postal", 2004, "Terry Pratchett", ["comedy"]),
    ("Kindred", 1979, "Octavia E. Butler", ["time"]),
]
REVIEWS = {
    "The Hitchhiker's Guide to the Galaxy": ["Mostly harmless.", "Read it with a towel at hand."],
    "Small Gods": ["The turtle moves."],
}
ARCHIVED = ["The Hitchhiker's Guide to the Galaxy", "Kindred", "Lavinia"]
NOTES = {
    "The Hitchhiker's Guide to the Galaxy": "First edition, cover torn.",
    "Kindred": "Signed by the author.",
}
READERS = {"ada": ["A-1815"], "grace": ["G-1906", "G-1992"], "linus": []}


def load() -> None:
    """Everything, as far as it is not there yet."""
    load_permissions()
    load_accounts()
    copy_content_types()
    load_library()
    load_archive()
    load_readers()


def load_permissions() -> None:
    """Content types and permissions of all apps, also of those whose tables are not on ``auth_db``."""
    for app_config in apps.get_app_configs():
        create_permissions(app_config, using="auth_db", verbosity=0)


def load_accounts() -> None:
    if not Account.objects.filter(username="admin").exists():
        Account.objects.create_superuser("admin", "admin@example.com", "admin")
    Account.objects.get_or_create(username="fred", defaults={"first_name": "Fred", "last_name": "Dent"})


def copy_content_types() -> None:
    """
    The content types, with their keys, also on the two databases of the library.

    Django looks up the content type of an object where the object is. A generic relation to a book needs the
    table on the primary, therefore, although AuthRouter keeps it on ``auth_db``.
    """
    for alias in ("primary", "archive"):
        connection = connections[alias]
        if ContentType._meta.db_table not in connection.introspection.table_names():
            with connection.schema_editor() as schema_editor:
                schema_editor.create_model(ContentType)
        ContentType.objects.using(alias).bulk_create(ContentType.objects.all(), ignore_conflicts=True)
    ContentType.objects.clear_cache()


def load_library() -> None:
    for title, year, author, tags in BOOKS:
        person, _ = Person.objects.using("primary").get_or_create(name=author)
        book, is_new = Book.objects.using("primary").get_or_create(title=title, year=year, author=person)
        if is_new:
            book.tags.set([Tag.objects.using("primary").get_or_create(name=name)[0] for name in tags])
            for text in REVIEWS.get(title, []):
                Review(text=text, about=book).save(using="primary")


def load_archive() -> None:
    """Some of the books once more, with the keys that they have on the primary, and notes on two."""
    for book in Book.objects.using("primary").filter(title__in=ARCHIVED).select_related("author"):
        Person.objects.using("archive").get_or_create(pk=book.author.pk, defaults={"name": book.author.name})
        Book.objects.using("archive").get_or_create(
            pk=book.pk, defaults={"title": book.title, "year": book.year, "author_id": book.author.pk}
        )
        if book.title in NOTES:
            Note.objects.using("archive").get_or_create(book_id=book.pk, defaults={"text": NOTES[book.title]})


def load_readers() -> None:
    for alias in ("legacy_users", "new_users"):
        for username, numbers in READERS.items():
            user, _ = User.objects.using(alias).get_or_create(
                username=username, defaults={"email": f"{username}@example.com"}
            )
            for number in numbers:
                Card.objects.using(alias).get_or_create(user=user, number=number)
    ada = User.objects.using("legacy_users").get(username="ada")
    book = Book.objects.using("primary").get(title="Kindred")
    Loan.objects.using("legacy_users").get_or_create(user=ada, book_id=book.pk)
