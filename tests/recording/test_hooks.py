"""``on_commit()``: what was given, on which alias, and what became of it. Nothing runs otherwise for it."""

from __future__ import annotations

import functools
import unittest
from contextlib import suppress

import pytest
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError
from django.test import TestCase

from dbroute_panel.recording import hooks
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.recording.traces import trace
from example_site.library.models import Tag

pytestmark = pytest.mark.usefixtures("site")
HERE = __name__


@pytest.fixture
def ran():
    """What has run."""
    _ran.clear()
    return _ran


_ran: list[str] = []


def note():
    _ran.append("note")


def fail():
    _ran.append("fail")
    raise LookupError("on purpose")


class Thing:
    def method(self):
        """A method."""

    @classmethod
    def of_the_class(cls):
        """A class method."""

    @staticmethod
    def static():
        """A static method."""

    def __call__(self):
        """An object that can be called."""

    def __repr__(self):
        raise AssertionError("asked for its repr()")

    def __getattribute__(self, name):
        if name in ("__module__", "__qualname__", "__name__"):
            raise AssertionError(f"asked for {name}")
        return super().__getattribute__(name)


def told(t):
    hooks = t.document.commit_hooks
    return [(hook.alias, str(hook.outcome), hook.atomic, hook.transaction_number) for hook in hooks]


def on_commit(function=note, using="primary", **options):
    transaction.on_commit(function, using=using, **options)


# What becomes of it


def test_without_a_transaction_it_runs_at_once(ran):
    with trace("t", keep=False) as t:
        on_commit()
    assert ran == ["note"]
    assert told(t) == [("primary", "ran_at_once", False, None)]
    (hook,) = t.document.commit_hooks
    assert (hook.function, hook.robust, hook.ended_at_us) == (f"{HERE}.note", False, hook.at_us)
    assert (hook.callsite.function, hook.callsite.file) == ("on_commit", "tests/recording/test_hooks.py")


def test_in_a_transaction_it_runs_after_the_commit(ran):
    with trace("t", keep=False) as t, transaction.atomic(using="primary"):
        on_commit(robust=True)
        assert [hook.outcome for hook in t.commit_hooks] == ["pending"]
        assert t.commit_hooks[0].ended_at_us is None
    assert ran == ["note"]
    assert told(t) == [("primary", "ran", True, 1)]
    (hook,) = t.document.commit_hooks
    commit = t.document.transactions[-1]
    assert hook.robust is True
    assert hook.ended_at_us >= commit.at_us >= hook.at_us


def test_each_is_told_for_itself(ran):
    with trace("t", keep=False) as t, transaction.atomic(using="primary"):
        on_commit()
        on_commit(using="auth_db")
        with suppress(LookupError), transaction.atomic(using="primary"):
            on_commit()
            raise LookupError
        with transaction.atomic(using="primary"):
            on_commit()
    assert told(t) == [
        ("primary", "ran", True, 1),
        ("auth_db", "ran_at_once", False, None),
        ("primary", "discarded", True, 1),
        ("primary", "ran", True, 1),
    ]
    assert ran == ["note"] * 3


def test_a_rollback_discards_it(ran):
    with trace("t", keep=False) as t, suppress(LookupError), transaction.atomic(using="primary"):
        on_commit()
        raise LookupError
    assert ran == []
    assert told(t) == [("primary", "discarded", True, 1)]
    assert t.document.commit_hooks[0].ended_at_us is not None


def test_closing_the_connection_discards_it(ran):
    with trace("t", keep=False) as t, transaction.atomic(using="primary"):
        on_commit()
        connections["primary"].close()
    assert told(t) == [("primary", "discarded", True, 1)]


def test_the_end_of_the_trace_leaves_it_pending(ran):
    with transaction.atomic(using="primary"):
        with trace("t", keep=False) as t:
            on_commit()
        assert told(t) == [("primary", "pending", True, None)]
    assert ran == ["note"]
    assert told(t) == [("primary", "pending", True, None)]


