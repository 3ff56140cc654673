from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import inspect
import threading
import weakref

import pytest
from asgiref.sync import markcoroutinefunction
from django.db import connections, router

from dbroute_panel import recording
from dbroute_panel.recording import connections as watching
from dbroute_panel.recording.recorder import active, use_recorder
from dbroute_panel.recording.trace_sink import sink
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Person, Tag
from example_site.users.models import User
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture
def kept(monkeypatch):
    """The traces that are handed to the store."""
    kept = []
    monkeypatch.setattr(sink, "keep", kept.append)
    return kept


def tags():
    return Tag.objects.using("primary").count()


# Beginning and ending


def test_a_block_records_what_happens_in_it_and_nothing_else(site, kept):
    tags()
    with trace("nightly import") as t:
        assert tags() == 4
    tags()
    assert len(t.queries) == 1
    assert kept == [t.document]
    assert (t.document.name, t.document.kind, t.document.id) == ("nightly import", "block", t.id)
    assert len(t.id) == 32
    assert active.get() is None


def test_it_tells_what_was_recorded_so_far(site):
    with trace("test", keep=False) as t:
        assert (t.events, t.decisions, t.queries, t.transactions, t.findings) == ([], [], [], [], [])
        Tag.objects.count()
        assert (len(t.events), len(t.decisions), len(t.queries)) == (2, 1, 1)
        assert not hasattr(t, "document")
        with pytest.raises(RuntimeError, match="no document before its block has ended"):
            t.document  # noqa: B018
        Tag.objects.count()
    assert len(t.events) == 4
    assert t.document.events == t.events
    assert t.document.to_dict()["events"][0]["type"] == "decision"


def test_what_has_not_begun_has_nothing_to_tell():
    for look in (lambda t: t.id, lambda t: t.events, lambda t: t.finish(), lambda t: t.findings):
        with pytest.raises(RuntimeError, match="has not begun"):
            look(trace("test"))


def test_keep_false_stores_nothing(site, kept):
    with trace("test", keep=False) as t:
        tags()
    assert kept == []
    assert len(t.document.queries) == 1


def test_an_exception_ends_the_trace_and_goes_on(site, kept):
    t = trace("test")

    def fail():
        with t:
            tags()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert kept == [t.document]
    assert active.get() is None


@pytest.mark.parametrize("kind", ["block", "command", "task", "request"])
def test_the_kinds_of_traces(kind):
    with trace("test", kind=kind, keep=False) as t:
        pass
    assert t.document.kind == kind


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="Choose one of request, block, command, task"):
        trace("test", kind="job")


def test_finishing_again_changes_nothing(site, kept):
    with trace("test") as t:
        tags()
    document = t.document
    t.finish()
    assert t.document is document
    assert kept == [document]


def test_one_object_can_trace_again_but_not_inside_itself(site, kept):
    t = trace("test")
    with t:
        tags()
        with pytest.raises(RuntimeError, match="has already begun"), t:
            pass
        tags()
    assert len(t.queries) == 2
    first = t.id
    with t:
        tags()
    assert (len(t.queries), len(kept)) == (1, 2)
    assert t.id != first
    assert active.get() is None


def test_a_store_that_fails_is_logged_and_nothing_else(site, monkeypatch, caplog):
    monkeypatch.setattr(sink, "keep", lambda document: 1 / 0)
    for _ in range(2):
        with trace("test") as t:
            tags()
    assert len(t.document.queries) == 1
    assert len(caplog.records) == 1
    assert "could not finish the trace 'test'" in caplog.text
    assert active.get() is None


def test_what_the_store_does_is_not_recorded_in_the_trace_around(site, monkeypatch):
    monkeypatch.setattr(sink, "keep", lambda document: tags())
    first = trace("first").begin()
    first.stop()
    with trace("second", keep=False) as second:
        first.finish()
    assert second.events == []


def test_the_receiver_of_finished_traces_can_be_replaced(monkeypatch, site):
    kept = []
    monkeypatch.setattr(recording.sink, "keep", kept.append)
    with trace("test"):
        pass
    assert len(kept) == 1


