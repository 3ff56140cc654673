"""One trace: its page, the parts of it that open in place, and its deletion."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import msgspec
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.utils.translation import gettext as _

from dbroute_panel import environment, recording
from dbroute_panel.conf import panel_settings
from dbroute_panel.environment import base_dir, installed_folders
from dbroute_panel.exports import FORMATS
from dbroute_panel.forms import EventFilterForm
from dbroute_panel.forms.filters import GROUP_BY_STATEMENT
from dbroute_panel.presentation import (
    SORT_BY_DURATION,
    DeciderCount,
    Detail,
    Editor,
    EventFilter,
    Index,
    Listing,
    Timeline,
    Totals,
    build_detail,
    build_timeline,
    compute_totals,
    count_deciders,
    format_statement,
    paginate_statements,
)
from dbroute_panel.records import Query, Trace
from dbroute_panel.stores import StoreError, get_store

from .rendering import (
    Admin,
    parse_int,
    query_without,
    render_message,
    render_page,
    render_partial,
    reverse_page,
    wants_partial,
)

MAX_LINK_LENGTH = 150
"""Characters of a filter in each row's link; with more, it leads to the event in the unfiltered list."""

LIST_PARAMETERS = EventFilterForm.BESIDE
"""Parameters for the place in the list of events, which do not select events."""

TIME_PARAMETERS = ("kind", "from_us", "to_us")
LANE_PARAMETERS = ("db", "questions", *TIME_PARAMETERS)
"""Parameters that the timeline's links set; they keep the rest of the filter."""


def trace_page(admin: Admin, request: HttpRequest, trace_id: str) -> HttpResponseBase:
    """
    The page of one trace. ``?event=17`` opens that row, ``?fold=9`` that fold.

    To htmx the same URLs give only the row's detail, only the fold's rows, or only the list of events.
    """
    trace = find_trace(trace_id)
    if trace is None:
        return render_unknown_trace(admin, request, trace_id)
    viewed = get_viewed_trace(trace)
    form = EventFilterForm(request.GET, index=viewed.index)
    if not form.is_valid():
        return _respond(admin, request, viewed, form, {"listing": None}, status=400)
    if form.grouped:
        return _respond_statements(admin, request, viewed, form)
    return _respond_events(admin, request, viewed, form)


def _respond_events(
    admin: Admin, request: HttpRequest, viewed: ViewedTrace, form: EventFilterForm
) -> HttpResponseBase:
    """The events."""
    index, listing = viewed.index, viewed.listing(form.event_filter)
    opened, detail = _find_opened(index, request.GET.get("event"))
    if opened is None and "event" in request.GET:
        text = _("There is no event #%(event)s in this trace.") % {"event": request.GET["event"]}
        return render_message(admin, request, title=_("No such event"), text=text, status=404)
    links = query_without(request.GET, *LIST_PARAMETERS)
    fold = parse_int(request.GET.get("fold")) or opened
    if wants_partial(request):
        if detail is not None:
            return render_partial(
                request, "_detail.html", {"detail": detail, "here": "", "editor": get_editor()}
            )
        if fold is not None and (inside := listing.fold(fold)) is not None:
            context = {
                "fold": inside,
                "links": links,
                "brief": _shorten(links),
                "rendered": {},
                "here": "",
                "editor": get_editor(),
            }
            return render_partial(request, "_fold.html", context)
    number = parse_int(request.GET.get("page")) or 1
    if fold is not None:
        place = listing.page_with(fold)
        if place is None:  # the filter hides it: a link to an event means that event
            return HttpResponseRedirect(f"?event={fold}#event-{fold}")
        number = place
    context = {
        "listing": listing.page(number),
        "links": links,
        "brief": _shorten(links),
        "opened": opened,
        "detail": detail,
        "unfolded": listing.fold(fold) if fold is not None else None,
    }
    return _respond(admin, request, viewed, form, context)


def _respond_statements(
    admin: Admin, request: HttpRequest, viewed: ViewedTrace, form: EventFilterForm
) -> HttpResponseBase:
    """The statements that the events are; the one of the query ``?like=17`` is open."""
    event_filter = form.event_filter
    whole_listing = viewed.listing(msgspec.structs.replace(event_filter, like=0))
    groups = paginate_statements(whole_listing, parse_int(request.GET.get("page")) or 1)
    links = query_without(request.GET, *LIST_PARAMETERS, "like")
    ungrouped = query_without(request.GET, *LIST_PARAMETERS, "like", "group")
    context: dict[str, Any] = {
        "groups": groups,
        "links": links,
        "brief": _shorten(links, f"?group={GROUP_BY_STATEMENT}&"),
        "ungrouped": ungrouped,
        "brief_ungrouped": _shorten(ungrouped),
        "opened": event_filter.like,
    }
    if isinstance(query := viewed.index.by_id.get(event_filter.like), Query):
        context |= {"inside": viewed.listing(event_filter).page(), "statement": format_statement(query)}
        if wants_partial(request):
            return render_partial(
                request, "_group.html", {**context, "rendered": {}, "here": "", "editor": get_editor()}
            )
    return _respond(admin, request, viewed, form, context)


