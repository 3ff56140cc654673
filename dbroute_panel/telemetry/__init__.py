"""
The live export of kept traces to an OpenTelemetry collector (``OTLP_ENDPOINT``).

``send()`` hands a trace to a thread, which redacts it, makes its spans and hands those to
OpenTelemetry's own batch processor, which sends them from another. OpenTelemetry is an extra
(``dbroute-panel[otlp]``): it is imported when the first trace is sent, and nothing else here imports it.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dbroute_panel.conf import panel_settings
from dbroute_panel.exports.spans import Parent
from dbroute_panel.records import Trace
from dbroute_panel.redaction.trace import route_of
from dbroute_panel.telemetry.servers import find_servers

if TYPE_CHECKING:
    from dbroute_panel.telemetry.sender import Sender

logger = logging.getLogger("dbroute_panel")

EXTRA = "dbroute-panel[otlp]"

#: How many spans could not be sent in this process. Read it as ``telemetry.lost``.
lost = 0

_making = threading.RLock()
_counting = threading.RLock()
_current: Sender | None = None
_has_warned = False


def is_installed() -> bool:
    """Return whether the packages of the extra are installed, without importing them."""
    try:
        return all(
            importlib.util.find_spec(name) is not None
            for name in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
        )
    except ModuleNotFoundError:
        return False


def find_parent() -> Parent | None:
    """Return the project's active span; None without one, or if nothing is sent. Never raises."""
    try:
        api = sys.modules.get("opentelemetry.trace")  # no span can be active if it was not imported
        if api is None or panel_settings.OTLP_ENDPOINT is None:
            return None
        context = api.get_current_span().get_span_context()
        if not context.is_valid:
            return None
        return Parent(
            trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}", remote=context.is_remote
        )
    except Exception:  # noqa: BLE001 - the project's tracer, inside the user's request
        count_lost(0, "OpenTelemetry's active span could not be read")
        return None


def send(trace: Trace, parent: Parent | None = None) -> None:
    """
    Send ``trace``, redacted, inside of ``parent``. Never raises, and waits neither for the network nor for
    what depends on the size of the trace.
    """
    endpoint = panel_settings.OTLP_ENDPOINT
    if endpoint is None:
        return
    spans = len(trace.events) + 1
    try:
        sender = _get_sender(endpoint)
        if sender is None:
            count_lost(
                spans, f"DBROUTE_PANEL['OTLP_ENDPOINT'] needs OpenTelemetry. Run: pip install '{EXTRA}'"
            )
        else:
            if trace.request is not None:  # this thread knows the URLconf and the script's prefix
                trace = replace(trace, request=replace(trace.request, path=route_of(trace.request)))
            sender.send(trace, find_servers(trace), parent)
    except Exception:  # noqa: BLE001 - the user's response is more important than our spans
        count_lost(spans, "A trace could not be sent")


def count_lost(spans: int, reason: str) -> None:
    """Count spans that were not sent, and log the first time why."""
    global lost, _has_warned
    with _counting:
        lost += spans
        first, _has_warned = not _has_warned, True
    if first:
        message = "%s. Further losses are counted, not logged."
        logger.warning(message, reason, exc_info=sys.exception() is not None)


def close() -> None:
    """Send what is waiting and stop; the next trace starts another sender."""
    global _current
    with _making:
        current, _current = _current, None
    if current is not None:
        current.close()


def _get_sender(endpoint: str) -> Sender | None:
    """Return the sender, the same until the setting changes; None without the extra."""
    global _current
    try:
        from dbroute_panel.telemetry.sender import Sender
    except ImportError:
        return None
    with _making:
        if _current is not None and _current.endpoint != endpoint:
            close()
        if _current is None:
            _current = Sender(endpoint, 2 * panel_settings.MAX_EVENTS, count_lost)
        return _current


def _reset_in_child() -> None:
    """Replace the locks, which another thread may have held for ever, and count from 0 in a child process."""
    global lost, _making, _counting, _has_warned
    lost, _making, _counting, _has_warned = 0, threading.RLock(), threading.RLock(), False
    if _current is not None:
        _current.reset_in_child()


os.register_at_fork(after_in_child=_reset_in_child)
