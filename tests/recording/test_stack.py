from __future__ import annotations

import asyncio
import contextvars
import functools
import json
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, models, router
from django.db.backends.sqlite3 import base as sqlite
from django.db.backends.utils import CursorWrapper
from django.db.models.sql.compiler import SQLCompiler
from django.http import HttpResponse
from django.template import Context, Engine, engines
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory
from django.urls import path

from dbroute_panel.recording import async_stack, frame_kinds
from dbroute_panel.recording.captured import CapturedCallsite
from dbroute_panel.recording.frame_kinds import FrameFilter, FrameKind, classify_file
from dbroute_panel.recording.stack import find_callsite, is_of_store, locate, next_frame
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Person, Tag
from example_site.users.models import User
from tests.recording import urls

HERE = "tests/recording/test_stack.py"


def line_of(marker, file=__file__):
    """The line of this file that ends in ``# <marker>``."""
    lines = Path(file).read_text().splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}")]
    return number


def where(callsite):
    return (callsite.file, callsite.line, callsite.function)


# Kinds of files


def test_files_are_classed_by_their_names():
    import asgiref.local
    import django.db.backends.sqlite3.schema
    import django.db.models.manager
    import msgspec

    import dbroute_panel.conf

    assert classify_file(django.db.models.manager.__file__) is FrameKind.FRAMEWORK
    assert classify_file(asgiref.local.__file__) is FrameKind.FRAMEWORK
    assert classify_file(dbroute_panel.conf.__file__) is FrameKind.FRAMEWORK
    assert classify_file(django.db.backends.sqlite3.schema.__file__) is FrameKind.SCHEMA
    assert classify_file(django.db.models.base.__file__) is FrameKind.MODEL
    assert classify_file(msgspec.__file__) is FrameKind.LIBRARY
    assert classify_file("/usr/lib/python3/dist-packages/x.py") is FrameKind.LIBRARY
    assert classify_file(json.__file__) is FrameKind.PYTHON
    assert classify_file("<frozen importlib._bootstrap>") is FrameKind.PYTHON
    for file in (__file__, "<string>", "<console>", urls.__file__, r"C:\project\views.py"):
        assert classify_file(file) is FrameKind.USER
    assert classify_file(r"C:\python\Lib\site-packages\x\y.py") is FrameKind.LIBRARY


@pytest.mark.toolbar
def test_the_toolbar_s_files_are_the_framework_s_and_those_of_its_store_the_tool_s_own():
    import debug_toolbar.panels.sql
    import debug_toolbar.store

    assert classify_file(debug_toolbar.panels.sql.__file__) is FrameKind.FRAMEWORK
    assert classify_file(debug_toolbar.store.__file__) is FrameKind.STORE


def test_names_that_somebody_makes_up_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(frame_kinds, "_kinds", made := {})
    for number in range(20_001):
        classify_file(f"<made up {number}>")
    assert len(made) == 1


# Lines


def test_the_line_is_the_users_own(recorded):
    Tag.objects.count()  # counting
    decision, query = recorded.events
    assert where(decision.callsite) == (HERE, line_of("counting"), "test_the_line_is_the_users_own")
    assert where(query.callsite) == where(decision.callsite)
    assert query.callsite.template is None


def test_the_innermost_line_counts(recorded):
    def innermost():
        return list(Tag.objects.using("primary"))  # innermost

    sorted(innermost(), key=str)
    assert where(recorded.queries[0].callsite) == (HERE, line_of("innermost"), "innermost")


def test_a_place_is_the_line_that_python_says(site):
    frame = sys._getframe()
    site_ = find_callsite(frame)
    assert locate(site_) == (__file__, frame.f_lineno - 1, "test_a_place_is_the_line_that_python_says")
    assert locate(CapturedCallsite(frame.f_code, -2))[1] == frame.f_code.co_firstlineno


def test_a_place_is_right_at_every_instruction():
    code = outside.__code__
    lines = [line for line, *_ in code.co_positions()]
    assert len(set(lines)) > 2
    for position, line in enumerate(lines):
        assert locate(CapturedCallsite(code, 2 * position))[1] == (line or code.co_firstlineno)


