"""Two traces side by side: what was routed differently, ``?a=<id>&b=<id>``."""

from __future__ import annotations

from typing import Final

import msgspec
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dbroute_panel import environment
from dbroute_panel.presentation import Comparison, build_comparison
from dbroute_panel.presentation.comparison import ComparedRow, Difference
from dbroute_panel.records import Trace

from .rendering import Admin, render_message, render_page
from .trace import find_trace, render_unknown_trace

MAX_SECTION_ROWS: Final = 100
"""Maximum rows of each section, so that the page does not grow with the traces."""

SECTION_TITLES: Final = {
    Difference.ELSEWHERE: gettext_lazy("Went to other databases"),
    Difference.SHARES: gettext_lazy("The same databases, in other shares"),
    Difference.REPLICA: gettext_lazy("Went to another replica of the same primary"),
    Difference.FAILED: gettext_lazy("Went to the same databases, but another number of them failed"),
    Difference.DECIDER: gettext_lazy("Went to the same database, but somebody else decided"),
    Difference.ONLY_A: gettext_lazy("Only in A"),
    Difference.ONLY_B: gettext_lazy("Only in B"),
    Difference.COUNT: gettext_lazy("Went to the same databases, another number of times"),
    Difference.SAME: gettext_lazy("The same in both"),
}


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that differ in one way; ``hidden`` is how many more there are."""

    kind: Difference
    title: str
    rows: tuple[ComparedRow, ...]
    total: int

    @property
    def hidden(self) -> int:
        return self.total - len(self.rows)


def compare_traces(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """The comparison of two stored traces; of anything else one message that says what is needed."""
    wanted = request.GET.get("a", ""), request.GET.get("b", "")
    if not all(wanted):
        text = _(
            "Two traces are needed, ?a=… and ?b=…. Select two in the list of traces, then press “Compare”."
        )
        return render_message(admin, request, title=_("Nothing to compare"), text=text, status=400)
    found: list[Trace] = []
    for trace_id in wanted:
        trace = find_trace(trace_id)
        if trace is None:
            return render_unknown_trace(admin, request, trace_id)
        found.append(trace)
    a, b = found
    if a.id == b.id:
        text = _("A and B are the same trace. Select two different ones in the list of traces.")
        return render_message(admin, request, title=_("Nothing to compare"), text=text, status=200)
    result = build_comparison(a, b, environment.databases())
    context = {
        "a": a,
        "b": b,
        "comparison": result,
        "sections": build_sections(result),
        "swapped": f"?a={b.id}&b={a.id}",
    }
    return render_page(admin, request, "compare.html", context, title=_("Compare two traces"))


def build_sections(comparison: Comparison) -> list[Section]:
    """What differs and what does not, the weightiest first."""
    return [
        Section(kind=kind, title=str(SECTION_TITLES[kind]), rows=rows[:MAX_SECTION_ROWS], total=len(rows))
        for kind, rows in comparison.rows.items()
    ]
