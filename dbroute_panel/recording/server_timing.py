"""
``Server-Timing``: how long each database took, and the routers, for the browser's network tab.

One metric an alias (``db-primary``) and one for the routers (``routing``), of what was recorded until the
response's header is sent. See https://www.w3.org/TR/server-timing/.
"""

from __future__ import annotations

import re
from typing import Final

from dbroute_panel.recording.captured import CapturedDecision, CapturedQuery
from dbroute_panel.recording.recorder import Recorder

HEADER: Final = "Server-Timing"
LONGEST: Final = 2048
"""The specification has no limit, proxies have: a longer header is never made, whoever began it."""

_NO_TOKEN = re.compile(r"[^A-Za-z0-9!#$%&'*+.^_`|~-]")
_UNPRINTABLE = re.compile(r"[^ -~]")


def appended(before: str, recorder: Recorder) -> str:
    """The header ``before`` with our metrics after it: the slowest first, as many as there is room for."""
    header = before
    for metric in metrics(recorder):
        longer = f"{header}, {metric}" if header else metric
        if len(longer) <= LONGEST:
            header = longer
    return header


def metrics(recorder: Recorder) -> list[str]:
    """Of the routers first, then of each alias that was queried, the slowest first; none of nothing."""
    routing = [0, 0]
    aliases: dict[str, list[int]] = {}
    for raw in recorder.events[:]:
        if type(raw) is CapturedQuery:
            total = aliases.setdefault(raw.alias, [0, 0])
        elif (
            type(raw) is CapturedDecision and raw.parent_id is None
        ):  # the time of an inner one is in the outer's
            total = routing
        else:
            continue
        total[0] += 1
        total[1] += raw.end - raw.start
    slowest = sorted(aliases.items(), key=_duration, reverse=True)
    if not (slowest or routing[0]):
        return []
    return [
        metric("routing", "routing", "decision", *routing),
        *(metric(f"db-{alias}", alias, "query", *total) for alias, total in slowest),
    ]


def metric(name: str, title: str, what: str, count: int, nanoseconds: int) -> str:
    """``db-primary;dur=1.234;desc="primary: 3 queries"``: milliseconds; in ASCII, so not translated."""
    plural = {"decision": "decisions", "query": "queries"}[what]
    description = f"{title}: {count} {what if count == 1 else plural}"
    quoted = _UNPRINTABLE.sub("?", description).replace("\\", "\\\\").replace('"', '\\"')
    return f'{_NO_TOKEN.sub("_", name)};dur={nanoseconds / 1e6:.3f};desc="{quoted}"'


def _duration(item: tuple[str, list[int]]) -> int:
    return item[1][1]