def _respond(
    admin: Admin,
    request: HttpRequest,
    viewed: ViewedTrace,
    form: EventFilterForm,
    context: dict[str, Any],
    *,
    status: int = 200,
) -> HttpResponseBase:
    """The list of events for htmx, else the whole page around it."""
    context = {
        "form": form,
        "rendered": {},
        "here": "",
        "editor": get_editor(),
        "list_links": build_list_links(request.GET, form),
        "unfiltered": request.path,
        "anytime": query_without(request.GET, *LIST_PARAMETERS, *TIME_PARAMETERS),
        "lanes": query_without(request.GET, *LIST_PARAMETERS, *LANE_PARAMETERS),
        **context,
    }
    if wants_partial(request):
        return render_partial(request, "_events.html", context, status=status)
    trace = viewed.index.trace
    context |= {
        "trace": trace,
        "totals": viewed.totals,
        "decided": viewed.decided,
        "timeline": viewed.timeline,
        "formats": FORMATS.values(),
        "imported": summary.imported if (summary := get_store().summary(trace.id)) is not None else False,
        # A lane's name repeats the filter a few times, its bars some hundred times.
        "brief_lanes": lanes if len(lanes := context["lanes"]) <= 10 * MAX_LINK_LENGTH else "",
        "bars": len(context["lanes"]) <= MAX_LINK_LENGTH,
    }
    title = f"{trace.request.method} {trace.request.path}" if trace.request else trace.name
    return render_page(admin, request, "trace.html", context, title=title, status=status)


def _shorten(links: str, otherwise: str = "?") -> str:
    """``links``, or ``otherwise`` where a page would be long because every row repeats a long filter."""
    return links if len(links) <= MAX_LINK_LENGTH else otherwise


def delete_trace(admin: Admin, request: HttpRequest, trace_id: str) -> HttpResponseBase:
    """GET asks, POST deletes."""
    trace = find_trace(trace_id)
    if trace is None:
        return render_unknown_trace(admin, request, trace_id)
    if request.method != "POST":
        context = {"action": "", "chosen": [trace.id], "count": 1, "trace": trace}
        return render_page(admin, request, "delete_confirmation.html", context, title=_("Are you sure?"))
    try:
        get_store().delete([trace.id])
    except StoreError as error:
        messages.error(request, _("Nothing was deleted: %(error)s") % {"error": error})
    else:
        messages.success(request, _("The trace “%(name)s” was deleted.") % {"name": trace.name})
    return HttpResponseRedirect(reverse_page(admin, "changelist"))


def find_trace(trace_id: str) -> Trace | None:
    return get_store().get(trace_id) or recording.find(trace_id)


def render_unknown_trace(admin: Admin, request: HttpRequest, trace_id: str) -> HttpResponseBase:
    text = _(
        "There is no trace “%(id)s”: it was deleted, had to make room for newer ones, or never existed."
    ) % {"id": trace_id}
    return render_message(admin, request, title=_("No such trace"), text=text, status=404)


def get_editor() -> Editor | None:
    """What opens the project's files, if ``EDITOR_URL`` says so."""
    return Editor.from_setting(panel_settings.EDITOR_URL, base_dir(), installed_folders())


def _find_opened(index: Index, given: str | None) -> tuple[int | None, Detail | None]:
    """The row that ``?event=`` opens, and what it shows; a decision is shown in the row of its query."""
    number = parse_int(given)
    event = index.by_id.get(index.row_of(number)) if number is not None else None
    if event is None:
        return None, None
    return event.id, build_detail(index, event)


MAX_LISTINGS = 8
"""Filters of the viewed trace that are remembered."""


class ViewedTrace:
    """A trace's index, and its listings by what was wanted."""

    def __init__(self, trace: Trace) -> None:
        self.index = Index(trace, environment.databases())
        self._listings: dict[EventFilter, Listing] = {}

    @cached_property
    def totals(self) -> Totals:
        return compute_totals(self.index.trace, self.index.palette)

    @cached_property
    def decided(self) -> tuple[DeciderCount, ...]:
        return count_deciders(self.index)

    @cached_property
    def timeline(self) -> Timeline:
        return build_timeline(self.index.trace, self.index.palette)

    def listing(self, event_filter: EventFilter) -> Listing:
        found = self._listings.get(event_filter)
        if found is None:
            if len(self._listings) >= MAX_LISTINGS:
                self._listings = {}
            found = self._listings[event_filter] = Listing(self.index, event_filter)
        return found


_last: ViewedTrace | None = None


def get_viewed_trace(trace: Trace) -> ViewedTrace:
    """What is known of this very object, which a store gives out again while it has it."""
    global _last
    last = _last
    if last is None or last.index.trace is not trace:
        last = _last = ViewedTrace(trace)
    return last


_OPEN = EventFilterForm.BESIDE


class ListLink(NamedTuple):
    """One link; ``current``: what it leads to is what is shown."""

    text: str
    href: str
    current: bool


class ListLinks(NamedTuple):
    """``like``: the link that shows all statements again, or "" where all are shown."""

    shown: list[ListLink]
    order: list[ListLink]
    like: str


def build_list_links(given: QueryDict, form: EventFilterForm) -> ListLinks:
    """All of them, for a form that is valid or not."""
    grouped = form.data.get("group") == GROUP_BY_STATEMENT
    sorted_by = form.data.get("sort") or ""
    ungrouped = query_without(given, *_OPEN, "group", "sort", "like")
    unsorted = query_without(given, *_OPEN, "sort")
    whole = query_without(given, *_OPEN, "like")
    return ListLinks(
        shown=[
            ListLink(_("events"), _strip_ampersand(ungrouped), not grouped),
            ListLink(
                _("identical statements"),
                f"{ungrouped}group={GROUP_BY_STATEMENT}&sort={SORT_BY_DURATION}",
                grouped,
            ),
        ],
        order=[
            ListLink(_("as it happened"), _strip_ampersand(unsorted), not sorted_by),
            ListLink(
                _("most time first") if grouped else _("longest first"),
                f"{unsorted}sort={SORT_BY_DURATION}",
                sorted_by == SORT_BY_DURATION,
            ),
        ],
        like=_strip_ampersand(whole) if form.data.get("like") and not grouped else "",
    )


def _strip_ampersand(query: str) -> str:
    """Without the mark for one more parameter."""
    return query.removesuffix("&")
