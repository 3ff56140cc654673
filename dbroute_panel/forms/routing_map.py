"""Which models of the map? Its filter is a GET form, too; its choices are what occurs in that map."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from .choice import OptionalChoiceField, set_choices


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
