"""A clock that jumps: durations and order come from another one, and no trace is lost over it."""

from __future__ import annotations

import datetime as dt
import sqlite3
import time

import pytest

from dbroute_panel import stores, trace
from dbroute_panel.recording import recorder
from example_site.library.models import Tag
from tests.errors import sqlite_code
from tests.traces import a_trace

START = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
JUMPS = [0, 3600, -86_400, 31_536_000, -1_000_000_000, 5]


@pytest.fixture
def jumping(monkeypatch):
    """The clock of the wall, which is somewhere else at every look; how often it was looked at."""
    looks = []

    class Wall(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            looks.append(JUMPS[len(looks) % len(JUMPS)])
            return START + dt.timedelta(seconds=looks[-1])

    real = time.time
    monkeypatch.setattr(recorder.dt, "datetime", Wall)
    monkeypatch.setattr(time, "time", lambda: Wall.now().timestamp())
    monkeypatch.setattr(time, "time_ns", lambda: int(Wall.now().timestamp() * 10**9))
    assert time.time() != real()
    looks.clear()
    return looks


def test_durations_and_order_do_not_depend_on_the_clock_of_the_wall(site, jumping):
    documents = []
    began = time.perf_counter()
    for _ in JUMPS:
        with trace("jumping", keep=False) as t:
            for _ in range(5):
                Tag.objects.using("primary").count()
            time.sleep(0.01)
        documents.append(t.document)
    took = (time.perf_counter() - began) * 1e6
    assert len(jumping) == len(JUMPS)  # one look a trace: when it started
    assert len({document.started_at for document in documents}) == len(JUMPS)
    for document in documents:
        assert 10_000 <= document.duration_us < took
        times = [event.at_us for event in document.events]
        assert times == sorted(times)
        assert all(0 <= query.duration_us < took for query in document.queries)
        assert times[-1] <= document.duration_us


def test_every_request_is_kept_and_the_last_to_arrive_are_those_that_stay(client, store, settings, jumping):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_TRACES": 3}
    sent = [client.get("/books/3/")["Dbroute-Trace-Id"] for _ in JUMPS]
    assert stores.lost == 0
    kept = stores.get_store().summaries()
    assert {summary.id for summary in kept} == set(sent[-3:])
    assert [s.started_at for s in kept] == sorted((s.started_at for s in kept), reverse=True)


def test_the_wait_for_a_locked_file_is_not_measured_by_the_clock_of_the_wall(store, jumping, monkeypatch):
    from dbroute_panel.stores import StoreError, sqlite_file
    from tests.faults.test_store import locked_by_another_process

    monkeypatch.setattr(sqlite_file, "LOCK_TIMEOUT_SECONDS", 0.2)
    store.save(a_trace(1))
    with locked_by_another_process(store.path):
        began = time.perf_counter()
        with pytest.raises(StoreError) as raised:
            store.save(a_trace(2))
        assert sqlite_code(raised.value) == sqlite3.SQLITE_BUSY
        assert time.perf_counter() - began > 0.15
