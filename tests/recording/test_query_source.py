"""Whose query it is: the compiler's that has the cursor, whatever else is at work in between."""

from __future__ import annotations

import _thread
import ast
import functools
import json
import sys
from pathlib import Path

import django
import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.handlers import base
from django.db import connections, models, router
from django.db.backends.signals import connection_created
from django.db.backends.sqlite3 import base as sqlite
from django.db.backends.utils import CursorWrapper
from django.db.models import F, Func, IntegerField, Value
from django.db.models.functions import Concat
from django.db.models.sql import query as sql_query
from django.db.models.sql.compiler import SQLCompiler
from django.http import HttpResponse
from django.test import Client
from django.urls import path

from dbroute_panel.recording import frame_kinds, query_source
from dbroute_panel.recording.query_source import (
    QuerySource,
    _find_raw_model,
    complete_source,
    find_connecting_sender,
    find_sender,
)
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Person, Tag
from tests.waiting import PATIENCE_SECONDS

LIBRARY = "/x/site-packages/somebody.py"
PROJECT = "/x/project/somebody.py"
FILES = pytest.mark.parametrize("file", [LIBRARY, PROJECT], ids=["a library", "the project"])


class Home:
    """Reads from the archive, writes to the primary."""

    def db_for_read(self, model, **hints):
        return "archive"

    def db_for_write(self, model, **hints):
        return "primary"


@pytest.fixture(autouse=True)
def routed(site, ask):
    ask(Home())
    for alias in ("primary", "archive"):
        connections[alias].ensure_connection()
    ContentType.objects.clear_cache()


@pytest.fixture
def archive(site):
    return connections["archive"]


def made_in(file, source, **names):
    names["__name__"] = "somebody"
    exec(compile(source, file, "exec"), names)
    return names


def told(t):
    """Each query: its database, its model, the action of its decision, and its route."""
    decisions = {decision.id: decision for decision in t.decisions}
    return [
        (
            query.alias,
            query.model,
            decisions[query.decision_id].action.value if query.decision_id else None,
            query.route.value,
        )
        for query in t.queries
    ]


READ = ("archive", "library.Tag", "db_for_read", "router")
WRITE = ("primary", "library.Tag", "db_for_write", "router")
AUDIT = ("primary", None, None, "cursor")


# A query of somebody's own while another one is sent

NOTING = """
def noted():
    with connections["primary"].cursor() as cursor:
        cursor.execute("SELECT 'noted'")

def wrapper(execute, sql, params, many, context):
    noted()
    return execute(sql, params, many, context)

def receiver(connection, **kwargs):
    if connection.alias == "archive":
        noted()

class Versioned(Func):
    function = "ABS"
    output_field = IntegerField()

    def as_sql(self, compiler, connection, **extra):
        noted()
        return super().as_sql(compiler, connection, **extra)

class Mirror:
    def __call__(self, execute, sql, params, many, context):
        with connections["primary"].cursor() as cursor:
            cursor.execute(sql, params)
        return execute(sql, params, many, context)
"""


def noting(file):
    return made_in(file, NOTING, connections=connections, Func=Func, IntegerField=IntegerField)


@FILES
@pytest.mark.parametrize("place", [0, 1], ids=["outside of ours", "inside of ours"])
def test_a_wrapper_that_sends_a_query_of_its_own(archive, file, place):
    wrapper = noting(file)["wrapper"]
    archive.execute_wrappers.insert(place, wrapper)
    try:
        with trace("test", keep=False) as t:
            list(Tag.objects.all())
    finally:
        archive.execute_wrappers.remove(wrapper)
    assert sorted(told(t), key=str) == sorted([READ, AUDIT], key=str)
    [read] = [query for query in t.queries if query.model]
    assert read.callsite.function == "test_a_wrapper_that_sends_a_query_of_its_own"


