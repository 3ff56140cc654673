"""
The code that a database gives an error, which says the same in every language and statement.

Django wraps the driver's exception, and keeps it as the cause (``django/db/utils.py``).
"""

from __future__ import annotations

import re
from typing import Any, Final

from django.db import Error

_SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")
_MAX_NUMBER: Final = 2**31 - 1


def error_code(error: BaseException) -> str | int | None:
    """
    The SQLSTATE (five signs) or the number in the driver's exception behind ``error``, or None.

    Where drivers keep it: those of MySQL in ``args[0]`` (a number, which says more than their ``sqlstate``),
    psycopg in ``sqlstate``, psycopg2 in ``pgcode``, sqlite3 in ``sqlite_errorcode`` (extended), oracledb in
    ``args[0].code``, pyodbc in ``args[0]`` (an SQLSTATE).
    """
    cause = error.__cause__
    if cause is None or not issubclass(type(error), Error):  # not an exception that Django made of another
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
    return next((code for code in map(_code, places) if code is not None), None)


def _code(value: Any) -> str | int | None:
    """``value`` if it can be nothing but a code: neither text nor data of the user's."""
    if type(value) is int:
        return value if 0 <= value <= _MAX_NUMBER else None
    return value if type(value) is str and _SQLSTATE.fullmatch(value) else None
