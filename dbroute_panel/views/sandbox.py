"""The sandbox: ask the project's own routers one question, and see the chain of their answers."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from django.apps import apps
from django.db import connections
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from dbroute_panel.conf import DUMMY, replicas
from dbroute_panel.forms import SandboxForm
from dbroute_panel.inspection.arguments import (
    HIDDEN_APPS,
    AskError,
    ObjectSource,
    ObjectSpec,
    find_model,
    list_models,
)
from dbroute_panel.inspection.explain import Answers, Question, ask
from dbroute_panel.inspection.isolation import RouterTimeoutError, run_isolated
from dbroute_panel.presentation import Chain, ShortNames, Swatch, build_chain, formatting
from dbroute_panel.records import Action
from dbroute_panel.suggestions import match_labels, suggest_labels

from .databases import project_palette
from .rendering import Admin, render_page, render_partial, wants_partial


class AnswerBar(msgspec.Struct, frozen=True, kw_only=True):
    """How often one answer was given; ``database`` where it is an alias."""

    text: str
    count: int
    percent: float
    raised: bool
    database: Swatch | None


class SandboxAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows of the routers' answer."""

    action: str
    model: str
    other: str
    db: str
    text: str
    allowed: bool
    failed: bool
    database: Swatch | None
    chain: Chain
    bars: tuple[AnswerBar, ...]
    repeat: int
    python: str
    command: str | None
    link: str


def sandbox_page(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """GET shows the form, filled in by its parameters, and asks nothing. POST asks the routers."""
    if request.method != "POST":
        return _respond(admin, request, {"form": SandboxForm.linked(request.GET)})
    form = SandboxForm(request.POST)
    if not form.is_valid():
        return _respond(admin, request, {"form": form}, status=400)
    question = form.question
    try:
        if (refused := _check_permission(request, question)) is not None:
            form.add_error(None, refused)
            return _respond(admin, request, {"form": form}, status=403)
        answers = run_isolated(lambda: ask(question))
    except AskError as error:
        form.add_error(None, str(error))
        return _respond(
            admin, request, {"form": form, "meant": suggest_models(request.POST.dict())}, status=400
        )
    except RouterTimeoutError as error:
        form.add_error(None, str(error))
        return _respond(admin, request, {"form": form})
    return _respond(
        admin, request, {"form": form, "answer": _build_answer(question, answers, request.POST.dict())}
    )


def _check_permission(request: HttpRequest, question: Question) -> str | None:
    """Return why a real row may not be asked about: that needs the permission to view its model."""
    for label, subject in (
        (question.model, question.instance),
        (question.other_model or question.model, question.other),
    ):
        if subject.source is ObjectSource.ROW:
            meta = find_model(label)._meta
            if not request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}"):
                return _("A real row of %(model)s needs the permission to view it.") % {"model": meta.label}
    return None


def _build_answer(question: Question, answers: Answers, given: Mapping[str, str]) -> SandboxAnswer:
    palette = project_palette()
    decision = answers.decision
    named = decision.action.names_alias
    failed = decision.decided_by == "error"
    routers = ShortNames([step.router for step in decision.steps])

    def swatch(answer: Any) -> Swatch | None:
        return palette[answer] if named and isinstance(answer, str) else None

    return SandboxAnswer(
        action=decision.action.value,
        model=decision.model or question.model,
        other=question.other_model or "",
        db=question.db or "",
        text=_join_or([formatting.answer(share.answer) for share in answers.counts])
        if named and not failed
        else formatting.outcome(decision),
        allowed=bool(decision.answer),
        failed=failed,
        database=None if failed or len(answers.counts) > 1 else swatch(decision.answer),
        chain=build_chain(decision, routers),
        bars=tuple(
            AnswerBar(
                text=formatting.answer(share.answer),
                count=share.count,
                percent=100 * share.count / question.repeat,
                raised=share.raised,
                database=None if share.raised else swatch(share.answer),
            )
            for share in answers.counts
        ),
        repeat=question.repeat,
        python=as_python(question),
        command=as_command(question),
        link=build_permalink(given),
    )


def _join_or(answers: list[str]) -> str:
    """``replica1 or replica2``."""
    return get_text_list(answers, _("or"))