def test_code_from_a_string_is_the_users(recorded):
    names = {"Tag": Tag}
    exec(compile("\n\ndef work():\n    Tag.objects.count()\n\nwork()\n", "<string>", "exec"), names)
    assert where(recorded.queries[0].callsite) == ("<string>", 4, "work")


def test_a_line_of_many_statements_and_calls_over_several_lines(recorded):
    (
        Tag.objects.using("primary")
        .filter(name="x")
        .exists()
    )  # fmt: skip
    query = recorded.queries[0].callsite
    assert query.line in range(line_of("fmt: skip") - 4, line_of("fmt: skip") + 1)


def a_library(tmp_path, source, names):
    """A function ``run`` as if it was installed with pip."""
    file = tmp_path / "site-packages" / "library.py"
    exec(compile(source, str(file), "exec"), names)
    return str(file), names["run"]


def test_a_library_is_passed_by_for_the_user(recorded, tmp_path):
    _, run = a_library(tmp_path, "def run(queryset):\n    return queryset.count()\n", {})
    run(Tag.objects.using("primary"))  # through a library
    assert where(recorded.queries[0].callsite)[:2] == (HERE, line_of("through a library"))


def outside(function):
    """Run a function on a thread of the standard library's, where nobody's code is further out."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(contextvars.copy_context().run, function).result()
        thread.submit(connections.close_all).result()


def test_where_no_user_is_the_innermost_library_counts(recorded, tmp_path):
    source = """
def inner(queryset):
    queryset.count()
    router.db_for_read(queryset.model)

def run(*args):
    inner(*args)