def test_a_trace_that_begins_in_one_context_and_ends_in_another(site):
    context = contextvars.copy_context()
    t = trace("test", keep=False)
    context.run(t.begin)
    assert active.get() is None
    context.run(tags)
    t.finish()
    assert len(t.queries) == 1
    other = trace("other", keep=False)
    context.run(other.begin)

    def end_elsewhere():
        active.set(other._recorder)
        other.finish()
        assert active.get() is None

    contextvars.copy_context().run(end_elsewhere)


# Joining


def test_a_block_inside_of_a_trace_is_a_slice_of_it(site, kept):
    with trace("outer") as outer:
        Tag.objects.count()
        with trace("inner", kind="task") as inner:
            Tag.objects.count()
            assert [event.id for event in inner.events] == [3, 4]
        Tag.objects.count()
    assert inner.joined
    assert not outer.joined
    assert [event.id for event in inner.events] == [3, 4]
    assert [event.id for event in outer.events] == [1, 2, 3, 4, 5, 6]
    assert (inner.document.name, inner.document.kind, inner.document.id) == ("inner", "task", outer.id)
    assert (outer.document.name, outer.document.kind) == ("outer", "block")
    assert kept == [outer.document]


def test_a_slice_that_was_stopped_takes_no_more(site):
    with trace("outer", keep=False):
        inner = trace("inner").begin()
        tags()
        inner.stop()
        tags()
        inner.stop()
        assert len(inner.events) == 1
        inner.finish()
    assert len(inner.document.events) == 1


def test_the_times_of_a_slice_count_from_its_own_start(site):
    with trace("outer", keep=False) as outer:
        for _ in range(20):
            tags()
        with trace("inner") as inner:
            tags()
    assert inner.queries[0].at_us < outer.queries[20].at_us
    assert inner.queries[0].at_us <= inner.document.duration_us < outer.document.duration_us
    assert inner.document.started_at > outer.document.started_at


def test_links_of_a_slice_may_point_outside(site):
    with trace("outer", keep=False):
        books = Book.objects.using(router.db_for_read(Book))
        with trace("inner") as inner:
            list(books)
    assert [query.decision_id for query in inner.queries] == [1]
    assert inner.queries[0].route == "router"


def test_a_block_that_begins_when_the_trace_is_over_is_a_trace_of_its_own(site, kept):
    with trace("outer"):
        context = contextvars.copy_context()

    def late():
        with trace("late") as t:
            tags()
        return t

    t = context.run(late)
    assert not t.joined
    assert [document.name for document in kept] == ["outer", "late"]
    assert len(t.queries) == 1


# Decorating


def test_a_decorated_function_is_a_trace_each_time(site, kept):
    @trace("import", kind="task")
    def import_all(number):
        """Imports."""
        return number + tags()

    assert import_all(1) == 5
    assert import_all(number=2) == 6
    assert [(document.name, document.kind) for document in kept] == [("import", "task")] * 2
    assert len({document.id for document in kept}) == 2
    assert (import_all.__name__, import_all.__doc__) == ("import_all", "Imports.")


def test_a_decorated_function_can_call_itself(site, kept):
    @trace("countdown")
    def countdown(n):
        tags()
        return countdown(n - 1) if n else "done"

    assert countdown(3) == "done"
    assert [len(document.queries) for document in kept] == [4]


async def test_a_decorated_coroutine_function_is_a_trace_each_time(site, kept):
    @trace("import", kind="task", keep=True)
    async def import_all(number):
        return number + await Tag.objects.using("primary").acount()

    assert inspect.iscoroutinefunction(import_all)
    assert [await import_all(1), await import_all(number=2)] == [5, 6]
    assert [(document.kind, len(document.queries)) for document in kept] == [("task", 1), ("task", 1)]
    assert {document.name for document in kept} == {"import"}
    assert inspect.getfullargspec(import_all).args == ["number"]


def test_a_decorated_function_is_kept_or_not_as_the_decorator_says(site, kept):
    assert trace("import", keep=False)(tags)() == 4
    assert kept == []


async def test_a_decorated_coroutine_function_is_kept_or_not_as_the_decorator_says(site, kept):
    @trace("import", keep=False)
    async def import_all():
        return await Tag.objects.using("primary").acount()

    assert await import_all() == 4
    assert kept == []


