"""Which routers shall be asked a trace's questions again? The form knows which names may be imported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

REPEAT_MESSAGE = gettext_lazy("Ask N times: a number from 1 to 1000.")
MAX_ROUTERS = 50


class ReplayForm(forms.Form):
    """Today's routers or others, and how often each of them is asked."""

    routers = forms.CharField(
        required=False,
        max_length=10_000,
        label=gettext_lazy("Routers"),
        help_text=gettext_lazy("Dotted paths, one a line, in the order in which they are asked."),
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
    )
    repeat = forms.IntegerField(
        min_value=1,
        max_value=1000,
        initial=1,
        label=gettext_lazy("Ask N times"),
        help_text=gettext_lazy("A router that answers at random is then compared by all of its answers."),
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), REPEAT_MESSAGE),
    )

    def __init__(self, *args: Any, today: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.today = list(today)
        self.fields["routers"].initial = "\n".join(self.today)
        self.fields["routers"].widget.attrs["rows"] = min(max(len(self.today) + 1, 3), 12)

    def clean_routers(self) -> list[str] | None:
        """The dotted paths; None where they are today's."""
        paths: list[str] = self.cleaned_data["routers"].split()
        if paths == self.today or not paths:
            return None
        if len(paths) > MAX_ROUTERS:
            raise ValidationError(
                _("Routers: %(count)d are too many, %(most)d at most.")
                % {"count": len(paths), "most": MAX_ROUTERS}
            )
        packages = self._packages()
        for path in paths:
            if path.partition(".")[0] not in packages:
                raise ValidationError(
                    _(
                        "Routers: “%(path)s” is not from this project. This page imports routers from "
                        "%(packages)s only; manage.py dbroute replay takes any."
                    )
                    % {"path": path, "packages": ", ".join(packages)}
                )
        return paths

    def _packages(self) -> list[str]:
        """
        The packages of the project and its apps. Importing runs code, and not everybody who may ask the
        project's routers shall choose what.
        """
        names = [*self.today, str(settings.ROOT_URLCONF), *(config.name for config in apps.get_app_configs())]
        return sorted({name.partition(".")[0] for name in names})
