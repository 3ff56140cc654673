"""The shortcuts record the same events as the reference, callsites and links included."""

from __future__ import annotations

import _thread
import contextvars
import sys
import threading
from contextlib import suppress

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections, router, transaction
from django.db.models import Count, F
from django.db.models.expressions import RawSQL
from django.db.utils import ConnectionRouter
from django.http import HttpResponse
from django.template import Context, Node, NodeList, Template
from django.template.base import Token, TokenType
from django.test import Client
from django.urls import path
from msgspec.structs import replace

from dbroute_panel.recording import _fastpath
from dbroute_panel.recording import connections as watching
from dbroute_panel.recording.recorder import NO_DECISION
from dbroute_panel.recording.routers import make_watched_class
from dbroute_panel.recording.traces import trace
from dbroute_panel.records import Decision, Query
from example_site.library.models import Book, Person, Tag


class OneHome:
    def db_for_read(self, model, **hints):
        return "primary"

    db_for_write = db_for_read


class Curious(OneHome):
    """Reads tags while it is asked about people."""

    def db_for_read(self, model, **hints):
        if model is Person:
            Tag.objects.count()
        return "primary"


class Silent:
    def db_for_read(self, model, **hints):
        if model is Tag:
            raise LookupError
        return None if model is Person else "primary"

    db_for_write = db_for_read


def compiled(source, file, **names):
    exec(compile(source, file, "exec"), names)
    return names


def get_book():
    return Book.objects.filter(pk=1).first()


def book_title():
    return get_book() and "title"


def orm():
    """What the ORM does in one method of a queryset, and what it does in several."""
    list(Book.objects.all())
    Book.objects.first()
    Book.objects.count()
    Book.objects.exists()
    Book.objects.aggregate(Count("pk"))
    Book.objects.in_bulk([1, 2])
    list(Book.objects.values_list("title", flat=True).iterator(chunk_size=1))
    list(Book.objects.prefetch_related("tags").select_related("author"))
    list(Book.objects.raw("SELECT * FROM library_book"))
    list(Book.objects.filter(pk__in=[]))
    list(Book.objects.using("primary"))
    person = Person.objects.get_or_create(name="Somebody")[0]
    book = Book(title="New")
    book.author = person
    list(Book.objects.using(book._state.db))
    book.save()
    book.title = "Newer"
    book.save()
    book.refresh_from_db()
    book.tags.add(Tag.objects.create(name="new"))
    book.tags.count()
    Book.objects.filter(pk=book.pk).update(title=F("title"))
    Book.objects.bulk_create([Book(title="One", author=person), Book(title="Two", author=person)])
    Book.objects.bulk_update(Book.objects.all(), ["title"])
    with transaction.atomic(using="primary"):
        Book.objects.select_for_update().first()
    Book.objects.filter(title="Newer").delete()


class Counts(Node):
    def render(self, context):
        return str(Book.objects.count())


class Parsed(Counts):
    origin = Template("").origin
    token = Token(TokenType.BLOCK, "count", lineno=7)


def templates():
    """Querysets, methods and tags of templates, some of which nobody has parsed."""
    Template(
        "{% for b in books %}{{ b.author }}{{ b.tags.count }}\n{{ title }}{{ title }}{% endfor %}"
    ).render(Context({"books": Book.objects.all(), "title": book_title}))
    for each in (Counts(), Counts(), Parsed(), Counts()):
        NodeList([each]).render(Context())


SHAPES = """
def one(call):
    return call()

def two(call):
    return one(call)
"""


def code():
    """The same work from a loop, on one line, through a library, another file and a function."""
    for _ in range(3):
        Book.objects.filter(pk=1).first()
    Book.objects.count(), Book.objects.exists()
    [Book.objects.exists() for _ in range(2)]
    library = compiled(SHAPES, sys.modules["pytest"].__file__.replace("pytest", "somebody"))
    mine = compiled(SHAPES, __file__.replace("test_fastpath", "somewhere_else"))
    for shapes in (library, mine, library, mine):
        for shape in ("one", "two"):
            shapes[shape](Book.objects.count)
            shapes[shape](Book.objects.all().count)
            shapes[shape](get_book)


