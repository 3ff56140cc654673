"""The pytest plugin in projects of its own: pytest is started as their authors start it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from dbroute_panel.inspection.map import RoutingMap, build_map, dump_map
from dbroute_panel.pytest_plugin.route_trace import RouteTrace
from example_site.library.models import Book, Tag
from example_site.users.models import User

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[1]

PROJECT = {
    "settings.py": """
        import os
        from pathlib import Path

        BASE_DIR = Path(__file__).parent
        SECRET_KEY = "x"
        DATABASES = {
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "default.sqlite3"},
            "stock": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "stock.sqlite3"},
        }
        DATABASE_ROUTERS = ["shop.routers.StockRouter"]
        INSTALLED_APPS = ["shop", *os.environ.get("APPS", "dbroute_panel").split()]
        ROOT_URLCONF = "shop.urls"
        MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
        USE_TZ = True
    """,
    "shop/__init__.py": "",
    "shop/routers.py": """
        class StockRouter:
            def db_for_read(self, model, **hints):
                return "stock" if model.__name__ == "Item" else None

            db_for_write = db_for_read

            def allow_migrate(self, db, app_label, model_name=None, **hints):
                return (db == "stock") == (model_name == "item")
    """,
    "shop/models.py": """
        from django.db import models

        class Item(models.Model):
            name = models.CharField(max_length=20)

        class Order(models.Model):
            number = models.IntegerField()
    """,
    "shop/urls.py": """
        from django.http import HttpResponse
        from django.urls import path
        from shop.models import Item

        def count(request):
            return HttpResponse(str(Item.objects.count()))

        urlpatterns = [path("count/", count)]
    """,
}


@pytest.fixture
def project(pytester, monkeypatch):
    """Makes files, runs pytest on them, and gives what came of it."""
    for name, body in PROJECT.items():
        write(pytester, name, body)
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    if not is_installed():
        monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(*arguments, ini="DJANGO_SETTINGS_MODULE = settings", **files):
        for name, body in files.items():
            write(pytester, f"{name}.py", body)
        lines = [
            "[pytest]",
            f"pythonpath = . {ROOT}",
            "asyncio_mode = auto",
            "asyncio_default_fixture_loop_scope = function",
            "filterwarnings = error",
            ini,
        ]
        pytester.makeini("\n".join(lines))
        named = [] if is_installed() else ["-p", "dbroute_panel.pytest_plugin"]
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *named, *arguments)

    return run


def is_installed():
    """Whether pytest finds the plugin by itself, as it does once the package is installed."""
    return any(entry.value == "dbroute_panel.pytest_plugin" for entry in entry_points(group="pytest11"))


def write(pytester, name, body):
    file = pytester.path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(body))


# The fixture itself, in the example site


@pytest.fixture
def recorded(site):
    with RouteTrace("a test", root=site) as t:
        yield t


def test_counting(recorded):
    Book.objects.using("archive").count()
    User.objects.count()
    recorded.assert_queries("archive", 1)
    recorded.assert_no_queries("primary")
    with pytest.raises(AssertionError) as raised:
        recorded.assert_queries("legacy_users", 2)
    assert [line.strip().split(" | ")[0] for line in str(raised.value).splitlines()] == [
        "1 query on legacy_users, not 2",
        "#3 SELECT users_user",
        'SELECT COUNT(*) AS "__count" FROM "users_user"',
        "On other databases: archive 1",
    ]
    with pytest.raises(ValueError, match="Did you mean 'primary'"):
        recorded.assert_no_queries("primry")


def write_and_read():
    Tag.objects.create(name="brass")
    return list(Tag.objects.filter(name="brass"))


def test_what_was_found(recorded):
    recorded.assert_no_findings()
    write_and_read()
    recorded.assert_finding("stale-read")
    recorded.assert_no_findings(level="error")
    with pytest.raises(AssertionError) as raised:
        recorded.assert_no_findings()
    first, told, *queries = str(raised.value).splitlines()
    assert first == "1 finding of level warning or above"
    assert told.startswith("  warning stale-read: library.Tag was possibly read stale from replica")
    assert [line.split(" | ")[0].split("#")[1][2:] for line in queries[::2]] == [
        "INSERT library_tag",
        "SELECT library_tag",
    ]
    assert "tests/test_pytest_plugin.py" in queries[0]
    assert "write_and_read" in queries[0]


def test_what_was_not_found(recorded, settings):
    with pytest.raises(AssertionError, match=r"^unknown-alias was not found\.\nNothing was found at all\.$"):
        recorded.assert_finding("unknown-alias")
    write_and_read()
    with pytest.raises(AssertionError, match="What was found:\n  warning stale-read: "):
        recorded.assert_finding("unknown-alias")
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SILENCED_FINDINGS": ["stale-read"]}
    recorded.assert_no_findings("info")
    with pytest.raises(AssertionError, match=r"^stale-read was not found\.\nIt is in SILENCED_FINDINGS\."):
        recorded.assert_finding("stale-read")


def test_what_is_only_worth_knowing(recorded):
    Tag.objects.using("primary").bulk_create([Tag(name="brass")])
    Tag.objects.using("archive").bulk_create([Tag(name="tin"), Tag(name="copper")])
    recorded.assert_no_findings()
    recorded.assert_finding("several-databases-written")
    with pytest.raises(AssertionError, match="info several-databases-written: "):
        recorded.assert_no_findings("info")


def test_a_level_or_a_code_that_is_none(recorded):
    with pytest.raises(ValueError, match=r"^No level 'waring'\. Did you mean 'warning'\?$"):
        recorded.assert_no_findings("waring")
    with pytest.raises(ValueError, match=r"^No finding 'stale-raed'\. Did you mean 'stale-read'\?$"):
        recorded.assert_finding("stale-raed")


def test_of_a_trace_with_holes_nothing_is_known(site, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 1}
    with RouteTrace("a test", root=site) as recorded:
        User.objects.count()
        with pytest.raises(AssertionError, match=r"^0 findings of .*\n1 event was not kept, so that "):
            recorded.assert_no_findings()


def test_a_query_without_a_callsite(recorded):
    recorded._get_recorder().find_callsite = lambda frame: None
    User.objects.count()
    with pytest.raises(AssertionError, match=r"#2 SELECT users_user \| UserRouter\n"):
        recorded.assert_no_queries("legacy_users")


def test_comparing_the_map(recorded, site, monkeypatch):
    file = site / "routing-map.json"
    with pytest.raises(
        AssertionError, match=rf"routing-map.json cannot be read \({os.strerror(errno.ENOENT)}\)"
    ):
        recorded.assert_route_map(file.name)
    file.write_text(dump_map(build_map()))
    recorded.assert_route_map(file.name)
    recorded.assert_route_map(file)
    assert recorded.decisions == []
    file.write_text(file.read_text().replace('"primary"', '"elsewhere"'))
    with pytest.raises(AssertionError, match=r"library\.Book is written to primary, was elsewhere"):
        recorded.assert_route_map(file.name)
    file.write_text(dump_map(RoutingMap(databases=[], models={})))
    monkeypatch.setattr("dbroute_panel.pytest_plugin.route_trace.MAX_LINES", 5)
    with pytest.raises(AssertionError) as raised:
        recorded.assert_route_map(file.name)
    _first, *listed, more, _last = str(raised.value).splitlines()
    assert len(listed) == 5
    assert more == "  and 21 more"
    file.write_text("{")
    with pytest.raises(AssertionError, match="This is no map of the routing"):
        recorded.assert_route_map(file.name)


# Projects of their own


def test_it_counts_the_queries_of_the_body_alone(project):
    result = project(
        test_shop="""
            import pytest
            from django.db import connections
            from django.test import TestCase
            from shop.models import Item, Order

            pytestmark = pytest.mark.django_db(databases="__all__")

            @pytest.fixture
            def items(db):
                Item.objects.create(name="screw")
                yield
                Item.objects.all().delete()

            def test_sync(route_trace, items):
                route_trace.assert_no_queries("stock")
                Item.objects.count()
                Order.objects.count()
                route_trace.assert_queries("stock", 1)
                route_trace.assert_queries("default", 1)
                assert [query.model for query in route_trace.queries] == ["shop.Item", "shop.Order"]
                assert [decision.answer for decision in route_trace.decisions] == ["stock", "default"]
                assert route_trace.queries[0].callsite.function == "test_sync"
                assert route_trace.findings == []

            def test_the_fixture_may_come_before_the_others(items, route_trace):
                Item.objects.count()
                route_trace.assert_queries("stock", 1)

            def test_client(route_trace, client):
                assert client.get("/count/").content == b"0"
                route_trace.assert_queries("stock", 1)
                assert route_trace.queries[0].callsite.function == "count"

            async def test_async(route_trace):
                await Item.objects.acount()
                route_trace.assert_queries("stock", 1)

            async def test_async_client(route_trace, async_client):
                await async_client.get("/count/")
                await Item.objects.acount()
                route_trace.assert_queries("stock", 2)

            @pytest.mark.parametrize("n", [1, 2])
            def test_each_test_begins_anew(route_trace, n):
                Item.objects.count()
                route_trace.assert_queries("stock", 1)

            @pytest.mark.usefixtures("route_trace")
            def test_the_others_are_not_recorded_in_it():
                from dbroute_panel.recording.recorder import recording
                assert recording() is not None

            def test_nothing_is_recorded_without_it():
                from dbroute_panel.recording.recorder import recording
                assert recording() is None

            def test_inside_it_trace_joins(route_trace):
                from dbroute_panel import trace
                with trace("inner") as t:
                    Item.objects.count()
                assert t.joined and len(t.queries) == 1
                route_trace.assert_queries("stock", 1)

            @pytest.mark.usefixtures("route_trace")
            class Tests(TestCase):
                databases = "__all__"

                def test_unittest(self):
                    from dbroute_panel.recording.recorder import recording
                    Item.objects.count()
                    assert recording() is not None
        """
    )
    result.assert_outcomes(passed=11)


def test_an_async_test_whose_runner_has_a_context_of_its_own(project):
    result = project(
        "-p", "no:asyncio", "-W", "ignore::pytest.PytestConfigWarning",
        conftest="""
            import asyncio, contextvars, inspect, pytest

            OLDER = contextvars.copy_context()

            @pytest.hookimpl(tryfirst=True)
            def pytest_pyfunc_call(pyfuncitem):
                if inspect.iscoroutinefunction(pyfuncitem.obj):
                    names = pyfuncitem._fixtureinfo.argnames
                    test = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
                    OLDER.run(asyncio.run, test)
                    return True
        """,
        test_shop="""
            import pytest
            from shop.models import Item

            pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

            async def test_recorded(route_trace):
                await Item.objects.acount()
                route_trace.assert_queries("stock", 1)

            async def test_not_recorded():
                from dbroute_panel.recording.recorder import recording
                assert recording() is None

            @pytest.mark.parametrize("n", [1, 2])
            async def test_failing(route_trace, n):
                await Item.objects.acount()
                route_trace.assert_no_queries("stock")
        """,
    )  # fmt: skip
    result.assert_outcomes(passed=2, failed=2)


def test_a_trace_of_a_test_is_not_stored(project):
    result = project(
        test_shop="""
            import pytest
            from dbroute_panel.stores import get_store
            from shop.models import Item

            def test_first(route_trace, db):
                pass

            @pytest.mark.django_db(databases="__all__")
            def test_second(route_trace, settings):
                Item.objects.count()

            def test_third():
                assert get_store().count() == 0
        """,
        settings=PROJECT["settings.py"]
        + """
        DBROUTE_PANEL = {"STORE": {"BACKEND": "dbroute_panel.stores.MemoryStore"}}
        """,
    )
    result.assert_outcomes(passed=3)


def test_a_failure_lists_the_queries_with_why_and_where(project):
    result = project(
        test_shop="""
            import pytest
            from shop.models import Item, Order

            pytestmark = pytest.mark.django_db(databases="__all__")

            def test_wrong(route_trace):
                Item.objects.count()
                list(Item.objects.using("stock"))
                Order.objects.count()
                route_trace.assert_queries("stock", 1)

            def test_none(route_trace):
                Item.objects.count()
                route_trace.assert_queries("default", 1)

            def test_some(route_trace):
                for _ in range(32):
                    Item.objects.count()
                route_trace.assert_no_queries("stock")
        """
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            ">       route_trace.assert_queries(\"stock\", 1)",
            "E       AssertionError: 2 queries on stock, not 1",
            "E         #2 SELECT shop_item | StockRouter | test_shop.py:* test_wrong",
            "E             SELECT COUNT(*)*",
            "E         #3 SELECT shop_item | using(\"stock\"), no router asked | test_shop.py:* test_wrong",
            "E       On other databases: default 1",
            "E       AssertionError: 0 queries on default, not 1",
            "E       On other databases: stock 1",
            "E       AssertionError: 32 queries on stock, not 0",
            "E         and 2 more",
        ]
    )  # fmt: skip
    # The test's line is shown, not ours.
    assert "route_trace.py" not in result.stdout.str()


def test_what_was_not_kept_is_no_proof(project):
    result = project(
        test_shop="""
            import pytest
            from shop.models import Item

            @pytest.mark.django_db(databases="__all__")
            def test_many(route_trace, settings):
                for _ in range(5):
                    Item.objects.count()
                route_trace.assert_no_queries("default")
        """,
        settings=PROJECT["settings.py"]
        + """
        DBROUTE_PANEL = {"MAX_EVENTS": 4}
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*0 queries on default, not 0", "E*were not kept, wherever they went: raise MAX_EVENTS."]
    )


