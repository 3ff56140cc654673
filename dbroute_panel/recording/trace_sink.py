"""The receivers of finished traces, which the app connects: recording imports no store, finding or sender."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbroute_panel.records import Finding, SessionWrite, Trace


@dataclass
class TraceSink:
    """What is done with traces. None of these functions may raise."""

    find_findings: Callable[[Trace], list[Finding]] = lambda trace: []
    """Return what is wrong in a trace."""

    keep: Callable[[Trace], object] = lambda trace: None
    """Store a trace that is to be kept."""

    get_parent: Callable[[], Any] = lambda: None
    """Return the telemetry span around the trace that begins now."""

    send: Callable[[Trace, Any], object] = lambda trace, parent: None
    """Send a trace that is to be kept as telemetry, below what ``get_parent()`` returned."""

    recall_session: Callable[[str, float], tuple[SessionWrite, ...]] = lambda session, moment: ()
    """Return what a session wrote before ``moment`` (seconds since 1970), when its request began."""

    note_session: Callable[[str, Trace], object] = lambda session, trace: None
    """Remember for a session's next requests what a trace wrote."""


sink = TraceSink()
