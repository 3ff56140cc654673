"""``run_scenario``: what the button on the front page does, in a terminal."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from example_site.scenarios import SCENARIOS
from example_site.scenarios.running import run_here


class Command(BaseCommand):
    help = "Runs a scenario with the settings that are in force, and prints what became of it as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", type=int)

    def handle(self, *, number: int, **options: Any) -> None:
        if number not in SCENARIOS:
            raise CommandError(
                f"There is no scenario {number}. There are {', '.join(map(str, sorted(SCENARIOS)))}."
            )
        self.stdout.write(run_here(SCENARIOS[number]).as_json())
