"""A foreign key whose two ends are on different databases, and what of Django stops there."""

from __future__ import annotations

from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError

from dbroute_panel.inspection.lints import run_lints
from example_site.library.models import Book
from example_site.scenarios.registry import scenario
from example_site.users.models import Loan, User


def one_content_type_to_delete():
    ContentType.objects.get_or_create(app_label="cinema", model="film")


def said_by(error):
    """Class and first line; PostgreSQL goes on with the place in the SQL."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


@scenario(
    22,
    "A foreign key across databases",
    shows="A loan is on legacy_users, its book on primary: assigned, joined, deleted with it and looked for.",
    findings={"relation-refused", "missing-table", "subquery-across-databases"},
    prepare=one_content_type_to_delete,
)
def across_databases():
    for finding in run_lints():
        if finding.code == "relation-across-databases" and finding.subject == "users.Loan":
            yield f"Known before anything runs: {finding.message}"

    # Of a table that is not there, SQLite says OperationalError, PostgreSQL and MariaDB ProgrammingError.
    book = Book.objects.get(title="Kindred")
    loan = Loan(user=User.objects.get(username="ada"))
    try:
        loan.book = book
    except ValueError as error:
        yield f"Assigned, it is refused: {said_by(error)}"

    loan.book_id = book.pk
    yield f"By its key it is not, and following it is a query on the other database: {loan.book}"

    try:
        Loan.objects.select_related("book").get(user=loan.user)
    except DatabaseError as error:
        yield f"select_related() joins on legacy_users: {said_by(error)}"

    try:
        Book.objects.filter(pk__in=Loan.objects.values("book")).count()
    except DatabaseError as error:
        yield f"A subquery runs where the query around it does: {said_by(error)}"

    try:
        Book.objects.filter(pk__in=Loan.objects.using("legacy_users").values("book")).count()
    except ValueError as error:
        yield f"Where the subquery says using(), Django refuses: {said_by(error)}"

    # Reviews point to content types, and are deleted with them: on the database of the content type.
    try:
        ContentType.objects.get(app_label="cinema").delete()
    except DatabaseError as error:
        yield f"A cascade looks beside the object that is deleted: {said_by(error)}"