def test_an_alias_that_is_none(project):
    result = project(
        test_shop="""
            import pytest

            def test_alias(route_trace):
                with pytest.raises(ValueError, match="Did you mean 'stock'"):
                    route_trace.assert_no_queries("stok")
        """
    )
    result.assert_outcomes(passed=1)


def test_the_map(project, pytester):
    test = """
        def test_map(route_trace, monkeypatch):
            monkeypatch.chdir("/")
            route_trace.assert_route_map("maps/routing-map.json")
            assert route_trace.decisions == []
    """
    (pytester.path / "maps").mkdir()
    result = project(test_shop=test)
    result.assert_outcomes(failed=1)
    command = "manage.py dbroute map --format json --output maps/routing-map.json"
    result.stdout.fnmatch_lines([f"E*cannot be read ({os.strerror(errno.ENOENT)}). Make it with: {command}"])

    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": f"{pytester.path}{os.pathsep}{ROOT}",
    }
    subprocess.run(
        [sys.executable, "-m", "django", *command.split()[1:]], check=True, env=environment, cwd=pytester.path
    )
    project(test_shop=test).assert_outcomes(passed=1)

    (pytester.path / "shop/routers.py").write_text("class StockRouter:\n    pass\n")
    result = project(test_shop=test)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*The routing is not what maps/routing-map.json has:",
            "E*shop.Item is migrated on default, was not",
            "E*shop.Item is read from default, was stock",
            "E*shop.Item is written to default, was stock",
            "E*shop.Order is migrated on stock, was not",
            f"E*If it is right now, write it again: {command}",
        ]
    )
    (pytester.path / "maps/routing-map.json").write_text("[]")
    result = project(test_shop=test)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*maps/routing-map.json: This is no map of the routing*"])


