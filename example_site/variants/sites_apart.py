"""Flat pages and redirects on another database than the sites."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403
from example_site.settings import DATABASE_ROUTERS, INSTALLED_APPS

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "django.contrib.sites",
    "django.contrib.flatpages",
    "django.contrib.redirects",
]
SITE_ID = 1
DATABASE_ROUTERS = ["example_site.contrib_routers.SitesApart", *DATABASE_ROUTERS]
