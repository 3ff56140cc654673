"""Django's own tasks (from 6.0 on): run at once, in a request, and in a real worker."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path

from dbroute_panel.stores import SQLiteStore
from example_site.library.models import Tag
from tests.hosts.servers import ROOT
from tests.waiting import PATIENCE_SECONDS

pytest.importorskip("django.tasks", reason="Django has tasks from 6.0 on")


def view(request, marker):
    from tests.hosts.tasks import look_for

    Tag.objects.using("primary").filter(name=marker).count()
    return HttpResponse(str(look_for.enqueue(marker).return_value))


urlpatterns = [path("tags/<marker>/", view)]


def looks(trace):
    return [(query.alias, list(query.params)) for query in trace.queries]


def test_a_task_that_is_run_at_once_is_a_trace_of_kind_task(site, store, marker):
    from tests.hosts.tasks import look_for

    assert look_for.module_path == "tests.hosts.tasks.look_for"
    assert look_for.enqueue(marker).return_value == 0
    (trace,) = store.traces()
    assert (trace.kind, trace.name, trace.request) == ("task", "look for a tag", None)
    assert looks(trace) == [("archive", [marker])]


async def test_an_async_task_is_a_trace_of_kind_task(site, store, marker):
    from tests.hosts.tasks import look_in_async

    assert (await look_in_async.aenqueue(marker)).return_value == 0
    (trace,) = store.traces()
    assert (trace.kind, trace.name) == ("task", "look in async")
    assert looks(trace) == [("archive", [marker])]


def test_a_task_that_fails_leaves_what_it_did(site, store, marker):
    from tests.hosts.tasks import look_and_fail

    result = look_and_fail.enqueue(marker)
    assert "attempt 1 of a task that fails, on purpose" in result.errors[0].traceback
    (trace,) = store.traces()
    assert looks(trace) == [("archive", [marker])]


def test_a_task_in_a_request_is_part_of_the_request(site, store, settings, marker):
    settings.ROOT_URLCONF = __name__
    assert Client().get(f"/tags/{marker}/", REMOTE_ADDR="192.0.2.1").content == b"0"
    (trace,) = store.traces()
    assert (trace.kind, trace.name) == ("request", f"/tags/{marker}/")
    assert looks(trace) == [("primary", [marker]), ("archive", [marker])]


@pytest.mark.slow
def test_a_worker_leaves_a_trace_for_each_task(site, tmp_path, marker):
    store = SQLiteStore(tmp_path / "traces.sqlite3")
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.hosts.task_settings",
        "EXAMPLE_SITE_DATA": str(site),
        "EXAMPLE_SITE_TRACES": str(store.path),
    }

    def manage(*arguments):
        finished = subprocess.run(
            [sys.executable, "-m", "example_site", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout + finished.stderr

    manage("migrate", "django_tasks_database", "--database=default", "-v0")
    enqueue = f"""
from dbroute_panel import trace
from tests.hosts import tasks
with trace("enqueues"):
    for each in (tasks.look_for, tasks.look_in_async, tasks.look_and_fail):
        each.enqueue({marker!r})
"""
    manage("shell", "--no-imports", "-c", enqueue)
    (enqueues,) = store.traces()
    assert {query.alias for query in enqueues.queries} == {"default"}
    store.clear()
    log = manage("db_worker", "--batch", "--no-startup-delay", "-v2")
    traces = list(store.traces())
    store.close()
    assert sorted((trace.kind, trace.name) for trace in traces) == [
        ("task", "look and fail"),
        ("task", "look for a tag"),
        ("task", "look in async"),
    ], log
    assert [looks(trace) for trace in traces] == [[("archive", [marker])]] * 3
