"""Behind a library's view no middleware's line is told: the user's below the view, else the library's."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from django.contrib import admin
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response
from django.core.management import ManagementUtility, call_command
from django.db import OperationalError, connections
from django.db.backends.sqlite3.base import SQLiteCursorWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.signals import post_save
from django.http import HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from django.urls.converters import REGISTERED_CONVERTERS, get_converters
from django.views.generic import ListView

from dbroute_panel.recording import libraries
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Tag

LIBRARY = {
    "helper_/trees.py": """
        def counted(queryset):
            return queryset.count()
    """,
    "generic_/views.py": """
        from django.http import HttpResponse, StreamingHttpResponse
        from django.template.response import TemplateResponse
        from django.views import View
        from django.views.decorators.cache import never_cache
        from example_site.library.models import Tag
        from helper_.trees import counted

        class Generic(View):
            def get_queryset(self):
                return Tag.objects.using("primary")

            def get(self, request):
                return HttpResponse(str(counted(self.get_queryset())))  # generic

        @never_cache
        def function(request):
            return HttpResponse(str(counted(Tag.objects.using("primary"))))  # function

        def saving(request):
            Tag.objects.using("primary").create(name="made by a library")  # saving
            return HttpResponse()

        async def session(request):
            from django.contrib.sessions.backends.db import SessionStore
            return HttpResponse(str(await SessionStore().aexists("x" * 32)))  # session

        async def asynchronous(request):
            return HttpResponse(str(await Tag.objects.using("primary").acount()))  # asynchronous

        def streams(request):
            def rows():
                yield str(Tag.objects.using("primary").count())  # streams
            return StreamingHttpResponse(rows())

        async def streams_async(request):
            async def rows():
                yield str(await Tag.objects.using("primary").acount())  # streams_async
            return StreamingHttpResponse(rows())
    """,
    "generic_/converters.py": """
        from example_site.library.models import Tag

        class Converter:
            regex = "[a-z]+"

            def to_python(self, value):
                return Tag.objects.using("primary").filter(name=value).exists()  # converter

            def to_url(self, value):
                return value
    """,
    "generic_/middleware.py": """
        from example_site.library.models import Tag

        class Middleware:
            def __init__(self, get_response):
                self.get_response = get_response

            def __call__(self, request):
                response = self.get_response(request)
                Tag.objects.using("primary").exists()  # middleware
                return response
    """,
    "generic_/tools.py": """
        from functools import wraps

        def measured(view):
            @wraps(view)
            def measuring(*args, **kwargs):
                return view(*args, **kwargs)
            return measuring

        def watched(original):
            def execute(self, sql, params=None):
                return original(self, sql, params)
            return execute

        def refuse(self, query, params=None):
            from sqlite3 import OperationalError
            raise OperationalError("refused")
    """,
    "generic_/management/commands/count_tags.py": """
        from django.core.management.base import BaseCommand
        from example_site.library.models import Tag

        class Command(BaseCommand):
            def handle(self, **options):
                Tag.objects.using("primary").count()  # command
    """,
}


class Plain:
    """The project's middleware, which has nothing to do with what its view asks."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)


class Querying(Plain):
    def __call__(self, request):
        Tag.objects.using("primary").first()  # the middleware's own
        return self.get_response(request)


class AsyncPlain(Plain):
    sync_capable, async_capable = False, True

    def __init__(self, get_response):
        super().__init__(get_response)
        from asgiref.sync import markcoroutinefunction

        markcoroutinefunction(self)

    async def __call__(self, request):
        return await self.get_response(request)


def line_of(marker, file):
    lines = Path(file).read_text().splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {marker}")]
    return number


@pytest.fixture
def library(site, installed, settings):
    """The library is installed; its folder. The project has but a middleware."""
    settings.MIDDLEWARE = [f"{__name__}.Plain"]
    return installed(LIBRARY)


@pytest.fixture
def views(library):
    import generic_.views

    return generic_.views


def sites(url, client=Client, kind="request"):
    with trace("test", keep=False, kind=kind) as t:
        assert client().get(url).status_code == 200
    return {query.callsite for query in t.queries}


def told(site):
    return site.file, site.line, site.entry


HERE = "tests/recording/test_libraries.py"


def here(marker):
    return HERE, line_of(marker, __file__), None


def test_the_line_of_the_views_own_library_and_the_view_not_the_middleware(library, views, settings):
    settings.ROOT_URLCONF = (
        path("x/", include(([path("", views.Generic.as_view(), name="home")], "cms"), namespace="cms")),
        path("function/", views.function, name="function"),
    )
    generic = line_of("generic", library / "generic_/views.py")
    function = line_of("function", library / "generic_/views.py")
    [site] = sites("/x/")
    assert told(site) == ("generic_/views.py", generic, "GET cms:home")
    assert (site.function, site.template) == ("get", None)
    assert {told(site) for site in sites("/function/")} == {("generic_/views.py", function, "GET function")}