"""
    _file, run = a_library(tmp_path, source, {"router": router})
    outside(functools.partial(run, Tag.objects.using("primary")))
    assert [where(event.callsite)[1:] for event in recorded.events] == [(3, "inner"), (4, "inner")]
    assert {(event.callsite.file, event.callsite.entry) for event in recorded.events} == {("library.py", "")}


def test_where_nobody_is_there_is_no_callsite(recorded):
    outside(Tag.objects.using("primary").count)
    outside(functools.partial(router.db_for_read, Tag))
    assert [event.callsite for event in recorded.events] == [None, None]
    assert recorded.queries[0].model == "library.Tag"


def test_a_thread_of_the_users_has_his_line(recorded):
    def work():
        Tag.objects.using("primary").count()  # in a thread

    outside(work)
    assert where(recorded.queries[0].callsite) == (HERE, line_of("in a thread"), "work")


def test_a_view_has_its_line(site):
    with trace("test", keep=False) as t:
        urls.plain(RequestFactory().get("/"))
    assert t.queries[0].callsite.file == "tests/recording/urls.py"
    assert t.queries[0].callsite.function == "plain"


# Templates


def render(source, **context):
    engine = Engine(
        loaders=[
            ("django.template.loaders.locmem.Loader", {"page.html": source, "part.html": "{{ tags.count }}"})
        ]
    )
    return engine.get_template("page.html").render(Context(context))


def test_a_query_of_a_lazy_queryset_has_the_line_of_its_tag(recorded):
    render("<ul>\n\n{% for tag in tags %}\n{{ tag }}\n{% endfor %}", tags=Tag.objects.all())
    decision, query = recorded.events
    assert query.callsite.template == decision.callsite.template == ("page.html", 3)
    assert query.callsite.function == "render"


def test_a_variable_and_an_included_template_have_their_own_line(recorded):
    render("\n{{ tags.count }}\n{% include 'part.html' %}", tags=Tag.objects.using("primary"))
    assert [q.callsite.template for q in recorded.queries] == [("page.html", 2), ("part.html", 1)]


def test_a_method_that_a_template_calls_has_both(recorded):
    class Shelf:
        def number(self):
            router.db_for_read(Tag)
            return Tag.objects.using("primary").count()  # a method

    render("\n{{ shelf.number }}", shelf=Shelf())
    decision, query = recorded.events
    assert where(query.callsite) == (HERE, line_of("a method"), "number")
    assert query.callsite.template == decision.callsite.template == ("page.html", 2)


def counted(request):
    return HttpResponse(str(Tag.objects.using("primary").count()))


urlpatterns = [path("counted/", counted)]


def test_a_view_that_is_called_while_a_template_is_rendered_is_not_of_that_template(recorded, settings):
    settings.MIDDLEWARE, settings.ROOT_URLCONF = [], __name__
    render("\n{{ get }}", get=lambda: Client().get("/counted/"))
    [query] = recorded.queries
    assert query.callsite.function == "counted"
    assert query.callsite.template is None


def test_a_template_that_a_view_leaves_to_django_to_render_has_its_line(recorded, settings):
    page = engines["django"].from_string("\n\n{{ number }}")

    def leaving(request):
        return TemplateResponse(request, page, {"number": lambda: Tag.objects.using("primary").count()})

    settings.MIDDLEWARE, settings.ROOT_URLCONF = [], (path("leaving/", leaving),)
    assert Client().get("/leaving/").content == b"\n\n4"
    assert recorded.queries[0].callsite.template == ("<unknown source>", 3)


def test_a_decision_its_query_and_the_rounds_of_a_loop_share_their_site(recorded):
    for _ in range(3):
        Tag.objects.count()
    assert len({id(event.site) for event in recorded._recorder.events}) == 1


def test_a_template_from_a_string_has_its_line_too(recorded):
    Engine().from_string("\n{{ tags.count }}").render(Context({"tags": Tag.objects.using("primary")}))
    assert recorded.queries[0].callsite.template == ("<unknown source>", 2)


def test_where_nobody_but_a_template_is_at_work_its_file_and_line_are_the_callsite(recorded):
    engine = Engine(
        loaders=[("django.template.loaders.locmem.Loader", {"page.html": "\n\n{{ tags.count }}"})]
    )
    template = engine.get_template("page.html")
    outside(functools.partial(template.render, Context({"tags": Tag.objects.using("primary")})))
    assert where(recorded.queries[0].callsite) == ("page.html", 3, "<template>")
    assert recorded.queries[0].callsite.template == ("page.html", 3)


def test_a_tag_that_does_not_know_where_it_is_from(recorded):
    from django.template.base import Node

    class Counting(Node):
        def render(self, context):
            return str(Tag.objects.using("primary").count())

    Counting().render_annotated(Context())
    assert recorded.queries[0].callsite.template is None


def test_a_nameless_tag_alone_is_no_callsite(recorded):
    from django.template.base import Node

    bare = Node()
    bare.render = functools.partial(_counting, Tag.objects.using("primary"))
    outside(functools.partial(bare.render_annotated, Context()))
    assert recorded.queries[0].callsite is None


_counting = eval(
    compile("lambda tags, context: tags.count()", frame_kinds.DJANGO_FOLDER + "template/made_up.py", "eval")
)


# Async


async def test_an_awaited_query_has_the_users_line(recorded):
    await Tag.objects.aget(pk=1)  # awaited
    line = (HERE, line_of("awaited"), "test_an_awaited_query_has_the_users_line")
    assert [where(event.callsite) for event in recorded.events] == [line, line]  # of the decision, too


async def read(pk):
    return await Book.objects.using("primary").aget(pk=pk)  # inside of gather


async def test_a_query_awaited_inside_of_gather_has_the_users_line(recorded):
    await asyncio.gather(*(read(pk) for pk in range(1, 5)))
    assert {where(query.callsite) for query in recorded.queries} == {
        (HERE, line_of("inside of gather"), "read")
    }
    assert len(recorded.queries) == 4


async def test_queries_that_gather_makes_tasks_of_have_the_line_of_gather(recorded):
    books = Book.objects.using("primary")
    await asyncio.gather(books.aget(pk=1), books.aget(pk=2))  # gather
    assert [q.callsite.line for q in recorded.queries] == [line_of("gather")] * 2


@pytest.mark.parametrize(
    "how",
    [
        lambda work: asyncio.wait_for(work, 5),
        lambda work: asyncio.shield(asyncio.ensure_future(work)),
        asyncio.ensure_future,
        lambda work: asyncio.wait([asyncio.ensure_future(work)]),
    ],
    ids=["wait_for", "shield", "task", "wait"],
)
async def test_a_query_in_a_task_of_its_own_has_the_line_that_waits_for_it(recorded, how):
    await how(Book.objects.using("primary").aget(pk=1))  # waits
    assert recorded.queries[0].callsite.line == line_of("waits")


def woken_by_a_partial(work):
    """A future that a task's own callback sets, as asyncio's wait_for() did before Python 3.12."""
    woken = asyncio.get_running_loop().create_future()
    asyncio.ensure_future(work).add_done_callback(functools.partial(wake, woken))
    return woken


def wake(woken, task):
    woken.set_result(task.result())


async def test_a_query_in_a_task_whose_callback_is_a_partial_has_the_line_that_waits_for_it(recorded):
    await woken_by_a_partial(Book.objects.using("primary").aget(pk=1))  # waits for the callback
    assert recorded.queries[0].callsite.line == line_of("waits for the callback")


async def test_a_query_in_a_task_group_has_the_line_of_the_group(recorded):
    async with asyncio.TaskGroup() as group:
        group.create_task(Book.objects.using("primary").aget(pk=1))
    assert recorded.queries[0].callsite.function == "test_a_query_in_a_task_group_has_the_line_of_the_group"


async def test_a_task_that_nobody_waits_for_has_no_callsite(recorded):
    task = asyncio.ensure_future(Book.objects.using("primary").aget(pk=1))
    done = asyncio.Event()
    task.add_done_callback(lambda task: done.set())
    await done.wait()
    assert recorded.queries[0].callsite is None


async def test_async_for_has_the_users_line(recorded):
    async for _tag in Tag.objects.using("primary"):  # async for
        pass
    assert recorded.queries[0].callsite.line == line_of("async for")


async def test_sync_code_on_a_thread_has_its_own_line(recorded):
    def work():
        return Tag.objects.using("primary").count()  # on a thread

    await sync_to_async(work)()
    with ThreadPoolExecutor(1) as executor:  # asgiref's own may close on another thread than it opened
        await sync_to_async(work, thread_sensitive=False, executor=executor)()
        await sync_to_async(connections.close_all, thread_sensitive=False, executor=executor)()
    assert [q.callsite.line for q in recorded.queries] == [line_of("on a thread")] * 2


def test_async_code_inside_of_sync_code_has_the_line_that_awaits(recorded):
    async def work():
        return await Tag.objects.using("primary").acount()  # inside of sync

    async_to_sync(work)()
    assert where(recorded.queries[0].callsite) == (HERE, line_of("inside of sync"), "work")


async def test_async_save_is_a_save(recorded):
    tag = Tag(name="x")
    await tag.asave(using="primary")
    assert recorded.queries[-1].instance.model == "library.Tag"
    assert recorded.queries[-1].route == "explicit"


async def test_without_callsites_nobody_looks_for_tasks(recorded, monkeypatch):
    recorded._recorder.find_callsite = lambda frame: None
    monkeypatch.setattr(async_stack, "_search", lambda *args: pytest.fail("looked"))
    await Tag.objects.acount()
    assert {event.callsite for event in recorded.events} == {None}
    assert recorded.queries[0].decision_id == recorded.decisions[0].id


async def test_an_asyncio_that_is_otherwise_inside_costs_the_callsite_only(recorded, monkeypatch):
    monkeypatch.setattr(async_stack, "iter_running", lambda work: 1 / 0)
    await Tag.objects.using("primary").acount()
    assert recorded.queries[0].callsite is None


class Waits(ThreadPoolExecutor):
    """Runs the work while the coroutine that wants it is not suspended yet."""

    def submit(self, *args, **kwargs):
        future = super().submit(*args, **kwargs)
        wait([future])
        return future


async def test_a_coroutine_that_is_not_suspended_yet_is_found(recorded):
    with Waits(1) as executor:
        count = sync_to_async(Tag.objects.using("primary").count, thread_sensitive=False, executor=executor)
        await count()  # not suspended
        await asyncio.gather(count())  # nor as a task
        names = {}
        exec(compile("async def run(count):\n    await count()\n", "/x/site-packages/a.py", "exec"), names)
        await asyncio.gather(names["run"](count))  # nor inside of one
        executor.submit(connections.close_all)
    assert [q.callsite.line for q in recorded.queries] == [
        line_of("not suspended"),
        line_of("nor as a task"),
        line_of("nor inside of one"),
    ]


def test_whoever_runs_the_loop_does_not_await_all_that_is_in_it(recorded):
    async def main():
        with Waits(1) as executor:
            count = sync_to_async(
                Tag.objects.using("primary").count, thread_sensitive=False, executor=executor
            )
            await asyncio.gather(count())  # inside of run
            executor.submit(connections.close_all)

    asyncio.run(main())
    assert recorded.queries[0].callsite.line == line_of("inside of run")


async def test_work_that_nobody_awaits_is_not_found():
    loop = asyncio.get_running_loop()
    assert async_stack.find_waiting(functools.partial(len), loop, lambda frame: frame) is None


async def test_a_decision_and_its_query_are_searched_for_once(recorded, monkeypatch):
    searches = []
    original = async_stack._search
    monkeypatch.setattr(async_stack, "_search", lambda *args: searches.append(1) or original(*args))
    await Tag.objects.acount()
    await Tag.objects.acount()
    assert len(recorded.events) == 4
    assert len(searches) == 2


def test_a_thread_handler_without_its_work_is_passed_by():
    def thread_handler(see):
        return see()

    names = {}
    source = "def thread_handler(see, args=None, loop=None):\n    return see()\n"
    exec(compile(source, sync_to_async.__code__.co_filename, "exec"), names)
    here = names["thread_handler"](lambda: find_callsite(sys._getframe(1)))
    assert locate(here)[0] == __file__
    assert thread_handler(lambda: 1) == 1


# The compiler and the object


def test_a_query_that_is_sent_while_another_is_put_together_is_not_that_one(table, site):
    names = {"connections": connections, "IntegerField": models.IntegerField}
    source = """
