"""Six routers that misbehave, each for a model of its own, before those of the site."""

from __future__ import annotations

from example_site.settings import *  # noqa: F403
from example_site.settings import DATABASE_ROUTERS

DATABASE_ROUTERS = [
    "example_site.misrouting.RaisingRouter",
    "example_site.misrouting.QueryingRouter",
    "example_site.routers.NowhereRouter",
    "example_site.misrouting.RandomRouter",
    "example_site.misrouting.PinningRouter",
    "example_site.misrouting.ReadingRouter",
    *DATABASE_ROUTERS,
]
