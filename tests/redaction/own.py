"""A finding function of a project, which says all that it sees."""

from __future__ import annotations

from collections.abc import Iterator

from dbroute_panel.findings import WARNING, Facts, Finding, finding


@finding("talkative", level=WARNING)
def talkative(trace: Facts) -> Iterator[Finding]:
    for query in trace.queries:
        yield Finding.about(
            query, message=f"{query.sql} {query.params} {query.error} {trace.request} {trace.name}"
        )


@finding("asked-twice", level=WARNING)
def asked_twice(trace: Facts) -> Iterator[Finding]:
    first, second = trace.queries[:2]
    if first.params is not None and first.params == second.params:
        yield Finding.about(first, second, message=f"{trace.subject(first)} was asked for twice.")
