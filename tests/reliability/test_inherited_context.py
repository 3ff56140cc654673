"""Threads that begin with the context of their starter, as docs/background-work.md has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 14), reason="Python 3.14 is the first one whose threads can inherit a context"
)

SCRIPT = """
import contextvars, json, sys, threading
from concurrent.futures import ThreadPoolExecutor
import django
django.setup()
from django.db import connections
from dbroute_panel import trace
from example_site.library.models import Tag

def count(alias):
    try:
        Tag.objects.using(alias).count()
    finally:
        connections.close_all()

def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()

def of(t):
    return [query.alias for query in t.queries]

found = {"flag": sys.flags.thread_inherit_context}
with trace("thread", keep=False) as t:
    in_thread(count, "primary")
found["thread"] = of(t)

with trace("without", keep=False) as t:
    in_thread(contextvars.Context().run, count, "primary")
found["without"] = of(t)

own = []
def traced():
    with trace("own", keep=False) as t:
        count("archive")
    own.append((t.joined, of(t)))
with trace("outer", keep=False) as t:
    in_thread(traced)
    in_thread(contextvars.Context().run, traced)
found["own"], found["outer"] = own[:], of(t)

asked, over = threading.Event(), threading.Event()
def outlives():
    count("primary")
    asked.set()
    over.wait(10)
    count("primary")
    traced()
own.clear()
with trace("outlived", keep=False) as t:
    thread = threading.Thread(target=outlives)
    thread.start()
    asked.wait(10)
over.set()
thread.join()
found["outlived"], found["after"] = of(t), own[:]

with ThreadPoolExecutor(1) as pool:
    with trace("first", keep=False) as first:
        pool.submit(count, "primary").result()
        other = contextvars.Context()
        def meanwhile():
            with trace("meanwhile", keep=False) as t:
                pool.submit(count, "archive").result()
                pool.submit(contextvars.copy_context().run, count, "archive").result()
            return t
        between = other.run(meanwhile)
    with trace("second", keep=False) as second:
        pool.submit(count, "primary").result()
found["pool"] = [of(first), of(between), of(second)]
from django.db import router
from dbroute_panel.inspection import guard, override

class InAPool:
    def db_for_read(self, model, **hints):
        pool.submit(str).result()
        return "archive"

def routers():
    return [type(each).__name__ for each in router.routers]

today = routers()
with ThreadPoolExecutor(1) as pool, guard.guard_databases(), override.override_routers([InAPool()]):
    with guard.guard_question():
        assert router.db_for_read(Tag) == "archive"
        assert pool.submit(routers).result() == ["InAPool"]
    found["elsewhere"] = contextvars.Context().run(pool.submit, routers).result() == today
print(json.dumps(found))
"""


@pytest.fixture
def found(site, tmp_path):
    """What the script has found with the flag, or without it."""

    def found(flag: int):
        finished = subprocess.run(
            [sys.executable, "-X", f"thread_inherit_context={flag}", "-W", "error", "-c", SCRIPT],
            cwd=ROOT,
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "example_site.settings",
                "EXAMPLE_SITE_DATA": str(site),
                "EXAMPLE_SITE_TRACES": str(tmp_path / "traces.sqlite3"),
            },
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert (finished.stderr, finished.returncode) == ("", 0)
        return json.loads(finished.stdout)

    return found


def test_a_thread_that_inherits_the_context_records_into_the_trace_in_which_it_was_started(found):
    assert found(1) == {
        "flag": 1,
        "thread": ["primary"],
        "without": [],
        "own": [[True, ["archive"]], [False, ["archive"]]],
        "outer": ["archive"],
        "outlived": ["primary"],
        "after": [[False, ["archive"]]],
        # A pool's thread stays in the context in which the pool started it.
        "pool": [["primary", "archive"], ["archive"], []],
        # One that a question started serves others: they reach the routers of today.
        "elsewhere": True,
    }


def test_without_the_flag_each_thread_begins_with_an_empty_context(found):
    assert found(0) == {
        "flag": 0,
        "thread": [],
        "without": [],
        "own": [[False, ["archive"]], [False, ["archive"]]],
        "outer": [],
        "outlived": [],
        "after": [[False, ["archive"]]],
        "pool": [[], ["archive"], []],
        "elsewhere": True,
    }
