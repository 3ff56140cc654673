"""A router that answers with an alias that is not in ``DATABASES``, before all others."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403
from example_site.settings import DATABASE_ROUTERS

DATABASE_ROUTERS = ["example_site.routers.NowhereRouter", *DATABASE_ROUTERS]
