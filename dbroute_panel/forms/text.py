"""Which field is wrong? A form with several shows its messages away from them, so each must say it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


class OptionalTextField(forms.CharField):
    """Text, or nothing; Django's message about it begins with the field's name."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def clean(self, value: Any) -> Any:
        try:
            return super().clean(value)
        except ValidationError as error:
            raise ValidationError(
                [
                    _("%(field)s: %(problem)s") % {"field": self.label, "problem": problem}
                    for problem in error.messages
                ]
            ) from None
