"""Pages of an ordinary site: a list, one of its rows, and the same as JSON."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render

from example_site.library.models import Book


def books(request: HttpRequest) -> HttpResponse:
    return render(request, "library/books.html", {"books": Book.objects.select_related("author")})


def book(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "library/book.html", {"book": get_object_or_404(Book, pk=pk)})


def books_json(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"books": list(Book.objects.values("title", "year", "author__name"))})
