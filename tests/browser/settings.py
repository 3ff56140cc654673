"""The example site as the tests of its pages visit it: under a strict policy, in the browser's language."""

from __future__ import annotations

from pathlib import Path

from example_site.settings import *  # noqa: F403
from example_site.settings import DEBUG_TOOLBAR_CONFIG, MIDDLEWARE

NODE_MODULES = Path(__file__).resolve().parent.parent.parent / ".cache" / "browser" / "node_modules"
"""Where ``make test-browser`` puts axe-core and htmx 2."""

MIDDLEWARE = ["tests.browser.policy.strict", *MIDDLEWARE]
MIDDLEWARE.insert(
    MIDDLEWARE.index("django.contrib.sessions.middleware.SessionMiddleware") + 1,
    "django.middleware.locale.LocaleMiddleware",
)
DEBUG_TOOLBAR_CONFIG = DEBUG_TOOLBAR_CONFIG | {"SHOW_TOOLBAR_CALLBACK": "tests.browser.policy.toolbar_shown"}
ROOT_URLCONF = "tests.browser.urls"
STATICFILES_DIRS = [("htmx2", NODE_MODULES / "htmx.org" / "dist")] if NODE_MODULES.is_dir() else []
