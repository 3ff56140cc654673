"""The trace document itself: one trace is one object, several are an array of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.utils.translation import gettext_lazy

from dbroute_panel.exports.base import Format
from dbroute_panel.records import Trace, dumps


def write(traces: Iterable[Trace]) -> Iterator[bytes]:
    """The document of the only trace; else an array, also of none. Holds two traces at most."""
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


FORMAT = Format(
    name="json",
    label="JSON",
    purpose=gettext_lazy("The whole trace; can be imported and replayed"),
    content_type="application/json",
    extension="json",
    write=write,
)
