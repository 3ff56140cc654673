"""
How to watch Django: its router, its connections, the caller, and the lifetime of a trace.

``install()`` puts the taps in place, once; until a trace begins they let everything through.
"""

from __future__ import annotations

from django.core.signals import got_request_exception
from django.db import router
from django.db.backends.signals import connection_created

from dbroute_panel.recording import (
    blocks,
    connection_errors,
    connections,
    exceptions,
    hooks,
    refusals,
    routers,
)
from dbroute_panel.recording.requests import should_record
from dbroute_panel.recording.sessions import follow_with
from dbroute_panel.recording.traces import deliver_to, find, judge_with, send_with, trace

__all__ = [
    "deliver_to",
    "find",
    "follow_with",
    "install",
    "judge_with",
    "send_with",
    "should_record",
    "trace",
]


def install() -> None:
    """
    Begin to watch the router, every connection, open or yet to be, and every ``atomic()``.

    Calling it again changes nothing.
    """
    routers.watch(router)
    connection_created.connect(connections.on_connection_created, dispatch_uid="dbroute_panel")
    connections.watch_all()
    blocks.watch()
    hooks.watch()
    refusals.watch()
    got_request_exception.connect(exceptions.on_request_exception, dispatch_uid="dbroute_panel")
    connection_errors.watch()
