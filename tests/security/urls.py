"""The example site with the toolbar's URLs, which it has only where DEBUG was on when it was imported."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("__debug__/", include("debug_toolbar.urls")),
    path("", include("example_site.urls")),
]
