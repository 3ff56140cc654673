"""Content types on another database than the permissions that point to them."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403
from example_site.settings import DATABASE_ROUTERS

DATABASE_ROUTERS = ["example_site.contrib_routers.ContentTypesApart", *DATABASE_ROUTERS]