def alone(work):
    """Run ``work`` on a thread with no frame of Python's below."""

    def run():
        if sys.gettrace() is None:  # coverage knows the threads of threading alone
            sys.settrace(threading.gettrace())
        work()
        connections.close_all()
        done.set()

    done = threading.Event()
    _thread.start_new_thread(contextvars.copy_context().run, (run,))
    done.wait()


def threads():
    get_book()
    alone(get_book)
    alone(Book.objects.all().count)
    get_book()


def own_questions():
    """Code of the project's that asks by itself, and sends at another line."""
    query = Book.objects.all().query
    for _ in range(3):
        alias = router.db_for_read(Book)
        query.get_compiler(alias).execute_sql()
    router.db_for_read(Book)
    list(Tag.objects.using("primary"))


class Sends(RawSQL):
    """An expression that reads tags while it is put into SQL."""

    def as_sql(self, compiler, connection):
        list(Tag.objects.using(compiler.using))
        return super().as_sql(compiler, connection)


def nested():
    list(Book.objects.annotate(one=Sends("1", ())))
    list(Book.objects.annotate(one=Sends("1", ())).using("primary"))


def failures():
    """Questions and queries that raise, or are never sent."""
    for work in (
        lambda: list(Tag.objects.all()),
        lambda: list(Book.objects.raw("SELECT nothing")),
        lambda: router.db_for_read(Book, "what Django's function does not take"),
    ):
        with suppress(Exception):
            work()
    get_book()


def plain(event):
    """An event without its times."""
    if isinstance(event, Decision):
        event = replace(event, steps=tuple(replace(step, duration_us=0) for step in event.steps))
    return replace(event, at_us=0, **({"duration_us": 0} if isinstance(event, (Decision, Query)) else {}))


@pytest.fixture
def record(site, ask, monkeypatch):
    """Records a program, in a request or not, with the shortcuts or without; its events, and its walks."""
    walk, walks = watching.find_query_source, []
    monkeypatch.setattr(watching, "find_query_source", lambda *args: walks.append(1) or walk(*args))

    def record(program, *, home=OneHome, debug=False, in_request=False, enabled=True):
        ask(home())
        connections["primary"].ensure_connection()
        monkeypatch.setattr(connections["primary"], "force_debug_cursor", debug)
        monkeypatch.setattr(_fastpath, "ENABLED", enabled)
        monkeypatch.setattr(router, "__class__", make_watched_class(ConnectionRouter))
        ContentType.objects.db_manager("primary").get_for_model(Book)  # which is read once
        walks.clear()
        with transaction.atomic(using="primary"):
            with trace("test", kind="request" if in_request else "block", keep=False) as t:
                program()
            transaction.set_rollback(True, using="primary")
        return [plain(event) for event in t.events], len(walks)

    return record


@pytest.mark.parametrize("in_request", [False, True], ids=["block", "request"])
@pytest.mark.parametrize("debug", [False, True], ids=["plain cursors", "debug cursors"])
@pytest.mark.parametrize("home", [OneHome, Curious, Silent])
@pytest.mark.parametrize(
    "program",
    [orm, templates, code, threads, own_questions, nested, failures],
    ids=lambda each: each.__name__,
)
def test_the_same_events_are_recorded(record, settings, program, home, debug, in_request):
    recorded = {}

    def run(enabled):
        def work():
            with suppress(LookupError):  # of the router
                program()

        def view(request):
            recorded[enabled] = record(work, home=home, debug=debug, in_request=in_request, enabled=enabled)
            return HttpResponse()

        if in_request:
            settings.MIDDLEWARE, settings.ROOT_URLCONF = [], (path("", view),)
            Client().get("/")
        else:
            view(None)

    for enabled in (True, False):
        run(enabled)
    fast, few = recorded[True]
    reference, all_of_them = recorded[False]
    assert fast == reference
    assert fast
    assert few <= all_of_them == sum(isinstance(event, Query) for event in reference)


