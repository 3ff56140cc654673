"""
The URLs below ``dbroute_panel/trace/``, and the permissions they need.

``TraceAdmin`` gives the admin its list of URLs; the pages themselves are in ``views``. It can be
registered on any ``AdminSite``: ``admin_site.register(dbroute_panel.models.Trace, TraceAdmin)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed
from django.urls import URLPattern, path

from dbroute_panel import views
from dbroute_panel.models import Trace
from dbroute_panel.views.rendering import Admin, has_perm

View = Callable[..., HttpResponseBase]

METHODS = ["GET", "HEAD", "POST"]
"""A page without an action answers a POST as it does a GET."""


@admin.register(Trace)
class TraceAdmin(Admin):
    """
    Looking needs ``view_trace``, importing ``add_trace``, deleting ``delete_trace``, asking the routers
    ``use_sandbox``.

    Asking from a page that shows what was recorded or asked before (replay, the map's button) needs both.
    """

    def get_urls(self) -> list[URLPattern]:
        """Only our own pages: a trace is never added or changed by hand, and has no history."""
        pages: list[tuple[str, str, View, *tuple[str, ...]]] = [
            ("", "changelist", views.trace_list, "view_trace"),
            ("sandbox/", "sandbox", views.sandbox_page, "use_sandbox"),
            ("sandbox/models/", "models", views.model_labels, "use_sandbox"),
            ("import/", "import", views.import_traces, "add_trace"),
            ("compare/", "compare", views.compare_traces, "view_trace"),
            ("finding/<str:code>/", "finding", views.finding_page, "view_trace"),
            ("map/", "map", views.map_page, "view_trace"),
            ("routers/", "routers", views.routers_page, "view_trace"),
            ("<str:trace_id>/change/", "change", views.trace_page, "view_trace"),
            ("<str:trace_id>/delete/", "delete", views.delete_trace, "delete_trace"),
            ("<str:trace_id>/export/<str:format_name>/", "export", views.export_trace, "view_trace"),
            ("<str:trace_id>/replay/", "replay", views.replay_trace, "view_trace", "use_sandbox"),
        ]
        return [
            path(route, self._page(view, permissions), name=f"dbroute_panel_trace_{name}")
            for route, name, view, *permissions in pages
        ]

    def has_view_permission(self, request: HttpRequest, obj: Trace | None = None) -> bool:
        return has_perm(request, "view_trace")

    def has_change_permission(self, request: HttpRequest, obj: Trace | None = None) -> bool:
        """A record is never changed."""
        return False

    def _page(self, view: View, permissions: Sequence[str]) -> View:
        """``view`` for staff who have ``permissions``; others are sent to the login or refused."""

        def page(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            if not all(has_perm(request, permission) for permission in permissions):
                raise PermissionDenied
            if request.method not in METHODS:
                return HttpResponseNotAllowed(METHODS)
            # Django's {% url %} takes it from here, so that links stay on this admin site.
            request.current_app = self.admin_site.name
            response = view(self, request, **kwargs)
            # A download has data of queries; a browser must not take it for anything else.
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            return response

        return self.admin_site.admin_view(update_wrapper(page, view))
