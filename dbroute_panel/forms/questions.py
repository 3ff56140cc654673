"""Questions to the routers, and the file to import. ``inspection`` checks whether a question makes sense."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from django import forms
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dbroute_panel.inspection.arguments import ObjectSource, ObjectSpec
from dbroute_panel.inspection.explain import Question
from dbroute_panel.records import Action

from .fields import OptionalChoiceField, set_choices

ACTION_LABELS = {
    Action.READ: gettext_lazy("db_for_read: where is it read?"),
    Action.WRITE: gettext_lazy("db_for_write: where is it written?"),
    Action.RELATION: gettext_lazy("allow_relation: may two objects be related?"),
    Action.MIGRATE: gettext_lazy("allow_migrate: is its table on that database?"),
}
SOURCE_LABELS = {
    ObjectSource.NEW: gettext_lazy("a new object"),
    ObjectSource.FROM: gettext_lazy("an object said to come from the database …"),
    ObjectSource.ROW: gettext_lazy("a real row, by database and primary key"),
}
REPEAT_MESSAGE = gettext_lazy("Ask N times: a number from 1 to 1000.")


class JSONObjectField(forms.CharField):
    """A JSON object as a dict; {} for nothing."""

    widget = forms.Textarea(attrs={"rows": 2, "spellcheck": "false"})

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        try:
            hints = json.loads(text or "{}")
        except (ValueError, RecursionError) as error:
            reason = str(error)
        else:
            if isinstance(hints, dict):
                return hints
            reason = _("this is not an object")
        raise ValidationError(
            _("Other hints: no valid JSON (%(reason)s). Give an object, such as %(example)s")
            % {"reason": reason, "example": '{"tenant": "acme"}'}
        )


class SandboxForm(forms.Form):
    """One question to the routers. Its fields are also the parameters of the permalink."""

    model = forms.CharField(
        max_length=200,
        label=gettext_lazy("Model"),
        help_text=gettext_lazy("Type a part of its name to search. For allow_migrate an app label will do."),
        widget=forms.TextInput(
            attrs={"list": "dbroute-models", "autocomplete": "off", "spellcheck": "false"}
        ),
        error_messages={"required": gettext_lazy("Model: give one by its label, such as auth.User.")},
    )
    action = OptionalChoiceField(label=gettext_lazy("Question"), valid=ACTION_LABELS.items())
    instance = OptionalChoiceField(
        label=gettext_lazy("Object"),
        help_text=gettext_lazy(
            "What Django gives the routers as the hint “instance”, if anything. "
            "In a relation, no object is a new one."
        ),
        empty=gettext_lazy("no object"),
        valid=SOURCE_LABELS.items(),
    )
    instance_db = OptionalChoiceField(label=gettext_lazy("Database"), empty="")
    instance_pk = forms.CharField(required=False, max_length=200, label=gettext_lazy("Primary key"))
    other_model = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("Model of the second object"),
        help_text=gettext_lazy("If it is another one."),
        widget=forms.TextInput(
            attrs={"list": "dbroute-other-models", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    other = OptionalChoiceField(label=gettext_lazy("Second object"), empty="", valid=SOURCE_LABELS.items())
    other_db = OptionalChoiceField(label=gettext_lazy("Database"), empty="")
    other_pk = forms.CharField(required=False, max_length=200, label=gettext_lazy("Primary key"))
    db = OptionalChoiceField(label=gettext_lazy("On database"), empty="")
    model_name = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("Hint “model_name”"),
        help_text=gettext_lazy("Only if it is to differ from the model's own."),
    )
    hints = JSONObjectField(
        required=False,
        label=gettext_lazy("Other hints"),
        help_text=gettext_lazy('As a JSON object, such as {"tenant": "acme"}.'),
    )
    repeat = forms.IntegerField(
        min_value=1,
        max_value=1000,
        initial=1,
        label=gettext_lazy("Ask N times"),
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), REPEAT_MESSAGE),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("action", "other"):  # no question without the one, no relation without the other
            field = cast("OptionalChoiceField", self.fields[name])
            field.choices = field.valid
        for name in ("instance_db", "other_db", "db"):
            set_choices(self, name, settings.DATABASES)

    @classmethod
    def linked(cls, given: QueryDict) -> SandboxForm:
        """The form as a permalink fills it: nothing is checked, and nothing is asked."""
        fields = {name: value for name, value in given.items() if name in cls.base_fields}
        form = cls(initial=fields)
        for name, field in form.fields.items():
            if (
                isinstance(field, OptionalChoiceField)
                and (value := fields.get(name))
                and value not in dict(field.valid)
            ):
                field.choices = [*field.choices, (value, value)]  # type: ignore[misc]
        return form

    @property
    def question(self) -> Question:
        """What a valid form asks. Only what belongs to its action is taken over."""
        given = self.cleaned_data
        action = given["action"] or Action.READ.value
        relation, migrate = action == Action.RELATION, action == Action.MIGRATE
        return Question(
            model=given["model"].strip(),
            action=action,
            db=(given["db"] or None) if migrate else None,
            model_name=(given["model_name"].strip() or None) if migrate else None,
            instance=ObjectSpec() if migrate else self._subject("instance", relation),
            other_model=(given["other_model"].strip() or given["model"].strip()) if relation else None,
            other=self._subject("other", relation) if relation else ObjectSpec(),
            hints=given["hints"] if not relation else {},
            repeat=given["repeat"],
        )

    def _subject(self, name: str, needed: bool) -> ObjectSpec:
        """The object of a hint; where one is needed and none was chosen, a new one."""
        given = self.cleaned_data
        source = ObjectSource(given[name] or (ObjectSource.NEW if needed else ObjectSource.NONE))
        if source in (ObjectSource.NONE, ObjectSource.NEW):
            return ObjectSpec(source)
        pk = given[f"{name}_pk"].strip() if source is ObjectSource.ROW else ""
        return ObjectSpec(source, given[f"{name}_db"], pk)


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
        The packages of the project and its apps. Importing runs code, and who may ask the project's
        routers may not choose which.
        """
        names = [*self.today, str(settings.ROOT_URLCONF), *(config.name for config in apps.get_app_configs())]
        return sorted({name.partition(".")[0] for name in names})


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
