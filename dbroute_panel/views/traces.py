"""
The list of traces: find one, see new ones come, choose some.

While it is open, its first page asks again every few seconds with what it shows already (``seen``), and
is answered 204 as long as that is all there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar, Final
from urllib.parse import urlencode

import msgspec
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dbroute_panel import environment
from dbroute_panel.exports import FORMATS
from dbroute_panel.forms import TraceFilterForm
from dbroute_panel.presentation import BarSegment, Palette, build_usage_bar
from dbroute_panel.presentation.totals import BAR_WIDTH
from dbroute_panel.records import Database, Level
from dbroute_panel.stores import Filter, Store, StoreError, Summary, get_store

from .rendering import (
    Admin,
    has_perm,
    parse_int,
    query_without,
    render_message,
    render_page,
    render_partial,
    reverse_page,
    wants_partial,
)
from .transfer import download, render_unknown_format

TRACES_PER_PAGE = 50


def trace_list(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """GET: the traces that the filter selects, newest first. POST: ask about, then do, an action."""
    if request.method == "POST":
        return run_action(admin, request)
    store = get_store()
    form = TraceFilterForm(request.GET, codes=store.codes())
    valid = form.is_valid()
    trace_filter = form.trace_filter if valid else Filter()
    total = store.count(trace_filter) if valid else 0
    if valid and "seen" in request.GET and request.GET["seen"] == _read_state(store, trace_filter, total):
        return HttpResponse(status=204)
    page = Paginator(range(total), TRACES_PER_PAGE).get_page(parse_int(request.GET.get("page")) or 1)
    offset = max(page.start_index() - 1, 0)
    summaries = store.summaries(trace_filter, offset=offset, limit=TRACES_PER_PAGE) if valid else []
    since, new = _count_new(store, summaries, request.GET.get("since"))
    links = query_without(request.GET, *TraceFilterForm.BESIDE)
    site = environment.databases()
    context = {
        "form": form,
        "lines": [
            TraceLine.from_summary(summary, site, new=place < new) for place, summary in enumerate(summaries)
        ],
        "new": new,
        "total": total,
        "number": page.number,
        "pages": page.paginator.num_pages,
        "filtered": not valid or trace_filter != Filter(),
        "links": links,
        # Further pages stay as they are: what is read there would move with every new trace.
        "again": f"{links}since={since}&seen={_format_state(summaries, total)}"
        if valid and page.number == 1
        else "",
        "formats": FORMATS.values(),
        "may": {"delete_trace": has_perm(request, "delete_trace")},
    }
    status = 200 if valid else 400
    if wants_partial(request):
        return render_partial(request, "_traces.html", context, status=status)
    del context["may"]
    context["problem"] = store.problem()
    return render_page(admin, request, "trace_list.html", context, title=_("Traces"), status=status)


def _read_state(store: Store, trace_filter: Filter, total: int) -> str:
    """What ``_seen()`` said of the first page if nothing has come or gone since, from two cheap questions."""
    return _format_state(store.summaries(trace_filter, limit=1), total)


def _format_state(summaries: list[Summary], total: int) -> str:
    """A new trace changes the newest one, and any that is imported or deleted their number."""
    return f"{summaries[0].id if summaries else ''}-{total}"


def _count_new(store: Store, summaries: list[Summary], since: str | None) -> tuple[str, int]:
    """The newest trace when the page was opened, and how many on this page have come since."""
    newest = summaries[0].id if summaries else ""
    if since is None:
        return newest, 0
    for place, summary in enumerate(summaries):
        if summary.id == since:
            return since, place
    # It is further down, or the list was empty; else it was deleted, and what is new is unknown.
    known = not since or store.summary(since) is not None
    return (since, len(summaries)) if known else (newest, 0)


SHOWN_DATABASES: Final = 3
"""Databases named in a line; the others are in the title of the bar, and read by screen readers."""


class LevelCount(msgspec.Struct, frozen=True):
    """The findings of one level in one line of the list."""

    level: Level
    count: int


class TraceLine(msgspec.Struct, frozen=True, kw_only=True):
    """One trace in the list; ``new`` if it came since the page was opened."""

    summary: Summary
    used: tuple[BarSegment, ...]
    levels: tuple[LevelCount, ...]
    new: bool = False

    width: ClassVar[int] = BAR_WIDTH

    @classmethod
    def from_summary(cls, summary: Summary, site: Mapping[str, Database], *, new: bool = False) -> TraceLine:
        """``site``: the databases that are configured now."""
        counts = Counter(finding.level for finding in summary.findings)
        return cls(
            summary=summary,
            used=build_usage_bar(summary.aliases, Palette(summary.databases, site)),
            levels=tuple(LevelCount(level, counts[level]) for level in reversed(Level) if level in counts),
            new=new,
        )

    @property
    def named(self) -> tuple[BarSegment, ...]:
        """The databases whose names are shown: one more would be shown as “+1”, so that one is shown too."""
        return self.used if len(self.used) <= SHOWN_DATABASES + 1 else self.used[:SHOWN_DATABASES]

    @property
    def unnamed(self) -> tuple[BarSegment, ...]:
        return self.used[len(self.named) :]


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
    return actions[action](
        admin, request, action, request.POST.getlist("_selected_action"), form.trace_filter
    )


def _redirect_back(admin: Admin, request: HttpRequest, warning: str = "") -> HttpResponseBase:
    """To the list as it was filtered, with a warning that says why nothing was done."""
    if warning:
        messages.warning(request, warning)
    return HttpResponseRedirect(reverse_page(admin, "changelist") + query_without(request.GET)[:-1])


def _compare(
    admin: Admin, request: HttpRequest, action: str, chosen: list[str], trace_filter: Filter
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
    admin: Admin, request: HttpRequest, action: str, chosen: list[str], trace_filter: Filter
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
        store.traces(trace_filter) if action == "export_all" else selected,
        into=FORMATS[name],
        redact="redact" in request.POST,
        name="dbroute-traces",
    )


def _delete(
    admin: Admin, request: HttpRequest, action: str, chosen: list[str], trace_filter: Filter
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
            "count": store.count(trace_filter) if action == "clear" else len(chosen),
            "filtered": trace_filter != Filter(),
            "back": request.get_full_path(),
        }
        return render_page(admin, request, "delete_confirmation.html", context, title=_("Are you sure?"))
    try:
        if action == "clear" and trace_filter == Filter():
            count = store.clear()
        elif action == "clear":
            count = store.delete(
                [one.id for one in store.summaries(trace_filter, limit=store.count(trace_filter))]
            )
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