def test_it_says_what_is_missing(project, monkeypatch):
    test = "def test_it(route_trace): pass"
    result = project("-p", "no:django", test_shop=test, ini="")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*route_trace needs Django to be set up: install pytest-django."])
    monkeypatch.setenv("APPS", "django.contrib.contenttypes")
    result = project(test_shop=test)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*route_trace needs 'dbroute_panel' in INSTALLED_APPS."])


def test_loading_it_imports_nothing_of_django(project):
    result = project(
        "-p", "no:django",
        ini="",
        test_plain="""
            import sys

            def test_plain(request):
                assert request.config.pluginmanager.has_plugin("dbroute_panel") or (
                    request.config.pluginmanager.has_plugin("dbroute_panel.pytest_plugin")
                )
                assert not [name for name in sys.modules if name.partition(".")[0] == "django"]
                assert "dbroute_panel.recording" not in sys.modules
        """,
    )  # fmt: skip
    result.assert_outcomes(passed=1)


def test_a_project_without_django_is_none_the_worse(project):
    result = project(
        "-p", "no:django",
        ini="",
        conftest="""
            import sys

            class NoDjango:
                def find_spec(self, name, path=None, target=None):
                    if name.partition(".")[0] in ("django", "pytest_django"):
                        raise ModuleNotFoundError(name)

            sys.meta_path.insert(0, NoDjango())
        """,
        test_plain="def test_plain(): pass",
    )  # fmt: skip
    result.assert_outcomes(passed=1)


