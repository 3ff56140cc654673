"""``docs/background-work.md``: every block of Python is run, and does what the text says."""

from __future__ import annotations

import inspect
import re
import sys
import uuid
from types import ModuleType

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from dbroute_panel import trace
from tests.hosts.celery_app import app
from tests.hosts.servers import ROOT

TEXT = (ROOT / "docs" / "background-work.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def documented(monkeypatch, site, store):
    """Runs the block that has this text, as a module, and returns it."""

    def run(text):
        (block,) = (block for block in BLOCKS if text in block)
        # Celery knows a task by the name of its module, for as long as the process lasts.
        name = f"documented_{uuid.uuid4().hex}"
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(block, "background-work.md", "exec"), module.__dict__)
        return module

    return run


def kinds(store):
    return [(trace.kind, trace.name, [query.alias for query in trace.queries]) for trace in store.traces()]


def test_there_is_no_block_that_nobody_runs():
    tested = set(re.findall(r'documented\("(.+?)"\)', inspect.getsource(sys.modules[__name__])))
    assert [sum(text in block for text in tested) for block in BLOCKS] == [1] * len(BLOCKS)


def test_a_decorated_function(documented, store):
    assert documented("def count_users():").count_users() == 2
    assert kinds(store) == [("block", "count users", ["auth_db"])]


def test_what_is_decorated_is_recorded_whatever_is_sampled(documented, store, settings):
    settings.DEBUG = False
    documented("def count_users():").count_users()
    assert len(kinds(store)) == 1


def test_celery(documented, store):
    app.set_default()
    module = documented("def count_active_users")
    app.conf.task_always_eager = True
    try:
        assert module.count_active_users.delay().get() == 2
    finally:
        app.conf.task_always_eager = False
    assert kinds(store) == [("task", "count active users", ["auth_db"])]


def test_celery_the_other_way_round_is_no_task(site, store):
    from celery import shared_task

    @trace("count", kind="task")
    @shared_task
    def count():
        return User.objects.count()

    assert inspect.isfunction(count)
    assert not hasattr(count, "delay")


def test_django_tasks(documented, store):
    pytest.importorskip("django.tasks", reason="Django has tasks from 6.0 on")
    module = documented("from django.tasks import task")
    assert module.count_staff.enqueue().return_value == 1
    assert module.count_staff_in_async.enqueue().return_value == 1
    assert kinds(store) == [
        ("task", "count staff", ["auth_db"]),
        ("task", "count staff in async", ["auth_db"]),
    ]


def test_a_command(documented, store, capsys):
    call_command(documented("class Command(BaseCommand)").Command())
    assert capsys.readouterr().out == "2\n"
    assert kinds(store) == [("command", "count_users", ["auth_db"])]


def test_dbroute_run(site, store, capsys):
    (line,) = re.findall(r"^\$ manage.py dbroute (.*)$", TEXT, re.MULTILINE)
    call_command("dbroute", *line.split())
    ((kind, name, aliases),) = kinds(store)
    assert (kind, set(aliases)) == ("command", {"auth_db"})
    assert "clearsessions" in name


def test_a_thread_with_the_context(documented):
    module = documented("def count_in_thread")
    with trace("test", keep=False) as t:
        assert module.count_in_thread() == 2
    assert [query.alias for query in t.queries] == ["auth_db"]


def test_a_thread_with_a_trace_of_its_own(documented, store):
    module = documented("def start_counting")
    with trace("test", keep=False) as t:
        module.start_counting().join()
    assert t.queries == []
    assert kinds(store) == [("block", "count in the background", ["auth_db"])]
