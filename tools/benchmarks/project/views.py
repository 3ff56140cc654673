from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from tools.benchmarks.project.models import Book

ROWS = 100


def books(request: HttpRequest, queries: int) -> HttpResponse:
    """
    Run the given number of queries, each for one row, and return a page that the debug toolbar can extend.
    """
    found = 0
    for number in range(queries):
        found += Book.objects.get(pk=number % ROWS + 1).pages
    return HttpResponse(f"<!doctype html><html><head><title>Books</title></head><body>{found}</body></html>")
