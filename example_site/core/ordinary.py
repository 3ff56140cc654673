"""Pages that read everywhere, and pages that fail: something for the toolbar to show."""

from __future__ import annotations

from django.contrib.auth.models import User as Account
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from example_site.library.models import Book
from example_site.notes.models import Note
from example_site.users.models import User


def databases(request: HttpRequest) -> HttpResponse:
    """One row from each database."""
    rows = [
        Account.objects.get(username="fred"),
        Book.objects.get(title="Kindred"),
        Book.objects.using("primary").get(title="Kindred"),
        Book.objects.using("archive").get(title="Kindred"),
        Note.objects.using("archive").first(),
        User.objects.get(username="ada"),
        User.objects.using("new_users").get(username="ada"),
    ]
    context = {"rows": [(row._meta.label, row, row._state.db) for row in rows]}
    return render(request, "example_site/databases.html", context)


def broken(request: HttpRequest) -> HttpResponse:
    """Reads a book, and fails."""
    book = Book.objects.first()
    raise RuntimeError(f"This page fails on purpose, after it has read {book}.")


def nowhere_using(request: HttpRequest) -> HttpResponse:
    """A queryset on a database that does not exist."""
    return HttpResponse(Book.objects.using("nowhere").count())


def nowhere_connections(request: HttpRequest) -> HttpResponse:
    """A cursor on a database that does not exist."""
    with connections["nowhere"].cursor() as cursor:
        return HttpResponse(cursor.execute("SELECT 1"))
