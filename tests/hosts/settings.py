"""The example site as a real server runs it for these tests: their own pages, middleware and transactions."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403
from example_site.settings import DATABASES, DBROUTE_PANEL, DEBUG_TOOLBAR_CONFIG, MIDDLEWARE

ROOT_URLCONF = "tests.hosts.urls"

for alias in ("archive", "new_users"):
    DATABASES[alias]["ATOMIC_REQUESTS"] = True
for database in DATABASES.values():
    if database.get("ENGINE") == "django.db.backends.sqlite3":
        database["OPTIONS"] = {"timeout": 30}

MIDDLEWARE = [
    "tests.hosts.middleware.Outer",
    *MIDDLEWARE[:2],  # ours, and the toolbar's
    "tests.hosts.middleware.InnerSync",
    "tests.hosts.middleware.InnerAsync",
]
DBROUTE_PANEL = DBROUTE_PANEL | {"MAX_TRACES": 10_000}
DEBUG_TOOLBAR_CONFIG = DEBUG_TOOLBAR_CONFIG | {
    "SHOW_TOOLBAR_CALLBACK": "tests.hosts.middleware.asks_for_toolbar"
}