@pytest.mark.parametrize("place", [0, 1], ids=["outside of ours", "inside of ours"])
def test_a_wrapper_that_sends_the_same_statement_to_another_database(archive, place):
    mirror = noting(LIBRARY)["Mirror"]()
    archive.execute_wrappers.insert(place, mirror)
    try:
        with trace("test", keep=False) as t:
            list(Tag.objects.all())
    finally:
        archive.execute_wrappers.remove(mirror)
    assert sorted(told(t), key=str) == sorted([READ, AUDIT], key=str)


@FILES
def test_a_receiver_that_sends_a_query_as_the_connection_is_made(archive, file):
    receiver = noting(file)["receiver"]
    archive.close()
    connection_created.connect(receiver)
    try:
        with trace("test", keep=False) as t:
            list(Tag.objects.all())
    finally:
        connection_created.disconnect(receiver)
    assert told(t) == [AUDIT, READ]


@FILES
def test_an_expression_that_sends_a_query_as_the_sql_is_put_together(file):
    versioned = noting(file)["Versioned"]
    with trace("test", keep=False) as t:
        Tag.objects.filter(pk=1).update(id=versioned("id"))
        list(Tag.objects.annotate(version=versioned("id")))
        Tag(pk=versioned(Value(-4711)), name="new").save(force_insert=True)
    queries = [query for query in told(t) if query != AUDIT]
    assert queries == [WRITE, READ, WRITE]
    assert told(t).count(AUDIT) >= 3
    assert told(t)[0] == AUDIT


@FILES
def test_a_cursor_method_that_sends_a_query_of_its_own(monkeypatch, file):
    """The frame of the replaced method has the compiler's cursor, and sends with another one."""
    source = """
def execute(self, sql, params=None):
    if self.db.alias != "primary":
        with connections["primary"].cursor() as cursor:
            cursor.execute("SELECT 'noted'")
    return original(self, sql, params)
"""
    names = made_in(file, source, connections=connections, original=CursorWrapper.execute)
    monkeypatch.setattr(CursorWrapper, "execute", names["execute"])
    with trace("test", keep=False) as t:
        list(Tag.objects.all())
    assert told(t) == [AUDIT, READ]


def test_a_query_again_with_the_same_cursor_is_its_own(archive):
    def explaining(execute, sql, params, many, context):
        if not sql.startswith("EXPLAIN"):
            context["cursor"].execute(f"EXPLAIN {sql}", params)
        return execute(sql, params, many, context)

    with archive.execute_wrapper(explaining), trace("test", keep=False) as t:
        list(Tag.objects.all())
    assert sorted(told(t), key=str) == sorted([READ, ("archive", None, None, "cursor")], key=str)


# What is in between and does not matter

WRAPPING = """
def guard(execute, sql, params, many, context):
    return execute(sql, params, many, context)

def rewriting(execute, sql, params, many, context):
    return execute(sql + " /* a comment */", params, many, context)

def measured(self, *args, **kwargs):
    return original(self, *args, **kwargs)

class Proxy:
    def __init__(self, cursor):
        self._wrapped = cursor

    def __getattr__(self, name):
        return getattr(self._wrapped, name)

    def __iter__(self):
        return iter(self._wrapped)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._wrapped.close()

    def execute(self, sql, params=None):
        return self._wrapped.execute(sql + " /* a comment */", params)

class Slotted(Proxy):
    __slots__ = ("_wrapped",)

    def execute(self, sql, params=None):
        return self._wrapped.execute(sql, params)
"""


def everything():
    """What the ORM sends, with what is told of it."""
    list(Tag.objects.all())
    Tag.objects.count()
    list(Tag.objects.raw("SELECT * FROM library_tag"))
    tag = Tag(name="new")
    tag.save()
    tag.name = "newer"
    tag.save()
    tag.name = Concat(F("name"), Value("x"))
    tag.save()
    Tag.objects.bulk_create([Tag(name="one"), Tag(name="two")])
    Tag.objects.filter(name="none").update(name="some")
    Tag.objects.filter(name="none").delete()


