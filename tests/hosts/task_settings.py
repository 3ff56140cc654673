"""The example site with a worker for Django's tasks, whose queue is on a default that works."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403
from example_site.settings import DATABASES, INSTALLED_APPS, database

DATABASES["default"] = database("queue")
INSTALLED_APPS = [*INSTALLED_APPS, "django_tasks_db"]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
