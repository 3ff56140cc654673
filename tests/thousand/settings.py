"""The example site with a thousand models more: ``DJANGO_SETTINGS_MODULE=tests.thousand.settings``."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403
from example_site.settings import INSTALLED_APPS
from tests.thousand.apps import APPS

INSTALLED_APPS = [*INSTALLED_APPS, *APPS]
