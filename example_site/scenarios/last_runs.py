"""What each scenario put out when it was run the last time: one small file each, for all processes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from example_site.scenarios.registry import Scenario
from example_site.scenarios.running import Part


@dataclass
class LastRun:
    at: datetime
    parts: list[Part]

    @property
    def traces(self) -> list[str]:
        return [trace_id for part in self.parts for trace_id in part.traces]

    @property
    def failed(self) -> bool:
        return any(part.error for part in self.parts)


def remember(scenario: Scenario, parts: list[Part]) -> LastRun:
    last_run = LastRun(at=datetime.now(UTC), parts=parts)
    file = _file(scenario)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"at": last_run.at.isoformat(), "parts": [asdict(part) for part in parts]}))
    new.replace(file)
    return last_run


def recall(scenario: Scenario) -> LastRun | None:
    try:
        kept = json.loads(_file(scenario).read_text())
    except FileNotFoundError:
        return None
    return LastRun(at=datetime.fromisoformat(kept["at"]), parts=[Part(**part) for part in kept["parts"]])


def _file(scenario: Scenario) -> Path:
    return Path(settings.DATA, "runs", f"{scenario.number}.json")
