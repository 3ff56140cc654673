"""In which order, as events or as statements? The links that change it, each with the filter as it is."""

from __future__ import annotations

from typing import NamedTuple

from django.http import QueryDict
from django.utils.translation import gettext as _

from dbroute_panel.forms import EventFilterForm
from dbroute_panel.forms.filters import GROUP_BY_STATEMENT
from dbroute_panel.presentation import SORT_BY_DURATION

from .rendering import query_without

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