def test_one_that_raises_and_those_after_it(ran):
    with trace("t", keep=False) as t, suppress(LookupError), transaction.atomic(using="primary"):
        on_commit()
        on_commit(fail)
        on_commit()
    assert ran == ["note", "fail"]
    assert [outcome for _, outcome, *_ in told(t)] == ["ran", "ran", "discarded"]


def test_a_robust_one_that_raises(ran, caplog):
    with trace("t", keep=False) as t, transaction.atomic(using="primary"):
        on_commit(fail, robust=True)
        on_commit()
    assert ran == ["fail", "note"]
    assert [outcome for _, outcome, *_ in told(t)] == ["ran", "ran"]
    assert "Error calling fail in on_commit()" in caplog.text


def test_one_that_raises_at_once(ran):
    with trace("t", keep=False) as t, pytest.raises(LookupError):
        on_commit(fail)
    assert told(t) == [("primary", "ran_at_once", False, None)]


def test_one_that_gives_another_one(ran):
    def give():
        with transaction.atomic(using="primary"):
            on_commit()

    with trace("t", keep=False) as t, transaction.atomic(using="primary"):
        on_commit(give)
        on_commit()
    assert ran == ["note", "note"]
    assert [outcome for _, outcome, *_ in told(t)] == ["ran", "ran", "ran"]


def test_what_django_refuses_is_not_told(ran):
    with trace("t", keep=False) as t:
        with pytest.raises(TypeError):
            on_commit("no function")
        connections["primary"].ensure_connection()
        connections["primary"].set_autocommit(False)
        with pytest.raises(TransactionManagementError):
            on_commit()
        connections["primary"].rollback()
        connections["primary"].set_autocommit(True)
    assert told(t) == []
    assert ran == []


def test_to_run_them_inside_of_a_block_is_refused_as_before(ran):
    with trace("t", keep=False) as t, transaction.atomic(using="primary"):
        on_commit()
        with pytest.raises(TransactionManagementError):
            connections["primary"].run_and_clear_commit_hooks()
        assert type(connections["primary"].run_on_commit) is list
    assert ran == ["note"]
    assert [outcome for _, outcome, *_ in told(t)] == ["ran"]


def test_what_waits_is_the_very_function(ran):
    with trace("t", keep=False), transaction.atomic(using="primary"):
        on_commit()
        ((_, function, robust),) = connections["primary"].run_on_commit
        assert function is note
        assert robust is False
        assert type(connections["primary"].run_on_commit) is list
    assert connections["primary"].run_on_commit == []
    assert hooks._WAITING not in connections["primary"].__dict__


def test_without_a_trace_nothing_is_kept(ran):
    with transaction.atomic(using="primary"):
        on_commit()
    assert ran == ["note"]
    assert hooks._WAITING not in connections["primary"].__dict__


# What it is called


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (note, f"{HERE}.note"),
        (functools.partial(functools.partial(note)), f"{HERE}.note"),
        (Thing().method, f"{HERE}.Thing.method"),
        (Thing.of_the_class, f"{HERE}.Thing.of_the_class"),
        (Thing.static, f"{HERE}.Thing.static"),
        (Thing(), f"{HERE}.Thing.__call__"),
        (Thing, f"{HERE}.Thing"),
        (lambda: None, f"{HERE}.<lambda>"),
        ([].clear, "list.clear"),
        (dict, "builtins.dict"),
    ],
    ids=[
        *("function", "partial", "method", "class method", "static method", "object", "class", "lambda"),
        *("builtin", "builtin class"),
    ],
)
def test_the_dotted_name_of_the_code(function, name):
    assert hooks.get_function_name(function) == name


def test_no_code_of_the_project_s_is_asked_for_it():
    with trace("t", keep=False) as t:
        on_commit(Thing())
    assert [hook.function for hook in t.document.commit_hooks] == [f"{HERE}.Thing.__call__"]
    assert t.document.queries == []


# Inside of TestCase


def run(body):
    class Case(TestCase):
        databases = {"primary", "auth_db"}

        def test(self):
            body(self)

    result = unittest.TestResult()
    unittest.TestSuite([Case("test")]).run(result)
    assert result.errors == result.failures == []


