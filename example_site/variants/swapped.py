"""The routers of ``in_order``, the other way round."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403

DATABASE_ROUTERS = ["example_site.routers.EverythingRouter", "example_site.routers.AuthRouter"]