def test_a_query_of_the_middlewares_own_has_its_line(views, settings):
    settings.MIDDLEWARE = [f"{__name__}.Plain", f"{__name__}.Querying", f"{__name__}.Plain"]
    settings.ROOT_URLCONF = (path("", views.Generic.as_view(), name="home"),)
    assert here("the middleware's own") in {told(site) for site in sites("/")}
    assert {site.entry for site in sites("/")} == {None, "GET home"}


def test_a_librarys_middleware_has_its_line_and_none_of_another_middleware(library, settings):
    settings.MIDDLEWARE = [f"{__name__}.Plain", "generic_.middleware.Middleware", f"{__name__}.Plain"]
    settings.ROOT_URLCONF = (path("", lambda request: HttpResponse()),)
    line = line_of("middleware", library / "generic_/middleware.py")
    assert {told(site) for site in sites("/")} == {("generic_/middleware.py", line, "")}


def test_a_librarys_converter_is_at_work_before_there_is_a_view(library, views, settings, monkeypatch):
    from generic_.converters import Converter

    monkeypatch.setitem(REGISTERED_CONVERTERS, "converted", Converter())
    get_converters.cache_clear()
    settings.ROOT_URLCONF = (
        path("<converted:found>/", lambda request, found: HttpResponse(), name="converted"),
    )
    line = line_of("converter", library / "generic_/converters.py")
    assert {told(site) for site in sites("/x/")} == {("generic_/converters.py", line, "")}
    get_converters.cache_clear()


def test_a_view_of_the_projects_that_has_a_method_below_has_its_line(views, settings):
    class Ours(views.Generic):
        def get_queryset(self):
            queryset = super().get_queryset()
            queryset.exists()  # below the library's view
            return queryset

    settings.ROOT_URLCONF = (path("", Ours.as_view(), name="ours"),)
    lines = {told(site) for site in sites("/")}
    assert here("below the library's view") in lines
    # The other query is put by no line of the project's, and the view is of no library.
    assert {entry for _, _, entry in lines} == {None, "GET ours"}


def test_one_code_at_two_urls_is_told_apart(views, settings, ask):
    class OneHome:
        def db_for_read(self, model, **hints):
            return "primary"

    ask(OneHome())
    settings.ROOT_URLCONF = tuple(
        path(f"{name}/", views.Generic.as_view(get_queryset=Tag.objects.all), name=name)
        for name in ("one", "two")
    )
    for name in ("one", "two", "one"):
        assert {site.entry for site in sites(f"/{name}/")} == {f"GET {name}"}


def test_a_receiver_of_the_projects_has_its_line(library, views, settings):
    def count(sender, **kwargs):
        Tag.objects.using("primary").count()  # receiver

    settings.ROOT_URLCONF = (path("", views.saving, name="saving"),)
    post_save.connect(count, sender=Tag)
    try:
        lines = {told(site) for site in sites("/")}
    finally:
        post_save.disconnect(count, sender=Tag)
    saving = line_of("saving", library / "generic_/views.py")
    assert lines == {here("receiver"), ("generic_/views.py", saving, "GET saving")}


def test_a_template_that_django_renders_has_its_own_line(views, settings, tmp_path):
    (tmp_path / "page.html").write_text("\n{{ tags.count }}")
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "librarys.html").write_text("\n\n{{ tags.count }}")
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [tmp_path, tmp_path / "site-packages"],
        }
    ]
    context = {"tags": Tag.objects.using("primary")}
    settings.ROOT_URLCONF = tuple(
        path(name, lambda request, name=name: TemplateResponse(request, name, context), name=name)
        for name in ("page.html", "librarys.html")
    )
    [site] = sites("/page.html")
    assert told(site) == (f"{tmp_path}/page.html", 2, None)
    [site] = sites("/librarys.html")
    assert told(site) == ("librarys.html", 3, "GET librarys.html")


class TagList(ListView):
    """A view of the project's of which no line runs."""

    queryset = Tag.objects.using("primary")
    paginate_by = 1


def test_a_view_of_djangos_own_has_its_line(views, settings, tmp_path):
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "tag_list.html").write_text("{% for tag in page_obj %}{% endfor %}")
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [tmp_path]}]
    settings.ROOT_URLCONF = (path("", TagList.as_view(), name="tags"),)
    found = sites("/")
    assert {(site.file, site.entry) for site in found} == {
        ("django/views/generic/list.py", "GET tags"),
        (f"{tmp_path}/library/tag_list.html", None),
    }


