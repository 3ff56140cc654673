"""
The routing map: the routers' answers for all models and databases, as one document.

``RoutingMap`` is exactly the JSON that ``dbroute map`` writes and checks. What else a reader wants to know
of a model (``find_marks()``) is not part of it.
"""

from __future__ import annotations

import contextvars
import csv
import enum
import io
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec
from django.db import connections, router
from django.db.models import Model
from django.utils.translation import gettext as _

from dbroute_panel.inspection.arguments import AskError, list_models
from dbroute_panel.inspection.isolation import IsolationInterrupt
from dbroute_panel.masking.values import CapturedType
from dbroute_panel.recording.errors import describe_error
from dbroute_panel.recording.recorder import use_recorder
from dbroute_panel.recording.snapshots import capture_scalar
from dbroute_panel.records import Action
from dbroute_panel.text import DECODE_ERRORS, NotUTF8Error, escape_formula, require_utf8

MIN_ASKS: Final = 20
"""How often each question about reading and writing is asked, so that a random answer is noticed."""
MAX_ASKS: Final = 200
"""How often after two different answers, so that every alias is found and the map is the same each time."""


class ModelRoutes(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """
    The aliases that one model is read from and written to, sorted, and where its table is made.

    If asking raised, the list is empty (in ``migrate``, the alias is left out) and ``errors`` has the
    reason: action to ``Class: message``.
    """

    read: list[str]
    write: list[str]
    migrate: dict[str, bool]
    managed: bool
    errors: dict[str, str]


class RoutingMap(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``databases``: the configured aliases, sorted. ``models``: by label."""

    databases: list[str]
    models: dict[str, ModelRoutes]


class ModelMark(enum.StrEnum):
    """A kind of model other than the usual one."""

    AUTO_CREATED = "auto-created"
    PROXY = "proxy"
    UNMANAGED = "unmanaged"


def find_marks() -> dict[str, list[ModelMark]]:
    """Return the marks of every model of the map that has one, by label."""
    found = {
        model._meta.label: [
            mark
            for mark, has in (
                (ModelMark.AUTO_CREATED, model._meta.auto_created),
                (ModelMark.PROXY, model._meta.proxy),
                (ModelMark.UNMANAGED, not model._meta.managed),
            )
            if has
        ]
        for model in list_models()
    }
    return {label: those for label, those in found.items() if those}


def build_map() -> RoutingMap:
    """
    Ask the routers about every model, without the tool's own and the toolbar's.

    Asking can have effects. Each question is asked in a copied context, and all writes come last, so that
    a router which pins to the primary after a write pins nothing else of the map.
    """
    databases = sorted(str(alias) for alias in connections)
    models = {model._meta.label: model for model in list_models()}
    routes = {
        label: ModelRoutes(read=[], write=[], migrate={}, managed=bool(model._meta.managed), errors={})
        for label, model in models.items()
    }
    with use_recorder(None):
        for label, model in models.items():
            routes[label].read = _ask_aliases(model, Action.READ, routes[label].errors)
        for label, model in models.items():
            routes[label].migrate = _ask_migrate(model, databases, routes[label].errors)
        for label, model in models.items():
            routes[label].write = _ask_aliases(model, Action.WRITE, routes[label].errors)
    return RoutingMap(databases=databases, models=routes)


def dump_map(routes: RoutingMap) -> str:
    """Return the map as JSON that a version control system can compare: sorted, indented, without times."""
    return msgspec.json.format(msgspec.json.encode(routes, order="sorted"), indent=2).decode() + "\n"


def load_map(document: str | bytes) -> RoutingMap:
    """Return the map in the JSON ``document``, its lists sorted. Raises ``AskError`` if there is none."""
    try:
        require_utf8(document if isinstance(document, bytes) else document.encode(errors="surrogatepass"))
        routes = msgspec.json.decode(document, type=RoutingMap)
    except NotUTF8Error as error:
        raise AskError(str(error)) from error
    except DECODE_ERRORS as error:
        raise AskError(_("This is no map of the routing as JSON: %(error)s.") % {"error": error}) from error
    routes.databases = sorted({*routes.databases})
    for model in routes.models.values():
        model.read, model.write = sorted({*model.read}), sorted({*model.write})
    return routes


def dump_csv(routes: RoutingMap) -> str:
    """
    Return the map as CSV, one model a row; several aliases in one cell are separated by spaces.

    The columns are not translated: ``model``, ``managed``, ``read``, ``write``, ``migrate:`` and each
    alias (``yes``, ``no``, or empty if asking raised), ``errors``. No cell is a formula.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header = ["model", "managed", "read", "write", *(f"migrate:{a}" for a in routes.databases), "errors"]
    writer.writerow(map(_escape_cell, header))
    words = {True: "yes", False: "no", None: ""}
    for label, model in sorted(routes.models.items()):
        cells = [words[model.migrate.get(alias)] for alias in routes.databases]
        errors = "; ".join(f"{action}: {error}" for action, error in sorted(model.errors.items()))
        row = [label, words[model.managed], " ".join(model.read), " ".join(model.write), *cells, errors]
        writer.writerow(map(_escape_cell, row))
    return out.getvalue()


def _escape_cell(text: str) -> str:
    """Escape formulas, and carriage returns: csv does not quote these, but spreadsheets end a row there."""
    return str(escape_formula(text)).replace("\r", "\\r")


def _ask_aliases(model: type[Model], action: Action, errors: dict[str, str]) -> list[str]:
    return contextvars.copy_context().run(
        _collect_aliases, partial(getattr(router, action), model), action, errors
    )


def _collect_aliases(question: Callable[[], Any], action: Action, errors: dict[str, str]) -> list[str]:
    """Return every answer to a question about reading or writing."""
    answers: set[str] = set()
    asked = 0
    try:
        while asked < (MIN_ASKS if len(answers) < 2 else MAX_ASKS):
            answers.add(_format_alias(question()))
            asked += 1
    except (KeyboardInterrupt, IsolationInterrupt):
        raise
    except BaseException as error:  # whatever a router raises, SystemExit too, is its answer
        errors[action.value] = describe_error(error)
        return []
    return sorted(answers)


def sample_answers(model: type[Model], action: Action, times: int) -> list[tuple[str, int]]:
    """
    Count the answers to a question about reading or writing, the most frequent first.

    If asking raises, ``Class: message`` is the answer. No chain is recorded, because a page asks about a
    thousand models a hundred times each.
    """
    question = partial(getattr(router, action), model)
    counts = contextvars.copy_context().run(_count_answers, question, times)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _count_answers(question: Callable[[], Any], times: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for _time in range(times):
        try:
            counts[_format_alias(question())] += 1
        except (KeyboardInterrupt, IsolationInterrupt):
            raise
        except BaseException as error:
            counts[describe_error(error)] += 1
    return counts


def _ask_migrate(model: type[Model], databases: list[str], errors: dict[str, str]) -> dict[str, bool]:
    """Return whether the model's table is made, by alias. The routers are asked as ``migrate`` asks them."""
    allowed: dict[str, bool] = {}
    for alias in databases:
        try:
            allowed[alias] = bool(contextvars.copy_context().run(router.allow_migrate_model, alias, model))
        except (KeyboardInterrupt, IsolationInterrupt):
            raise
        except BaseException as error:
            errors.setdefault(Action.MIGRATE.value, describe_error(error))
    return allowed


def _format_alias(answer: Any) -> str:
    """Return an answer as it is, configured or not; for something that is no string, its type."""
    plain = capture_scalar(answer)
    return f"<{plain.path}>" if isinstance(plain, CapturedType) else str(plain)
