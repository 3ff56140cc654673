"""Exceptions that leave ``atomic()`` blocks or end traces: one event each, whatever they leave."""

from __future__ import annotations

import gc
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from unittest.mock import Mock

import html5lib
import pytest
from django.core.signals import got_request_exception
from django.db import IntegrityError, connections, transaction
from django.http import HttpResponse
from django.template import Context, Template
from django.test import Client, override_settings
from django.urls import path

from dbroute_panel.recording import exceptions
from dbroute_panel.recording.captured import CapturedException
from dbroute_panel.recording.exceptions import _find_seen, _remember
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.recording.traces import trace
from dbroute_panel.records import Dropped
from dbroute_panel.stores import get_store
from example_site.library.models import Person, Tag

pytestmark = pytest.mark.usefixtures("site")


class Trouble(Exception):
    """One of the project's own."""


class Talks(Exception):
    def __str__(self):
        return str(Tag.objects.count())


def fail():
    raise Trouble("on purpose")


def told(t):
    return [
        (event.ended, event.alias, event.transaction_number, event.error) for event in t.document.exceptions
    ]


def begun(code, event):
    """The line of the callsite, from the first one of the function that it is in."""
    assert event.callsite.function == code.__name__
    return event.callsite.line - code.__code__.co_firstlineno


# What it ended


def test_an_exception_that_ends_a_trace():
    with suppress(Trouble), trace("t", keep=False) as t:
        fail()
    assert told(t) == [("trace", None, None, "Trouble: on purpose")]
    (event,) = t.document.exceptions
    assert begun(fail, event) == 1
    assert event.callsite.file == "tests/recording/test_exceptions.py"
    assert event.raised_at is None


def test_an_exception_is_there_before_the_trace_has_ended():
    with trace("t", keep=False) as t:
        with suppress(LookupError), transaction.atomic("archive"):
            raise LookupError
        assert [event.alias for event in t.exceptions] == ["archive"]


def test_an_exception_that_leaves_a_block_and_is_caught():
    with trace("t", keep=False) as t, suppress(Trouble), transaction.atomic(using="primary"):
        Tag.objects.create(name="a")
        fail()
    assert told(t) == [("atomic", "primary", 1, "Trouble: on purpose")]
    kinds = [getattr(event, "operation", type(event).__name__) for event in t.document.events]
    assert kinds == ["begin", "Decision", "INSERT", "ExceptionRaised", "rollback"]


def test_one_that_leaves_several_blocks_and_the_trace_is_one_event():
    primary = {"using": "primary"}
    with (
        suppress(Trouble),
        trace("t", keep=False) as t,
        transaction.atomic(using="auth_db"),
        transaction.atomic(**primary),
        transaction.atomic(**primary),
        transaction.atomic(**primary, savepoint=False),
    ):
        fail()
    assert told(t) == [("trace", "auth_db", 1, "Trouble: on purpose")]


def test_one_that_is_caught_between_two_blocks():
    with (
        trace("t", keep=False) as t,
        transaction.atomic(using="auth_db"),
        suppress(Trouble),
        transaction.atomic(using="primary"),
    ):
        fail()
    assert told(t) == [("atomic", "primary", 1, "Trouble: on purpose")]


def test_in_a_loop_each_is_an_event():
    with trace("t", keep=False) as t:
        for _ in range(4):
            with suppress(Trouble), transaction.atomic(using="primary"):
                fail()
        for alias in ("primary", "auth_db"):
            with suppress(Trouble), transaction.atomic(using=alias):
                fail()
    assert [number for *_, number, _ in told(t)] == [1, 2, 3, 4, 5, 1]


def test_what_has_the_id_of_an_earlier_exception_is_another_one_in_a_later_block():
    """Where memory is used again, the exceptions of a loop cannot be told apart by their ids."""
    recorder, raw = Recorder("test", "block"), CapturedException(7, 0, ("Trouble", ""), *[None] * 5)
    try:
        fail()
    except Trouble as caught:
        error = caught.with_traceback(caught.__traceback__.tb_next)
    _remember(recorder, error, raw)
    recorder.entered["primary"] = 6
    assert _find_seen(recorder, error, "primary") is raw
    recorder.entered["primary"] = 7
    assert _find_seen(recorder, error, "primary") is None
    assert _find_seen(recorder, error, None) is None


