"""What tests read of other packages' errors: classes and codes, which stay, and never their words."""

from __future__ import annotations

import sqlite3


def recorded(error: BaseException) -> str:
    """As a trace holds it, in whatever words."""
    return f"{type(error).__name__}: {error}"


def sqlite_code(error: BaseException) -> int:
    """SQLite's own code (``sqlite3.SQLITE_BUSY``), of the driver's error that is behind ``error``."""
    cause: BaseException | None = error
    while not isinstance(cause, sqlite3.Error):
        assert cause is not None, f"{error!r} does not come from SQLite"
        cause = cause.__cause__
    return cause.sqlite_errorcode & 0xFF
