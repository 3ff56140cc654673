"""Migrations with hints, and a router that heeds them, before all others."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403
from example_site.settings import DATABASE_ROUTERS, INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "example_site.variants.data_migrations"]
DATABASE_ROUTERS = ["example_site.variants.data_migrations.router.HintRouter", *DATABASE_ROUTERS]
