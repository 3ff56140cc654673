"""Views that fail with querysets in their frames, as Django's error page shows them, and a middleware."""

from __future__ import annotations

import logging

from django.http import HttpResponse
from django.urls import path

from example_site.library.models import Book, Person, Tag
from example_site.notes.models import Note


def through(get_response):
    """A middleware of the project: its line is between the error page and the user's nothing."""

    def middleware(request):
        return get_response(request)

    return middleware


def fails(request):
    books = [Book.objects.filter(pk=number) for number in range(12)]
    notes = Note.objects.using("primary").all()  # where there is no such table
    raise LookupError(f"{len(books)} querysets, and one of {notes.model}")


def writes_and_fails(request):
    tags = Tag.objects.all()
    Tag.objects.create(name="brass")
    raise LookupError(f"a queryset of {tags.model}")


def reads_in_a_loop_and_fails(request):
    for book in Book.objects.using("primary").all():
        for _ in range(10):
            Person.objects.using("primary").get(pk=book.author_id)
    raise LookupError("no such page")


def logs(request):
    books = [Book.objects.filter(pk=number) for number in range(12)]
    try:
        raise LookupError(f"{len(books)} querysets")
    except LookupError:
        logging.getLogger("django.request").exception("caught", extra={"request": request})
    return HttpResponse("as if nothing had happened")


def handler500(request):
    """The project's own error page, which has no bearing on what the view did."""
    return HttpResponse(Tag.objects.count(), status=500)


urlpatterns = [
    path("fails/", fails),
    path("writes/", writes_and_fails),
    path("logs/", logs, name="logs"),
    path("loop/", reads_in_a_loop_and_fails),
]
