"""Queries that tell which request sent them: each has the request's marker as its parameter."""

from __future__ import annotations

import asyncio
import random
import time

from example_site.library.models import Book, Tag
from example_site.users.models import User

ALIASES = ("primary", "archive", "legacy_users", "new_users", "routed")
"""Where a page looks; ``routed`` asks the routers, which send it to a replica."""


def rows(marker: str, alias: str):
    if alias == "routed":
        return Tag.objects.filter(name=marker)
    if alias.endswith("users"):
        return User.objects.using(alias).filter(username=marker)
    return Book.objects.using(alias).filter(title=marker)


def pause() -> float:
    """A few milliseconds, so that the requests get in each other's way."""
    return random.random() / 100


def look(marker: str, alias: str) -> int:
    time.sleep(pause())
    return rows(marker, alias).count()


async def alook(marker: str, alias: str) -> int:
    await asyncio.sleep(pause())
    return await rows(marker, alias).acount()