def test_everything_is_linked():
    with trace("test", keep=False) as t:
        everything()
    assert set(told(t)) == {READ, WRITE}
    assert {q.callsite.function for q in t.queries} == {"everything"}
    saved = [query for query in t.queries if query.instance is not None]
    assert [query.operation for query in saved] == ["INSERT", "UPDATE", "UPDATE"]


@pytest.fixture
def expected():
    with trace("test", keep=False) as t:
        everything()
    return facts(t)


def facts(t):
    kept = [(q.operation, q.callsite, q.instance and q.instance.model, q.parent_id) for q in t.queries]
    return told(t), kept


@FILES
@pytest.mark.parametrize("place", [0, 1], ids=["outside of ours", "inside of ours"])
@pytest.mark.parametrize("name", ["guard", "rewriting"])
def test_an_execute_wrapper_does_not_matter(expected, file, name, place):
    wrapper = made_in(file, WRAPPING)[name]
    both = connections["primary"], connections["archive"]
    for each in both:
        each.execute_wrappers.insert(place, wrapper)
    try:
        with trace("test", keep=False) as t:
            everything()
    finally:
        for each in both:
            each.execute_wrappers.remove(wrapper)
    assert facts(t) == expected


@FILES
@pytest.mark.parametrize("method", ["execute", "_execute_with_wrappers", "_execute"])
def test_a_method_of_the_cursor_under_another_name_does_not_matter(monkeypatch, expected, file, method):
    names = made_in(file, WRAPPING, original=getattr(CursorWrapper, method))
    monkeypatch.setattr(CursorWrapper, method, names["measured"])
    with trace("test", keep=False) as t:
        everything()
    assert facts(t) == expected


@FILES
@pytest.mark.parametrize("name", ["Proxy", "Slotted"])
def test_a_proxy_of_the_cursor_does_not_matter(monkeypatch, expected, file, name):
    proxy = made_in(file, WRAPPING)[name]
    cursor = sqlite.DatabaseWrapper._cursor
    monkeypatch.setattr(sqlite.DatabaseWrapper, "_cursor", lambda self, name=None: proxy(cursor(self, name)))
    with trace("test", keep=False) as t:
        everything()
    assert told(t) == expected[0]


@FILES
def test_a_compiler_that_is_wrapped_does_not_matter(monkeypatch, expected, file):
    names = made_in(file, WRAPPING, original=SQLCompiler.execute_sql)
    monkeypatch.setattr(SQLCompiler, "execute_sql", names["measured"])
    with trace("test", keep=False) as t:
        everything()
    assert told(t) == expected[0]


def test_what_wraps_a_raw_query_is_not_its_line(archive):
    def guard(execute, sql, params, many, context):
        return execute(sql, params, many, context)

    archive.execute_wrappers.insert(0, guard)
    try:
        with trace("test", keep=False) as t, archive.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        archive.execute_wrappers.remove(guard)
    [query] = t.queries
    assert query.callsite.function == "test_what_wraps_a_raw_query_is_not_its_line"


# Compilers of a project's or a library's own


@FILES
def test_a_compiler_of_somebody_else_is_known_by_its_cursor(file):
    source = """
class Compiler(SQLCompiler):
    def run(self):
        text, params = self.as_sql()
        with self.connection.cursor() as own:
            own.execute(text, params)

    def inline(self):
        text, params = self.as_sql()
        self.connection.cursor().execute(text, params)

    def other(self):
        with connections["primary"].cursor() as cursor:
            cursor.execute("SELECT 1")
"""
    names = made_in(file, source, SQLCompiler=SQLCompiler, connections=connections)
    query = Tag.objects.order_by("pk").query
    with trace("test", keep=False) as t:
        compiler = names["Compiler"](query, connections["archive"], router.db_for_read(Tag))
        compiler.run()
        compiler.inline()
        compiler.other()
    assert told(t) == [READ, READ, AUDIT]


