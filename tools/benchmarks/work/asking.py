"""Ask the routers on purpose: about every model, and again what was recorded."""

from __future__ import annotations

from dbroute_panel.inspection.map import build_map
from dbroute_panel.inspection.replay import replay
from dbroute_panel.records import Action, InstanceRef
from tests.traces import a_decision, a_trace
from tools.benchmarks.work.timed import timed


def mapped(models: int, databases: int) -> dict[str, float]:
    """Return the milliseconds of the whole map."""
    found, seconds = timed(build_map)
    if len(found.models) < models or len(found.databases) != databases:
        raise RuntimeError(f"{len(found.models)} models on {len(found.databases)} databases.")
    return {"ms": seconds * 1000}


def replayed(decisions: int) -> dict[str, float]:
    """Return the milliseconds of a replay of ``decisions`` decisions, in traces of a thousand."""
    book = InstanceRef(model="project.Book", pk="42", state_db="replica", adding=False)
    traces = [
        a_trace(
            number,
            events=[
                a_decision(
                    id, action=Action.WRITE, model=book.model, answer="default", hints={"instance": book}
                )
                for id in range(1, 1001)
            ],
        )
        for number in range(decisions // 1000)
    ]
    found, seconds = timed(lambda: replay(traces))
    if found.asked != decisions or found.not_replayable:
        raise RuntimeError(f"{found.asked} asked, {found.not_replayable} not replayable.")
    return {"ms": seconds * 1000}
