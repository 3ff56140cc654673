"""The first router that answers is the last one that is asked."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth.models import User as Account
from django.db import DatabaseError

from dbroute_panel.inspection.replay import replay
from dbroute_panel.records import Trace
from example_site.library.models import Book
from example_site.scenarios.across_databases import said_by
from example_site.scenarios.registry import scenario


def what_the_other_order_would_change(trace: Trace) -> Iterator[str]:
    """The same as ``manage.py dbroute replay <id> --routers ...``, with the routers the other way round."""
    turned = replay([trace], routers=trace.routers[::-1])
    yield f"Replayed with the routers in reverse order: {turned.same} the same, {turned.changed} changed"
    for change in turned.changes:
        where = ", ".join(change.callsites)
        yield f"{change.action}({change.model}): {change.before} -> {change.to}, from {where}"


@scenario(
    12,
    "The order of the routers",
    shows="EverythingRouter answers for every model. Before AuthRouter, it sends the accounts to a replica. "
    "A replay of the trace says so beforehand.",
    afterwards=what_the_other_order_would_change,
    findings={"missing-table"},
    settings=("example_site.variants.in_order", "example_site.variants.swapped"),
)
def router_order():
    yield f"DATABASE_ROUTERS = {settings.DATABASE_ROUTERS}"
    yield f"A book was read from {Book.objects.first()._state.db}"
    try:
        fred = Account.objects.get(username="fred")
        yield f"fred was read from {fred._state.db}"
    except DatabaseError as error:  # OperationalError on SQLite, ProgrammingError on PostgreSQL
        yield f"fred was looked for in the wrong place: {said_by(error)}"