@FILES
def test_what_a_compiler_of_somebody_else_sends_besides_its_sql_is_its_own(file):
    """Before the statement, and while it is put together, for Django or for a method of its own."""
    source = """
class Query(models.sql.Query):
    def get_compiler(self, using=None, connection=None, elide_empty=True):
        return Compiler(self, connection or connections[using], using, elide_empty)

class Compiler(SQLCompiler):
    def execute_sql(self, *args, **kwargs):
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT 'before'")
        return super().execute_sql(*args, **kwargs)

    def as_sql(self, *args, **kwargs):
        self.note("as_sql")
        return super().as_sql(*args, **kwargs)

    def pre_sql_setup(self, *args, **kwargs):
        self.note("pre_sql_setup")
        return super().pre_sql_setup(*args, **kwargs)

    def note(self, name):
        sql = f"SELECT '{name}'"
        with self.connection.cursor() as cursor:
            cursor.execute(sql)

    def run(self):
        text, params = self.as_sql()
        with self.connection.cursor() as own:
            own.execute(text, params)
"""
    names = made_in(file, source, SQLCompiler=SQLCompiler, connections=connections, models=models)
    tags = Tag.objects.order_by("pk")
    tags.query.__class__ = names["Query"]
    besides = ("archive", None, None, "cursor")
    with trace("test", keep=False) as t:
        list(tags)
    assert told(t) == [besides, besides, besides, READ]
    with trace("test", keep=False) as t:
        names["Compiler"](tags.query, connections["archive"], router.db_for_read(Tag)).run()
    assert told(t) == [besides, besides, READ]


# UPDATE ... RETURNING, since Django 6.0


def test_an_update_that_returns_values_is_the_compilers():
    tag = Tag.objects.using("primary").first()
    with trace("test", keep=False) as t:
        tag.name = Concat(F("name"), Value("x"))
        tag.save()
    update = t.queries[-1]
    assert told(t)[-1] == ("primary", "library.Tag", "db_for_write", "router")
    assert (update.operation, update.instance.model) == ("UPDATE", "library.Tag")
    assert ("RETURNING" in update.sql) == (django.VERSION >= (6, 0))


# Deferred fields with their peers, since Django 6.1

PEERS = pytest.mark.skipif(django.VERSION < (6, 1), reason="fetch modes are of Django 6.1")


def loaded(mode):
    return list(Book.objects.defer("title").fetch_mode(mode))


@PEERS
def test_a_field_that_is_fetched_with_its_peers_asks_no_router():
    with trace("test", keep=False) as t:
        books = loaded(models.FETCH_PEERS)
        assert len(books) > 1
        books[0].title  # noqa: B018
    read, peers = t.queries
    assert (read.decision_id, read.route.value) == (1, "router")
    assert (peers.alias, peers.model, peers.decision_id, peers.route.value) == (
        "archive",
        "library.Book",
        None,
        "peers",
    )
    assert peers.callsite.function == "test_a_field_that_is_fetched_with_its_peers_asks_no_router"
    assert [decision.action for decision in t.decisions] == ["db_for_read"]


@PEERS
def test_fields_of_one_object_and_relations_of_peers_ask_the_routers():
    with trace("test", keep=False) as t:
        one, peers = loaded(models.FETCH_ONE), loaded(models.FETCH_PEERS)
        one[0].title, peers[0].author
    assert {query.route.value for query in t.queries} == {"router"}
    assert [query.model for query in t.queries].count("library.Person") == 1


@PEERS
def test_peers_on_the_member_of_an_enum_are_peers_too(ask):
    import enum

    class Alias(enum.StrEnum):
        ARCHIVE = "archive"

    class Enumerated:
        def db_for_read(self, model, **hints):
            return Alias.ARCHIVE

    ask(Enumerated())
    with trace("test", keep=False) as t:
        books = loaded(models.FETCH_PEERS)
        books[0].title  # noqa: B018
    assert [(query.decision_id, query.route.value) for query in t.queries] == [(1, "router"), (None, "peers")]


