"""Queries that need no walk up the frames of their own: they are told as the walk would tell them."""

from __future__ import annotations

import contextvars
import threading

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections, router, transaction
from django.db.models import Count, F
from django.template import Context, Template

from dbroute_panel.recording import connections as watching
from dbroute_panel.recording.traces import trace
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


def everything():
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
    template = Template("{% for book in books %}{{ book.author }}{{ book.tags.count }}\n{% endfor %}")
    template.render(Context({"books": Book.objects.all()}))
    Book.objects.filter(title="Newer").delete()


def told(t):
    """All that a walk up the frames finds out, query by query."""
    return [
        (
            query.sql,
            query.model,
            query.decision_id,
            query.route,
            query.parent_id,
            query.instance,
            query.callsite,
            query.alias,
        )
        for query in t.queries
    ]


@pytest.mark.parametrize("debug", [False, True], ids=["plain cursors", "debug cursors"])
@pytest.mark.parametrize("home", [OneHome, Curious])
def test_they_are_told_as_the_walk_tells_them(site, ask, monkeypatch, home, debug):
    ask(home())
    connections["primary"].ensure_connection()
    monkeypatch.setattr(connections["primary"], "force_debug_cursor", debug)
    ContentType.objects.get_for_model(Book)  # which is read once
    walk, walks = watching.origin, []

    def counted(*args, **kwargs):
        walks.append(args)
        return walk(*args, **kwargs)

    def recorded():
        walks.clear()
        with trace("test", keep=False) as t, transaction.atomic(using="primary"):
            everything()
            transaction.set_rollback(True, using="primary")
        return told(t), len(walks)

    monkeypatch.setattr(watching, "origin", counted)
    direct, few = recorded()
    monkeypatch.setattr(watching, "sent_at_once", lambda *args: None)
    walked, all_of_them = recorded()
    assert direct == walked
    assert few <= all_of_them - 10
    assert all_of_them == len(walked)


def test_the_site_of_an_answer_that_was_kept_is_not_that_of_a_later_query(site, ask):
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
    names = {"ask": router.db_for_read, "Tag": Tag, "query": Tag.objects.all().query}
    folder = "site-packages" if library else "project"
    file = f"/home/{folder}/somebody.py"
    exec(compile(source, file, "exec"), names)
    ask(OneHome())
    with trace("test", keep=False) as t:
        names["sent"]()
    lines = [event.callsite.line for event in t.events]
    assert len(set(lines)) == 1 if library else lines == [2, 4]
    assert t.queries[0].decision_id == t.decisions[0].id


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
    asked = (None, 1, None, None)
    result = []
    cursor = watching.CursorWrapper(None, None)
    thread = threading.Thread(target=lambda: result.append(watching.sent_at_once(asked, cursor, {})))
    thread.start()
    thread.join()
    assert result == [None]
    assert watching.sent_at_once(asked, object(), {}) is None
