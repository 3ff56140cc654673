"""One database, ``default``, and a router that has no opinion on anything."""

from __future__ import annotations

from example_site.variants.one_database import *  # noqa: F403

DATABASE_ROUTERS = ["example_site.routers.PassingRouter"]
