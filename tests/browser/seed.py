"""
``python -m tests.browser.seed``: the data that the pages are looked at with, into ``EXAMPLE_SITE_DATA``.

The databases of the example site, and traces: those of some scenarios and one that is long. ``traces.json``
beside them says which id each has.
"""

from __future__ import annotations

import json

import django
from django.conf import settings
from django.core.management import call_command

SCENARIOS = {
    "databases": 1,
    "relations": 9,
    "walk-through": 13,
    "moving": 16,
    "across": 22,
    "stale": 25,
    "transactions": 26,
}
"""Those that run in this process, because the others take seconds; of several traces the first one counts."""


def main() -> None:
    django.setup()
    from example_site import scenarios
    from example_site.scenarios.running import run

    call_command("setup_demo", verbosity=0)
    traces = {"long": long_trace()}
    for name, number in SCENARIOS.items():
        (part,) = run(scenarios.SCENARIOS[number])
        assert part.error is None, part.error
        traces[name] = part.traces[0]
    (settings.DATA / "traces.json").write_text(json.dumps(traces))


def long_trace() -> str:
    """Several pages of events: most are alike, some are on other databases."""
    from dbroute_panel import trace
    from example_site.library.models import Book, Tag

    with trace("a nightly import") as recorded:
        for round_ in range(60):
            for book in Book.objects.all()[:4]:
                book.author_id = book.author_id  # the row is read, and nothing changes
            Tag.objects.filter(name=f"tag {round_}").first()
            Book.objects.using("archive").count()
    return recorded.id


if __name__ == "__main__":
    main()