def _respond(
    admin: Admin, request: HttpRequest, context: dict[str, Any], *, status: int = 200
) -> HttpResponseBase:
    form = context["form"]
    context = {
        "answer": None,
        "path": request.path,
        "labels": find_labels(form["model"].value() or ""),
        "other_labels": find_labels(form["other_model"].value() or ""),
        "examples": [] if "answer" in context or form.errors else build_examples(),
        **context,
    }
    if wants_partial(request):
        return render_partial(request, "_sandbox.html", context, status=status)
    return render_page(admin, request, "sandbox.html", context, title=_("Ask the routers"), status=status)


MODEL_FIELDS: Final = ("model", "other_model")
"""The fields that take the label of a model."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A question in words, and the link that fills the form in with it."""

    text: str
    action: str
    link: str


class ModelSuggestion(msgspec.Struct, frozen=True, kw_only=True):
    """A label that may have been meant, and the link to the same question about it."""

    label: str
    link: str


def model_labels(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """The type-ahead: options for what is typed in one of the fields so far."""
    typed = next((request.GET[name] for name in MODEL_FIELDS if name in request.GET), "")
    return render_partial(request, "_models.html", {"labels": find_labels(typed)})


def find_labels(typed: str) -> list[str]:
    """Some of the labels that can be typed on from here."""
    return match_labels(typed, (model._meta.label for model in list_models()))


def build_permalink(given: Mapping[str, str]) -> str:
    """The parameters that fill the form in as it is, without what is empty."""
    link = QueryDict(mutable=True)
    for name in SandboxForm.base_fields:
        if value := given.get(name):
            link[name] = value
    return f"?{link.urlencode()}"


def suggest_models(given: Mapping[str, str]) -> list[ModelSuggestion]:
    """What to ask about instead, where a field names no model; nothing where both are right."""
    labels = [model._meta.label for model in list_models()]
    if given.get("action") == Action.MIGRATE:
        labels += sorted(set(apps.app_configs) - HIDDEN_APPS)
    known = {label.casefold() for label in labels}
    return [
        ModelSuggestion(
            label=label, link=build_permalink({name: given.get(name, "") for name in given} | {field: label})
        )
        for field in MODEL_FIELDS
        if (typed := given.get(field, "").strip()) and typed.casefold() not in known
        for label in suggest_labels(typed, labels)
    ]


def build_examples() -> list[Example]:
    """One question of each kind that this project's routers can be asked."""
    model, other = _pick_models()
    databases = _pick_databases()
    if not model or databases is None:
        return []
    names = {"model": model, "other": other, "one": databases[0], "two": databases[1]}
    return [
        _build_example(
            _("Where is %(model)s read from? Asked 100 times, so that a random answer shows itself.") % names,
            {"action": Action.READ, "model": model, "repeat": "100"},
        ),
        _build_example(
            _("Where would an object of %(model)s that was read from %(two)s be written?") % names,
            {"action": Action.WRITE, "model": model, "instance": "from", "instance_db": names["two"]},
        ),
        _build_example(
            _("May an object of %(model)s from %(one)s and one of %(other)s from %(two)s be related?")
            % names,
            {"action": Action.RELATION, "model": model, "instance": "from", "instance_db": names["one"]}
            | {"other_model": other, "other": "from", "other_db": names["two"]},
        ),
        _build_example(
            _("Does %(model)s get its table on %(one)s?") % names,
            {"action": Action.MIGRATE, "model": model, "db": names["one"]},
        ),
    ]


def _build_example(text: str, given: dict[str, str]) -> Example:
    return Example(text=text, action=given["action"], link=build_permalink(given))


def _pick_databases() -> tuple[str, str] | None:
    """Two databases to ask about: a primary and its replica, where there are such."""
    aliases = [
        str(alias)
        for alias, options in connections.settings.items()
        if (options.get("ENGINE") or DUMMY) != DUMMY
    ]
    pairs = [(primary, alias) for alias, primary in replicas().items() if {alias, primary} <= set(aliases)]
    return pairs[0] if pairs else (aliases[0], aliases[-1]) if aliases else None


def _pick_models() -> tuple[str, str]:
    """Two models to ask about: the project's own, where it has some."""
    models = [model for model in list_models() if not model._meta.auto_created]
    own = [model for model in models if not model.__module__.startswith("django.")]
    labels = [model._meta.label for model in own or models]
    return (labels[0], labels[1 if len(labels) > 1 else 0]) if labels else ("", "")


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
