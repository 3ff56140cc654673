"""Settings for Django's tests: Django's for SQLite (two databases), with the runner of ``tools/watched``."""

from __future__ import annotations

import sys

from test_sqlite import *  # noqa: F403 - Django's, next to its runtests.py

from tools.watched.watching import APP, read_order

ORDER = read_order()
TEST_RUNNER = "tools.watched.runner.Runner"
DBROUTE_PANEL = {
    "RECORD_PARAMS": True,
    "STORE": {
        "BACKEND": "dbroute_panel.stores.SQLiteStore",
        "OPTIONS": {"path": str(ORDER.file("sqlite3"))},
    },
}

if ORDER.variant == APP:
    # runtests.py reads the settings first, and then sets INSTALLED_APPS to its own list.
    sys.modules["__main__"].ALWAYS_INSTALLED_APPS.append("dbroute_panel")
