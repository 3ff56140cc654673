"""Which traces, which events? Filters are GET forms: what they say is in the URL and can be shared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy

from dbroute_panel import findings
from dbroute_panel.records import Action, Route
from dbroute_panel.report import Index, Wanted
from dbroute_panel.stores import Filter

from .choice import Choice, offer

KINDS = {
    "request": gettext_lazy("request"),
    "block": gettext_lazy("block"),
    "command": gettext_lazy("command"),
    "task": gettext_lazy("task"),
}

ROUTES = {
    Route.ROUTER: gettext_lazy("a router said so"),
    Route.INSTANCE: gettext_lazy("the instance's database"),
    Route.DEFAULT: gettext_lazy("default, nobody said"),
    Route.EXPLICIT: gettext_lazy("named in code"),
    Route.CURSOR: gettext_lazy("raw cursor"),
    Route.SCHEMA: gettext_lazy("schema editor"),
}


class TraceFilterForm(forms.Form):
    """The filter of the list of traces."""

    path = forms.CharField(
        required=False,
        max_length=500,
        label=gettext_lazy("Path or name"),
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    alias = Choice(label=gettext_lazy("Database"))
    finding = Choice(label=gettext_lazy("Finding"))
    found = forms.BooleanField(required=False, label=gettext_lazy("only with findings"))
    kind = Choice(label=gettext_lazy("Kind"), valid=KINDS.items())
    status = forms.IntegerField(
        required=False,
        min_value=100,
        max_value=599,
        label=gettext_lazy("Status"),
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"),
            gettext_lazy("Status: a number from 100 to 599, such as 200 or 500."),
        ),
    )

    def __init__(self, *args: Any, codes: Iterable[str] = (), **kwargs: Any) -> None:
        """``codes``: those of the findings that there are. Any code that a finding can have is valid."""
        super().__init__(*args, **kwargs)
        offer(self, "alias", settings.DATABASES)
        given = self.data.get("finding", "")
        offer(self, "finding", sorted({*codes, *({given} & findings.codes())}))

    @property
    def wanted(self) -> Filter:
        """What a valid form asks for."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in ("", None, False)}
        return Filter(**given)


def _moment() -> forms.IntegerField:
    """Microseconds from the trace's start: nobody types them, the timeline's links have them."""
    return forms.IntegerField(
        required=False,
        min_value=0,
        max_value=10**15,
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"),
            gettext_lazy("from_us and to_us: whole microseconds from the start of the trace."),
        ),
    )


class EventFilterForm(forms.Form):
    """The filter of the events of one trace; its choices are what occurs in that trace."""

    q = forms.CharField(
        required=False,
        max_length=500,
        label=gettext_lazy("Text"),
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    db = Choice(label=gettext_lazy("Database"))
    route = Choice(label=gettext_lazy("Route"), valid=ROUTES.items())
    model = Choice(label=gettext_lazy("Model"))
    action = Choice(label=gettext_lazy("Action"), valid=((action, action.value) for action in Action))
    findings = forms.BooleanField(required=False, label=gettext_lazy("only findings"))
    questions = forms.BooleanField(required=False, label=gettext_lazy("every question"))
    from_us = _moment()
    to_us = _moment()

    def __init__(self, *args: Any, index: Index, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.end_us = index.end_us
        offer(self, "db", index.palette.order(index.aliases))
        offer(self, "model", sorted(index.models))

    @property
    def wanted(self) -> Wanted:
        """What a valid form asks for."""
        given = self.cleaned_data
        return Wanted(
            text=given["q"],
            alias=given["db"],
            route=given["route"],
            model=given["model"],
            action=given["action"],
            questions=given["questions"],
            findings=given["findings"],
            from_us=given["from_us"],
            to_us=given["to_us"],
        )

    @property
    def between(self) -> tuple[int, int] | None:
        """The time that a valid form asks for, in microseconds; None if it asks for all of it."""
        first, last = self.cleaned_data.get("from_us"), self.cleaned_data.get("to_us")
        if first is None and last is None:
            return None
        return first or 0, self.end_us if last is None else last
