"""Filters of traces, events and the map. They are GET forms, so that a URL can be shared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dbroute_panel import findings
from dbroute_panel.presentation import (
    DECIDER_LABELS,
    KIND_DECISIONS,
    KIND_QUERIES,
    SORT_BY_DURATION,
    EventFilter,
    Index,
)
from dbroute_panel.records import Action, Query, RouteKind
from dbroute_panel.stores import Filter

from .fields import OptionalChoiceField, OptionalTextField, YesNoField, refuse_unknown, set_choices

KIND_LABELS = {
    "request": gettext_lazy("request"),
    "block": gettext_lazy("block"),
    "command": gettext_lazy("command"),
    "task": gettext_lazy("task"),
}

HTTP_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

ROUTE_LABELS = {
    RouteKind.ROUTER: gettext_lazy("a router said so"),
    RouteKind.INSTANCE: gettext_lazy("the instance's database"),
    RouteKind.DEFAULT: gettext_lazy("default, nobody said"),
    RouteKind.EXPLICIT: gettext_lazy("named in code"),
    RouteKind.CURSOR: gettext_lazy("raw cursor"),
    RouteKind.SCHEMA: gettext_lazy("schema editor"),
    RouteKind.PEERS: gettext_lazy("with its peers"),
}


GROUP_BY_STATEMENT: Final = "statements"
HIDDEN_FIELDS: Final = ("sort", "group", "like")
"""Fields that links set, not people."""
MAX_NUMBER = 10**9
"""Maximum of milliseconds and numbers of queries."""


def _integer_field(message: Any, *, min_value: int = 0, **options: Any) -> forms.IntegerField:
    """A whole number or nothing; ``message`` says what is valid, whatever is wrong with what was given."""
    messages = dict.fromkeys(("invalid", "min_value", "max_value"), message)
    return forms.IntegerField(required=False, min_value=min_value, error_messages=messages, **options)


class TraceFilterForm(forms.Form):
    """
    The filter of the list of traces.

    ``BESIDE``: what the list's URL has besides. Any other name is an error.
    """

    BESIDE = ("page", "seen", "since")

    path = OptionalTextField(
        max_length=500,
        label=gettext_lazy("Path or name"),
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    alias = OptionalChoiceField(label=gettext_lazy("Database"))
    finding = OptionalChoiceField(label=gettext_lazy("Finding"))
    kind = OptionalChoiceField(label=gettext_lazy("Kind"), valid=KIND_LABELS.items())
    method = OptionalChoiceField(
        label=gettext_lazy("Method"), valid=zip(HTTP_METHODS, HTTP_METHODS, strict=True)
    )
    status = _integer_field(
        gettext_lazy("Status: a number from 100 to 599, such as 200 or 500."),
        min_value=100,
        max_value=599,
        label=gettext_lazy("Status"),
    )
    min_ms = _integer_field(
        gettext_lazy("At least ms: a whole number of milliseconds, such as 100."),
        max_value=MAX_NUMBER,
        label=gettext_lazy("At least ms"),
    )
    min_queries = _integer_field(
        gettext_lazy("At least queries: a whole number, such as 10."),
        max_value=MAX_NUMBER,
        label=gettext_lazy("At least queries"),
    )
    found = YesNoField(label=gettext_lazy("only with findings"))

    def __init__(self, *args: Any, codes: Iterable[str] = (), **kwargs: Any) -> None:
        """``codes``: those of the findings that there are. Any code that a finding can have is valid."""
        super().__init__(*args, **kwargs)
        set_choices(self, "alias", settings.DATABASES)
        given = self.data.get("finding", "")
        set_choices(self, "finding", sorted({*codes, *({given} & findings.codes())}))

    def clean(self) -> dict[str, Any]:
        """Nothing that was asked for is without effect: neither a name that is none, nor what cannot be."""
        refuse_unknown(self, self.BESIDE)
        given: dict[str, Any] = self.cleaned_data
        if given.get("kind") not in (None, "", "request"):
            for name in ("status", "method"):
                if given.get(name):
                    raise ValidationError(
                        _("%(field)s: only requests have one; leave it out, or choose the kind “request”.")
                        % {"field": self.fields[name].label}
                    )
        return given

    @property
    def trace_filter(self) -> Filter:
        """What a valid form asks for."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in ("", None, False)}
        if (milliseconds := given.pop("min_ms", None)) is not None:
            given["min_us"] = milliseconds * 1000
        return Filter(**given)


DURATION_MESSAGE = gettext_lazy("At least (ms): a number from 0, such as 5 or 0.2.")


def _time_field() -> forms.IntegerField:
    """Return a field for microseconds from the trace's start, which the timeline's links set."""
    return _integer_field(
        gettext_lazy("from_us and to_us: whole microseconds from the start of the trace."),
        max_value=10**15,
        widget=forms.HiddenInput,
    )