async def test_a_function_that_is_marked_as_a_coroutine_function_is_awaited(site, kept):
    def import_all():
        return Tag.objects.using("primary").acount()

    decorated = trace("import")(markcoroutinefunction(import_all))
    assert await decorated() == 4
    assert len(kept[0].queries) == 1


def test_a_decorated_function_has_the_signature_of_the_function():
    @trace("named")
    def function(alias, *, limit: int = 3):
        return alias, limit

    assert inspect.getfullargspec(function).args == ["alias"]
    assert inspect.getfullargspec(function).kwonlyargs == ["limit"]
    with trace("outer", keep=False):
        assert function("primary", limit=2) == ("primary", 2)
        assert trace("named")(max)(1, 2) == 2  # has none
        function.__signature__ = "of no function"
        assert trace("named")(function)("primary") == ("primary", 3)


def test_generators_cannot_be_decorated():
    def rows():
        yield 1

    async def async_rows():
        yield 1

    nameless = functools.partial(rows)
    for function, name in ((rows, "rows"), (async_rows, "async_rows"), (nameless, nameless)):
        with pytest.raises(TypeError) as caught:
            trace("test")(function)
        assert str(caught.value) == (
            f"trace() cannot decorate the generator function {name}(): its body runs later, piece by piece. "
            "Use 'with trace(...)' inside it."
        )


# Async and threads


async def test_an_async_block(site, kept):
    async with trace("test") as t:
        assert await Tag.objects.using("primary").acount() == 4
    assert len(t.queries) == 1
    assert kept == [t.document]
    with pytest.raises(KeyError):
        async with trace("test"):
            raise KeyError
    assert active.get() is None


async def test_the_tasks_of_a_block_record_into_it(site):
    async with trace("test", keep=False) as t:
        await asyncio.gather(*(Tag.objects.using("primary").acount() for _ in range(5)))
    assert len(t.queries) == 5
    assert len({query.id for query in t.queries}) == 5


async def test_traces_of_tasks_side_by_side_do_not_mix(site, kept):
    async def work(number):
        async with trace(str(number)) as t:
            for _ in range(number):
                await Tag.objects.using("primary").acount()
                await asyncio.sleep(0)
        return len(t.queries)

    assert await asyncio.gather(*map(work, range(1, 6))) == [1, 2, 3, 4, 5]
    assert sorted((document.name, len(document.queries)) for document in kept) == [
        (str(number), number) for number in range(1, 6)
    ]


def test_a_thread_with_a_copied_context_records_until_the_trace_ends(site):
    may_go_on, was_seen = threading.Event(), threading.Event()

    def work():
        tags()
        was_seen.set()
        may_go_on.wait(PATIENCE_SECONDS)
        tags()
        router.db_for_read(Book)
        router.allow_relation(Book(), Person())
        router.allow_migrate("primary", "library")
        from django.db import transaction

        with transaction.atomic(using="primary"):
            pass
        connections.close_all()

    with trace("test", keep=False) as t:
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        thread.start()
        assert was_seen.wait(PATIENCE_SECONDS)
    may_go_on.set()
    thread.join()
    assert len(t.events) == 1
    assert len(t._events) == 1


def test_a_thread_without_the_context_records_nothing(site):
    def work():
        tags()
        connections.close_all()

    with trace("test", keep=False) as t:
        # Python may start a thread with the context of the one that starts it; this one is empty.
        thread = threading.Thread(target=contextvars.Context().run, args=(work,))
        thread.start()
        thread.join()
    assert t.events == []