# What could not be reached


def test_an_insert_that_finds_no_database_is_that_of_its_decision(monkeypatch):
    connections["primary"].close()
    monkeypatch.setattr(sqlite.DatabaseWrapper, "get_new_connection", lambda *args: 1 / 0)
    with trace("test", keep=False) as t:
        for failing in (Tag(name="x").save, lambda: list(Tag.objects.raw("SELECT 1"))):
            connections["archive"].close()
            with pytest.raises(ZeroDivisionError):
                failing()
    assert told(t) == [WRITE, READ]


def test_a_database_that_cannot_be_reached_while_sql_is_put_together_is_not_the_compilers(monkeypatch):
    versioned = noting(LIBRARY)["Versioned"]
    connections["primary"].close()
    monkeypatch.setattr(sqlite.DatabaseWrapper, "get_new_connection", lambda *args: 1 / 0)
    with trace("test", keep=False) as t, pytest.raises(ZeroDivisionError):
        list(Tag.objects.using("archive").annotate(version=versioned("id")))
    [failed] = t.queries
    assert (failed.alias, failed.decision_id) == ("primary", None)


@pytest.mark.parametrize("module", [base, sql_query], ids=["a request", "another connection's query"])
def test_a_frame_that_wants_no_cursor_of_this_connection_is_not_the_sender(module):
    names = {"sys": sys}
    exec(compile("frame = sys._getframe()", module.__file__, "exec"), names)
    frame = names["frame"]
    assert find_connecting_sender(frame, object()) == QuerySource(None, frame)


def test_there_is_nobody_beyond_the_last_frame():
    assert find_sender(None, None, None, None) == QuerySource(None, None)
    assert find_connecting_sender(None, None) == QuerySource(None, None)
    assert _find_raw_model(None, None) is None
    source = QuerySource(None, None)
    complete_source(source, Recorder("test", "block"))
    assert source == QuerySource(None, None)


# Every way in which Django sends a query

SENDERS = {
    ("db/models/sql/compiler.py", "SQLCompiler.execute_sql"): "a compiler with a local cursor",
    ("db/models/sql/compiler.py", "SQLInsertCompiler.execute_sql"): "a compiler with a local cursor",
    (
        "db/models/sql/compiler.py",
        "SQLUpdateCompiler.execute_returning_sql",
    ): "a compiler with a local cursor",
    ("db/models/sql/query.py", "RawQuery._execute_query"): "a RawQuery with its cursor",
    ("core/cache/backends/db.py", "DatabaseCache.get_many"): "a raw cursor",
    ("core/cache/backends/db.py", "DatabaseCache._base_set"): "a raw cursor",
    ("core/cache/backends/db.py", "DatabaseCache._base_delete_many"): "a raw cursor",
    ("core/cache/backends/db.py", "DatabaseCache.has_key"): "a raw cursor",
    ("core/cache/backends/db.py", "DatabaseCache._cull"): "a raw cursor",
    ("core/cache/backends/db.py", "DatabaseCache.clear"): "a raw cursor",
    ("core/management/commands/createcachetable.py", "Command.create_table"): "a raw cursor",
    ("core/management/commands/loaddata.py", "Command.reset_sequences"): "a raw cursor",
    ("contrib/postgres/operations.py", "CreateExtension.extension_exists"): "a raw cursor",
    ("test/testcases.py", "TransactionTestCase._reset_sequences"): "a raw cursor",
    ("contrib/postgres/signals.py", "get_type_oids"): "a raw cursor",
    ("contrib/sites/management.py", "create_default_site"): "a raw cursor",
}
"""What in Django executes SQL, outside of the backends, and how it is recorded."""

CURSORS = {"execute", "executemany", "callproc", "copy", "copy_expert"}


