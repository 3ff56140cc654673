"""Is a box ticked? A URL may say so in more ways than a browser does, but it must mean something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

BOX_VALUES: Final = {"on": True, "1": True, "true": True, "0": False, "false": False, "": False}


class YesNoInput(forms.CheckboxInput):
    """Django takes any text for a tick, also ``0``; what is neither yes nor no stays here as it was given."""

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Any:
        given = data.get(name, "")
        return BOX_VALUES.get(given.lower(), given)

    def format_value(self, value: Any) -> None:
        """No value: a browser sends ``on`` for it, also after something wrong was given."""


class YesNoField(forms.BooleanField):
    """Yes or no."""

    widget = YesNoInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, label_suffix="", **kwargs)

    def to_python(self, value: Any) -> Any:
        """As the widget has read it."""
        return value or False

    def validate(self, value: Any) -> None:
        if not isinstance(value, bool):
            raise ValidationError(
                _("%(field)s: “%(value)s” is neither on nor 0.") % {"field": self.label, "value": value}
            )
