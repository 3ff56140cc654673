"""A table of the content types on two databases."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403
from example_site.settings import DATABASE_ROUTERS

DATABASE_ROUTERS = ["example_site.contrib_routers.ContentTypesTwice", *DATABASE_ROUTERS]
