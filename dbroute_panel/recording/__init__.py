"""
Watch Django's router and connections, and record what they do while a trace is active.

``install()`` puts the taps in place, once; until a trace begins they let everything through.
"""

from __future__ import annotations

from django.core.signals import got_request_exception
from django.db import router
from django.db.backends.signals import connection_created

from dbroute_panel.recording import connection_errors, connections, exceptions, hooks, routers
from dbroute_panel.recording.requests import should_record
from dbroute_panel.recording.trace_sink import sink
from dbroute_panel.recording.traces import find, trace

__all__ = ["find", "install", "should_record", "sink", "trace"]


def install() -> None:
    """
    Begin to watch the router, every connection, open or yet to be, and every ``atomic()``.

    Calling it again changes nothing.
    """
    routers.watch(router)
    connection_created.connect(connections.on_connection_created, dispatch_uid="dbroute_panel")
    connections.watch_all()
    hooks.watch()
    exceptions.watch_refusals()
    got_request_exception.connect(exceptions.on_request_exception, dispatch_uid="dbroute_panel")
    connection_errors.watch()