def test_in_a_loop_with_savepoints_each_is_an_event():
    with suppress(Trouble), trace("t", keep=False) as t, transaction.atomic(using="primary"):
        for _ in range(3):
            with suppress(Trouble), transaction.atomic(using="primary"):
                fail()
        fail()
    assert [ended for ended, *_ in told(t)] == ["atomic", "atomic", "atomic", "trace"]


def test_blocks_of_one_stack_are_left_by_one_exception():
    with suppress(Trouble), trace("t", keep=False) as t, ExitStack() as stack:
        for alias in ("primary", "auth_db", "archive"):
            stack.enter_context(transaction.atomic(using=alias))
        fail()
    assert told(t) == [("trace", "primary", 1, "Trouble: on purpose")]


@contextmanager
def block(alias):
    with transaction.atomic(using=alias):
        yield


def test_blocks_inside_of_context_managers():
    with suppress(Trouble), trace("t", keep=False) as t, block("auth_db"), block("primary"):
        fail()
    assert told(t) == [("trace", "auth_db", 1, "Trouble: on purpose")]


@transaction.atomic(using="primary")
def decorated():
    fail()


def test_a_decorated_function_each_time_it_is_called():
    with trace("t", keep=False) as t:
        for _ in range(2):
            with suppress(Trouble):
                decorated()
    assert [number for *_, number, _ in told(t)] == [1, 2]


def test_one_that_is_handled_with_a_block_of_its_own_and_raised_again():
    with suppress(Trouble), trace("t", keep=False) as t, transaction.atomic(using="primary"):
        try:
            with transaction.atomic(using="primary"):
                fail()
        except Trouble:
            with transaction.atomic(using="primary"):
                Tag.objects.create(name="a")
            raise
    assert told(t) == [("trace", "primary", 1, "Trouble: on purpose")]


def test_another_that_is_raised_of_it_is_another_event():
    with suppress(KeyError), trace("t", keep=False) as t, transaction.atomic(using="primary"):
        try:
            with transaction.atomic(using="primary"):
                fail()
        except Trouble as error:
            raise KeyError("another") from error
    assert [(ended, error) for ended, *_, error in told(t)] == [
        ("atomic", "Trouble: on purpose"),
        ("trace", "KeyError: 'another'"),
    ]


def test_many_on_their_way_at_once_are_known_up_to_a_number(monkeypatch):
    monkeypatch.setattr(exceptions, "MAX_SEEN", 2)

    def nest(depth):
        try:
            with transaction.atomic(using="primary"):
                fail()
        except Trouble:
            if depth:
                nest(depth - 1)
            raise

    with suppress(Trouble), trace("t", keep=False) as t, transaction.atomic(using="primary"):
        nest(4)
    assert len(t.document.exceptions) > 1
    assert t.document.exceptions[-1].ended == "trace"


def test_no_exception_no_event():
    with trace("t", keep=False) as t, transaction.atomic(using="primary"):
        with suppress(Trouble):
            fail()
        transaction.set_rollback(True, using="primary")
    assert told(t) == []
    assert t.transactions[-1].operation == "rollback"


@pytest.mark.parametrize(("code", "events"), [(0, 0), (None, 0), (1, 1), ("no such file", 1)])
def test_a_command_that_says_that_it_is_done_was_not_ended_by_an_exception(code, events):
    with pytest.raises(SystemExit), trace("t", keep=False) as t:
        sys.exit(code)
    assert len(t.document.exceptions) == events


def test_a_commit_that_fails():
    connection = connections["primary"]
    connection.ensure_connection()
    with (
        trace("t", keep=False) as t,
        pytest.raises(IntegrityError),
        transaction.atomic(using="primary"),
        connection.cursor() as cursor,
    ):
        # SQLite checks it at the commit.
        cursor.execute("INSERT INTO library_book (title, author_id) VALUES ('a', 4711)")
    assert told(t) == [("atomic", "primary", 1, "IntegrityError: FOREIGN KEY constraint failed")]
    (event,) = t.document.exceptions
    assert event.raised_at.file.startswith("django/db/backends/")


def test_a_block_that_joined_a_trace_was_ended_whatever_comes_of_it():
    with trace("outer", keep=False) as outer, suppress(Trouble), trace("inner") as inner:
        fail()
    assert told(inner) == [("trace", None, None, "Trouble: on purpose")]
    assert told(outer) == [(None, None, None, "Trouble: on purpose")]


