"""What this project wants to be told of, besides what dbroute_panel finds: ``DBROUTE_PANEL["FINDINGS"]``."""

from __future__ import annotations

from collections.abc import Iterator

from dbroute_panel.findings import WARNING, Facts, Finding, finding


@finding("archive-written-in-request", level=WARNING)
def archive_written_in_request(trace: Facts) -> Iterator[Finding]:
    """The archive is filled at night, by a command; a page that writes to it has lost its way."""
    written = [query for query in trace.changes if query.alias == "archive"]
    if trace.kind == "request" and written:
        yield Finding.about(
            *written,
            message=f"{trace.subjects(written)} was written on archive during a request. "
            "Write it on primary, and let the nightly command archive it.",
        )
