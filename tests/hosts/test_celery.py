"""Celery tasks: eager, in a request, and in a real worker."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.test import Client
from django.urls import path

from dbroute_panel.stores import SQLiteStore
from tests.hosts import background, celery_app
from tests.hosts.servers import ROOT
from tests.waiting import PATIENCE_SECONDS, until

urlpatterns = [path("tags/<marker>/", background.view)]


@pytest.fixture
def eager():
    celery_app.app.conf.task_always_eager = True
    yield
    celery_app.app.conf.task_always_eager = False


def looks(trace):
    return [(query.alias, list(query.params)) for query in trace.queries]


def test_an_eager_task_is_a_trace_of_kind_task(site, store, eager, marker):
    assert background.look_for.delay(marker).get() == 0
    (trace,) = store.traces()
    assert (trace.kind, trace.name, trace.request) == ("task", "look for a tag", None)
    assert looks(trace) == [("archive", [marker])]
    assert trace.queries[0].callsite.function == "look_for"


def test_a_task_keeps_its_name_and_its_arguments(site, store, eager, marker):
    assert background.look_for.name == "tests.hosts.background.look_for"
    background.look_for.s(marker).delay(alias="primary")
    (trace,) = store.traces()
    assert looks(trace) == [("primary", [marker])]
    with pytest.raises(TypeError):
        background.look_for.delay()


def test_each_try_of_an_eager_task_is_a_trace(site, store, eager, marker):
    background.look_and_retry.delay(marker)
    traces = list(store.traces())
    assert [(trace.kind, trace.name) for trace in traces] == [("task", "look and retry")] * 2
    assert [looks(trace) for trace in traces] == [[("archive", [marker])]] * 2


def test_a_task_that_fails_leaves_what_it_did(site, store, eager, marker):
    result = background.look_and_fail.delay(marker)
    assert isinstance(result.result, LookupError)
    (trace,) = store.traces()
    assert looks(trace) == [("archive", [marker])]


def test_an_eager_task_in_a_request_is_part_of_the_request(site, store, eager, settings, marker):
    settings.ROOT_URLCONF = __name__
    assert Client().get(f"/tags/{marker}/", REMOTE_ADDR="192.0.2.1").content == b"0"
    (trace,) = store.traces()
    assert (trace.kind, trace.name) == ("request", f"/tags/{marker}/")
    assert looks(trace) == [("primary", [marker]), ("archive", [marker])]


@pytest.mark.slow
def test_a_worker_leaves_a_trace_for_each_task(site, tmp_path, marker):
    store = SQLiteStore(tmp_path / "traces.sqlite3")
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "example_site.settings",
        "EXAMPLE_SITE_DATA": str(site),
        "EXAMPLE_SITE_TRACES": str(store.path),
        "HOSTS_BROKER": str(tmp_path / "broker"),
    }
    send = f"""
from tests.hosts.celery_app import app
from tests.hosts import background
for number in range(3):
    background.look_for.delay(f"{marker}-{{number}}")
background.look_and_retry.delay({marker!r})
background.look_and_fail.delay({marker!r})
"""
    command = [sys.executable, "-m", "example_site", "shell", "-c", send]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=PATIENCE_SECONDS)
    assert store.count() == 0
    log = tmp_path / "log.txt"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "tests.hosts.celery_app", "worker"),
                *(
                    "--pool=solo",
                    "--without-gossip",
                    "--without-mingle",
                    "--without-heartbeat",
                    "--loglevel=INFO",
                ),
            ],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: store.count() >= 6 or worker.poll() is not None)
    finally:
        worker.terminate()
        worker.wait(PATIENCE_SECONDS)
    traces = list(store.traces())
    store.close()
    assert sorted(trace.name for trace in traces) == [
        *["look and fail"],
        *["look and retry"] * 2,
        *["look for a tag"] * 3,
    ], log.read_text()
    assert {trace.kind for trace in traces} == {"task"}
    for trace in traces:
        ((alias, (parameter,)),) = looks(trace)
        assert alias == "archive"
        assert parameter.startswith(marker)
    assert "dbroute_panel could not" not in log.read_text()
