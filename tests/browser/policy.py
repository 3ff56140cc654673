"""What the served site allows a page to load, and where it shows the toolbar."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from example_site.core import toolbar

POLICY = "default-src 'self'"
WITH_TOOLBAR = ("/books/", "/htmx2/", "/__debug__/")


def strict(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware: every response has the policy that the pages promise to work under."""

    def with_policy(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response

    return with_policy


def toolbar_shown(request: HttpRequest) -> bool:
    """
    As on the example site, but only where a test looks for it.

    In the admin it would be tested and not our pages; and what it shows is kept, so that the request for an
    icon, which leaves no event, would leave a trace.
    """
    return request.path.startswith(WITH_TOOLBAR) and toolbar.shown(request)
