"""
The trace document itself, in the two formats that can be imported.

``json``: one trace is one object, several are an array. ``ndjson``: a document a line, for many traces and
for tools that read a file line by line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from django.utils.translation import gettext_lazy

from dbroute_panel.exports.base import Format
from dbroute_panel.records import Trace, dumps


def write_json(traces: Iterable[Trace]) -> Iterator[bytes]:
    """Yield the document of the only trace, else an array, also of none. Holds two traces at most."""
    remaining = iter(traces)
    first, second = next(remaining, None), next(remaining, None)
    if first is not None and second is None:
        yield dumps(first) + b"\n"
        return
    yield b"["
    if first is not None and second is not None:
        yield dumps(first)
        yield b",\n" + dumps(second)
    for trace in remaining:
        yield b",\n" + dumps(trace)
    yield b"]\n"


def write_ndjson(traces: Iterable[Trace]) -> Iterator[bytes]:
    """Yield a line for each trace. Holds one trace at a time."""
    for trace in traces:
        yield dumps(trace) + b"\n"


JSON: Final = Format(
    name="json",
    label="JSON",
    purpose=gettext_lazy("The whole trace; can be imported and replayed"),
    content_type="application/json",
    extension="json",
    write=write_json,
)

NDJSON: Final = Format(
    name="ndjson",
    label="NDJSON",
    purpose=gettext_lazy("The whole trace on one line; can be imported and replayed"),
    content_type="application/x-ndjson",
    extension="ndjson",
    write=write_ndjson,
)