def executing(file):
    """The functions in a file of Django's that call a method of a cursor."""
    tree = ast.parse(file.read_text())
    found = set()

    def walk(node, name):
        for child in ast.iter_child_nodes(node):
            inner = name
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                inner = f"{name}.{child.name}" if name else child.name
            if (
                isinstance(child, ast.Call)
                and isinstance(child.func, ast.Attribute)
                and child.func.attr in CURSORS
                and "curs" in ast.unparse(child.func.value).lower()
            ):
                found.add(name)
            walk(child, inner)

    walk(tree, "")
    return found


def test_every_way_in_which_django_sends_a_query_is_known():
    """A new one fails here, and is to be recorded as what it is."""
    root = Path(django.__file__).parent
    found = {
        (file.relative_to(root).as_posix(), name)
        for file in root.rglob("*.py")
        if "backends" not in file.relative_to(root).parts[:2] and "gis" not in file.parts
        for name in executing(file)
    }
    known = set(SENDERS)
    if django.VERSION < (6, 0):
        known -= {("db/models/sql/compiler.py", "SQLUpdateCompiler.execute_returning_sql")}
    assert found == known


def test_every_compiler_of_django_has_its_cursor_under_this_name():
    """It is found by that: ``cursor`` in the frame of the compiler's method."""
    root = Path(django.__file__).parent
    for file, name in SENDERS:
        if file == "db/models/sql/compiler.py":
            owner, method = name.split(".")
            function = getattr(__import__("django.db.models.sql.compiler", fromlist=[owner]), owner)
            if hasattr(function, method):
                assert "cursor" in getattr(function, method).__code__.co_varnames
    assert not [
        each
        for each in root.glob("db/backends/*/compiler.py")
        if executing(each) or "execute_sql" in each.read_text()
    ]


def test_a_person_is_read_by_the_compiler_of_a_relation():
    with trace("test", keep=False) as t:
        Book.objects.select_related("author").first()
        list(Person.objects.filter(books__in=Book.objects.all())[:1])
    assert {query.route.value for query in t.queries} == {"router"}


# A raw cursor on an alias that the routers gave


@pytest.fixture
def cache(settings):
    from django.core.cache import caches

    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache_table"}
    }
    for alias in ("primary", "archive"):
        with connections[alias].cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS cache_table")
            cursor.execute(
                "CREATE TABLE cache_table (cache_key varchar(255) PRIMARY KEY, value text, expires datetime)"
            )
    return caches["default"]


def test_the_database_cache_is_linked_to_its_decisions(cache):
    with trace("test", keep=False) as t:
        cache.set("a", 1)
        cache.get("a")
        cache.has_key("a")
        cache.delete("a")
        cache.clear()
    decisions = {decision.id: decision for decision in t.decisions}
    assert t.queries
    for query in t.queries:
        assert query.route == "router"
        assert decisions[query.decision_id].answer == query.alias
        assert decisions[query.decision_id].model == "django_cache.CacheEntry"
    assert {query.alias for query in t.queries} == {"primary", "archive"}


def test_a_function_that_has_the_answer_is_linked_to_it():
    with trace("test", keep=False) as t:
        db = router.db_for_read(Tag)
        with connections[db].cursor() as cursor:
            cursor.execute("SELECT 1")
        with connections["primary"].cursor() as cursor:
            cursor.execute("SELECT 2")
    assert told(t) == [("archive", None, "db_for_read", "router"), AUDIT]


def test_of_two_equal_answers_it_is_the_one_that_looked_the_connection_up():
    with trace("test", keep=False) as t:
        one, other = router.db_for_read(Tag), router.db_for_read(Book)
        with connections[one].cursor() as cursor:
            cursor.execute("SELECT 1")
        assert one == other
    assert told(t) == [("archive", None, "db_for_read", "router")]
    assert t.queries[0].decision_id == t.decisions[0].id


