"""How would the same question be put in Python, and how at the command line?"""

from __future__ import annotations

import json
import shlex

from dbroute_panel.inspection.arguments import ObjectSource, ObjectSpec
from dbroute_panel.inspection.explain import Question


def as_python(question: Question) -> str:
    """Lines that ask the same when pasted into ``manage.py shell``."""
    made: list[str] = []
    arguments = [repr(question.model), repr(question.action)]
    for name, label, subject in (
        ("instance", question.model, question.instance),
        ("other", question.other_model or "", question.other),
    ):
        if subject.source is not ObjectSource.NONE:
            made += _build_object(name, label, subject)
            arguments.append(f"{name}={name}")
    named = {"db": question.db, "model_name": question.model_name}
    arguments += [f"{name}={value!r}" for name, value in named.items() if value is not None]
    if question.hints:
        arguments.append(f"hints={question.hints!r}")
    imports = ["from django.apps import apps"] if made else []
    return "\n".join(
        [*imports, "from dbroute_panel import explain", "", *made, f"explain({', '.join(arguments)})"]
    )


def _build_object(name: str, label: str, subject: ObjectSpec) -> list[str]:
    model = f"apps.get_model({label!r})"
    if subject.source is ObjectSource.ROW:
        return [f"{name} = {model}._base_manager.using({subject.alias!r}).get(pk={subject.pk!r})"]
    made = [f"{name} = {model}()"]
    if subject.source is ObjectSource.FROM:
        made += [f"{name}._state.db, {name}._state.adding = {subject.alias!r}, False"]
    return made


def as_command(question: Question) -> str | None:
    """One ``manage.py dbroute explain`` line; None where the command has no words for an object."""
    relation = question.other_model is not None
    words = ["manage.py", "dbroute", "explain", question.model, question.action]
    options: list[tuple[str, str | None]] = [("--db", question.db), ("--model-name", question.model_name)]
    instance, other = question.instance, question.other
    if instance.source is ObjectSource.NEW and not relation:
        return None
    if instance.source in (ObjectSource.FROM, ObjectSource.ROW):
        options.append(("--instance-db", instance.alias))
    if instance.source is ObjectSource.ROW:
        options.append(("--pk", instance.pk))
    if relation:
        if other.source is ObjectSource.ROW:
            return None
        options.append(("--with", question.other_model))
        options.append(("--with-db", other.alias or None))
    options += [("--hint", f"{name}={json.dumps(value)}") for name, value in question.hints.items()]
    if question.repeat > 1:
        options.append(("--repeat", str(question.repeat)))
    for option, value in options:
        if value is not None:
            words += [option, value]
    return shlex.join(words)
