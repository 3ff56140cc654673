"""Configure a process as the project with one variant in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command

from tools.benchmarks.variants import Variant

HERE = "tools.benchmarks.project"
STARTED = {
    "INSTALLED_APPS": [
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
    ],
    "MIDDLEWARE": [
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
}
"""What ``startproject`` writes."""


def configure(variant: Variant, folder: Path) -> None:
    """Set Django up with ``variant``, and make its databases in ``folder``, which is empty."""
    aliases = ["default", "replica", *variant.databases]
    chosen: dict[str, Any] = {
        # With DEBUG Django keeps every statement by itself, and that is not what is compared here.
        "DEBUG": False,
        "SECRET_KEY": "a benchmark has nothing to hide",
        "ALLOWED_HOSTS": ["*"],
        "DATABASES": {
            alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / f"{alias}.sqlite3")}
            for alias in aliases
        },
        "DATABASE_ROUTERS": [f"{HERE}.routers.AccountsRouter", f"{HERE}.routers.PrimaryReplicaRouter"],
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": [HERE, *STARTED["INSTALLED_APPS"], *variant.apps],
        "MIDDLEWARE": [*variant.middleware, *STARTED["MIDDLEWARE"]],
        "ROOT_URLCONF": f"{HERE}.urls",
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        "STATIC_URL": "static/",
        "USE_TZ": True,
    }
    settings.configure(**chosen | variant.settings(folder))
    variant.prepare()
    django.setup()
    make_databases()


def make_databases() -> None:
    from tools.benchmarks.project.models import Book
    from tools.benchmarks.project.views import ROWS

    books = [Book(id=id, title=f"Book {id}", year=1900 + id, pages=id) for id in range(1, ROWS + 1)]
    for alias in ("default", "replica"):
        call_command("migrate", database=alias, run_syncdb=True, verbosity=0)
        Book.objects.using(alias).bulk_create(books)
