"""The settings of the programs: many aliases of one SQLite database."""

from __future__ import annotations

POOL = 300
"""How many aliases the router has: no program asks as often."""

NAMED = ("default", "named1", "named2")
"""Aliases that a program names by itself, and the router never answers."""

DATABASES = {
    alias: {"ENGINE": "tests.fuzz.backend", "NAME": ":memory:"}
    for alias in (*NAMED, *(f"db{number}" for number in range(POOL)))
}
DATABASE_ROUTERS = ["tests.fuzz.routers.Passing", "tests.fuzz.routers.Answering"]
DBROUTE_PANEL = {
    "RECORD_PARAMS": True,
    "STORE": {"BACKEND": "dbroute_panel.stores.MemoryStore"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "tests.fuzz", "dbroute_panel"]
SECRET_KEY = "of the fuzz"
USE_TZ = True
