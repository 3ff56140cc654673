"""The example of Django's documentation, line by line."""

from __future__ import annotations

from django.contrib.auth.models import User as Account

from example_site.library.models import Book, Person
from example_site.scenarios.registry import scenario


def without_mostly_harmless():
    Book.objects.using("primary").filter(title="Mostly Harmless").delete()
    Account.objects.filter(username="fred").update(first_name="Fred")


@scenario(
    13,
    "The walk-through of Django's documentation",
    shows="Who decided each query, and how a new book gets its database from its author before it is saved.",
    findings={"stale-read"},
    prepare=without_mostly_harmless,
)
def walk_through():
    # The routers are asked about accounts: AuthRouter answers.
    fred = Account.objects.get(username="fred")
    yield f"fred was read from {fred._state.db}"

    # The same for saving it.
    fred.first_name = "Frederick"
    fred.save()
    yield f"fred was saved on {fred._state.db}"

    # A person is read from a random replica.
    dna = Person.objects.get(name="Douglas Adams")
    yield f"dna was read from {dna._state.db}"

    # A new object has no database.
    mh = Book(title="Mostly Harmless", year=1992)
    yield f"mh is new, on no database: {mh._state.db}"

    # The assignment asks where mh would be written, with dna as a hint, and puts it there.
    mh.author = dna
    yield f"With dna as its author, mh belongs on {mh._state.db}"

    # Saving asks again.
    mh.save()
    yield f"mh was saved on {mh._state.db}"

    # Read again, it comes from a replica.
    mh = Book.objects.get(title="Mostly Harmless")
    yield f"mh was read from {mh._state.db}"