def test_many_threads_lose_no_event_and_double_no_id(site):
    def work():
        for _ in range(50):
            router.db_for_write(Tag)

    with trace("test", keep=False) as t:
        threads = [threading.Thread(target=contextvars.copy_context().run, args=(work,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [decision.id for decision in t.decisions] == list(range(1, 401))


# Finding, and keeping nothing alive


def test_a_trace_is_found_while_it_is_recorded(site):
    with trace("test", keep=False) as t:
        tags()
        found = recording.find(t.id)
        assert (found.id, found.name, len(found.queries)) == (t.id, "test", 1)
    assert recording.find(t.id) is None
    assert recording.find("0" * 32) is None


@pytest.fixture
def without_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Hint:
    """Something that can be referred to weakly."""


def test_a_trace_keeps_nothing_alive(site, without_gc):
    def work():
        book, hint = Book.objects.first(), Hint()
        books = Book.objects.filter(pk=book.pk)
        list(books)
        user = User(username="x")
        user.save()
        router.db_for_read(Book, instance=book, hint=hint)
        router.allow_relation(book, user)
        return [weakref.ref(thing) for thing in (book, user, hint, books, books.query)]

    with trace("test", keep=False) as t:
        alive = work()
        assert [reference() for reference in alive] == [None] * len(alive)
    assert t.document


def test_a_trace_that_is_over_goes_without_the_garbage_collector(site, without_gc):
    """A cycle would hold events and the project's routers until Python collects."""

    def work():
        with trace("test", keep=False) as t:
            list(Book.objects.all())
            assert t.queries
        assert t.document.events
        return weakref.ref(t._recorder)

    assert work()() is None


def test_an_exception_is_not_kept_alive(site, without_gc, ask):
    class Sorry(Exception):
        pass

    class Raises:
        def db_for_read(self, model, **hints):
            raise Sorry("no")

    ask(Raises())
    alive = []

    def fail(call):
        inside = Hint()
        alive.append(weakref.ref(inside))
        try:
            call()
        except Sorry as error:
            alive.append(weakref.ref(error))

    def refuse(execute, sql, params, many, context):
        raise Sorry("no")

    def query():  # an error of the driver's would be in a cycle of Django's own
        with connections["primary"].execute_wrapper(refuse):
            tags()

    connections["primary"].ensure_connection()
    with trace("test", keep=False):
        fail(lambda: router.db_for_read(Book))
        fail(query)
        assert [reference() for reference in alive] == [None] * 4


def test_a_recorder_that_a_context_still_holds_keeps_no_model_and_no_enum(site):
    with trace("test", keep=False) as t:
        context = contextvars.copy_context()
        router.db_for_read(Book)
    recorder = context[active]
    assert recorder is t._recorder
    assert (recorder.labels, recorder.answered_as) == ({}, {})


def test_a_recorder_that_a_context_still_holds_keeps_no_event_and_no_statement(site):
    with trace("test", keep=False) as t:
        context = contextvars.copy_context()
        Tag.objects.count()
    assert len(t.document.queries) == 1
    recorder = context[active]
    assert (recorder.events, recorder.texts, recorder.text) == ([], {}, "")


def test_a_block_that_ends_after_the_trace_it_joined_has_its_events(site):
    with trace("test", keep=False) as t:
        Tag.objects.using("primary").count()
        joined = trace("joined", keep=False).begin()
        Tag.objects.using("archive").count()
    assert [query.alias for query in joined.queries] == ["archive"]
    joined.finish()
    assert [query.alias for query in joined.document.queries] == ["archive"]
    assert [query.alias for query in t.queries] == ["primary", "archive"]


def test_use_recorder_makes_a_recorder_active_for_a_block():
    with trace("test", keep=False) as t:
        with use_recorder(None):
            assert active.get() is None
        assert active.get() is t._recorder


def test_an_interrupted_decision_is_no_other_one_s_parent(site, ask):
    class Interrupted:
        def db_for_read(self, model, **hints):
            raise KeyboardInterrupt

        def db_for_write(self, model, **hints):
            return "primary"

    ask(Interrupted())
    with trace("test", keep=False) as t:
        with pytest.raises(KeyboardInterrupt):
            Tag.objects.count()
        Tag.objects.using("primary").count()
        router.db_for_write(Tag)
    assert [decision.parent_id for decision in t.decisions] == [None, None]
    assert [query.parent_id for query in t.queries] == [None]


def test_a_context_that_outlives_its_trace_makes_it_remember_nothing(site, monkeypatch):
    with trace("test", keep=False) as t:
        context = contextvars.copy_context()
    monkeypatch.setattr(
        watching, "find_query_source", lambda *args, **kwargs: pytest.fail("walked for nothing")
    )
    context.run(Tag.objects.using("primary").count)
    assert context.run(router.db_for_write, Book) == "primary"
    assert (t._recorder.labels, t._recorder.models) == ({}, [])
    assert (t._recorder.events, set(t._recorder.dropped.values())) == ([], {0})
