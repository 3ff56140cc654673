"""
What Django refuses before it sends any SQL, because the databases do not fit: three places of its source.

They are known by the class of the exception and by the function that raises it, never by the words of the
message. ``tests/recording/test_misfits.py`` looks for them in Django's source, and fails when one has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from django.db.models import Model

from dbroute_panel.environment import DJANGO_FOLDER
from dbroute_panel.recording.frame_kinds import COMPILER, classify_file
from dbroute_panel.recording.snapshots import capture_scalar, model_label


def is_as_sql(code: CodeType) -> bool:
    """Whether ``code`` is that of Django's ``SQLCompiler.as_sql()``, which somebody may have wrapped."""
    return code.co_qualname == "SQLCompiler.as_sql" and classify_file(code.co_filename) == COMPILER


class Misfit(NamedTuple):
    """``model`` was to be used on ``using``; ``other`` is the alias of what does not fit to it, or None."""

    model: str | None
    using: str | None
    other: str | None


def lock(names: Mapping[str, Any]) -> Misfit:
    """``SQLCompiler.as_sql()``: select_for_update() on a connection in autocommit."""
    compiler = names["self"]
    return Misfit(model_label(compiler.query.model), capture_scalar(compiler.using), None)


def _subquery(names: Mapping[str, Any]) -> Misfit:
    """``In.process_rhs()``: the query inside of the other one has a database of its own."""
    query = names["self"].rhs
    return Misfit(
        model_label(query.model), capture_scalar(names["connection"].alias), capture_scalar(query._db)
    )


def _added(names: Mapping[str, Any]) -> Misfit:
    """``RelatedManager.add()``: the object is of another database than the one that is written."""
    thing = names["obj"]
    state = thing.__dict__.get("_state") if issubclass(type(thing), Model) else None
    other = None if state is None or state.adding else capture_scalar(state.db)
    return Misfit(model_label(type(thing)), capture_scalar(names["db"]), other)


PLACES: Final[Mapping[tuple[str, str, str], Callable[[Mapping[str, Any]], Misfit]]] = {
    ("TransactionManagementError", "db/models/sql/compiler.py", "SQLCompiler.as_sql"): lock,
    ("ValueError", "db/models/lookups.py", "In.process_rhs"): _subquery,
    (
        "ValueError",
        "db/models/fields/related_descriptors.py",
        "create_reverse_many_to_one_manager.<locals>.RelatedManager.add",
    ): _added,
    (
        "ValueError",
        "contrib/contenttypes/fields.py",
        "create_generic_related_manager.<locals>.GenericRelatedObjectManager.add",
    ): _added,
}
"""By the class, the file below Django's folder and the function."""


def misfit(error: BaseException, frame: FrameType) -> Misfit | None:
    """What ``error``, which was raised in ``frame``, is about, if it is one of these."""
    code = frame.f_code
    file = code.co_filename.replace("\\", "/")
    if not file.startswith(DJANGO_FOLDER):
        return None
    place = type(error).__name__, file.removeprefix(DJANGO_FOLDER), code.co_qualname
    return None if (read := PLACES.get(place)) is None else read(frame.f_locals)
