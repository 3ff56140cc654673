"""
Settings of the example site: three routers, and seven databases, each of them an SQLite file.

With ``EXAMPLE_SITE_DATABASES=services`` four of them are on servers: ``primary`` on PostgreSQL, the replicas
on streaming replicas of it, ``legacy_users`` on MariaDB. ``python -m example_site.services`` starts servers
and sets the variables that say where they are.

``EXAMPLE_SITE_DATA`` names the folder of the files; the default is ``data`` next to this file.
``EXAMPLE_SITE_TRACES`` names the file of the recorded traces; the default is in that folder.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("EXAMPLE_SITE_DATA") or BASE_DIR / "example_site" / "data").resolve()
TRACES = Path(os.environ.get("EXAMPLE_SITE_TRACES") or DATA / "traces.sqlite3").resolve()

DEBUG = True
SECRET_KEY = "a demonstration has nothing to hide"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]
INTERNAL_IPS = ["127.0.0.1", "::1"]


def database(alias: str) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA / f"{alias}.sqlite3"}


def replica(alias: str) -> dict[str, Any]:
    # Opened read-only, as a real replica is; example_site.replication.files brings it up to date.
    file = (DATA / f"{alias}.sqlite3").as_uri()
    return {"ENGINE": "example_site.replica", "NAME": f"{file}?mode=ro"}


DATABASES: dict[str, dict[str, Any]] = {
    "default": {},
    "auth_db": database("auth_db"),
    "primary": database("primary"),
    "replica1": replica("replica1"),
    "replica2": replica("replica2"),
    "archive": database("archive"),
    "legacy_users": database("legacy_users"),
    "new_users": database("new_users"),
}
CONFIGURATIONS = ["files", "services"]
CONFIGURATION = os.environ.get("EXAMPLE_SITE_DATABASES") or "files"
if CONFIGURATION not in CONFIGURATIONS:
    raise ImproperlyConfigured(
        f"EXAMPLE_SITE_DATABASES is one of {', '.join(CONFIGURATIONS)}; not {CONFIGURATION!r}."
    )
if CONFIGURATION == "services":
    from example_site.services.settings import databases

    DATABASES |= databases()

DATABASE_ROUTERS = [
    "example_site.routers.AuthRouter",
    "example_site.routers.UserRouter",
    "example_site.routers.PrimaryReplicaRouter",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "example_site.core",
    "example_site.library",
    "example_site.users",
    "example_site.notes",
    "dbroute_panel",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
]
MIDDLEWARE = [
    "dbroute_panel.middleware.TraceMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

DBROUTE_PANEL = {
    "REPLICAS": {"replica1": "primary", "replica2": "primary"},
    "STORE": {"BACKEND": "dbroute_panel.stores.SQLiteStore", "OPTIONS": {"path": str(TRACES)}},
    "FINDINGS": ["example_site.findings.archive_written_in_request"],
}

if find_spec("debug_toolbar"):
    from debug_toolbar.settings import PANELS_DEFAULTS

    INSTALLED_APPS.append("debug_toolbar")
    MIDDLEWARE.insert(1, "debug_toolbar.middleware.DebugToolbarMiddleware")
    DEBUG_TOOLBAR_CONFIG = {
        # A browser that comes for the first time would show it open, on top of the page.
        "SHOW_COLLAPSED": True,
        "SHOW_TOOLBAR_CALLBACK": "example_site.core.toolbar.shown",
    }
    DEBUG_TOOLBAR_PANELS = list(PANELS_DEFAULTS)
    DEBUG_TOOLBAR_PANELS.insert(
        DEBUG_TOOLBAR_PANELS.index("debug_toolbar.panels.sql.SQLPanel") + 1,
        "dbroute_panel.panel.RoutingPanel",
    )

ROOT_URLCONF = "example_site.urls"
WSGI_APPLICATION = "example_site.wsgi.application"
ASGI_APPLICATION = "example_site.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
