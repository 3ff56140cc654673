"""The line that a decision was made at: told by a way that is remembered as a walk up the frames tells it."""

from __future__ import annotations

import _thread
import contextvars
import sys
import threading

import pytest
from django.db import connections, router
from django.http import HttpResponse
from django.template import Context, Node, NodeList, Template
from django.template.base import Token, TokenType
from django.test import Client
from django.urls import path

from dbroute_panel.recording import ways
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Person, Tag

HERE = __file__


class OneHome:
    def db_for_read(self, model, **hints):
        return "primary"

    db_for_write = db_for_read


@pytest.fixture
def visited(site, ask, settings):
    """Lets a function be the view of a request; the line of each of its decisions."""
    ask(OneHome())

    def visited(view):
        def respond(request):
            with trace("test", kind="request", keep=False) as t:
                view()
            visited.decisions, visited.queries = t.decisions, t.queries
            return HttpResponse()

        settings.ROOT_URLCONF = (path("", respond),)
        settings.MIDDLEWARE = []
        Client().get("/")
        return [each.callsite.line for each in visited.decisions]

    ways._ways.clear()
    return visited


def compiled(source, file, **names):
    exec(compile(source, file, "exec"), names)
    return names


def get_book():
    return Book.objects.filter(pk=1).first()


def book_title():
    return get_book() and "title"


def in_a_thread():
    get_book()
    connections.close_all()


LIBRARY = sys.modules["pytest"].__file__.replace("pytest", "somebody")
SHAPES = """
def one(call):
    return call()

def two(call):
    return one(call)
"""


class Forgetful(dict):
    def __setitem__(self, key, value):
        pass


def everything():
    for _ in range(3):
        Book.objects.filter(pk=1).first()
    for _ in range(2):
        Book.objects.count(), Tag.objects.count()
        Book.objects.count()
        get_book()
        book_title()
    list(Book.objects.prefetch_related("tags"))
    list(Book.objects.select_related("author"))
    [book.author for book in Book.objects.all()]
    Person.objects.get_or_create(name="Somebody")
    Template(
        "{% for b in books %}{{ b.author }}{{ b.tags.count }}\n{{ title }}{{ title }}{% endfor %}"
    ).render(Context({"books": Book.objects.all(), "title": book_title}))
    book_title()
    router.db_for_read(Book)
    [Book.objects.exists() for _ in range(2)]
    library = compiled(SHAPES, LIBRARY)
    mine = compiled(SHAPES, HERE.replace("test_ways", "somewhere_else"))
    for shapes in (library, mine, library, mine):
        for shape in ("one", "two"):
            shapes[shape](Book.objects.count)
            shapes[shape](Book.objects.all().count)
            shapes[shape](get_book)
    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()


def test_they_are_told_as_a_walk_tells_them(visited, monkeypatch):
    def all_of_them():
        return [each.callsite for each in visited.decisions]

    visited(everything)  # and creates whom the others get
    ways._ways.clear()
    visited(everything)
    first = all_of_them()
    assert len(ways._ways) > 3
    visited(everything)
    again = all_of_them()
    monkeypatch.setattr(ways, "_ways", Forgetful())
    visited(everything)
    walked = all_of_them()
    assert len(walked) > 40
    assert first == walked
    assert again == walked


def test_a_loop_walks_once(visited, monkeypatch):
    walked, walk = [], ways._walked

    def counted(*args):
        walked.append(args)
        return walk(*args)

    monkeypatch.setattr(ways, "_walked", counted)

    def loop():
        for _ in range(20):
            Book.objects.count()

    assert len(set(visited(loop))) == 1
    assert len(visited.decisions) == 20
    assert len(walked) == 1


def test_two_files_with_the_same_code_are_told_apart(visited):
    source = "def total():\n    return Book.objects.count()\n"
    one, two = (compiled(source, f"/project/{name}/views.py", Book=Book)["total"] for name in ("one", "two"))
    assert one.__code__ == two.__code__

    def both():
        for _ in range(2):
            one(), two()

    visited(both)
    assert [each.callsite.file for each in visited.decisions] == [
        "/project/one/views.py",
        "/project/two/views.py",
    ] * 2


def test_a_view_that_asks_by_itself_sends_its_query_at_another_line(visited):
    def view():
        query = Book.objects.all().query
        for _ in range(3):
            alias = router.db_for_read(Book)
            query.get_compiler(alias).execute_sql()

    visited(view)
    [asked] = {each.callsite.line for each in visited.decisions}
    assert [each.callsite.line for each in visited.queries] == [asked + 1] * 3
    assert [each.decision_id for each in visited.queries] == [each.id for each in visited.decisions]


def test_a_tag_is_told_after_one_that_nobody_has_parsed(visited):
    """Both go the same way, but one has no line in a template."""

    class Counts(Node):
        def render(self, context):
            return str(Book.objects.count())

    class Parsed(Counts):
        origin = Template("").origin
        token = Token(TokenType.BLOCK, "count", lineno=7)

    def view():
        for each in (Counts(), Counts(), Parsed(), Counts()):
            NodeList([each]).render(Context())

    visited(view)
    templates = [each.callsite.template for each in visited.decisions]
    assert [each and each[1] for each in templates] == [None, None, 7, None]


def test_a_way_that_begins_as_another_and_has_fewer_frames_is_walked(visited):
    def work():
        if sys.gettrace() is None:  # coverage knows the threads of threading alone
            sys.settrace(threading.gettrace())
        Book.objects.count()
        connections.close_all()
        done.set()

    done = threading.Event()

    def view():
        for alone in (False, True, False):
            done.clear()
            if alone:  # with no frame of Python's below
                _thread.start_new_thread(contextvars.copy_context().run, (work,))
            else:
                work()
            done.wait()

    assert visited(view) == [work.__code__.co_firstlineno + 3] * 3


def test_code_that_somebody_makes_up_is_forgotten(visited, monkeypatch):
    monkeypatch.setattr(ways, "MOST", 2)

    def many():
        for _ in range(5):
            Book.objects.count()
            Book.objects.exists()
            Book.objects.filter(pk=1).first()
            Book.objects.update(title="new")

    assert len(visited(many)) == 25
    assert len(ways._ways) <= 2
