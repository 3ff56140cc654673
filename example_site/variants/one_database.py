"""One database, ``default``, and no routers: what a new project has."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403
from example_site.settings import DBROUTE_PANEL, database

DATABASES = {"default": database("default")}
DATABASE_ROUTERS: list[str] = []
DBROUTE_PANEL = DBROUTE_PANEL | {"REPLICAS": {}}
