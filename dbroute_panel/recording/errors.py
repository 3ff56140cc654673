"""Describe an exception: its message, as far as it is safe to make it, and the code a database gave it."""

from __future__ import annotations

import re
from types import FunctionType, WrapperDescriptorType
from typing import Any, Final

from django.db import Error
from django.utils.functional import Promise

from dbroute_panel.masking.credentials import mask_credentials
from dbroute_panel.recording.frame_kinds import USER, classify_file
from dbroute_panel.recording.snapshots import shorten

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
        type(make_message) is not FunctionType or classify_file(make_message.__code__.co_filename) == USER
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
