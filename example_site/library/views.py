"""Pages of an ordinary site: a list, one of its rows, and the same as JSON."""

from __future__ import annotations

from django.forms import modelform_factory
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from example_site.library.models import Book

TitleForm = modelform_factory(Book, fields=["title"])


def books(request: HttpRequest) -> HttpResponse:
    return render(request, "library/books.html", {"books": Book.objects.select_related("author")})


def book(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "library/book.html", {"book": get_object_or_404(Book, pk=pk)})


@require_POST
def title(request: HttpRequest, pk: int) -> HttpResponse:
    """Saves another title, and shows the book as it is read afterwards: from a replica, which may lag."""
    form = TitleForm(request.POST, instance=get_object_or_404(Book, pk=pk))
    if not form.is_valid():
        return HttpResponse(form.errors["title"].as_text(), status=400, content_type="text/plain")
    form.save()
    return book(request, pk)


def books_json(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"books": list(Book.objects.values("title", "year", "author__name"))})
