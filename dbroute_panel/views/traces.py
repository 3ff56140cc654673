"""The list of traces: find one, export or forget some or all."""

from __future__ import annotations

from collections import Counter

import msgspec
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dbroute_panel.exports import FORMATS
from dbroute_panel.forms import TraceFilterForm
from dbroute_panel.records import Level
from dbroute_panel.report import Palette, Swatch
from dbroute_panel.stores import Filter, StoreError, Summary, get_store

from .download import download, unknown_format
from .page import Admin, may, message, page, part, query_without, url_of, wants_part, whole

PAGE = 50


class Used(msgspec.Struct, frozen=True):
    """A database in one line of the list."""

    database: Swatch
    queries: int


class Count(msgspec.Struct, frozen=True):
    """The findings of one level in one line of the list."""

    level: Level
    count: int


class Line(msgspec.Struct, frozen=True):
    """One trace in the list."""

    summary: Summary
    used: tuple[Used, ...]
    levels: tuple[Count, ...]

    @classmethod
    def of(cls, summary: Summary) -> Line:
        palette = Palette(summary.databases)
        aliases = palette.order(set(summary.aliases))
        counts = Counter(finding.level for finding in summary.findings)
        return cls(
            summary,
            tuple(Used(palette[alias], summary.aliases[alias]) for alias in aliases),
            tuple(Count(level, counts[level]) for level in reversed(Level) if level in counts),
        )


def trace_list(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """GET: the traces that the filter selects, newest first. POST: ask about, then do, an action."""
    if request.method == "POST":
        return _act(admin, request)
    store = get_store()
    form = TraceFilterForm(request.GET, codes=store.codes())
    valid = form.is_valid()
    wanted = form.wanted if valid else Filter()
    total = store.count(wanted) if valid else 0
    pages = max(1, -(-total // PAGE))
    number = min(max(whole(request.GET.get("page")) or 1, 1), pages)
    summaries = store.summaries(wanted, offset=(number - 1) * PAGE, limit=PAGE) if valid else []
    context = {
        "form": form,
        "lines": [Line.of(summary) for summary in summaries],
        "total": total,
        "number": number,
        "pages": pages,
        "filtered": not valid or wanted != Filter(),
        "links": query_without(request.GET, "page"),
        "problem": store.problem(),
        "formats": FORMATS.values(),
        "may": {"delete_trace": may(request, "delete_trace")},
    }
    status = 200 if valid else 400
    if wants_part(request):
        return part(request, "_traces.html", context, status=status)
    del context["may"]
    return page(admin, request, "trace_list.html", context, title=_("Traces"), status=status)


def _act(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """Do the action with the selected traces or all of them."""
    action = request.POST.get("action", "")
    actions = {
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
        return message(admin, request, title=_("Unknown action"), text=text, status=400)
    return actions[action](admin, request, action, request.POST.getlist("_selected_action"))


def _export(admin: Admin, request: HttpRequest, action: str, chosen: list[str]) -> HttpResponseBase:
    """The traces as one file, those of the list oldest first."""
    name = request.POST.get("format", "json")
    if name not in FORMATS:
        return unknown_format(admin, request, name)
    store = get_store()
    found = [trace_id for trace_id in chosen if store.summary(trace_id) is not None]
    if action == "export_selected" and not found:
        messages.warning(request, _("No trace was selected, nothing was exported."))
        return HttpResponseRedirect(url_of(admin, "changelist"))
    selected = (trace for trace_id in found[::-1] if (trace := store.get(trace_id)) is not None)
    return download(
        request,
        store.traces() if action == "export_all" else selected,
        into=FORMATS[name],
        redact="redact" in request.POST,
        name="dbroute-traces",
    )


def _delete(admin: Admin, request: HttpRequest, action: str, chosen: list[str]) -> HttpResponseBase:
    """Delete, once the person has said that they are sure."""
    if not may(request, "delete_trace"):
        raise PermissionDenied
    if action == "delete_selected" and not chosen:
        messages.warning(request, _("No trace was selected, nothing was deleted."))
        return HttpResponseRedirect(url_of(admin, "changelist"))
    store = get_store()
    if request.POST.get("post") != "yes":
        context = {
            "action": action,
            "chosen": chosen,
            "count": store.count() if action == "clear" else len(chosen),
        }
        return page(admin, request, "delete_confirmation.html", context, title=_("Are you sure?"))
    try:
        count = store.clear() if action == "clear" else store.delete(chosen)
    except StoreError as error:
        messages.error(request, _("Nothing was deleted: %(error)s") % {"error": error})
    else:
        messages.success(
            request,
            ngettext("%(count)d trace was deleted.", "%(count)d traces were deleted.", count)
            % {"count": count},
        )
    return HttpResponseRedirect(url_of(admin, "changelist"))
