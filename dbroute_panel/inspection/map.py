"""
Where does every model live? The routers' answers for all models and databases, as one document.

``RoutingMap`` is exactly the JSON that ``dbroute map`` writes and checks; what else a reader wants
to know of a model (``marks()``) is not part of it.
"""

from __future__ import annotations

import contextvars
import enum
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
from dbroute_panel.recording.recorder import resumed
from dbroute_panel.recording.snapshots import capture_scalar
from dbroute_panel.records import Action
from dbroute_panel.text import DECODE_ERRORS, NotUTF8Error, require_utf8

MIN_ASKS: Final = 20
"""How often each question about reading and writing is asked: a random answer shows itself."""
MAX_ASKS: Final = 200
"""How often once it has: every alias of the set is found, so that the map is the same each time."""


class ModelRoutes(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """
    One model: the aliases it is read from and written to, sorted, and where its table is made.

    Where asking raised, the list is empty (in ``migrate``, the alias is left out) and ``errors`` says
    why: action to ``Class: message``.
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
    """What kind of model it is, where that is not the usual one."""

    AUTO_CREATED = "auto-created"
    PROXY = "proxy"
    UNMANAGED = "unmanaged"


def find_marks() -> dict[str, list[ModelMark]]:
    """The marks of every model of the map that has one, by label."""
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
    Ask the routers about every model: the tool's own and the toolbar's left out.

    Asking can have effects. Each question is asked in a copied context, and all writes come last: a
    router that pins to the primary what has written pins nothing else of the map.
    """
    databases = sorted(str(alias) for alias in connections)
    models = {model._meta.label: model for model in list_models()}
    routes = {
        label: ModelRoutes(read=[], write=[], migrate={}, managed=bool(model._meta.managed), errors={})
        for label, model in models.items()
    }
    with resumed(None):
        for label, model in models.items():
            routes[label].read = _ask_aliases(model, Action.READ, routes[label].errors)
        for label, model in models.items():
            routes[label].migrate = _ask_migrate(model, databases, routes[label].errors)
        for label, model in models.items():
            routes[label].write = _ask_aliases(model, Action.WRITE, routes[label].errors)
    return RoutingMap(databases=databases, models=routes)


def dump_map(routes: RoutingMap) -> str:
    """The map as JSON that a version control system can compare: sorted, indented, no times."""
    return msgspec.json.format(msgspec.json.encode(routes, order="sorted"), indent=2).decode() + "\n"


def load_map(document: str | bytes) -> RoutingMap:
    """The map that ``document`` holds, its lists sorted. Raises ``AskError`` where it holds none."""
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


def _ask_aliases(model: type[Model], action: Action, errors: dict[str, str]) -> list[str]:
    return contextvars.copy_context().run(
        _collect_aliases, partial(getattr(router, action), model), action, errors
    )


def _collect_aliases(question: Callable[[], Any], action: Action, errors: dict[str, str]) -> list[str]:
    """Every answer to a question about reading or writing."""
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
    How often each answer is given to a question about reading or writing, the most frequent first.

    Where asking raises, ``Class: message`` is the answer. No chain is told: a thousand models are asked
    about a hundred times each while somebody waits.
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
    """Whether the model's table is made, by alias: the routers are asked as ``migrate`` does."""
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
    """An answer as it is, configured or not; of something that is no string, what it is."""
    plain = capture_scalar(answer)
    return f"<{plain.path}>" if isinstance(plain, CapturedType) else str(plain)
