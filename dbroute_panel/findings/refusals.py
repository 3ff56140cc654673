"""What Django refuses before it sends any SQL, because an object or a query is of another database."""

from __future__ import annotations

from collections.abc import Iterator

from dbroute_panel.records import ExceptionRaised, Finding

from .facts import Facts
from .function import ERROR, finding
from .grouping import by


@finding("add-across-databases", level=ERROR)
def add_across_databases(trace: Facts) -> Iterator[Finding]:
    """``parent.children.add(child)`` with a child of another database, which Django refuses."""
    for (model, using, other), events in _refused(trace, "add").items():
        yield Finding.about(
            *events,
            message=f"{model} is in {other}, and was to be added to a relation of an object whose related "
            f"objects are written on {using}: Django raised ValueError. Get both from one database; with "
            f"bulk=False it would be saved on {using}, too.",
        )


@finding("subquery-across-databases", level=ERROR)
def subquery_across_databases(trace: Facts) -> Iterator[Finding]:
    """A query with a subquery that has another database by name, which Django refuses."""
    for (model, using, other), events in _refused(trace, "process_rhs").items():
        yield Finding.about(
            *events,
            message=f"A query on {using} had a subquery of {model} that names {other}: Django raised "
            "ValueError. Name one database for both, or evaluate the inner query first, with list().",
        )


def _refused(trace: Facts, function: str) -> dict[tuple[str | None, ...], list[ExceptionRaised]]:
    """The exceptions that this function of Django's raised over two databases, by model and databases."""
    raised = (
        event
        for event, _ in trace.raised
        if event.using is not None
        and event.other not in (None, event.using)
        and event.raised_at is not None
        and event.raised_at.function == function
    )
    return by(raised, lambda event: (event.model, event.using, event.other))