class TagCount(ListView):
    queryset = Tag.objects.using("primary")
    allow_empty = False


class OpenAdmin(admin.ModelAdmin):
    def has_view_permission(self, request, obj=None):
        return True

    has_change_permission = has_view_permission


class BookAdmin(OpenAdmin):
    list_display = ("title", "tagged")

    def tagged(self, book):
        return book.tags.count()  # in the changelist


def an_admin(model_admin):
    pages = admin.AdminSite()
    pages.has_permission = lambda request: True
    pages.register(Book, model_admin)
    return pages


@pytest.fixture
def admin_settings(site, settings):
    settings.MIDDLEWARE = [
        f"{__name__}.Plain",
        "django.contrib.sessions.middleware.SessionMiddleware",
        f"{__name__}.Plain",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ]
    return settings


def test_the_admins_changelist_has_its_line_and_view(admin_settings):
    pages = an_admin(OpenAdmin)
    admin_settings.ROOT_URLCONF = (path("admin/", pages.urls),)
    found = sites("/admin/library/book/")
    assert found
    for site in found:
        assert site.file.startswith("django/contrib/"), site
        assert site.entry == "GET admin:library_book_changelist", site
    assert any(site.file == "django/contrib/admin/views/main.py" for site in found)


def test_a_method_of_the_projects_model_admin_has_its_line(admin_settings):
    admin_settings.ROOT_URLCONF = (path("admin/", an_admin(BookAdmin).urls),)
    lines = {told(site) for site in sites("/admin/library/book/")}
    assert here("in the changelist") in lines
    assert {entry for _, _, entry in lines} == {None, "GET admin:library_book_changelist"}


def test_a_tool_around_the_view_and_the_cursor_is_not_the_librarys_line(library, admin_settings, monkeypatch):
    from generic_.tools import measured, watched

    pages = an_admin(OpenAdmin)
    view = measured(pages.admin_view(pages._registry[Book].changelist_view))
    admin_settings.ROOT_URLCONF = (
        path("around/", view, name="around"),
        path("admin/", pages.urls),
        path("generic/", measured(import_module("generic_.views").function)),
    )
    monkeypatch.setattr(CursorWrapper, "execute", watched(CursorWrapper.execute))
    for url in ("/around/", "/admin/library/book/"):
        assert {site.file.partition("/")[0] for site in sites(url)} == {"django"}
    assert {site.file for site in sites("/generic/")} == {"generic_/views.py"}


def test_a_driver_that_raises_is_not_what_asked(library, settings, monkeypatch):
    from generic_.tools import refuse

    monkeypatch.setattr(SQLiteCursorWrapper, "execute", refuse)
    settings.ROOT_URLCONF = (path("", TagCount.as_view(), name="tags"),)
    with trace("test", keep=False) as t, pytest.raises(OperationalError):
        Client().get("/")
    [event] = t.document.exceptions
    assert (event.callsite.file, event.callsite.entry) == ("django/views/generic/list.py", "GET tags")
    with trace("test", keep=False) as t, ThreadPoolExecutor(1) as thread:
        counting = partial(Tag.objects.using("primary").count)
        traced = trace("inside", keep=False)(counting)
        with pytest.raises(OperationalError):
            thread.submit(contextvars.copy_context().run, traced).result()
        thread.submit(connections.close_all).result()
    [event] = t.document.exceptions
    assert (event.callsite.file, event.callsite.function) == ("generic_/tools.py", "refuse")


def failing(request):
    tags = Tag.objects.using("primary")
    raise ValueError(f"broken: {type(tags)}")


def our_error_page(request):
    return HttpResponse(str(Tag.objects.using("primary").count()))  # handler500


@pytest.mark.parametrize("debug", [False, True])
def test_an_error_page_of_the_projects_has_its_line_and_djangos_has_djangos(views, settings, debug):
    urls = types.ModuleType("made_up_urls")
    urls.urlpatterns, urls.handler500 = [path("", failing, name="failing")], our_error_page
    settings.ROOT_URLCONF, settings.DEBUG = urls, debug
    with trace("test", keep=False) as t:
        Client(raise_request_exception=False).get("/")
    lines = {told(query.callsite) for query in t.queries}
    if debug:  # which shows what the view's variables hold
        assert {(file, entry) for file, _, entry in lines} == {("django/views/debug.py", "")}
    else:
        assert lines == {here("handler500")}


# Async


def get_async(url):
    async def get():
        return await AsyncClient().get(url)

    return asyncio.run(get())


class FromAsync:
    get = staticmethod(get_async)


async def ours(request):
    return HttpResponse(str(await Tag.objects.using("primary").acount()))  # the project's async view