class Looked(IntegerField):
    def get_db_prep_value(self, value, connection, prepared=False):
        with connections["archive"].cursor() as cursor:
            cursor.execute("SELECT 7")
        return 7
"""
    exec(compile(source, "/x/site-packages/looks.py", "exec"), names | {"__name__": "looks"}, names)

    class Looking(models.Model):  # noqa: DJ008
        number = names["Looked"]()

        class Meta:
            app_label = "library"

    table("primary", Looking)
    with trace("test", keep=False) as t:
        list(Looking.objects.using("primary").filter(number=3))
        Looking(number=1).save(using="primary")
    asked = [q for q in t.queries if q.sql == "SELECT 7"]
    assert {(q.route.value, q.model, q.instance) for q in asked} == {("cursor", None, None)}
    assert [(q.route.value, q.model) for q in t.queries if q not in asked] == [
        ("explicit", "library.Looking")
    ] * 2


def test_a_query_of_a_library_while_an_object_is_saved_is_not_that_save(table, site):
    names = {"User": User}
    exec(compile("def number():\n    return User.objects.count()\n", "/x/site-packages/n.py", "exec"), names)

    class Filled(models.IntegerField):
        pass

    Filled.pre_save = eval(
        compile("lambda self, instance, add: number()", "/x/site-packages/m.py", "eval"), names
    )

    class Filling(models.Model):  # noqa: DJ008
        number = Filled()

        class Meta:
            app_label = "library"

    table("primary", Filling)
    with trace("test", keep=False) as t:
        Filling().save(using="primary")
    *counts, insert = t.queries  # 6.1 calls pre_save() twice
    assert {(count.model, count.instance) for count in counts} == {("users.User", None)}
    assert insert.instance.model == "library.Filling"


def test_a_query_of_djangos_own_without_the_orm_has_no_object(table, site):
    names = {"connections": connections, "IntegerField": models.IntegerField, "__name__": "made_up"}
    source = """
