from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
import time

import pytest
from django.db import connections

from dbroute_panel.inspection.isolation import TIMEOUT_SECONDS, RouterTimeoutError, run_isolated
from dbroute_panel.recording.recorder import active
from dbroute_panel.recording.traces import trace
from example_site.library.models import Tag
from tests.waiting import PATIENCE_SECONDS

pinned: contextvars.ContextVar[str] = contextvars.ContextVar("pinned", default="nowhere")


def test_what_a_function_returns_or_raises_comes_back():
    assert run_isolated(lambda: 42) == 42
    assert run_isolated(lambda: None) is None
    with pytest.raises(KeyError, match="x"):
        run_isolated(lambda: {}["x"])
    with pytest.raises(SystemExit):
        run_isolated(exit)


def test_it_runs_on_a_fresh_thread_in_a_copied_context():
    pinned.set("primary")
    local = threading.local()
    local.pinned = True

    def work():
        thread = threading.current_thread()
        seen = (pinned.get(), hasattr(local, "pinned"), thread.name, thread.daemon)
        pinned.set("replica")
        return seen

    assert run_isolated(work) == ("primary", False, "dbroute_panel asking", True)
    assert pinned.get() == "primary"
    assert run_isolated(threading.get_ident) != threading.get_ident()


def test_it_is_no_part_of_the_trace_around(site):
    with trace("test", keep=False) as t:
        assert run_isolated(active.get) is None
        run_isolated(Tag.objects.count)
    assert t.events == []


def test_its_connections_are_closed_afterwards(site):
    opened = []

    def work():
        Tag.objects.using("primary").count()
        opened.append(connections["primary"])
        connections["primary"].inc_thread_sharing()
        return connections["primary"].connection is not None

    assert run_isolated(work)
    assert opened[0].connection is None

    def fails():
        work()
        raise KeyError

    with pytest.raises(KeyError):
        run_isolated(fails)
    assert opened[1].connection is None


@pytest.fixture
def endless():
    """A router that does not come back; its ``stopped`` is set once it is stopped."""

    def endless():
        try:
            while True:
                with contextlib.suppress(Exception):  # a router that catches everything
                    time.sleep(0.001)
        finally:
            endless.stopped.set()

    endless.stopped = threading.Event()
    return endless


def test_what_takes_too_long_is_stopped(endless):
    with pytest.raises(RouterTimeoutError) as caught:
        run_isolated(endless, seconds=0.05)
    assert str(caught.value) == "The routers did not answer within 0.05 seconds; asking was stopped."
    assert endless.stopped.wait(PATIENCE_SECONDS)


def test_what_cannot_be_stopped_is_left_behind():
    """Nobody waits longer: what is asked goes on when this has come back, until it is let go."""
    may_go_on, gone_on, left = threading.Event(), threading.Event(), threading.Event()
    # Python 3.11 under a tracer (coverage) lets no thread go on while an exception waits for another one.
    traced = sys.gettrace() is not None

    def work():
        try:
            may_go_on.wait(0.5 if traced else PATIENCE_SECONDS)  # a call into C, which no exception ends
            left.set()
        finally:
            gone_on.set()

    with pytest.raises(RouterTimeoutError):
        run_isolated(work, seconds=0.05)
    assert traced or not gone_on.is_set()
    may_go_on.set()
    assert gone_on.wait(PATIENCE_SECONDS)
    assert not left.is_set()  # it is stopped when the call comes back


def test_without_a_limit_it_waits_for_as_long_as_it_takes(monkeypatch):
    turns = []
    enough = threading.Event()

    class Thread(threading.Thread):
        def join(self, timeout=None):
            turns.append(timeout)
            if len(turns) == 3:
                enough.set()
            super().join(timeout)

    monkeypatch.setattr("dbroute_panel.inspection.isolation.threading.Thread", Thread)
    assert run_isolated(lambda: enough.wait(PATIENCE_SECONDS), seconds=None) is True
    assert len(turns) >= 3


def test_a_page_waits_five_seconds():
    assert TIMEOUT_SECONDS == 5.0