def test_an_answer_that_is_not_kept_cannot_be_told():
    with trace("test", keep=False) as t, connections[router.db_for_read(Tag)].cursor() as cursor:
        cursor.execute("SELECT 1")
    assert told(t) == [("archive", None, None, "cursor")]


# Frames that are not the sender's


def test_the_answer_of_another_decision_is_no_short_cut():
    """The method that asked last sent nothing, and the same method sends a query on an earlier answer."""
    with trace("test", keep=False) as t:
        books = Book.objects.using(router.db_for_read(Book))
        list(Book.objects.filter(pk__in=[]))
        list(books)
    [query] = t.queries
    assert query.decision_id == 1


def test_a_receiver_that_sends_a_query_as_a_raw_query_wants_its_connection(archive):
    receive = noting(LIBRARY)["receiver"]
    archive.close()
    connection_created.connect(receive)
    try:
        with trace("test", keep=False) as t:
            list(Tag.objects.raw("SELECT * FROM library_tag"))
    finally:
        connection_created.disconnect(receive)
    assert told(t) == [AUDIT, READ]


def test_a_function_that_somebody_s_compiler_calls_sends_its_own():
    source = """
class Compiler(SQLCompiler):
    def asked(self, send):
        send(self.connection)
"""
    names = made_in(LIBRARY, source, SQLCompiler=SQLCompiler)

    def send(connection):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    with trace("test", keep=False) as t:
        compiler = names["Compiler"](Tag.objects.all().query, connections["primary"], "primary")
        compiler.asked(send)
    assert told(t) == [AUDIT]


def test_a_view_that_finds_no_database_was_not_called_by_a_compiler(monkeypatch, settings):
    def view(request):
        with pytest.raises(ZeroDivisionError), connections["primary"].cursor():
            pass
        return HttpResponse()

    connections["primary"].close()
    monkeypatch.setattr(sqlite.DatabaseWrapper, "get_new_connection", lambda *args: 1 / 0)
    settings.ROOT_URLCONF, settings.MIDDLEWARE = (path("", view),), []
    with trace("test", keep=False) as t:
        Client().get("/")
    [failed] = t.queries
    assert (failed.alias, failed.decision_id, failed.callsite.function) == ("primary", None, "view")


def test_what_fetches_for_many_is_told_by_its_code(monkeypatch):
    """On every version of Django: what stands for ``fetch_many()`` has its file."""
    source = "def fetch_many(run):\n    return run()\n"
    names = made_in(frame_kinds.DJANGO_FOLDER + "db/models/query_utils.py", source)
    monkeypatch.setattr(query_source, "_FETCH_MANY", names["fetch_many"].__code__)
    with trace("test", keep=False) as t, connections["archive"].cursor() as cursor:
        read = Tag.objects.using(router.db_for_read(Tag))
        names["fetch_many"](functools.partial(list, read))
        names["fetch_many"](functools.partial(cursor.execute, "SELECT 1"))
    peers, raw = t.queries
    assert (peers.model, peers.decision_id, peers.route.value) == ("library.Tag", None, "peers")
    assert (raw.decision_id, raw.route.value) == (None, "cursor")


def test_where_no_frame_is_anything_s_of_django_nobody_sends():
    """In a thread that C code started are frames of Python's library alone, up to the outermost."""
    frames, is_there, may_end = [], _thread.allocate_lock(), _thread.allocate_lock()
    is_there.acquire()
    may_end.acquire()

    def look(value):
        frames.append(sys._getframe().f_back)
        is_there.release()
        may_end.acquire(timeout=PATIENCE_SECONDS)

    _thread.start_new_thread(json.JSONEncoder(default=look).encode, (object(),))
    assert is_there.acquire(timeout=PATIENCE_SECONDS)
    # Looked at from here, because coverage does not watch such a thread.
    assert find_sender(frames.pop(), object(), object(), "SELECT 1").compiler is None
    may_end.release()
