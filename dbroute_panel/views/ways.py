"""In which order, as events or as statements? The links that change it, each with the filter as it is."""

from __future__ import annotations

from typing import NamedTuple

from django.http import QueryDict
from django.utils.translation import gettext as _

from dbroute_panel.forms import EventFilterForm
from dbroute_panel.forms.filters import STATEMENTS
from dbroute_panel.presentation import DURATION

from .rendering import query_without

_OPEN = EventFilterForm.BESIDE


class Way(NamedTuple):
    """One link; ``current``: what it leads to is what is shown."""

    text: str
    href: str
    current: bool


class Ways(NamedTuple):
    """``like``: the link that shows all statements again, or "" where all are shown."""

    shown: list[Way]
    order: list[Way]
    like: str


def ways(given: QueryDict, form: EventFilterForm) -> Ways:
    """All of them, for a form that is valid or not."""
    grouped = form.data.get("group") == STATEMENTS
    sorted_by = form.data.get("sort") or ""
    ungrouped = query_without(given, *_OPEN, "group", "sort", "like")
    unsorted = query_without(given, *_OPEN, "sort")
    whole = query_without(given, *_OPEN, "like")
    return Ways(
        shown=[
            Way(_("events"), _closed(ungrouped), not grouped),
            Way(_("identical statements"), f"{ungrouped}group={STATEMENTS}&sort={DURATION}", grouped),
        ],
        order=[
            Way(_("as it happened"), _closed(unsorted), not sorted_by),
            Way(
                _("most time first") if grouped else _("longest first"),
                f"{unsorted}sort={DURATION}",
                sorted_by == DURATION,
            ),
        ],
        like=_closed(whole) if form.data.get("like") and not grouped else "",
    )


def _closed(query: str) -> str:
    """Without the mark for one more parameter."""
    return query.removesuffix("&")
