"""Render pages in the admin's context, partials for htmx, and one clear message instead of an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from dbroute_panel.models import Trace
from dbroute_panel.presentation import documented_codes, read_finding_doc
from dbroute_panel.suggestions import did_you_mean

# The class a view's ``admin`` is of. Django's own has no type parameter at run time.
if TYPE_CHECKING:
    Admin = ModelAdmin[Trace]
else:
    Admin = ModelAdmin

HTMX_HEADER = "HX-Request-Type"
"""Is ``partial`` when htmx wants a part; its history asks for the page, with ``full``."""


PERMISSIONS = ("view_trace", "add_trace", "delete_trace", "use_sandbox")


def has_perm(request: HttpRequest, permission: str) -> bool:
    """Return whether the user has this permission of the package."""
    return request.user.has_perm(f"dbroute_panel.{permission}")


def render_page(
    admin: Admin,
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    title: str,
    status: int = 200,
) -> TemplateResponse:
    """Render a page that extends the admin's."""
    response = TemplateResponse(
        request,
        f"dbroute_panel/{template}",
        {
            **admin.admin_site.each_context(request),
            "opts": admin.opts,
            "title": title,
            "may": {name: has_perm(request, name) for name in PERMISSIONS},
            **context,
        },
        status=status,
    )
    patch_vary_headers(response, [HTMX_HEADER])
    return response


def wants_partial(request: HttpRequest) -> bool:
    """Return whether htmx asked for a part of the page."""
    return request.headers.get(HTMX_HEADER) == "partial"


def render_partial(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200
) -> TemplateResponse:
    """Render a part of a page from the template that the page includes."""
    response = TemplateResponse(request, f"dbroute_panel/{template}", dict(context), status=status)
    patch_vary_headers(response, [HTMX_HEADER])
    return response


def render_message(
    admin: Admin, request: HttpRequest, *, title: str, text: str, status: int
) -> TemplateResponse:
    """Render a page with one message; for htmx, the message alone."""
    context = {"text": text}
    if wants_partial(request):
        return render_partial(request, "_message.html", context, status=status)
    return render_page(admin, request, "message.html", context, title=title, status=status)


def reverse_page(admin: Admin, name: str, *args: str) -> str:
    """Return the path of a page on the admin site that ``admin`` is registered on."""
    return reverse(f"admin:dbroute_panel_trace_{name}", args=args, current_app=admin.admin_site.name)


def query_without(given: QueryDict, *names: str) -> str:
    """``?a=b&``: what was asked for without ``names`` and empty values, ready for one more parameter."""
    kept = given.copy()
    for name in [name for name in kept if name in names or not any(kept.getlist(name))]:
        del kept[name]
    return f"?{kept.urlencode()}&" if kept else "?"


def parse_int(text: str | None) -> int | None:
    """Parse a number from a parameter of a URL; None if it is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None


def finding_page(admin: Admin, request: HttpRequest, code: str) -> HttpResponseBase:
    """The page about the finding ``code``."""
    blocks = read_finding_doc(code)
    if blocks is None:
        text = _("There is no page about a finding “%(code)s”. %(hint)s") % {
            "code": code,
            "hint": did_you_mean(code, documented_codes()),
        }
        return render_message(admin, request, title=_("No such finding"), text=text, status=404)
    # The admin's title is the page's first heading already.
    return render_page(admin, request, "finding.html", {"code": code, "blocks": blocks[1:]}, title=code)
