"""The steps of a run and their number: first all variants in turn, then everything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from tools.benchmarks.measuring import Results
from tools.benchmarks.processes import Process
from tools.benchmarks.variants import SIDE_BY_SIDE

FORMATS: Final = ("json", "ndjson", "csv", "chrome", "otlp", "html")

Step = tuple[str, str, dict[str, object]]
"""(name of its figures, work, arguments)"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    How much is measured.

    ``sizes`` maps the queries of a request to (requests of a round, rounds); ``repeats`` are the rounds of
    the rest. All this runs ``lives`` times, each in new processes: the place of its memory makes a process
    some microseconds a query faster or slower, for as long as it lives. On a busy machine, a size gets no
    further round after ``seconds`` if it had three, and the rest none if it had one.
    """

    lives: int
    sizes: dict[int, tuple[int, int]]
    seconds: float
    repeats: int

    def run(self, results: Results, folder: Path) -> Iterator[str]:
        """Measure everything, and yield a line about each step."""
        for life in range(self.lives):
            with ExitStack() as stack:
                # One after the other: what starts at once is in each other's way.
                processes = [
                    stack.enter_context(Process(variant.name, folder, life)).started()
                    for variant in SIDE_BY_SIDE
                ]
                yield f"{len(processes)} variants in turn, {life + 1} of {self.lives}"
                for process in processes:
                    process.do("requests.round_of", variant=process.variant, queries=50, requests=2)
                for queries, (requests, rounds) in self.sizes.items():
                    yield f"{queries:,} queries a request"
                    self.rounds(results, processes, queries, requests, rounds)
        for variant, repeats, steps in self.others():
            yield ", ".join(dict.fromkeys(name.partition("/")[0] for name, _, _ in steps))
            with Process(variant, folder).started() as process:
                began = monotonic()
                for number in range(repeats):
                    if number >= 1 and monotonic() - began > self.seconds:
                        break
                    for name, work, arguments in steps:
                        results.note(name, process.do(work, **arguments))

    def rounds(
        self, results: Results, processes: list[Process], queries: int, requests: int, rounds: int
    ) -> None:
        began = monotonic()
        for number in range(rounds):
            if number >= 3 and monotonic() - began > self.seconds:
                break
            for process in processes:
                found = process.do(
                    "requests.round_of", variant=process.variant, queries=queries, requests=requests
                )
                results.note(f"requests/{process.variant}/{queries}", found)

    def others(self) -> list[tuple[str, int, list[Step]]]:
        """Yield the other steps, each for one process: (variant, rounds, steps)."""
        growth: list[Step] = [
            (f"growth/{events}", "growth.of", {"events": events, "times": max(1, 2_000 // events)})
            for events in (10**power for power in range(1, 6))
        ]
        documents: list[Step] = [
            ("findings/10000", "documents.judged", {"events": 10_000}),
            ("store/10000", "documents.stored", {"events": 10_000}),
            *(
                (f"exports/{name}", "documents.exported", {"name": name, "events": 10_000})
                for name in FORMATS
            ),
        ]
        pages: list[Step] = [
            *((f"page/{events}", "pages.trace", {"events": events}) for events in (1_000, 10_000)),
            *((f"rows/{events}", "pages.rows", {"events": events}) for events in (1_000, 10_000)),
            ("panel", "pages.panel", {"name": "RoutingPanel", "queries": 1_000}),
            ("sql-panel", "pages.panel", {"name": "SQLPanel", "queries": 1_000}),
        ]
        asking: list[Step] = [
            ("map", "asking.mapped", {"models": 1_000, "databases": 6}),
            ("replay", "asking.replayed", {"decisions": 100_000}),
        ]
        return [
            ("idle", self.repeats, [("idle", "idle.difference", {})]),
            ("recording", self.repeats, growth),
            ("recording", 1, [("instructions", "instructions.counted", {})]),
            ("recording", 1, [("memory", "growth.memory", {"queries": 2_000})]),
            ("recording", 1, [("peak", "growth.peak", {"queries": 100_000})]),
            ("pages", self.repeats, [*documents, *pages]),
            ("models", self.repeats, asking),
        ]


LONG: Final = Plan(
    lives=5,
    sizes={10: (50, 2), 100: (10, 2), 1_000: (1, 9), 5_000: (1, 1)},
    seconds=60,
    repeats=5,
)
QUICK: Final = Plan(lives=1, sizes={10: (10, 2), 1_000: (1, 3)}, seconds=10, repeats=1)