def test_a_block_that_joined_and_an_exception_that_goes_on():
    with (
        suppress(Trouble),
        trace("outer", keep=False) as outer,
        transaction.atomic(using="primary"),
        trace("inner") as inner,
    ):
        fail()
    assert [ended for ended, *_ in told(inner)] == ["trace"]
    assert told(outer) == [("trace", "primary", 1, "Trouble: on purpose")]


async def test_an_async_block():
    with suppress(Trouble):
        async with trace("t", keep=False) as t:
            fail()
    assert told(t) == [("trace", None, None, "Trouble: on purpose")]


def test_an_exception_before_the_trace_was_begun_is_left_alone():
    with trace("t", keep=False) as t:
        pass
    t.__exit__(Trouble, Trouble(), None)
    assert told(t) == []


# What is kept of it


def test_nothing_keeps_it_or_its_frames_alive():
    class Big:
        pass

    def keep_one():
        big = Big()
        references.append(weakref.ref(big))
        fail()

    references = []
    with trace("t", keep=False) as t:
        try:
            with transaction.atomic(using="primary"):
                keep_one()
        except Trouble as error:
            references.append(weakref.ref(error))
        gc.collect()
        assert [reference() for reference in references] == [None, None]
    assert len(told(t)) == 1


def test_no_code_of_the_project_s_is_asked_what_it_says():
    with suppress(Talks), trace("t", keep=False) as t:
        raise Talks
    assert told(t) == [("trace", None, None, "Talks")]
    assert t.document.queries == []


@override_settings(DBROUTE_PANEL={"RECORD_PARAMS": False})
def test_without_values_its_class_is_kept():
    with suppress(Trouble), trace("t", keep=False) as t:
        fail()
    assert [error for *_, error in told(t)] == ["Trouble"]


@override_settings(DBROUTE_PANEL={"CALLSITES": False})
def test_without_callsites_there_is_none():
    with suppress(ValueError), trace("t", keep=False) as t:
        Person.objects.using("primary").get(pk="x")
    (event,) = t.document.exceptions
    assert event.callsite is None
    assert event.raised_at is not None


def test_the_line_where_it_came_out_of_django():
    with suppress(Person.DoesNotExist), trace("t", keep=False) as t:
        Person.objects.using("primary").get(name="Nobody")
    (event,) = t.document.exceptions
    assert event.raised_at.file == "django/db/models/query.py"
    assert event.raised_at.function == "get"
    assert event.callsite.function == "test_the_line_where_it_came_out_of_django"


def test_the_template_that_was_being_rendered():
    template = Template("{% for one in many %}\n{{ one.fail }}{% endfor %}")

    class One:
        def fail(self):
            fail()

    with suppress(Trouble), trace("t", keep=False) as t:
        template.render(Context({"many": [One()]}))
    (event,) = t.document.exceptions
    assert event.callsite.template == ("<unknown source>", 2)


def test_where_no_line_is_the_user_s_a_library_s_is():
    with ThreadPoolExecutor(1) as thread, pytest.raises(TypeError) as caught:
        thread.submit(html5lib.parse, pytest).result()
    traceback = caught.value.__traceback__
    while "html5lib" not in traceback.tb_frame.f_code.co_filename:
        traceback = traceback.tb_next
    site, raised_at = exceptions._find_places(traceback)
    assert "html5lib" in site.code.co_filename
    assert (site.template, site.entry, raised_at) == (None, "", None)
    assert exceptions._find_places(None) == (None, None)


def test_where_a_library_handles_it_the_line_is_the_users_that_calls_the_library(site, tmp_path):
    names = {"transaction": transaction, "models": [Tag]}
    source = (
        "def run(suppress):\n    with suppress, transaction.atomic(using='primary'):\n        models[1]\n"
    )
    exec(compile(source, str(tmp_path / "site-packages" / "handles.py"), "exec"), names)
    with trace("t", keep=False) as t:
        names["run"](suppress(IndexError))
    [event] = t.document.exceptions
    assert (
        event.callsite.function
        == "test_where_a_library_handles_it_the_line_is_the_users_that_calls_the_library"
    )


