"""What Django refuses before any SQL: found where it is raised in Django's source, whoever catches it."""

from __future__ import annotations

import ast
import inspect
from contextlib import suppress
from pathlib import Path

import django
import pytest
from django.db import connections, transaction
from django.db.models import Manager
from django.db.models.fields import related_descriptors
from django.db.models.lookups import In
from django.db.models.sql.compiler import SQLCompiler
from django.db.transaction import TransactionManagementError

from dbroute_panel.recording import errors, exceptions
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Person, Review, Tag

pytestmark = pytest.mark.usefixtures("site")
DJANGO = Path(django.__file__).parent


class Everywhere:
    """Lets everything be related, and reads the library from the primary."""

    def db_for_read(self, model, **hints):
        return "primary" if model._meta.app_label == "library" else None

    def allow_relation(self, obj1, obj2, **hints):
        return True


@pytest.fixture(autouse=True)
def everywhere(routers):
    routers(Everywhere)


@pytest.fixture
def locking(monkeypatch):
    """SQLite as a database that has locks: of a statement that Django refuses, it gets nothing."""
    connections["primary"].ensure_connection()
    monkeypatch.setattr(connections["primary"].features, "has_select_for_update", True)


def told(t):
    return [(event.model, event.using, event.other, event.ended) for event in t.document.exceptions]


# Where Django raises them


def functions(node, outer=""):
    """The functions of a module by their qualified names."""
    for one in ast.iter_child_nodes(node):
        if isinstance(one, (ast.FunctionDef, ast.ClassDef)):
            if isinstance(one, ast.FunctionDef):
                yield outer + one.name, one
            local = "<locals>." if isinstance(one, ast.FunctionDef) else ""
            yield from functions(one, f"{outer}{one.name}.{local}")
        else:
            yield from functions(one, outer)


def raised_in(file, name):
    """The classes that the function itself raises, with the words of each."""
    tree = ast.parse((DJANGO / file).read_text(encoding="utf-8"))
    function = dict(functions(tree))[name]
    inner = {node for _, one in functions(function) for node in ast.walk(one)}
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and node not in inner and isinstance(node.exc, ast.Call):
            words = [one.value for one in ast.walk(node.exc) if isinstance(one, ast.Constant)]
            yield node.exc.func.id, " ".join(map(str, words))


WORDS = {
    "as_sql": "select_for_update cannot be used outside of a transaction.",
    "process_rhs": "Subqueries aren't allowed across different databases.",
    "add": "%r instance isn't saved. Use bulk=False",
}


@pytest.mark.parametrize("place", errors.MISMATCH_PLACES)
def test_the_class_and_the_function_are_of_this_error_alone(place):
    error, file, function = place
    words = [said for name, said in raised_in(file, function) if name == error]
    assert len(words) == 1
    assert words[0].startswith(WORDS[function.rpartition(".")[2]])


def test_it_is_raised_nowhere_else():
    found = set()
    for file in DJANGO.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        found |= {
            (file.relative_to(DJANGO).as_posix(), name)
            for name, words in WORDS.items()
            if words.removeprefix("%r ") in text
        }
    assert found == {(file, function.rpartition(".")[2]) for _, file, function in errors.MISMATCH_PLACES}


def test_the_connection_is_asked_right_before_it_is_refused():
    source = inspect.getsource(SQLCompiler.as_sql)
    before, _, _ = source.partition("raise TransactionManagementError")
    condition = before[before.rindex("if (") :]
    assert "self.connection.get_autocommit()" in condition
    assert "features.supports_transactions" in condition
    assert source.count("get_autocommit") == 1


# That it is seen


def lock():
    return list(Book.objects.using("primary").select_for_update())


def test_a_lock_that_is_caught(locking):
    with trace("t", keep=False) as t, suppress(TransactionManagementError):
        lock()
    assert told(t) == [("library.Book", "primary", None, None)]
    (event,) = t.document.exceptions
    assert event.error == "TransactionManagementError"
    assert (event.callsite.function, event.raised_at.function) == ("lock", "as_sql")
    assert t.document.queries == []


def test_a_lock_that_leaves_a_block_is_one_event(locking):
    with (
        trace("t", keep=False) as t,
        suppress(TransactionManagementError),
        transaction.atomic(using="auth_db"),
    ):
        lock()
    assert told(t) == [("library.Book", "primary", None, "atomic")]
    (event,) = t.document.exceptions
    assert event.error.startswith("TransactionManagementError: select_for_update cannot")
    assert event.alias == "auth_db"


def test_each_lock_counts(locking):
    with trace("t", keep=False) as t:
        for _ in range(3):
            with suppress(TransactionManagementError):
                lock()
            with suppress(KeyError), transaction.atomic(using="auth_db"):
                raise KeyError
    assert [event.error.partition(":")[0] for event in t.document.exceptions] == [
        "TransactionManagementError",
        "KeyError",
    ] * 3


def test_not_a_lock_inside_of_a_transaction(locking, monkeypatch):
    # What SQLite is sent then it does not know; Django has refused nothing.
    monkeypatch.setattr(connections["primary"].ops, "for_update_sql", lambda *args, **kwargs: "")
    with trace("t", keep=False) as t, transaction.atomic(using="primary"):
        lock()
    assert told(t) == []


def test_not_a_lock_that_nobody_records(locking):
    with pytest.raises(TransactionManagementError):
        lock()


def test_not_a_lock_where_the_database_has_none():
    with trace("t", keep=False) as t:
        lock()
    assert told(t) == []


