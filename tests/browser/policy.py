"""What the served site allows a page to load, and where it shows the toolbar."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from example_site.core import toolbar

POLICY = "default-src 'self'"


def strict(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware: every response has the policy that the pages promise to work under."""

    def with_policy(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response

    return with_policy


def toolbar_shown(request: HttpRequest) -> bool:
    """As on the example site, but not in the admin: there the toolbar would be tested and not our pages."""
    return not request.path.startswith("/admin/") and toolbar.shown(request)