def test_inside_of_testcase_it_waits_and_no_transaction_is_open(ran):
    def body(case):
        with trace("t", keep=False) as t:
            on_commit()
            with transaction.atomic(using="primary"):
                on_commit()
        traces.append(t)

    traces = []
    run(body)
    assert ran == []
    assert told(traces[0]) == [("primary", "pending", False, None), ("primary", "pending", True, 1)]


@pytest.mark.parametrize(
    ("execute", "outcomes"), [(True, ["ran", "ran", "pending"]), (False, ["pending"] * 3)]
)
def test_captured_callbacks_run(ran, execute, outcomes):
    def body(case):
        with trace("t", keep=False) as t:
            with case.captureOnCommitCallbacks(using="primary", execute=execute) as callbacks:
                on_commit()
                with transaction.atomic(using="primary"):
                    on_commit()
            on_commit()
        assert callbacks == [note, note]
        traces.append(t)

    traces = []
    run(body)
    assert ran == (["note"] * 2 if execute else [])
    assert [outcome for _, outcome, *_ in told(traces[0])] == outcomes


def test_a_captured_callback_that_raises_and_the_one_after_it(ran):
    def body(case):
        capture = case.captureOnCommitCallbacks
        with trace("t", keep=False) as t, suppress(LookupError), capture(using="primary", execute=True):
            on_commit()
            on_commit(fail)
            on_commit()
        traces.append(t)

    traces = []
    run(body)
    assert ran == ["note", "fail"]
    assert [outcome for _, outcome, *_ in told(traces[0])] == ["ran", "ran", "pending"]


def test_captured_without_anything_recorded(ran):
    def body(case):
        with case.captureOnCommitCallbacks(using="primary", execute=True) as callbacks:
            on_commit()
        assert callbacks == [note]

    run(body)
    assert ran == ["note"]


def test_without_django_s_tests_nothing_is_watched(monkeypatch):
    monkeypatch.delitem(hooks.sys.modules, "django.test.testcases")
    hooks.watch_tests()


def test_all_is_wrapped_once():
    names = ["on_commit", "run_and_clear_commit_hooks", "rollback", "savepoint_rollback", "close"]
    with trace("t", keep=False):
        before = [getattr(BaseDatabaseWrapper, name) for name in names]
        captured = TestCase.__dict__["captureOnCommitCallbacks"]
    hooks.watch()
    with trace("t", keep=False):
        assert [getattr(BaseDatabaseWrapper, name) for name in names] == before
        assert TestCase.__dict__["captureOnCommitCallbacks"] is captured


# Where something of ours fails, or there is no room


def broken(*args):
    raise RuntimeError("broken")


@pytest.mark.parametrize("name", ["get_function_name", "_note_waiting"])
def test_an_error_of_ours_costs_the_event_alone(ran, monkeypatch, caplog, name):
    if name == "_note_waiting":
        monkeypatch.setattr(connections["primary"], "run_on_commit", [()], raising=False)
        lost = Recorder("t", "block")
        hooks._note_waiting(lost, connections["primary"], None)
        assert lost.dropped["on_commit"] == 1
        return
    monkeypatch.setattr(hooks, name, broken)
    with trace("t", keep=False) as t, transaction.atomic(using="primary"):
        on_commit()
    assert ran == ["note"]
    assert told(t) == []
    assert t.document.dropped.on_commit == 1


def test_without_room_it_is_counted(ran, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 1, "CALLSITES": False}
    with trace("t", keep=False) as t:
        on_commit()
        on_commit()
    assert ran == ["note", "note"]
    assert t.document.dropped.on_commit == 1
    assert t.document.commit_hooks[0].callsite is None


def test_queries_of_a_function_are_recorded(ran):
    def count():
        Tag.objects.using("primary").count()

    with trace("t", keep=False) as t, transaction.atomic(using="primary"):
        on_commit(count)
    assert [(query.operation, query.atomic) for query in t.document.queries] == [("SELECT", False)]
