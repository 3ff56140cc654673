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
