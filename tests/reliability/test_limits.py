"""The limits that docs/reliability.md names. Where one of them falls, the document must say so."""

from __future__ import annotations

import contextvars
import inspect
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, router
from django.db.utils import ConnectionHandler, ConnectionRouter

from dbroute_panel import trace
from example_site.library.models import Book, Tag


def test_an_alias_is_not_the_very_object_that_a_constant_is(site, settings):
    primary = sys.intern("primary")

    class Constant:
        def db_for_write(self, model, **hints):
            return primary

    settings.DATABASE_ROUTERS = [Constant()]
    assert router.db_for_write(Book) is primary
    with trace("limits", keep=False):
        assert router.db_for_write(Book) == primary
        assert router.db_for_write(Book) is not primary


def test_the_classes_of_router_and_connections_are_subclasses_of_django_s():
    assert isinstance(router, ConnectionRouter)
    assert type(router) is not ConnectionRouter
    assert isinstance(connections, ConnectionHandler)
    assert type(connections) is not ConnectionHandler


def test_a_router_that_looks_at_its_caller_finds_us(site, settings):
    callers = []

    class Curious:
        def db_for_read(self, model, **hints):
            callers.append(inspect.currentframe().f_back.f_globals["__name__"])

    settings.DATABASE_ROUTERS = [Curious()]
    router.db_for_read(Book)
    with trace("limits", keep=False):
        router.db_for_read(Book)
    assert callers == ["django.db.utils", "dbroute_panel.recording.router_proxy"]


def test_a_pool_of_threads_that_copies_no_context_records_nothing(site):
    def count():
        try:
            return Tag.objects.using("primary").count()
        finally:
            connections.close_all()

    with trace("limits", keep=False) as t, ThreadPoolExecutor(1) as pool:
        pool.submit(count).result()
    # Where Python hands the context on, the pool's thread has that of the trace in which it was started.
    inherits = getattr(sys.flags, "thread_inherit_context", False)
    assert [query.alias for query in t.queries] == (["primary"] if inherits else [])


def test_a_driver_that_is_used_without_django_is_not_seen(site):
    with trace("limits", keep=False) as t:
        own = sqlite3.connect(site / "primary.sqlite3")
        own.execute("SELECT COUNT(*) FROM library_book").fetchone()
        own.close()
    assert t.queries == []


def test_the_driver_s_own_methods_of_a_cursor_are_not_seen(site):
    with connections["primary"].cursor() as cursor:
        with trace("limits", keep=False) as t:
            cursor.executescript(
                "SELECT COUNT(*) FROM library_book"
            )  # sqlite3's; psycopg's copy() is the like
            cursor.cursor.execute("SELECT 1")
        assert t.queries == []


def test_a_router_that_is_called_by_hand_is_not_seen(site):
    from example_site.routers import PrimaryReplicaRouter

    with trace("limits", keep=False) as t:
        assert PrimaryReplicaRouter().db_for_write(Book) == "primary"
    assert t.decisions == []


def test_the_time_of_a_query_has_that_of_other_wrappers_in_it(site):
    from time import sleep

    def slow(execute, sql, params, many, context):
        sleep(0.05)
        return execute(sql, params, many, context)

    connection = connections["primary"]
    with connection.execute_wrapper(slow), trace("limits", keep=False) as t:
        Tag.objects.using("primary").count()
    (query,) = t.queries
    assert query.duration_us >= 50_000


def test_a_query_that_another_wrapper_keeps_from_the_database_is_recorded(site):
    class Blocked(Exception):
        pass

    def block(execute, sql, params, many, context):
        raise Blocked

    with (
        connections["primary"].execute_wrapper(block),
        trace("limits", keep=False) as t,
        pytest.raises(Blocked),
    ):
        Tag.objects.using("primary").count()
    (query,) = t.queries
    assert query.error.startswith("Blocked")


def test_a_list_of_execute_wrappers_has_ours_in_it(site):
    connection = connections["primary"]
    connection.ensure_connection()
    assert [wrapper.__module__ for wrapper in connection.execute_wrappers] == [
        "dbroute_panel.recording.connections"
    ]


def test_a_list_of_execute_wrappers_that_is_emptied_records_nothing_until_the_next_connect(site):
    connection = connections["primary"]
    connection.ensure_connection()
    connection.execute_wrappers.clear()
    with trace("limits", keep=False) as t:
        Tag.objects.using("primary").count()
    assert t.queries == []
    connection.close()
    with trace("limits", keep=False) as t:
        Tag.objects.using("primary").count()
    assert [query.alias for query in t.queries] == ["primary"]


def test_a_query_that_a_router_runs_on_another_thread_is_not_within_its_decision(site, settings):
    def count():
        Tag.objects.using("primary").count()
        connections.close_all()

    class Threaded:
        def db_for_write(self, model, **hints):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(contextvars.copy_context().run, count).result()
            return "primary"

    class Here:
        def db_for_write(self, model, **hints):
            Tag.objects.using("primary").count()
            return "primary"

    for routers, within in (([Threaded()], None), ([Here()], 1)):
        settings.DATABASE_ROUTERS = routers
        with trace("limits", keep=False) as t:
            router.db_for_write(Book)
        assert [query.parent_id for query in t.queries] == [within]