class Sequence(IntegerField):
    def pre_save(self, instance, add):
        with connections["primary"].cursor() as cursor:
            cursor.execute("SELECT 7")
        return 7
"""
    exec(compile(source, frame_kinds.DJANGO_FOLDER + "db/models/made_up.py", "exec"), names)

    class Sequenced(models.Model):  # noqa: DJ008
        number = names["Sequence"]()

        class Meta:
            app_label = "library"

    table("primary", Sequenced)
    with trace("test", keep=False) as t:
        Sequenced().save(using="primary")
    assert (t.queries[0].sql, t.queries[0].instance, t.queries[0].route) == ("SELECT 7", None, "cursor")
    assert t.queries[-1].instance.model == "library.Sequenced"


class OurCursor(CursorWrapper):
    def execute(self, sql, params=None):
        return super().execute(sql, params)  # our cursor


class OurCompiler(SQLCompiler):
    def execute_sql(self, *args, **kwargs):
        sql, params = self.as_sql()
        cursor = self.connection.cursor()
        cursor.execute(sql, params)
        return iter([list(cursor)])


@pytest.fixture
def our_backend(site, monkeypatch):
    """A cursor class that is in the project itself."""
    monkeypatch.setattr(
        sqlite.DatabaseWrapper, "make_debug_cursor", lambda self, cursor: OurCursor(cursor, self)
    )
    monkeypatch.setattr(sqlite.DatabaseWrapper, "make_cursor", lambda self, cursor: OurCursor(cursor, self))


def test_a_cursor_class_in_the_project_does_not_hide_the_compiler(our_backend):
    with trace("test", keep=False) as t:
        Tag.objects.count()
        Tag(name="x").save()
        t._recorder.find_callsite = lambda frame: None
        Tag.objects.count()
        t._recorder.find_callsite = find_callsite
        with connections["primary"].cursor() as cursor:
            cursor.execute("SELECT 1")
    assert [q.route.value for q in t.queries] == ["router", "router", "router", "cursor"]
    assert [q.model for q in t.queries] == ["library.Tag"] * 3 + [None]
    assert t.queries[1].instance.model == "library.Tag"
    # The cursor sends what it is given, and is nobody's line.
    here = "test_a_cursor_class_in_the_project_does_not_hide_the_compiler"
    assert [q.callsite and q.callsite.function for q in t.queries] == [here, here, None, here]


def test_a_compiler_in_the_project_is_the_compiler(recorded):
    query = Tag.objects.order_by("pk").query
    compiler = OurCompiler(query, connections["primary"], router.db_for_write(Tag))
    compiler.execute_sql()
    [sent] = recorded.queries
    assert (sent.model, sent.route, sent.decision_id) == ("library.Tag", "router", recorded.decisions[0].id)
    assert sent.callsite.function == "execute_sql"


def test_a_function_of_the_users_that_is_called_execute_is_only_that(recorded):
    def execute(self):
        with connections["primary"].cursor() as cursor:
            cursor.execute("SELECT 1")

    execute(self="x")
    assert (recorded.queries[0].route, recorded.queries[0].callsite.function) == ("cursor", "execute")


def test_a_compiler_of_a_library_is_the_compiler(recorded, tmp_path):
    source = """
class Compiler(SQLCompiler):
    def execute_sql(self):
        text, params = self.as_sql()
        with self.connection.cursor() as cursor:
            cursor.execute(text, params)

class Batch:
    def execute_sql(self, connection):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

def run(*args):
    Compiler(*args).execute_sql()
    Batch().execute_sql(args[1])
"""
    _, run = a_library(tmp_path, source, {"SQLCompiler": SQLCompiler, "__name__": "library"})
    run(Person.objects.all().query, connections["primary"], "primary")
    one, two = recorded.queries
    assert (one.model, one.route) == ("library.Person", "explicit")
    assert (two.model, two.route) == (None, "cursor")


def test_there_is_nothing_beyond_the_last_frame():
    assert find_callsite(None) is None
    assert is_of_store(None) is False


def test_an_error_while_a_file_is_classified_is_not_the_end_of_the_stack(monkeypatch):
    monkeypatch.setattr(frame_kinds, "_filters", [])
    monkeypatch.setattr(frame_kinds, "_kinds", {})
    monkeypatch.setattr(frame_kinds, "find_user_paths", lambda: None.path)
    with pytest.raises(AttributeError):
        next_frame(sys._getframe(), FrameFilter(FrameKind.USER))
