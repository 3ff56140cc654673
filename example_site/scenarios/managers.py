"""Managers and the database that they are bound to."""

from __future__ import annotations

from example_site.library.models import Book
from example_site.scenarios.registry import scenario
from example_site.scenarios.using import without_margaret
from example_site.users.models import User


@scenario(
    18,
    "db_manager() and a manager's own method",
    shows="create_user() saves where its manager is bound to, although UserRouter would say otherwise.",
    prepare=without_margaret,
)
def db_manager():
    user = User.objects.db_manager("new_users").create_user("margaret", "margaret@example.com")
    yield f"{user} was created on {user._state.db}"


@scenario(
    19,
    "A manager that forgets its database",
    shows="Two managers bound to the archive. One forgets it in get_queryset(), and the routers are asked.",
)
def forgetful_manager():
    books = Book.this_century.db_manager("archive").all()
    yield f"This manager keeps self._db: {len(books)} book from {books[0]._state.db}"

    books = Book.forgetful.db_manager("archive").all()
    yield f"This one does not: {len(books)} books from {books[0]._state.db}"
