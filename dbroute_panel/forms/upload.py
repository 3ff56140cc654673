"""Which file shall be imported? What is in it is for ``imports`` to say, which reads it a trace at a time."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy


class ImportForm(forms.Form):
    """One file with exported traces."""

    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy(
            "Traces that a page or “manage.py dbroute export” wrote as json or ndjson, of any size."
        ),
        error_messages={
            "required": gettext_lazy("Choose a file."),
            "missing": gettext_lazy("Choose a file."),
            "empty": gettext_lazy("The file is empty."),
        },
        widget=forms.FileInput(attrs={"accept": ".json,.ndjson,application/json,application/x-ndjson"}),
    )
