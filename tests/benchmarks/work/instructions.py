"""How many instructions of Python recording takes: what time follows, and no load of the machine changes."""

from __future__ import annotations

import random
from pathlib import Path

import dbroute_panel
from dbroute_panel import trace
from tests.benchmarks.counting import instructions
from tests.benchmarks.project.models import Book

TIMES = 50


def counted() -> dict[str, float]:
    """Of a query with its decision: ``recording``, and ``django``, those of Django and the project."""

    def queries() -> None:
        random.seed(1)
        for number in range(TIMES):
            Book.objects.get(pk=number % 100 + 1)

    with trace("instructions", keep=False):
        ours, others = instructions(queries, str(Path(dbroute_panel.__file__).parent))
    return {"recording": ours / TIMES, "django": others / TIMES}
