"""The map: where every model is read, written and has its table, as the routers said when asked last."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _

from dbroute_panel.forms import MapFilterForm
from dbroute_panel.inspection.isolation import RouterTimeoutError, run_isolated
from dbroute_panel.stores import StoreError, get_store

from .databases import project_palette
from .kept_map import SavedMap, ask_map, list_routers, load_map, save_map
from .map_rows import MapFilter, MapTable, list_apps
from .rendering import (
    Admin,
    has_perm,
    parse_int,
    query_without,
    render_page,
    render_partial,
    reverse_page,
    wants_partial,
)


def routing_map(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """GET shows the last answer and asks nothing. POST asks the routers, and keeps what they said."""
    if request.method != "POST":
        return _respond(admin, request, load_map(get_store()))
    if not has_perm(request, "use_sandbox"):
        raise PermissionDenied
    try:
        kept = run_isolated(ask_map)
    except RouterTimeoutError as error:
        return _respond(admin, request, load_map(get_store()), problem=str(error))
    try:
        save_map(get_store(), kept)
    except StoreError as error:
        text = _("This map could not be kept, so it is gone with this page: %(error)s") % {"error": error}
        return _respond(admin, request, kept, problem=text)
    return HttpResponseRedirect(request.get_full_path())


def _respond(
    admin: Admin, request: HttpRequest, kept: SavedMap | None, *, problem: str | None = None
) -> HttpResponseBase:
    form = MapFilterForm(
        request.GET,
        apps=list_apps(kept.routes.models) if kept else [],
        aliases=kept.routes.databases if kept else [],
        findings=sorted({finding.code for finding in kept.findings}) if kept else [],
    )
    # With no map there is nothing that a filter could be wrong about.
    valid = kept is None or form.is_valid()
    context: dict[str, Any] = {
        "form": form,
        "kept": kept,
        "table": None,
        "sandbox": reverse_page(admin, "sandbox") if has_perm(request, "use_sandbox") else "",
        "links": query_without(request.GET, "page"),
        "unfiltered": request.path,
    }
    if kept is not None and valid:
        given = form.cleaned_data
        wanted = MapFilter(text=given["q"], app=given["app"], alias=given["db"], finding=given["finding"])
        table = MapTable(kept, project_palette(), wanted)
        number = min(max(parse_int(request.GET.get("page")) or 1, 1), table.pages)
        context |= {
            "table": table,
            "apps": table.apps(number),
            "groups": table.groups(),
            "number": number,
            "filtered": wanted != MapFilter(),
        }
    status = 200 if valid else 400
    if wants_partial(request):
        return render_partial(request, "_map.html", context, status=status)
    context |= {
        "problem": problem,
        "here": request.get_full_path(),
        "others": kept is not None and kept.routers != list_routers(),
    }
    return render_page(admin, request, "map.html", context, title=_("Routing map"), status=status)
