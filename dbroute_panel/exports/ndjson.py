"""The trace document, one a line: for many traces, and for tools that read a file line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.utils.translation import gettext_lazy

from dbroute_panel.exports.base import Format
from dbroute_panel.records import Trace, dumps


def write(traces: Iterable[Trace]) -> Iterator[bytes]:
    """A line for each trace. Holds one trace at a time."""
    for trace in traces:
        yield dumps(trace) + b"\n"


FORMAT = Format(
    name="ndjson",
    label="NDJSON",
    purpose=gettext_lazy("The whole trace on one line; can be imported and replayed"),
    content_type="application/x-ndjson",
    extension="ndjson",
    write=write,
)
