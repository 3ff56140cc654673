"""May these two be related, and what is a router told about the object at the other end?"""

from __future__ import annotations

from io import StringIO

from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command

from example_site.library.models import Book, Person
from example_site.notes.models import Note
from example_site.scenarios.registry import scenario
from example_site.users.models import Card, Loan, User


def without_the_new_card():
    Card.objects.using("legacy_users").filter(number="A-1816").delete()


@scenario(
    8,
    "One app on a database of its own",
    shows="All four questions about the readers, and UserRouter answers every one.",
    prepare=without_the_new_card,
)
def one_app_one_database():
    ada = User.objects.get(username="ada")
    yield f"ada was read from {ada._state.db}"

    card = Card(user=ada, number="A-1816")
    yield f"She may have a card; it belongs on {card._state.db}"

    card.save()
    yield f"It was saved on {card._state.db}"

    # dumpdata asks of each model whether its table is on the database at all.
    output = StringIO()
    call_command("dumpdata", "users", database="legacy_users", stdout=output)
    yield f"dumpdata wrote {len(output.getvalue())} characters"


@scenario(
    9,
    "Four answers to allow_relation",
    shows="Yes; no; no opinion, with equal and with different databases; and where each object came from.",
    findings={"relation-refused"},
)
def allow_relation():
    adams = Person.objects.get(name="Douglas Adams")
    titanic = Book(title="Starship Titanic", author=adams)
    yield f"{titanic._state.db} and {adams._state.db}: PrimaryReplicaRouter says yes"

    book = Book.objects.get(title="Small Gods")
    loan = Loan()
    try:
        loan.book = book
    except ValueError as error:
        yield f"{loan._state.db} and {book._state.db}: UserRouter says no. {error}"

    archived = Book.objects.using("archive").get(title="Kindred")
    note = Note(book=archived)
    yield f"{note._state.db} and {archived._state.db}: nobody has an opinion, and the databases are equal"

    try:
        note.book = book
    except ValueError as error:
        yield f"{note._state.db} and {book._state.db}: nobody has an opinion, and they differ. {error}"


@scenario(
    11,
    "What the routers are told",
    shows="The instance as a hint: forward, reverse, many-to-many and generic. And hints of your own.",
)
def hints():
    # Django looks a content type up once a process: forget it, so that it is looked up again.
    ContentType.objects.clear_cache()

    book = Book.objects.get(title="Small Gods")
    yield f"Forward: {book.author}"
    yield f"Reverse: {book.author.books.count()} books"
    yield f"Many-to-many: {', '.join(tag.name for tag in book.tags.all())}"
    review = book.reviews.get()
    yield f"Generic: {review}"
    yield f"And back: {review.about}"

    shelf = Book.objects.db_manager(hints={"shelf": "fantasy", "floor": 2, "open": True})
    yield f"With hints of our own: {shelf.get(title='Lavinia')}"
