"""What a trace that is being recorded costs the garbage collector: the events are no work for it."""

from __future__ import annotations

import contextlib
import contextvars
import gc
import sys
import threading
import weakref

import pytest
from django.db import connections, router

from dbroute_panel.inspection.explain import explain
from dbroute_panel.recording import recorder
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Tag


@pytest.fixture
def collected():
    gc.collect()
    gc.freeze()  # what there was before is not gone through each time
    gc.disable()
    yield
    gc.enable()


def tracked(work):
    """How many objects more the collector goes through after ``work``, while its events are there."""
    work(10)
    before = gone_through()
    work(2500)
    return gone_through() - before


def gone_through():
    """Without weak references: of these dead ones pile up for a while, in sets that are not ours."""
    gc.collect()
    return sum(not issubclass(type(each), weakref.ref) for each in gc.get_objects())


def queries(number):
    for _ in range(number):
        Tag.objects.count()


def questions_with_hints(number):
    book = Book(pk=1)
    for _ in range(number):
        router.db_for_write(Book, instance=book)
        router.allow_relation(book, book)


def statements(number):
    with connections["primary"].cursor() as cursor:
        for each in range(number):
            cursor.execute("SELECT %s", [each])
            cursor.execute("SELECT %s, %s", ["x" * 10, each])


@pytest.mark.parametrize("work", [queries, questions_with_hints, statements])
def test_five_thousand_events_are_not_gone_through(site, settings, collected, work):
    settings.DEBUG = False  # else Django logs each query in a dict: see below
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 100_000, "RECORD_PARAMS": True}
    with trace("test", keep=False) as t:
        assert tracked(work) < 50
    assert len(t.document.events) == 5020


@pytest.mark.parametrize("work", [queries, questions_with_hints, statements])
def test_nor_are_the_records_of_their_document(site, settings, work):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": True}
    with trace("test", keep=False) as t:
        work(50)
    document = t.document
    parts = [part for one in document.decisions for part in (one, one.steps)]
    parts += [part for one in document.queries for part in (one, one.params)]
    if sys.version_info < (3, 14):
        # From Python 3.14 on every dict is gone through, from when it is made. A document has them where JSON
        # has an object; while one of 10,000 decisions with hints is in memory, a full collection takes some
        # 2.5 ms longer.
        parts += [part for one in document.decisions for part in (one.hints, one.args)]
    gc.collect()
    assert not any(map(gc.is_tracked, parts))


def test_recording_leaves_no_cycle_to_be_collected(site, collected):
    with trace("test", keep=False):
        queries(1)
        questions_with_hints(1)
        gc.collect()  # what the first time leaves behind
        queries(100)
        questions_with_hints(100)
        assert gc.collect() == 0


def test_a_router_whose_attribute_raises_leaves_none_either(site, settings, collected):
    class Sorry(Exception):
        pass

    class Raises:
        @property
        def db_for_read(self):
            raise Sorry

    settings.DATABASE_ROUTERS = [Raises()]

    def ask():
        try:
            router.db_for_read(Book)
        except Sorry as error:
            return weakref.ref(error)

    with trace("test", keep=False):
        assert ask()() is None


class Answers:
    """Answers with what ``make`` gives. ``meanwhile`` is called first."""

    def __init__(self, make, meanwhile=lambda: None):
        self.make, self.meanwhile = make, meanwhile

    def db_for_read(self, *args, **hints):
        self.meanwhile()
        return self.make()

    allow_relation = allow_migrate = db_for_read


@pytest.fixture
def routers(monkeypatch):
    """Makes these the routers; whether each is still alive after the next ones have taken their place."""

    def routers(*these):
        monkeypatch.setitem(vars(router), "routers", list(these))
        references = map(weakref.ref, these)
        del these
        return list(references)

    before = router.routers
    yield routers
    vars(router)["routers"] = before


def ask_everything():
    book = Book(pk=1)
    router.db_for_read(Book)
    router.allow_relation(book, book)
    router.allow_migrate("primary", "library")


def alive(references):
    return [each() for each in references if each() is not None]


def test_a_trace_that_is_gone_leaves_no_router_behind(site, collected, routers):
    references = routers(Answers(lambda: None), Answers(lambda: "primary"))
    with trace("test", keep=False):
        ask_everything()
    vars(router)["routers"] = []
    assert alive(references) == []


def test_nor_does_one_that_ends_while_a_router_is_asked(site, collected, routers):
    def end():
        for t in begun:
            t.finish()
        begun.clear()

    begun = [trace("test", keep=False).begin()]
    references = routers(Answers(lambda: None, meanwhile=end), Answers(lambda: "primary"))
    ask_everything()
    assert begun == []
    vars(router)["routers"] = []
    assert alive(references) == []


@pytest.mark.parametrize("raises", [False, True])
def test_nor_does_a_question_that_is_put_to_the_routers(site, collected, routers, raises):
    def answer():
        if raises:
            raise LookupError
        return "primary"

    references = routers(Answers(lambda: None), Answers(answer))
    explain(Book, "db_for_read")
    vars(router)["routers"] = []
    assert alive(references) == []


class Odd(str):
    __slots__ = ()

    def __new__(cls):
        return super().__new__(cls, "primary")


class Undecided:
    def __bool__(self):
        raise LookupError


@pytest.mark.parametrize("kind", [object, Odd, Undecided])
def test_an_answer_is_not_kept_alive(site, routers, kind):
    class Answer(kind):
        pass

    def answer():
        made = Answer()
        references.append(weakref.ref(made))
        return made

    references = []
    routers(Answers(answer))
    with trace("test", keep=False) as t, contextlib.suppress(LookupError):
        router.db_for_read(Book)
        ask_everything()
    assert len(references) == (1 if kind is Undecided else 4)
    assert len(t.decisions) == len(references)
    assert alive(references) == []


def test_a_connection_is_not_kept_alive(site):
    alive = []

    def work():
        Tag.objects.using("primary").count()
        alive.append(weakref.ref(connections["primary"]))
        connections["primary"].close()

    with trace("test", keep=False) as t:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        thread.start()
        thread.join()
        del thread
        gc.collect()
        assert [reference() for reference in alive] == [None]
    assert len(t.document.queries) == 1


def test_equal_statements_are_one_text(site):
    with trace("test", keep=False) as t:
        queries(3)
        texts = {id(event.sql) for event in t._recorder.events if hasattr(event, "sql")}
    assert len(t.queries) == 3
    assert len(texts) == 1


def test_so_many_texts_and_no_more_are_looked_up(site, monkeypatch):
    monkeypatch.setattr(recorder, "MAX_TEXTS", 2)
    with trace("test", keep=False) as t, connections["primary"].cursor() as cursor:
        for number in (1, 2, 3, 3):
            cursor.execute(f"SELECT {number}")
        assert list(t._recorder.texts) == ["SELECT 1", "SELECT 2"]
    assert [query.sql[-1] for query in t.queries] == ["1", "2", "3", "3"]