class EventFilterForm(forms.Form):
    """
    The filter, order and grouping of the events of one trace; its choices are what occurs in that trace.

    Links set what is hidden here; the fields keep it when the filter is sent. ``BESIDE``: what the page's
    URL has besides, which says nothing of which events are listed. Any other name is an error.
    """

    BESIDE = ("event", "fold", "page")

    q = OptionalTextField(
        max_length=500,
        label=gettext_lazy("Text"),
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    db = OptionalChoiceField(label=gettext_lazy("Database"))
    by = OptionalChoiceField(label=gettext_lazy("Who decided"))
    route = OptionalChoiceField(label=gettext_lazy("Route"), valid=ROUTE_LABELS.items())
    model = OptionalChoiceField(label=gettext_lazy("Model"))
    action = OptionalChoiceField(
        label=gettext_lazy("Action"), valid=((action, action.value) for action in Action)
    )
    ms = forms.FloatField(
        required=False,
        min_value=0,
        label=gettext_lazy("At least (ms)"),
        widget=forms.NumberInput(attrs={"step": "any", "min": "0", "inputmode": "decimal"}),
        error_messages=dict.fromkeys(("invalid", "min_value"), DURATION_MESSAGE),
    )
    findings = YesNoField(label=gettext_lazy("only findings"))
    questions = YesNoField(label=gettext_lazy("every question"))
    sort = OptionalChoiceField(
        label=gettext_lazy("Order"),
        valid=[(SORT_BY_DURATION, gettext_lazy("longest first"))],
        widget=forms.HiddenInput,
    )
    group = OptionalChoiceField(
        label=gettext_lazy("Grouping"),
        valid=[(GROUP_BY_STATEMENT, gettext_lazy("identical statements"))],
        widget=forms.HiddenInput,
    )
    like = OptionalTextField(label=gettext_lazy("Statement of event"), widget=forms.HiddenInput)
    kind = OptionalChoiceField(
        label=gettext_lazy("Kind"),
        valid=[(KIND_QUERIES, gettext_lazy("queries")), (KIND_DECISIONS, gettext_lazy("decisions"))],
        widget=forms.HiddenInput,
    )
    from_us = _time_field()
    to_us = _time_field()

    def __init__(self, *args: Any, index: Index, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.index = index
        self.end_us = index.end_us
        set_choices(self, "db", index.palette.order(index.aliases))
        set_choices(self, "model", sorted(index.models))
        routers = [(path, index.router_names(path)) for path in sorted(index.deciders)]
        cast("OptionalChoiceField", self.fields["by"]).offer([*routers, *DECIDER_LABELS.items()])

    def clean_like(self) -> int:
        """The number of a query of this trace; 0 for none."""
        given: str = self.cleaned_data["like"]
        number = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0
        if given and not isinstance(self.index.by_id.get(number), Query):
            message = _("Statement of event: there is no query #%(number)s in this trace.")
            raise forms.ValidationError(message % {"number": given})
        return number

    def clean(self) -> dict[str, Any]:
        """Nothing that was asked for is without effect: neither a name that is none, nor what cannot be."""
        refuse_unknown(self, self.BESIDE)
        first, last = self.cleaned_data.get("from_us"), self.cleaned_data.get("to_us")
        if first is not None and last is not None and first > last:
            raise ValidationError(
                _("from_us and to_us: what begins at %(first)s µs cannot end at %(last)s µs.")
                % {"first": first, "last": last}
            )
        return self.cleaned_data

    @property
    def event_filter(self) -> EventFilter:
        """What a valid form asks for."""
        given = self.cleaned_data
        return EventFilter(
            text=given["q"],
            alias=given["db"],
            by=given["by"],
            route=given["route"],
            model=given["model"],
            action=given["action"],
            least_us=(given["ms"] or 0.0) * 1000,
            questions=given["questions"],
            findings=given["findings"],
            from_us=given["from_us"],
            to_us=given["to_us"],
            kind=given["kind"],
            like=given["like"],
            sort=given["sort"],
        )

    @property
    def between(self) -> tuple[int, int] | None:
        """The time that a valid form asks for, in microseconds; None if it asks for all of it."""
        first, last = self.cleaned_data.get("from_us"), self.cleaned_data.get("to_us")
        if first is None and last is None:
            return None
        return first or 0, max(self.end_us, first or 0) if last is None else last

    @property
    def grouped(self) -> bool:
        """Whether a valid form asks for statements in place of events."""
        return bool(self.cleaned_data["group"])

    @property
    def is_active(self) -> bool:
        """Whether it leaves anything out, adds anything or is wrong; the order and what is opened do not."""
        return (
            bool(self.errors)
            or any(name not in HIDDEN_FIELDS for name in self.changed_data)
            or bool(self.data.get("like") and not self.data.get("group"))
        )


class MapFilterForm(forms.Form):
    """The filter of the map."""

    q = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("Model"),
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    app = OptionalChoiceField(label=gettext_lazy("App"))
    db = OptionalChoiceField(label=gettext_lazy("Database"))
    finding = OptionalChoiceField(label=gettext_lazy("Finding"))

    def __init__(
        self,
        *args: Any,
        apps: Iterable[str],
        aliases: Iterable[str],
        findings: Iterable[str],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        set_choices(self, "app", apps)
        set_choices(self, "db", aliases)
        set_choices(self, "finding", findings)
