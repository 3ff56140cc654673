"""django-reversion's own settings, with SQLite behind each of its three aliases."""

from __future__ import annotations

from test_project.settings import *  # noqa: F403 - the library's

DATABASES = {
    alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    for alias in ("default", "postgres", "mysql")
}
