"""What cannot be reached: the attempt is in the trace, and the exception is Django's own."""

from __future__ import annotations

import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections, transaction
from django.db.models import query as queryset
from django.db.utils import ConnectionDoesNotExist

from dbroute_panel import trace
from dbroute_panel.recording import connection_errors, install
from dbroute_panel.records import RouteKind
from example_site.library.models import Book
from tests.errors import recorded

pytestmark = pytest.mark.usefixtures("site")


def failing(action):
    with trace("missing", keep=False) as t, pytest.raises(ConnectionDoesNotExist) as caught:
        action()
    assert type(caught.value) is ConnectionDoesNotExist
    (query,) = t.queries
    assert (query.alias, query.sql, query.error) == ("nowhere", "", recorded(caught.value))
    assert query.callsite.file.endswith("test_connection_errors.py")
    return t, query


def test_an_alias_named_with_using():
    t, query = failing(lambda: Book.objects.using("nowhere").get(pk=1))
    assert (query.route, query.model, query.decision_id) == (RouteKind.EXPLICIT, "library.Book", None)
    assert t.decisions == []


def test_an_alias_named_when_saving():
    book = Book(title="x", author_id=1)
    _, query = failing(lambda: book.save(using="nowhere"))
    assert (query.route, query.model) == (RouteKind.EXPLICIT, "library.Book")


def test_a_connection_taken_by_its_alias():
    _, query = failing(lambda: connections["nowhere"])
    assert (query.route, query.model) == (RouteKind.CURSOR, None)


def test_a_block_on_it():
    def block():
        with transaction.atomic(using="nowhere"):
            """Never entered."""

    assert failing(block)[1].route == RouteKind.CURSOR


def test_an_alias_that_a_router_answered_is_linked_to_its_decision(settings):
    class Astray:
        def db_for_read(self, model, **hints):
            return "nowhere"

    settings.DATABASE_ROUTERS = [Astray()]
    t, query = failing(lambda: Book.objects.get(pk=1))
    (decision,) = t.decisions
    assert (query.route, query.decision_id) == (RouteKind.ROUTER, decision.id)
    assert [finding.code for finding in t.findings] == ["unknown-alias"]


def test_no_callsite_where_none_are_kept(settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"CALLSITES": False}
    with trace("missing", keep=False) as t, pytest.raises(ConnectionDoesNotExist):
        connections["nowhere"]
    assert t.queries[0].callsite is None


def test_over_the_limit_it_is_counted(settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 1}
    with trace("missing", keep=False) as t:
        for _ in range(3):
            with pytest.raises(ConnectionDoesNotExist):
                connections["nowhere"]
    assert len(t.queries) == 1
    assert t.document.dropped.query == 2


def test_nothing_is_noted_without_a_trace():
    with pytest.raises(ConnectionDoesNotExist):
        connections["nowhere"]


def test_an_error_of_ours_costs_only_the_record(monkeypatch, caplog):
    def broken(*args):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(connection_errors, "complete_source", broken)
    with trace("missing", keep=False) as t, pytest.raises(ConnectionDoesNotExist):
        connections["nowhere"]
    assert t.queries == []
    assert t.document.dropped.query == 1
    assert "a mistake of ours" in caplog.text


def test_watching_twice_is_watching_once():
    before = type(connections), connections.exception_class
    install()
    assert (type(connections), connections.exception_class) == before


def test_the_handler_s_class_of_exceptions_is_the_one_that_is_raised():
    assert connections.exception_class is ConnectionDoesNotExist
    assert type(connections).exception_class is ConnectionDoesNotExist
    with trace("missing", keep=False) as t:
        try:
            connections["nowhere"]
        except connections.exception_class as error:
            assert type(error) is ConnectionDoesNotExist  # noqa: PT017 - that it is caught is what is tested
    assert [query.alias for query in t.queries] == ["nowhere"]


def test_the_handler_s_class_of_exceptions_can_be_replaced(monkeypatch):
    class Nowhere(Exception):
        pass

    monkeypatch.setitem(vars(connections), "exception_class", Nowhere)  # removed afterwards, not set back
    with pytest.raises(Nowhere):
        connections["nowhere"]


def test_a_thread_of_its_own_has_no_frame_of_the_user():
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    with trace("missing", keep=False) as t, ThreadPoolExecutor(1) as pool:
        future = pool.submit(copy_context().run, connections.__getitem__, "nowhere")
        assert isinstance(future.exception(), ConnectionDoesNotExist)
    assert t.queries[0].alias == "nowhere"


def test_a_function_of_the_orm_that_belongs_to_no_model_is_passed_by():
    names = {}
    source = "def prefetch(look):\n    return look()\n"
    exec(compile(source, queryset.__file__, "exec"), names)
    frame = names["prefetch"](lambda: sys._getframe(1))
    assert connection_errors._find_model(frame) is None


def test_the_empty_default_is_a_failed_query_too():
    with trace("empty", keep=False) as t, pytest.raises(ImproperlyConfigured) as raised:
        connections["default"].cursor()
    (query,) = t.queries
    assert (query.alias, query.route, query.sql) == ("default", RouteKind.CURSOR, "")
    assert query.error == recorded(raised.value)
    assert query.callsite.function == "test_the_empty_default_is_a_failed_query_too"


def take_away(site, alias):
    connections[alias].close()
    (site / f"{alias}.sqlite3").unlink()
    (site / f"{alias}.sqlite3").mkdir()  # no database can be opened, or made, in its place


def test_a_database_that_does_not_answer(site):
    take_away(site, "archive")
    with trace("down", keep=False) as t, pytest.raises(OperationalError) as raised:
        Book.objects.using("archive").get(pk=1)
    (query,) = t.queries
    assert (query.alias, query.route, query.model) == ("archive", RouteKind.EXPLICIT, "library.Book")
    assert query.error == recorded(raised.value)
    assert t.document.databases["archive"].vendor == "sqlite"


def test_a_database_that_does_not_answer_is_linked_to_the_decision_that_chose_it(site, settings):
    class ToTheArchive:
        def db_for_read(self, model, **hints):
            return "archive"

    settings.DATABASE_ROUTERS = [ToTheArchive()]
    assert Book.objects.exists()  # so that the connection is there already, under its plain alias
    take_away(site, "archive")
    with trace("down", keep=False) as t, pytest.raises(OperationalError):
        Book.objects.get(pk=1)
    (decision,), (query,) = t.decisions, t.queries
    assert (query.route, query.decision_id) == (RouteKind.ROUTER, decision.id)


@pytest.mark.toolbar
def test_the_tools_own_models_are_not_recorded(site):
    from debug_toolbar.models import HistoryEntry

    with trace("own", keep=False) as t, pytest.raises(ConnectionDoesNotExist):
        HistoryEntry.objects.using("nowhere").first()
    assert t.queries == []
