"""The sandbox: ask the project's own routers one question, and see the chain of their answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponseBase
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from dbroute_panel.forms import SandboxForm
from dbroute_panel.inspection.arguments import AskError, ObjectSource, find_model
from dbroute_panel.inspection.explain import Answers, Question, ask
from dbroute_panel.inspection.isolation import RouterTimeoutError, run_isolated
from dbroute_panel.presentation import Chain, ShortNames, Swatch, build_chain, formatting

from .databases import project_palette
from .offers import build_examples, build_permalink, find_labels, suggest_models
from .rendering import Admin, render_page, render_partial, wants_partial
from .snippets import as_command, as_python


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


def sandbox(admin: Admin, request: HttpRequest) -> HttpResponseBase:
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
    """A real row is somebody's data: who asks about one must be allowed to view its model."""
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

    def swatch(said: Any) -> Swatch | None:
        return palette[said] if named and isinstance(said, str) else None

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