def test_transactions_are_as_in_production_inside_of_django_db(project):
    body = """
        import pytest
        from django.db import transaction
        from shop.models import Item, Order

        BOTH = ["default", "stock"]

        @pytest.mark.django_db(databases=BOTH)
        def test_a_write_in_autocommit(route_trace):
            with transaction.atomic():
                Order.objects.create(number=1)
                Item.objects.create(name="a")
            route_trace.assert_finding("write-outside-atomic")

        @pytest.mark.django_db(databases=BOTH)
        def test_nothing_is_wrong(route_trace):
            Item.objects.create(name="a")
            with transaction.atomic("stock"):
                Item.objects.create(name="b")
            route_trace.assert_no_findings()
            assert [query.atomic for query in route_trace.queries] == [False, True]

        @pytest.mark.django_db(databases=BOTH)
        def test_a_function_that_does_not_wait(route_trace, django_capture_on_commit_callbacks):
            with django_capture_on_commit_callbacks(execute=True) as callbacks:
                with transaction.atomic("stock"):
                    transaction.on_commit(list)
                    Item.objects.create(name="a")
            route_trace.assert_finding("on-commit-elsewhere")
            assert [hook.outcome for hook in route_trace.commit_hooks] == ["ran"]
            assert len(callbacks) == 1

        @pytest.mark.django_db(databases=BOTH)
        def test_what_django_refuses_fails_the_test(route_trace):
            with pytest.raises(ValueError):
                list(Item.objects.filter(pk__in=Item.objects.using("default").values("pk")))
            with pytest.raises(AssertionError, match="subquery-across-databases"):
                route_trace.assert_no_findings()
            assert [event.using for event in route_trace.exceptions] == ["stock"]
    """
    project(test_transactions=body).assert_outcomes(passed=4)
