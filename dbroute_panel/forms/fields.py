"""Form fields that say what would have been valid, and keep what was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dbroute_panel.suggestions import did_you_mean

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise


ALL_LABEL = gettext_lazy("all")


class OptionalChoiceField(forms.ChoiceField):
    """One of ``valid``, or nothing, which is called ``empty``."""

    def __init__(
        self, *, valid: Iterable[tuple[str, Any]] = (), empty: StrPromise | str = ALL_LABEL, **kwargs: Any
    ) -> None:
        self.empty = empty
        super().__init__(required=False, **kwargs)
        self.offer(valid)

    def offer(self, valid: Iterable[tuple[str, Any]]) -> None:
        """Offer these (value, label) instead."""
        self.valid = [(str(value), label) for value, label in valid]
        self.choices = [("", self.empty), *self.valid]

    def validate(self, value: Any) -> None:
        names = [name for name, _label in self.valid]
        if value and value not in names:
            self.choices = [("", self.empty), *self.valid, (value, value)]
            raise ValidationError(
                _("%(field)s: there is no “%(value)s” here. %(hint)s")
                % {"field": self.label, "value": value, "hint": did_you_mean(value, names)}
            )


def refuse_unknown(form: forms.Form, beside: Iterable[str]) -> None:
    """
    Raise ``ValidationError`` for a name in the URL that is neither a field's nor in ``beside``.

    A mistyped filter would show everything as if it were the result.
    """
    valid = (*form.fields, *beside)
    for name in form.data:
        if name not in valid and not name.startswith("_"):  # those are the admin's own
            offered = [field.name for field in form.visible_fields()]
            raise ValidationError(
                _("There is no filter “%(name)s”. %(hint)s")
                % {"name": name, "hint": did_you_mean(name, offered)}
            )


def set_choices(form: forms.Form, name: str, values: Iterable[str]) -> None:
    """Let the field ``name`` of this form offer ``values``, each called by its own name."""
    field = cast("OptionalChoiceField", form.fields[name])
    field.offer((value, value) for value in values)


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
