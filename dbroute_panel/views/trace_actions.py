"""
What can be done with traces of the list, the selected or all: compare two, export, delete.

All are those that the list's filter finds, as the URL has it: what one sees is what is meant.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dbroute_panel.exports import FORMATS
from dbroute_panel.forms import TraceFilterForm
from dbroute_panel.stores import Filter, StoreError, get_store

from .download import download, render_unknown_format
from .rendering import Admin, has_perm, query_without, render_message, render_page, reverse_page


def run_action(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """Do the action with the selected traces or all of them."""
    action = request.POST.get("action", "")
    if not action:
        return _redirect_back(admin, request, _("No action was chosen."))
    actions = {
        "compare": _compare,
        "export_selected": _export,
        "export_all": _export,
        "delete_selected": _delete,
        "clear": _delete,
    }
    if action not in actions:
        text = _("There is no action “%(action)s”. Valid are %(valid)s.") % {
            "action": action,
            "valid": ", ".join(actions),
        }
        return render_message(admin, request, title=_("Unknown action"), text=text, status=400)
    form = TraceFilterForm(request.GET, codes=get_store().codes())
    if not form.is_valid():  # better nothing than what the filter was to leave out
        text = " ".join(str(error) for errors in form.errors.values() for error in errors)
        return render_message(admin, request, title=_("Nothing was done"), text=text, status=400)
    return actions[action](admin, request, action, request.POST.getlist("_selected_action"), form.wanted)


def _redirect_back(admin: Admin, request: HttpRequest, warning: str = "") -> HttpResponseBase:
    """To the list as it was filtered, with a warning that says why nothing was done."""
    if warning:
        messages.warning(request, warning)
    return HttpResponseRedirect(reverse_page(admin, "changelist") + query_without(request.GET)[:-1])


def _compare(
    admin: Admin, request: HttpRequest, action: str, chosen: list[str], wanted: Filter
) -> HttpResponseBase:
    """To the page that compares two traces: the older, which is lower in the list, is A."""
    if len(chosen) != 2:
        text = ngettext(
            "Select exactly two traces to compare; %(count)d was selected.",
            "Select exactly two traces to compare; %(count)d were selected.",
            len(chosen),
        )
        return _redirect_back(admin, request, text % {"count": len(chosen)})
    newer, older = chosen
    return HttpResponseRedirect(f"{reverse_page(admin, 'compare')}?{urlencode({'a': older, 'b': newer})}")


def _export(
    admin: Admin, request: HttpRequest, action: str, chosen: list[str], wanted: Filter
) -> HttpResponseBase:
    """The traces as one file, those of the list oldest first."""
    name = request.POST.get("format", "json")
    if name not in FORMATS:
        return render_unknown_format(admin, request, name)
    store = get_store()
    found = [trace_id for trace_id in chosen if store.summary(trace_id) is not None]
    if action == "export_selected" and not found:
        return _redirect_back(admin, request, _("No trace was selected, nothing was exported."))
    selected = (trace for trace_id in found[::-1] if (trace := store.get(trace_id)) is not None)
    return download(
        request,
        store.traces(wanted) if action == "export_all" else selected,
        into=FORMATS[name],
        redact="redact" in request.POST,
        name="dbroute-traces",
    )


def _delete(
    admin: Admin, request: HttpRequest, action: str, chosen: list[str], wanted: Filter
) -> HttpResponseBase:
    """Delete, once the person has said that they are sure. What is recorded meanwhile is among all."""
    if not has_perm(request, "delete_trace"):
        raise PermissionDenied
    if action == "delete_selected" and not chosen:
        return _redirect_back(admin, request, _("No trace was selected, nothing was deleted."))
    store = get_store()
    if request.POST.get("post") != "yes":
        context = {
            "action": action,
            "chosen": chosen,
            "count": store.count(wanted) if action == "clear" else len(chosen),
            "filtered": wanted != Filter(),
            "back": request.get_full_path(),
        }
        return render_page(admin, request, "delete_confirmation.html", context, title=_("Are you sure?"))
    try:
        if action == "clear" and wanted == Filter():
            count = store.clear()
        elif action == "clear":
            count = store.delete([one.id for one in store.summaries(wanted, limit=store.count(wanted))])
        else:
            count = store.delete(chosen)
    except StoreError as error:
        messages.error(request, _("Nothing was deleted: %(error)s") % {"error": error})
    else:
        messages.success(
            request,
            ngettext("%(count)d trace was deleted.", "%(count)d traces were deleted.", count)
            % {"count": count},
        )
    return _redirect_back(admin, request)
