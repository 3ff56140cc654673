"""
The figures that are measured beside the variants, each with its target: one ``Figure`` a line of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from tools.benchmarks.measuring import Results, Series

REFERENCE: Final = 1000
"""The targets are for a request of so many queries."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """
    One line of the table.

    ``most`` or ``least`` is its target; ``read`` takes the figure from the results.
    """

    title: str
    unit: str
    read: Callable[[Results], Series]
    most: float | None = None
    least: float | None = None
    section: str = ""

    def met(self, found: Series) -> bool | None:
        """Return whether the median of the rounds meets the target, or None without a target."""
        if self.most is not None:
            return found.median <= self.most
        if self.least is not None:
            return found.median >= self.least
        return None


def _of(name: str, factor: float = 1.0) -> Callable[[Results], Series]:
    return lambda results: results[name].times(factor)


def _times_recording(variant: str) -> Callable[[Results], Series]:
    return lambda results: results.added(variant, REFERENCE).over(
        results.added("recording", REFERENCE, "request")
    )


def _growth(part: str) -> Callable[[Results], Series]:
    """Read the steepest growth over ten times the events, by the median of its rounds."""

    def read(results: Results) -> Series:
        sizes = [results[f"growth/{10**power}/{part}"] for power in range(1, 6)]
        return max((more.over(fewer) for fewer, more in pairwise(sizes)), key=lambda step: step.median)

    return read


def _section(title: str, *figures: Figure) -> tuple[Figure, ...]:
    return tuple(replace(figure, section=title) for figure in figures)


FIGURES: Final = (
    *_section(
        "Recording, a request of 1,000 queries",
        Figure(
            title="recording, a query with its decision",
            unit="us",
            read=lambda results: results.added("recording", REFERENCE, "request"),
            most=18,
        ),
        Figure(
            title="debug toolbar's SQL panel, times recording",
            unit="x",
            read=_times_recording("toolbar"),
            least=12,
        ),
        Figure(
            title="debug toolbar, all its panels, times recording",
            unit="x",
            read=_times_recording("toolbar-whole"),
        ),
        Figure(
            title="OpenTelemetry, times recording", unit="x", read=_times_recording("opentelemetry"), least=5
        ),
        Figure(title="Sentry, times recording", unit="x", read=_times_recording("sentry")),
        Figure(
            title="recording, times the floor (record, line, model)",
            unit="x",
            read=lambda results: results.added("recording", REFERENCE, "request").over(
                results.added("record", REFERENCE, "request")
            ),
        ),
        Figure(title="recording, instructions of Python", unit="", read=_of("instructions/recording")),
        Figure(title="Django's own, the same query", unit="", read=_of("instructions/django")),
        Figure(
            title="end of the request: document, findings, SQLiteStore",
            unit="ms",
            read=_of(f"requests/stored/{REFERENCE}/after", REFERENCE / 1000),
            most=15,
        ),
    ),
    *_section(
        "Idle",
        Figure(title="a query, more than without us", unit="us", read=_of("idle/query"), most=0.5),
        Figure(title="a router call, more than without us", unit="us", read=_of("idle/router"), most=0.3),
        Figure(title="a router call without us", unit="us", read=_of("idle/call")),
        Figure(
            title="a request of 1,000 queries, to Django alone",
            unit="x",
            read=lambda results: results[f"requests/idle/{REFERENCE}/total"].over(
                results[f"requests/bare/{REFERENCE}/total"]
            ),
        ),
    ),
    *_section(
        "Growth and memory",
        Figure(
            title="recording, ten times the events up to 100,000, steepest",
            unit="x",
            read=_growth("recording"),
            most=11,
        ),
        Figure(
            title="document and findings, the same",
            unit="x",
            read=_growth("ending"),
            most=11,
        ),
        Figure(title="memory, an event", unit="bytes", read=_of("memory/event"), most=400),
        Figure(title="100,000 queries in a request, peak", unit="MiB", read=_of("peak/mebibytes"), most=64),
    ),
    *_section(
        "A trace of 10,000 events",
        Figure(title="findings", unit="ms", read=_of("findings/10000/ms"), most=50),
        Figure(title="SQLiteStore, save", unit="ms", read=_of("store/10000/save")),
        Figure(title="SQLiteStore, open", unit="ms", read=_of("store/10000/get")),
        *(
            Figure(
                title=f"export as {name}",
                unit="MB/s",
                read=_of(f"exports/{name}/rate"),
                least=50 if name in ("json", "ndjson") else None,
            )
            for name in ("json", "ndjson", "csv", "chrome", "otlp", "html")
        ),
        Figure(title="export as html, size", unit="kB", read=_of("exports/html/kB"), most=3000),
    ),
    *_section(
        "Pages",
        *(
            Figure(
                title=f"{title}, {events:,} events, {measured}",
                unit=unit,
                read=_of(f"{name}/{events}/{unit}"),
                most=most,
            )
            for title, name, limits in (
                ("trace page", "page", {"ms": 100, "kB": 150}),
                ("a further page of rows", "rows", {"ms": 30, "kB": None}),
            )
            for events in (1_000, 10_000)
            for (unit, most), measured in zip(limits.items(), ("time", "size"), strict=True)
        ),
        Figure(title="toolbar content, 1,000 queries, time", unit="ms", read=_of("panel/ms"), most=60),
        Figure(title="toolbar content, 1,000 queries, size", unit="kB", read=_of("panel/kB"), most=150),
        Figure(title="the toolbar's SQL panel, the same, time", unit="ms", read=_of("sql-panel/ms")),
        Figure(title="the toolbar's SQL panel, the same, size", unit="kB", read=_of("sql-panel/kB")),
    ),
    *_section(
        "Asking, three routers",
        Figure(title="map of 1,000 models and 6 databases", unit="ms", read=_of("map/ms"), most=2000),
        Figure(title="replay of 100,000 decisions", unit="ms", read=_of("replay/ms"), most=5000),
    ),
)