def test_where_a_librarys_view_handles_it_the_line_is_the_librarys(site, tmp_path, settings):
    names = {"__name__": "handles", "transaction": transaction, "HttpResponse": HttpResponse}
    names["suppress"] = suppress
    source = """
def view(request):
    with suppress(IndexError), transaction.atomic(using='primary'):
        [][1]
    return HttpResponse()

def failing(request):
    with transaction.atomic(using='primary'):
        [][1]

def broken(request):
    [][1]
"""
    exec(compile(source, str(tmp_path / "site-packages" / "handles.py"), "exec"), names)
    settings.MIDDLEWARE = [f"{__name__}.passing"]
    settings.ROOT_URLCONF = (
        path("", names["view"], name="handling"),
        path("failing/", names["failing"]),
        path("broken/", names["broken"], name="broken"),
    )
    with trace("t", keep=False) as t:
        Client().get("/")
        for url in ("/failing/", "/broken/"):
            Client(raise_request_exception=False).get(url)
    sites = [(event.callsite.file, event.callsite.line) for event in t.document.exceptions]
    assert sites == [("handles.py", 4), ("handles.py", 9), ("handles.py", 12)]
    assert t.document.exceptions[0].callsite.entry == "GET handling"
    assert t.document.exceptions[2].callsite.entry == "GET broken"


def passing(get_response):
    def middleware(request):
        return get_response(request)

    return middleware


# Where something of ours fails, or there is no room


@pytest.mark.parametrize("name", ["get_connection", "connections"])
def test_what_a_test_has_put_in_the_place_of_djangos_connections_is_left_alone(monkeypatch, name):
    """A stand-in has no blocks that could be counted, and its alias may be none of the settings'."""
    connection = Mock(
        in_atomic_block=False, savepoint_ids=[], needs_rollback=False, closed_in_transaction=False
    )
    get = Mock(return_value=connection)
    instead = get if name == "get_connection" else {"nowhere": connection}
    monkeypatch.setattr(f"django.db.transaction.{name}", instead)
    with trace("t", keep=False) as t, transaction.atomic("nowhere"):
        pass
    connection.commit.assert_called_once()
    assert get.call_count == (2 if name == "get_connection" else 0)  # by Django, at both ends
    assert t.events == []
    assert t.document.dropped == Dropped()


def test_an_error_of_ours_costs_the_event_alone(monkeypatch, caplog):
    def broken(*args):
        raise RuntimeError("broken")

    monkeypatch.setattr(exceptions, "describe_error", broken)
    with pytest.raises(Trouble), trace("t", keep=False) as t, transaction.atomic(using="primary"):
        fail()
    assert told(t) == []
    assert t.document.dropped.exception == 2


def test_without_room_it_is_counted(settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 1}
    with suppress(Trouble), trace("t", keep=False) as t, transaction.atomic(using="primary"):
        fail()
    assert told(t) == []
    assert t.document.dropped.exception == 2


# Requests


def fails(request):
    with transaction.atomic(using="primary"):
        fail()


def fails_outside(request):
    fail()


async def fails_async(request):
    fail()


def fine(request):
    return HttpResponse()


urlpatterns = [
    path("fails/", fails),
    path("outside/", fails_outside),
    path("async/", fails_async),
    path("fine/", fine),
]


@pytest.fixture
def requests(settings, store, client):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
    settings.DEBUG = True
    client.raise_request_exception = False

    def get(path):
        assert client.get(path).status_code == 500
        (trace,) = get_store().traces()
        return trace.exceptions

    return get


def test_an_exception_that_ends_a_request_after_a_block(requests):
    (event,) = requests("/fails/")
    assert (event.ended, event.alias, event.transaction_number) == ("trace", "primary", 1)
    assert event.callsite.function == "fail"


@pytest.mark.parametrize("path", ["/outside/", "/async/"])
def test_an_exception_that_ends_a_request(requests, path):
    (event,) = requests(path)
    assert (event.ended, event.alias, event.error) == ("trace", None, "Trouble: on purpose")


async def test_an_exception_that_ends_a_request_under_asgi(settings, store, async_client):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
    settings.DEBUG = True
    async_client.raise_request_exception = False
    assert (await async_client.get("/async/")).status_code == 500
    (found,) = get_store().traces()
    assert [event.ended for event in found.exceptions] == ["trace"]


def test_a_request_inside_of_a_trace_is_not_all_of_it(settings, client):
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False
    with trace("t", keep=False) as t:
        client.get("/outside/")
    assert told(t) == [(None, None, None, "Trouble: on purpose")]


def test_the_signal_without_a_trace_or_an_exception_changes_nothing(settings, client):
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False
    assert client.get("/outside/").status_code == 500
    with trace("t", keep=False) as t:
        got_request_exception.send(sender=None, request=None)
    assert told(t) == []