def test_a_subquery_of_another_database_that_is_caught():
    inner = Person.objects.using("archive").values("pk")
    with trace("t", keep=False) as t:
        for _ in range(2):
            with suppress(ValueError):
                list(Book.objects.filter(author__in=inner))
    assert told(t) == [("library.Person", "primary", "archive", None)] * 2
    assert {event.raised_at.function for event in t.document.exceptions} == {"process_rhs"}


def test_a_subquery_in_a_subquery_is_refused_once():
    inner = Person.objects.filter(pk__in=Person.objects.using("archive").values("pk")).values("pk")
    with suppress(ValueError), trace("t", keep=False) as t:
        list(Book.objects.filter(author__in=inner))
    assert told(t) == [("library.Person", "primary", "archive", "trace")]


def test_not_a_subquery_of_the_same_or_of_no_database():
    with trace("t", keep=False) as t:
        list(Book.objects.filter(author__in=Person.objects.using("primary").values("pk")))
        list(Book.objects.filter(author__in=Person.objects.values("pk")))
        list(Book.objects.filter(author__in=[1, 2]))
    assert told(t) == []


def test_an_object_of_another_database_that_is_added():
    author = Person.objects.using("primary").create(name="Octavia Butler")
    book = Book.objects.using("archive").first()
    with trace("t", keep=False) as t, suppress(ValueError):
        author.books.add(book)
    assert told(t) == [("library.Book", "primary", "archive", None)]


async def test_an_object_of_another_database_that_is_added_by_async_code(site):
    author = await Person.objects.using("primary").acreate(name="Octavia Butler")
    book = await Book.objects.using("archive").afirst()
    with trace("t", keep=False) as t, suppress(ValueError):
        await author.books.aadd(book)
    assert told(t) == [("library.Book", "primary", "archive", None)]


def test_an_object_of_another_database_that_is_added_to_a_generic_relation():
    book = Book.objects.using("primary").first()
    review = Review.objects.using("primary").create(text="a", about=book)
    other = Book.objects.using("archive").first()
    with trace("t", keep=False) as t, suppress(ValueError):
        review._state.db = "archive"
        other.reviews.add(review)
    assert told(t) == [("library.Review", "primary", "archive", None)]


def test_not_an_object_that_is_nowhere_saved():
    author = Person.objects.using("primary").create(name="Octavia Butler")
    with trace("t", keep=False) as t, suppress(ValueError):
        author.books.add(Book(title="Kindred"))
    assert told(t) == []


def test_not_an_object_of_the_same_database_nor_of_another_class():
    author = Person.objects.using("primary").create(name="Octavia Butler")
    with trace("t", keep=False) as t:
        author.books.add(Book.objects.using("primary").first())
        with pytest.raises(TypeError):
            author.books.add(author)
    assert told(t) == []


def test_not_without_a_trace():
    with pytest.raises(ValueError, match="different databases"):
        list(Book.objects.filter(author__in=Person.objects.using("archive").values("pk")))


# That nothing else is changed


def test_what_is_wrapped_is_wrapped_once_and_looks_as_before():
    before = In.process_rhs, related_descriptors.create_reverse_many_to_one_manager
    exceptions.watch_refusals()
    assert (In.process_rhs, related_descriptors.create_reverse_many_to_one_manager) == before
    assert In.process_rhs.__qualname__ == "In.process_rhs"
    add = type(Person(pk=1).books).add
    assert add.alters_data is True
    assert list(inspect.signature(add).parameters) == ["self", "objs", "bulk"]
    assert isinstance(Person(pk=1).books, Manager)
    assert type(Person(pk=1).books(manager="objects")).add.is_watched


def test_without_generic_relations_there_is_nothing_to_wrap_of_them(monkeypatch):
    monkeypatch.delitem(exceptions.sys.modules, exceptions.GENERIC_FIELDS)
    exceptions.watch_refusals()


def test_an_error_of_ours_costs_the_event_alone(monkeypatch, locking):
    def broken(*args):
        raise RuntimeError("broken")

    monkeypatch.setattr(exceptions, "_find_mismatch", broken)
    monkeypatch.setattr(exceptions, "read_lock", broken)
    with trace("t", keep=False) as t:
        with pytest.raises(ValueError, match="different databases"):
            list(Book.objects.filter(author__in=Person.objects.using("archive").values("pk")))
        with pytest.raises(TransactionManagementError):
            lock()
    assert told(t) == []
    assert t.document.dropped.exception == 2


def test_what_only_looks_like_them_is_told_without_databases(monkeypatch):
    def process_rhs(self, compiler, connection):
        raise ValueError("one of the project's own")

    monkeypatch.setattr(In, "process_rhs", process_rhs)
    with suppress(ValueError), trace("t", keep=False) as t:
        list(Tag.objects.using("primary").filter(pk__in=[1]))
    assert told(t) == [(None, None, None, "trace")]


def test_an_object_of_somebody_else_s_is_no_reason_to_lose_the_event(monkeypatch):
    place = ("ValueError", "db/models/lookups.py", "In.process_rhs")
    monkeypatch.setitem(errors.MISMATCH_PLACES, place, lambda names: names["nothing"])
    with suppress(ValueError), trace("t", keep=False) as t:
        list(Book.objects.filter(author__in=Person.objects.using("archive").values("pk")))
    assert told(t) == [(None, None, None, "trace")]


def test_without_room_they_are_counted(settings, locking):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 1, "CALLSITES": False}
    with trace("t", keep=False) as t:
        for _ in range(2):
            with suppress(TransactionManagementError):
                lock()
    assert told(t) == [("library.Book", "primary", None, None)]
    assert t.document.exceptions[0].callsite is None
    assert t.document.dropped.exception == 1