def test_most_queries_need_no_walk(record):
    for program, fewer in ((orm, 10), (templates, 5), (code, 10)):
        events, walks = record(program)
        assert walks <= sum(isinstance(event, Query) for event in events) - fewer


def test_the_callsite_of_an_answer_that_was_kept_is_not_that_of_a_later_query(site, ask):
    """The frame that asked is gone, and a later one may have its id."""
    ask(OneHome())
    person = Person(name="unsaved")
    person._state.db = "primary"
    for _ in range(50):
        with trace("test", keep=False) as t:
            book = Book(title="New")
            book.author = person
            list(Tag.objects.using(book._state.db))
        bound, _allowed = t.decisions
        [query] = t.queries
        assert query.decision_id == bound.id
        assert query.callsite.line == bound.callsite.line + 1


@pytest.mark.parametrize("library", [False, True])
def test_a_query_of_a_frame_that_asked_at_another_line_has_its_own(site, ask, library):
    source = "def sent():\n alias = ask(Tag)\n compiler = query.get_compiler(alias)\n compiler.execute_sql()"
    folder = "site-packages" if library else "project"
    names = compiled(
        source, f"/home/{folder}/somebody.py", ask=router.db_for_read, Tag=Tag, query=Tag.objects.all().query
    )
    ask(OneHome())
    with trace("test", keep=False) as t:
        names["sent"]()
    lines = [event.callsite.line for event in t.events]
    assert len(set(lines)) == 1 if library else lines == [2, 4]
    assert t.queries[0].decision_id == t.decisions[0].id


def test_a_query_in_the_midst_of_another_has_its_own_line(site, ask):
    ask(OneHome())
    with trace("test", keep=False) as t:
        nested()
    inner = [query for query in t.queries if query.model == "library.Tag"]
    assert {query.callsite.function for query in inner} == {"as_sql"}
    assert [query.decision_id for query in inner] == [t.decisions[0].id, None]


def test_a_query_on_another_thread_is_not_taken_for_the_one_that_asked(site, ask):
    ask(OneHome())

    def later():
        list(Tag.objects.using("primary"))
        connections.close_all()

    with trace("test", keep=False) as t:
        router.db_for_read(Book)
        thread = threading.Thread(target=contextvars.copy_context().run, args=[later])
        thread.start()
        thread.join()
    [query] = t.queries
    assert (query.decision_id, query.route, query.callsite.function) == (None, "explicit", "later")


def test_where_the_stack_is_not_as_deep_there_is_none():
    result = []
    thread = threading.Thread(
        target=lambda: result.append(_fastpath.find_pending_compiler(NO_DECISION, object()))
    )
    thread.start()
    thread.join()
    assert result == [None]
    assert _fastpath.find_pending_compiler(NO_DECISION, object()) is None


def test_a_tag_is_told_after_one_that_nobody_has_parsed(site, ask):
    """Both are met on the same way, but one has no line in a template."""
    ask(OneHome())
    with trace("test", keep=False) as t:
        templates()
    found = [each.callsite.template for each in t.decisions][-4:]
    assert [each and each[1] for each in found] == [None, None, 7, None]


def test_two_files_with_the_same_code_are_told_apart(site, ask):
    source = "def total():\n    return Book.objects.count()\n"
    one, two = (compiled(source, f"/project/{name}/views.py", Book=Book)["total"] for name in ("one", "two"))
    assert one.__code__ == two.__code__
    ask(OneHome())
    with trace("test", keep=False) as t:
        for _ in range(2):
            one(), two()
    files = ["/project/one/views.py", "/project/two/views.py"] * 2
    assert [each.callsite.file for each in t.decisions] == files