@pytest.mark.parametrize("client", [Client, FromAsync], ids=["wsgi", "asgi"])
@pytest.mark.parametrize("middleware", ["Plain", "AsyncPlain"])
def test_an_async_view_and_a_sync_one_on_a_thread(library, views, settings, client, middleware):
    settings.MIDDLEWARE = [f"{__name__}.{middleware}"]
    settings.ROOT_URLCONF = (
        path("sync/", views.Generic.as_view(), name="sync"),
        path("async/", views.asynchronous, name="async"),
        path("ours/", ours, name="ours"),
        path("session/", views.session, name="session"),
    )
    file = library / "generic_/views.py"
    found = {
        name: {told(site) for site in sites(f"/{name}/", client)}
        for name in ("sync", "async", "ours", "session")
    }
    assert found == {
        "sync": {("generic_/views.py", line_of("generic", file), "GET sync")},
        "async": {("generic_/views.py", line_of("asynchronous", file), "GET async")},
        "ours": {here("the project's async view")},
        "session": {("generic_/views.py", line_of("session", file), "GET session")},
    }


# Streams


def our_rows(request):
    def rows():
        yield str(Tag.objects.using("primary").count())  # our rows

    return StreamingHttpResponse(rows())


@pytest.fixture
def streamed(settings, store):
    """The callsites of what a stream asks while it is sent."""
    settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware", f"{__name__}.Plain"]
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SAMPLE_RATE": 1.0}

    def streamed(client):
        async def in_async():
            response = await AsyncClient().get("/stream/")
            content = [part async for part in response]
            response.close()
            return content

        if client is Client:
            response = Client().get("/stream/")
            assert list(response)
            response.close()
        else:
            assert asyncio.run(in_async())
        [summary] = store.summaries()
        return {told(query.callsite) for query in store.get(summary.id).queries}

    return streamed


@pytest.mark.parametrize("client", [Client, FromAsync], ids=["wsgi", "asgi"])
def test_the_content_of_a_stream(library, views, settings, streamed, client):
    view = views.streams if client is Client else views.streams_async
    settings.ROOT_URLCONF = (path("stream/", view, name="stream"),)
    line = line_of(view.__name__, library / "generic_/views.py")
    assert streamed(client) == {("generic_/views.py", line, "GET stream")}


def test_the_content_of_a_stream_of_the_projects(views, settings, streamed):
    settings.ROOT_URLCONF = (path("stream/", our_rows, name="stream"),)
    assert streamed(Client) == {here("our rows")}


# Commands


@pytest.fixture
def command(library, settings):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "generic_"]
    settings.SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410"]
    return "generic_/management/commands/count_tags.py", line_of(
        "command", library / "generic_/management/commands/count_tags.py"
    )


def test_a_librarys_command_has_its_line_and_name_and_nothing_of_manage_py(command):
    with trace("test", keep=False) as t:
        ManagementUtility(["manage.py", "count_tags"]).execute()
    assert [told(query.callsite) for query in t.queries] == [(*command, "manage.py count_tags")]


def test_a_command_that_the_project_calls_has_the_line_that_calls_it(command):
    with trace("test", keep=False) as t:
        call_command("count_tags")  # calls the command
    assert [told(query.callsite) for query in t.queries] == [here("calls the command")]


def test_a_command_that_a_librarys_view_calls_has_the_name_of_the_command(command, settings, installed):
    source = """
        def view(request, respond, call):
            call("count_tags")  # calling
            return respond()
    """
    folder = installed({"calling_/views.py": source})
    from calling_.views import view

    settings.ROOT_URLCONF = (path("", view, {"respond": HttpResponse, "call": call_command}, name="calls"),)
    [site] = sites("/")
    assert told(site) == (
        "calling_/views.py",
        line_of("calling", folder / "calling_/views.py"),
        "manage.py count_tags",
    )


def test_a_command_of_djangos_own_has_its_line(site):
    with trace("test", keep=False) as t:
        ManagementUtility(
            ["manage.py", "flush", "--database=primary", "--noinput", "--verbosity=0"]
        ).execute()
    assert t.queries
    for query in t.queries:
        assert query.callsite.file.startswith("django/"), query
        assert query.callsite.entry == "manage.py flush"


# What all of this hangs on


def test_the_functions_of_djangos_are_called_as_they_are_looked_for():
    inner = convert_exception_to_response(lambda request: None).__code__.co_name

    async def get_response(request):
        pass

    async_inner = convert_exception_to_response(get_response).__code__.co_name
    names = {inner, async_inner, ManagementUtility.execute.__code__.co_name}
    names |= {BaseHandler._get_response.__code__.co_name, BaseHandler._get_response_async.__code__.co_name}
    assert names < libraries._BOUNDARIES
    assert sys.modules[BaseHandler.__module__].__file__ == BaseHandler._get_response.__code__.co_filename
