"""Count the instructions of Python that recording takes, which no load of the machine changes."""

from __future__ import annotations

import random
from pathlib import Path

from django.test import RequestFactory

import dbroute_panel
from dbroute_panel import trace
from tools.benchmarks.counting import count_instructions
from tools.benchmarks.work.requests import application

TIMES = 50


def counted() -> dict[str, float]:
    """
    Count those of a view's query with its decision: ``recording``; ``django``, of Django and the project.
    """
    request = RequestFactory().get(f"/books/{TIMES}/")

    def view() -> None:
        random.seed(1)
        application()._get_response(request)

    with trace("instructions", kind="request", keep=False):
        ours, others = count_instructions(view, str(Path(dbroute_panel.__file__).parent))
    return {"recording": ours / TIMES, "django": others / TIMES}
