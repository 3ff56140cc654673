"""Where the debug toolbar is shown."""

from __future__ import annotations

from debug_toolbar.middleware import show_toolbar
from django.http import HttpRequest

ABOUT_SCENARIOS = ("/scenarios/", "/replication/")


def shown(request: HttpRequest) -> bool:
    """
    As by default, but not on the pages about scenarios.

    They query no database themselves, and what the toolbar shows is kept: every visit would leave an empty
    trace.
    """
    if request.path == "/" or request.path.startswith(ABOUT_SCENARIOS):
        return False
    return show_toolbar(request)
