"""Replay: ask the questions of one trace again, of today's routers or of others, and show what changes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from dbroute_panel.forms import ReplayForm
from dbroute_panel.inspection.arguments import AskError
from dbroute_panel.inspection.isolation import RouterTimeoutError, run_isolated
from dbroute_panel.inspection.replay import Change, Reason, Replay, replay
from dbroute_panel.presentation import Palette, ShortNames, Swatch, formatting
from dbroute_panel.records import Action, Trace

from .databases import project_palette
from .map import list_routers
from .rendering import Admin, render_page, render_partial, wants_partial
from .trace import find_trace, render_unknown_trace

SHOWN_CALLSITES: Final = 5
"""Callsites of a change that are shown at once; the others unfold."""
MAX_CHANGES: Final = 200
"""Maximum changes on the page; the command has them all."""


class ReplayAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer; ``database`` where it is an alias."""

    text: str
    database: Swatch | None = None


class ChangeRow(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions that would go another way; ``places`` are (file and line, how many)."""

    model: str
    action: str
    db: Swatch | None
    before: ReplayAnswer
    to: tuple[ReplayAnswer, ...]
    count: int
    places: tuple[tuple[str, int], ...]
    more: tuple[tuple[str, int], ...]


class ReplayResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows of a replay; ``beyond``: how many changes it does not."""

    totals: Replay
    changes: tuple[ChangeRow, ...]
    beyond: int
    reasons: tuple[Reason, ...]
    routers: tuple[str, ...]
    repeat: int
    command: str


def replay_trace(admin: Admin, request: HttpRequest, trace_id: str) -> HttpResponseBase:
    """GET shows what would be asked, and asks nothing. POST asks, and shows what would change."""
    trace = find_trace(trace_id)
    if trace is None:
        return render_unknown_trace(admin, request, trace_id)
    today = list_routers()
    if request.method != "POST":
        return _respond(admin, request, trace, {"form": ReplayForm(today=today)})
    form = ReplayForm(request.POST, today=today)
    if not form.is_valid():
        return _respond(admin, request, trace, {"form": form}, status=400)
    routers, repeat = form.cleaned_data["routers"], form.cleaned_data["repeat"]
    try:
        found = run_isolated(_prepare_replay(trace, routers, repeat))
    except AskError as error:
        form.add_error(None, str(error))
        return _respond(admin, request, trace, {"form": form}, status=400)
    except RouterTimeoutError as error:
        form.add_error(None, str(error))
        return _respond(admin, request, trace, {"form": form})
    result = ReplayResult(
        totals=found,
        changes=tuple(_build_row(change, project_palette()) for change in found.changes[:MAX_CHANGES]),
        beyond=max(0, len(found.changes) - MAX_CHANGES),
        reasons=tuple(found.reasons),
        routers=tuple(today if routers is None else routers),
        repeat=repeat,
        command=build_command(trace.id, routers, repeat),
    )
    return _respond(admin, request, trace, {"form": form, "result": result})


def _prepare_replay(trace: Trace, routers: Sequence[str] | None, repeat: int) -> Callable[[], Replay]:
    def ask() -> Replay:
        for path in routers or ():
            check_router(path)
        return replay([trace], routers=routers, repeat=repeat)

    return ask


def check_router(path: str) -> None:
    """
    Raise ``AskError`` where ``path`` names something that is no router class, and would be called.

    What names nothing at all ``replay()`` says better.
    """
    module, _dot, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name) if module else None
    except SystemExit as error:  # it would end this worker
        raise AskError(_("Importing “%(path)s” ends the program.") % {"path": path}) from error
    except Exception:  # noqa: BLE001 - any code may run; replay() imports it again, and says why not
        return
    if found is not None and not (
        isinstance(found, type) and any(hasattr(found, action.value) for action in Action)
    ):
        raise AskError(
            _("“%(path)s” is no router: a router is a class with one of the methods %(methods)s.")
            % {"path": path, "methods": ", ".join(action.value for action in Action)}
        )


def build_command(trace_id: str, routers: Sequence[str] | None, repeat: int) -> str:
    """The same replay as one line for a terminal."""
    line = ["manage.py", "dbroute", "replay", trace_id]
    if routers is not None:
        line += ["--routers", *routers]
    if repeat > 1:
        line += ["--repeat", str(repeat)]
    return shlex.join(line)


def _build_row(change: Change, palette: Palette) -> ChangeRow:
    def build_answer(answer: Any) -> ReplayAnswer:
        if isinstance(answer, bool):
            return ReplayAnswer(text=formatting.verdict(change.action, answer))
        # "Class: message", where asking raised, is no alias.
        known = change.action.names_alias and isinstance(answer, str) and palette[answer].known
        return ReplayAnswer(text=formatting.answer(answer), database=palette[answer] if known else None)

    places = tuple(change.callsites.items())
    return ChangeRow(
        model=change.model or "?",
        action=change.action.value,
        db=palette[change.db] if isinstance(change.db, str) else None,
        before=build_answer(change.before),
        to=tuple(
            build_answer(answer) for answer in (change.to if isinstance(change.to, list) else [change.to])
        ),
        count=change.count,
        places=places[:SHOWN_CALLSITES],
        more=places[SHOWN_CALLSITES:],
    )


def _respond(
    admin: Admin, request: HttpRequest, trace: Trace, context: dict[str, Any], *, status: int = 200
) -> HttpResponseBase:
    context = {"result": None, "path": request.path, **context}
    if wants_partial(request):
        return render_partial(request, "_replay.html", context, status=status)
    today = list_routers()
    context |= {
        "trace": trace,
        "questions": sum(decision.parent_id is None for decision in trace.decisions),
        "recorded": trace.routers,
        "others": trace.routers != today,
        "short": [ShortNames(today)(path) for path in today],
    }
    return render_page(admin, request, "replay.html", context, title=_("Replay"), status=status)
