"""
The list of traces: find one, see new ones come, choose some.

While it is open, its first page asks again every few seconds with what it shows already (``seen``), and
is answered 204 as long as that is all there is.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _

from dbroute_panel import environment
from dbroute_panel.exports import FORMATS
from dbroute_panel.forms import TraceFilterForm
from dbroute_panel.stores import Filter, Store, Summary, get_store

from .rendering import Admin, has_perm, parse_int, query_without, render_page, render_partial, wants_partial
from .trace_actions import run_action
from .trace_lines import TraceLine

TRACES_PER_PAGE = 50


def trace_list(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """GET: the traces that the filter selects, newest first. POST: ask about, then do, an action."""
    if request.method == "POST":
        return run_action(admin, request)
    store = get_store()
    form = TraceFilterForm(request.GET, codes=store.codes())
    valid = form.is_valid()
    wanted = form.wanted if valid else Filter()
    total = store.count(wanted) if valid else 0
    if valid and "seen" in request.GET and request.GET["seen"] == _read_state(store, wanted, total):
        return HttpResponse(status=204)
    pages = max(1, -(-total // TRACES_PER_PAGE))
    number = min(max(parse_int(request.GET.get("page")) or 1, 1), pages)
    summaries = (
        store.summaries(wanted, offset=(number - 1) * TRACES_PER_PAGE, limit=TRACES_PER_PAGE) if valid else []
    )
    since, new = _count_new(store, summaries, request.GET.get("since"))
    links = query_without(request.GET, *TraceFilterForm.BESIDE)
    site = environment.databases()
    context = {
        "form": form,
        "lines": [TraceLine.of(summary, site, new=place < new) for place, summary in enumerate(summaries)],
        "new": new,
        "total": total,
        "number": number,
        "pages": pages,
        "filtered": not valid or wanted != Filter(),
        "links": links,
        # Further pages stay as they are: what somebody reads there would move with every new trace.
        "again": f"{links}since={since}&seen={_format_state(summaries, total)}"
        if valid and number == 1
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


def _read_state(store: Store, wanted: Filter, total: int) -> str:
    """What ``_seen()`` said of the first page if nothing has come or gone since, from two cheap questions."""
    return _format_state(store.summaries(wanted, limit=1), total)


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
    # It is further down, or the list was empty; else it was deleted, and nobody knows what is new.
    known = not since or store.summary(since) is not None
    return (since, len(summaries)) if known else (newest, 0)
