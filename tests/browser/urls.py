"""The example site's URLs, and pages that are wrong on purpose."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.generic import RedirectView

from example_site.library.models import Book
from example_site.urls import urlpatterns as those_of_the_site

HTMX2 = """<!doctype html>
<html lang="en">
  <head>
    <title>A page with htmx 2</title>
    <meta name="htmx-config" content='{"includeIndicatorStyles": false, "allowEval": false}'>
    <script src="/static/htmx2/htmx.min.js"></script>
  </head>
  <body><h1>htmx 2</h1><button hx-get="/htmx2/part/" hx-target="#part">Fetch</button><p id="part"></p></body>
</html>
"""
WRONG = {
    "inline-style": '<p style="color: red">red</p>',
    "inline-script": "<script>window.ran = true</script>",
    "other-host": '<img alt="" src="http://127.0.0.2:9/picture.png">',
    "missing-image": '<img alt="" src="/static/missing.png">',
    "message": '<script src="/wrong/script/message.js"></script>',
    "error": '<script src="/wrong/script/error.js"></script>',
    "late": '<script src="/wrong/script/late.js"></script>',
    "nothing": "<p>Nothing is wrong here.</p>",
}
SCRIPTS = {
    "message.js": "console.warn('deprecated')",
    "error.js": "null.length",
    # After the page is loaded: something that it may have, and then something that is not there.
    "late.js": """
      const ask = (path, then) => setTimeout(() => fetch(path).then(then), 100);
      addEventListener("load", () => ask("/wrong/nothing/", () => ask("/static/missing.png")));
    """,
}


def wrong(request: HttpRequest, kind: str) -> HttpResponse:
    return HttpResponse(f"<!doctype html><title>{kind}</title><h1>{kind}</h1>{WRONG[kind]}")


def script(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(SCRIPTS[name], content_type="text/javascript")


def htmx2(request: HttpRequest) -> HttpResponse:
    """A project's own page: a query, which the panel has to show, and an htmx that is not ours."""
    Book.objects.count()
    return HttpResponse(HTMX2)


def htmx2_part(request: HttpRequest) -> HttpResponse:
    return HttpResponse("fetched by htmx")


urlpatterns = [
    *those_of_the_site,
    # Chromium asks for it where a page names none, as the admin's do not.
    path("favicon.ico", RedirectView.as_view(url="/static/example_site/icon.svg")),
    path("htmx2/", htmx2),
    path("htmx2/part/", htmx2_part),
    path("wrong/script/<str:name>", script),
    path("wrong/<slug:kind>/", wrong),
]
