"""
Read what an exception says: its message, where it is safe to make it, and the code that a database gave it.

Of what Django refuses because two databases do not fit: the model and the aliases.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import CodeType, FrameType, FunctionType, WrapperDescriptorType
from typing import Any, Final, NamedTuple

from django.db import Error
from django.db.models import Model
from django.utils.functional import Promise

from dbroute_panel.environment import DJANGO_FOLDER
from dbroute_panel.masking.credentials import mask_credentials
from dbroute_panel.recording.frame_kinds import FrameKind, classify_file
from dbroute_panel.recording.snapshots import capture_scalar, model_label, shorten

_SAFE_ARGUMENTS = (str, bytes, int, float, type(None), Promise)
"""Types of an exception's arguments whose text runs no code of the user's."""

_SYNTAX_ERRORS = (SyntaxError, IndentationError, TabError)
_SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")
_MAX_CODE: Final = 2**31 - 1


def describe_error(error: BaseException) -> str:
    """
    Return ``Class: message`` of an exception, without credentials; the class alone where it has no message.

    The class alone, too, where making the message could run a query: ``str()`` of an exception that was given
    a model instance or a queryset is the ``str()`` or ``repr()`` of these, and a project's ``__str__`` may do
    anything.
    """
    name = type(error).__name__
    # The message of a SyntaxError has the file's name and the line's number, and nothing of the source.
    if type(error) not in _SYNTAX_ERRORS and not all(
        issubclass(type(argument), _SAFE_ARGUMENTS) for argument in _arguments(error)
    ):
        return name
    make_message: Any = type(error).__str__
    if type(make_message) is not WrapperDescriptorType and (
        type(make_message) is not FunctionType
        or classify_file(make_message.__code__.co_filename) is FrameKind.USER
    ):
        return name  # neither Python's own nor a library's function
    try:
        message = mask_credentials(make_message(error))
    except Exception:  # a library's own __str__ may raise
        return name
    return f"{name}: {shorten(message)}" if message else name


def _arguments(error: BaseException) -> tuple[Any, ...]:
    """Return what an exception was given; a class of the project may have a property ``args``."""
    given: tuple[Any, ...] = vars(BaseException)["args"].__get__(error)
    return given


def find_error_code(error: BaseException) -> str | int | None:
    """
    Return the SQLSTATE (five characters) or number of the driver's exception behind ``error``, or None.

    Django keeps the driver's exception as the cause (``django/db/utils.py``). Drivers keep the code in
    ``args[0]`` (MySQL's: a number, which says more than their ``sqlstate``; pyodbc: an SQLSTATE),
    ``args[0].code`` (oracledb), ``sqlstate`` (psycopg), ``pgcode`` (psycopg2) or ``sqlite_errorcode``
    (sqlite3, extended).
    """
    cause = error.__cause__
    if cause is None or not issubclass(type(error), Error):  # not one that Django made of a driver's
        return None
    first = cause.args[0] if cause.args else None
    places = (
        first if type(first) is int else None,
        getattr(cause, "sqlstate", None),
        getattr(cause, "pgcode", None),
        getattr(cause, "sqlite_errorcode", None),
        first,
        getattr(first, "code", None),
    )
    return next((code for code in map(_as_code, places) if code is not None), None)


def _as_code(value: Any) -> str | int | None:
    """Return ``value`` if it can be nothing but a code, neither text nor data of the user's; else None."""
    if type(value) is int:
        return value if 0 <= value <= _MAX_CODE else None
    return value if type(value) is str and _SQLSTATE.fullmatch(value) else None


def is_as_sql(code: CodeType) -> bool:
    """Return whether ``code`` is that of Django's ``SQLCompiler.as_sql()`` itself, not of a wrapper."""
    return code.co_qualname == "SQLCompiler.as_sql" and classify_file(code.co_filename) is FrameKind.COMPILER


class DatabaseMismatch(NamedTuple):
    """``model`` was to be used on ``using``; ``other`` is the alias of what does not fit it, or None."""

    model: str | None
    using: str | None
    other: str | None


def read_lock(names: Mapping[str, Any]) -> DatabaseMismatch:
    """Read the variables of ``SQLCompiler.as_sql()``: select_for_update() on a connection in autocommit."""
    compiler = names["self"]
    return DatabaseMismatch(model_label(compiler.query.model), capture_scalar(compiler.using), None)


def _read_subquery(names: Mapping[str, Any]) -> DatabaseMismatch:
    """Read the variables of ``In.process_rhs()``: the inner query names another database."""
    query = names["self"].rhs
    return DatabaseMismatch(
        model_label(query.model), capture_scalar(names["connection"].alias), capture_scalar(query._db)
    )


def _read_added_object(names: Mapping[str, Any]) -> DatabaseMismatch:
    """Read the variables of ``RelatedManager.add()``: the object is of another database than is written."""
    added = names["obj"]
    state = added.__dict__.get("_state") if issubclass(type(added), Model) else None
    other = None if state is None or state.adding else capture_scalar(state.db)
    return DatabaseMismatch(model_label(type(added)), capture_scalar(names["db"]), other)


MISMATCH_PLACES: Final[Mapping[tuple[str, str, str], Callable[[Mapping[str, Any]], DatabaseMismatch]]] = {
    ("TransactionManagementError", "db/models/sql/compiler.py", "SQLCompiler.as_sql"): read_lock,
    ("ValueError", "db/models/lookups.py", "In.process_rhs"): _read_subquery,
    (
        "ValueError",
        "db/models/fields/related_descriptors.py",
        "create_reverse_many_to_one_manager.<locals>.RelatedManager.add",
    ): _read_added_object,
    (
        "ValueError",
        "contrib/contenttypes/fields.py",
        "create_generic_related_manager.<locals>.GenericRelatedObjectManager.add",
    ): _read_added_object,
}
"""
What reads the variables of the function that raised, by class, file below Django's folder and function.

Django refuses these before it sends any SQL. They are known by where they are raised, never by the words of
the message. ``tests/recording/test_refusals.py`` looks for them in Django's source and fails if one moves.
"""


def find_mismatch(error: BaseException, frame: FrameType) -> DatabaseMismatch | None:
    """Return what ``error`` is about if ``frame``, where it was raised, is one of ``MISMATCH_PLACES``."""
    code = frame.f_code
    file = code.co_filename.replace("\\", "/")
    if not file.startswith(DJANGO_FOLDER):
        return None
    place = type(error).__name__, file.removeprefix(DJANGO_FOLDER), code.co_qualname
    return None if (read := MISMATCH_PLACES.get(place)) is None else read(frame.f_locals)
