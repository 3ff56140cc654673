"""The first router that answers is the last one that is asked."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User as Account
from django.db import OperationalError

from example_site.library.models import Book
from example_site.scenarios.registry import scenario


@scenario(
    12,
    "The order of the routers",
    shows="EverythingRouter answers for every model. Before AuthRouter, it sends the accounts to a replica.",
    findings={"missing-table"},
    settings=("example_site.variants.in_order", "example_site.variants.swapped"),
)
def router_order():
    yield f"DATABASE_ROUTERS = {settings.DATABASE_ROUTERS}"
    yield f"A book was read from {Book.objects.first()._state.db}"
    try:
        fred = Account.objects.get(username="fred")
        yield f"fred was read from {fred._state.db}"
    except OperationalError as error:
        yield f"fred was looked for in the wrong place: {error}"
