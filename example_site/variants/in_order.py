"""The two routers of Django's documentation, in its order: the one that always answers is last."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403

DATABASE_ROUTERS = ["example_site.routers.AuthRouter", "example_site.routers.EverythingRouter"]
