"""Statements, parameters and names of every kind: the request goes on, and the trace is kept."""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import enum
import fractions
import functools
import ipaddress
import pathlib
import re
import tracemalloc
import types
import uuid
from unittest import mock

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connections, models, router
from django.db.utils import ConnectionDoesNotExist
from django.http import HttpResponse
from django.urls import re_path
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbroute_panel import stores, trace
from dbroute_panel.recording import builder
from dbroute_panel.recording.builder import TraceBuilder
from dbroute_panel.recording.captured import CapturedQuery
from dbroute_panel.records import dumps, loads
from example_site.library.models import Book, Tag


def came_to(call):
    """What a call came to, so that two can be compared."""
    try:
        return "returned", call()
    except Exception as error:  # noqa: BLE001
        return "raised", type(error), str(error)


def kept(t):
    """The document, as it comes out of a store."""
    store = stores.MemoryStore()
    store.save(t.document)
    [again] = store.traces()
    assert again == t.document == loads(dumps(t.document))
    assert t.document.dropped == type(t.document.dropped)()
    return again


def run(sql, params=None):
    with connections["primary"].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


# Statements

STATEMENTS = [
    "SELECT 'a\0b'",
    "\0",
    "",
    " \n\t",
    ";",
    "SELECT '\ud800'",
    "SELECT '\udcff\udcfe'",
    "SELECT '\U0010ffff \u202e \u2028 \x7f'",
    b"SELECT 1",
    b"SELECT '\xff\xfe\x00'",
    bytearray(b"SELECT 1"),
    memoryview(b"SELECT 1"),
    mark_safe("SELECT 1"),
    gettext_lazy("SELECT 1"),
    SimpleLazyObject(lambda: "SELECT 1"),
    None,
    5,
    "SELECT 1; SELECT 2",
    "SELECT",
    "SELECT '",
    'SELECT "',
    "SELECT /* ",
    "(((((",
    "SELECT " + "(" * 2000 + "1" + ")" * 2000,
    "WITH " * 3000,
    "SELECT %s",
    "-- only a comment",
    "EXPLAIN QUERY PLAN SELECT 1",
    "\ufeffSELECT 1",
    "\u017felect 1",
]


@pytest.mark.parametrize("sql", STATEMENTS, ids=lambda sql: repr(sql).partition(" at 0x")[0][:40])
def test_a_statement_of_any_kind_comes_to_the_same_and_is_kept(site, sql):
    bare = came_to(lambda: run(sql))
    with trace("odd", keep=False) as t:
        watched = came_to(lambda: run(sql))
    assert watched == bare
    [query] = kept(t).queries
    assert (query.error is not None) is (bare[0] == "raised")
    if type(sql) is str and sql.isprintable():
        assert query.sql == sql


def test_statements_of_ten_megabytes_run_and_are_kept_by_their_beginning(site):
    literal = "x" * 10_000_000
    statements = [f"SELECT length('{literal}{number}')" for number in range(3)]
    with trace("long", keep=False) as t:
        for sql in statements:
            assert run(sql) == [(10_000_001,)]
        assert run("SELECT length(%s)", [literal]) == [(10_000_000,)]
        assert run("SELECT 'short'") == [("short",)]
    document = kept(t)
    assert len(dumps(document)) < 30_000
    *long, with_parameter, short = document.queries
    for query, sql in zip(long, statements, strict=True):
        assert query.sql == f"SELECT length('***'… ({len(sql)} characters)"
        assert query.operation == "SELECT"
    assert with_parameter.sql == "SELECT length(%s)… (17 characters)"
    assert with_parameter.params is None
    assert (short.sql, short.params) == ("SELECT 'short'", None)


def test_nothing_that_is_secret_stays_in_the_beginning_of_a_statement_that_was_cut(site):
    secret = "the-key-of-a-session"
    long = "x" * 2_000_000
    statements = [
        f"SELECT '{secret}', '{long}' FROM django_session",
        f"SELECT '{long} {secret}",
        f"SELECT '{'x' * 1900}{secret}{long}'",
        f"SELECT '{secret}\\{long}",
        f"SELECT 'it''s {secret}{long}",
        "SELECT '" + "x" * 1991 + f"\\{secret}{long}'",
    ]
    with trace("long", keep=False) as t:
        for sql in statements:
            came_to(lambda sql=sql: run(sql))
    assert secret not in dumps(kept(t)).decode()


def test_what_all_statements_of_a_trace_take_is_limited(site, monkeypatch):
    """20 MB of statements of 100 kB each: the last of them are kept by their beginnings."""
    with trace("many", keep=False) as t:
        for number in range(200):
            run(f"SELECT {number}, length('{number:0100000}')")
        Tag.objects.using("primary").count()
    document = kept(t)
    assert len(document.queries) == 201
    assert 15_000_000 < len(dumps(document)) < 18_000_000
    assert document.queries[0].sql.endswith("0')")
    assert document.queries[199].sql == "SELECT 199, length('***'… (100022 characters)"
    assert document.queries[-1].model == "library.Tag"


def test_the_recorder_holds_no_large_value(site, settings):
    """Twenty parameters of 10 MB: what the user's code has let go of is not held by us."""
    settings.DEBUG = False  # else Django itself keeps them, in connection.queries
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": True}
    blob = "x" * 10_000_000
    run("SELECT length(%s)", [blob])
    tracemalloc.start()
    try:
        with trace("large", keep=False):
            for number in range(20):
                run("SELECT length(%s)", [f"{blob}{number}"])
            router.db_for_read(Book, text=f"{blob}hint")
            held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 5_000_000
    assert most < 5 * len(blob)


# Parameters


class Plain:
    def __repr__(self):
        raise AssertionError("was asked for its text")

    __str__ = __repr__


class Word(str):
    __slots__ = ()

    def __str__(self):
        raise AssertionError("was asked for its text")


class Color(models.TextChoices):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 7


class Mixed(str, enum.Enum):  # noqa: UP042
    A = "a"


PARAMETERS = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    2**64,
    10**4300,
    10**5000,
    -(10**5000),
    1.5,
    -0.0,
    float("inf"),
    float("-inf"),
    float("nan"),
    1e308,
    5e-324,
    1j,
    "",
    "text",
    "a\0b",
    "\ud800",
    "\U0010ffff",
    "\u202e",
    "%s",
    "' OR 1=1 --",
    b"",
    b"\xff\0\xfe",
    bytearray(b"ab"),
    memoryview(b"ab"),
    array.array("i", [1]),
    decimal.Decimal("1.10"),
    decimal.Decimal("NaN"),
    decimal.Decimal("-Infinity"),
    decimal.Decimal("1E+999999"),
    fractions.Fraction(1, 3),
    dt.date(2026, 11, 22),
    dt.time(1, 2, 3),
    dt.datetime(2026, 11, 22, tzinfo=dt.UTC),
    dt.datetime.max.replace(tzinfo=dt.UTC),
    dt.timedelta(days=-1),
    dt.UTC,
    uuid.UUID(int=5),
    ipaddress.ip_address("::1"),
    pathlib.PurePosixPath("/a"),
    re.compile("a"),
    range(3),
    slice(1),
    (),
    (1, ("a", b"b")),
    [],
    [1, [2, [3]]],
    {},
    {"a": {"b": 1}},
    {1, 2},
    frozenset(),
    collections.OrderedDict(a=1),
    collections.deque([1]),
    types,
    int,
    len,
    (lambda: 1),
    object(),
    Plain(),
    Word("word"),
    Color.RED,
    Level.HIGH,
    Mixed.A,
    mark_safe("<b>"),
    gettext_lazy("lazy"),
    SimpleLazyObject(lambda: 1),
    functools.partial(int),
    Ellipsis,
    NotImplemented,
    mock.MagicMock(),
    iter([1]),
    Exception("x"),
    Book(title="x"),
    Book,
]


@pytest.mark.parametrize("value", PARAMETERS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("form", ["list", "tuple", "dict", "many"])
def test_a_parameter_of_any_type_comes_to_the_same_and_is_kept(site, value, form):
    def call():
        if form == "many":
            with connections["archive"].cursor() as cursor:
                cursor.executemany("INSERT INTO nowhere VALUES (%s)", [(value,), [value]])
            return None
        if form == "dict":
            return str(run("SELECT %(a)s", {"a": value}))
        return str(run("SELECT %s", [value] if form == "list" else (value,)))

    bare = came_to(call)
    with trace("odd", keep=False) as t:
        watched = came_to(call)
    assert watched == bare
    [query] = kept(t).queries
    assert (query.error is not None) is (bare[0] == "raised")
    told = query.params["a"] if form == "dict" else query.params[0]
    assert type(told[0] if form == "many" else told) is str


def test_parameters_that_are_no_list_come_to_the_same(site):
    for params in ("text", 5, iter([1]), {1}, object(), SimpleLazyObject(lambda: [1]), range(1), b"\1"):
        bare = came_to(lambda params=params: str(run("SELECT %s", params)))
        with trace("odd", keep=False) as t:
            watched = came_to(lambda params=params: str(run("SELECT %s", params)))
        assert bare[0] == watched[0]
        assert len(kept(t).queries) == 1


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.binary(max_size=40)
    | st.text(st.characters(exclude_categories=()), max_size=40) | st.uuids() | st.datetimes() | st.dates()
    | st.times() | st.timedeltas() | st.complex_numbers() | st.fractions()
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner), max_leaves=8
)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(params=st.lists(VALUES, max_size=5), hints=st.dictionaries(st.text(max_size=9), VALUES, max_size=3))
def test_whatever_is_given_the_trace_can_be_kept(site, params, hints):
    with trace("any", keep=False) as t:
        came_to(lambda: run(f"SELECT {', '.join(['%s'] * len(params)) or 1}", params))
        hints.pop("model", None), hints.pop("self", None)
        router.db_for_write(Tag, **hints)
    document = kept(t)
    assert len(document.queries[0].params or []) == len(params)
    assert set(document.decisions[0].hints) == {
        TraceBuilder(t._recorder).values.mask_mapping((name, 1)).popitem()[0] for name in hints
    }


# Names


def test_models_routers_hints_and_exceptions_with_odd_names_are_kept(site, ask):
    names = [
        "<script>alert(1)</script>",
        "a\"b'c",
        "ünï\u202ecode",
        "a\0b",
        "",
        " ",
        "a\nb",
        "x" * 5000,
        "%s",
    ]
    for name in names:
        error = type(name.replace("\0", "") or "Empty", (Exception,), {"__module__": name})
        made = type("R", (), {"db_for_read": lambda self, model, **hints: None})
        made.__qualname__, made.__module__ = name, name

        def fails(model, error=error, name=name, **hints):
            raise error(name)

        ask(made(), types.SimpleNamespace(db_for_write=fails), types.ModuleType(name))
        about = type("Model", (), {"_meta": types.SimpleNamespace(label=f"app.{name}", app_label="app")})
        with trace(name, keep=False) as t:
            router.db_for_read(about, **{name or "a": about()})
            with pytest.raises(error):
                router.db_for_write(about)
        read, write = kept(t).decisions
        assert read.model == write.model == f"app.{name}"
        assert read.steps[0].router == f"{name}.{name}"
        assert read.steps[2].router == name
        assert list(read.hints) == [name or "a"]
        assert write.steps[1].error.startswith(error.__name__)


def test_lone_surrogates_are_escaped_wherever_they_are(site, ask):
    made = type("R", (), {"db_for_read": lambda self, model, **hints: "primary\ud800"})
    made.__module__ = "m\ud800"
    ask(made())
    about = type("Model", (), {"_meta": types.SimpleNamespace(label="app.M\ud800", app_label="app")})
    about.__module__ = "m\ud800"
    with trace("\ud800", keep=False) as t:
        router.db_for_read(about, **{"h\ud800": about(), "text": "\ud800"})
    [decision] = kept(t).decisions
    assert (t.document.name, decision.model, decision.answer) == ("\\ud800", "app.M\\ud800", "primary\\ud800")
    assert decision.steps[0].router == "m\\ud800.R"
    assert list(decision.hints) == ["h\\ud800", "text"]
    assert t.document.routers == ["m\\ud800.R"]


@pytest.mark.parametrize("alias", ["a b", "ünï", "<b>", "'\"", "a/b", "x" * 300, "\ud800", "%s", "a\0b"])
def test_a_database_with_an_odd_alias_is_recorded(site, alias, tmp_path):
    connections.settings[alias] = connections.settings["archive"] | {"NAME": str(tmp_path / "odd.sqlite3")}
    try:
        with trace("odd", keep=False) as t, connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
        document = kept(t)
        shown = alias.replace("\ud800", "\\ud800")
        assert document.queries[0].alias == shown
        assert document.databases[shown].vendor == "sqlite"
    finally:
        connections[alias].close()
        del connections[alias], connections.settings[alias]


def test_an_alias_that_is_an_enum_of_the_projects_stays_one_and_is_kept_plain(site):
    class Alias(str, enum.Enum):  # noqa: UP042
        """As many projects have it: its ``str()`` is ``Alias.PRIMARY``."""

        PRIMARY = "primary"
        NOWHERE = "nowhere"

    connections["primary"].close()
    opened = connections["primary"]
    del connections["primary"]
    try:
        connection = connections[Alias.PRIMARY]
        with trace("enum", keep=False) as t:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            with pytest.raises(ConnectionDoesNotExist):
                connections[Alias.NOWHERE]
        assert connection.alias is Alias.PRIMARY
        assert connections[connection.alias] is connection
        assert [query.alias for query in kept(t).queries] == ["primary", "nowhere"]
        assert "primary" in t.document.databases
    finally:
        connections[Alias.PRIMARY].close()
        connections["primary"] = opened


def answers(request, name):
    Tag.objects.using("primary").count()
    return HttpResponse("fine", status=200)


urlpatterns = [re_path(r"(?s)^odd/(.*)$", answers)]


@pytest.mark.parametrize(
    "path",
    [
        "/odd/%00",
        "/odd/%ff%fe",
        "/odd/%ed%a0%80",
        "/odd/%F0%9F%92%A9",
        "/odd/%0d%0aSet-Cookie:a=b",
        "/odd/" + "x" * 50_000,
        "/odd/<script>",
        "/odd/%25s",
    ],
    ids=lambda path: path[:20],
)
@pytest.mark.parametrize("method", ["GET", "BREW", "A B", "<B>"])
def test_a_request_with_an_odd_path_or_method_is_kept(client, store, settings, path, method):
    settings.ROOT_URLCONF = __name__
    response = client.generic(method, path)
    assert (response.status_code, response.content) == (200, b"fine")
    assert stores.lost == 0
    [summary] = store.summaries()
    assert summary.request.method == method
    assert store.get(summary.id).request.path.startswith("/odd/")
    assert store.count(stores.Filter(path="/odd/")) == 1


# An error of ours


def test_an_event_that_cannot_be_written_down_costs_itself_alone(site, monkeypatch, caplog):
    real = TraceBuilder.query

    def query(self, raw):
        if "2" in raw.sql:
            raise ZeroDivisionError
        return real(self, raw)

    monkeypatch.setitem(builder.BUILDERS, CapturedQuery, query)
    with trace("partly", keep=False) as t:
        for number in (1, 2, 3):
            run(f"SELECT {number}")
        router.db_for_read(Book)
        assert len(t.queries) == 2
    assert [event.sql for event in t.document.queries] == ["SELECT 1", "SELECT 3"]
    assert len(t.document.decisions) == 1
    assert t.document.dropped.query == 1
    assert t.document.dropped.decision == 0
    [record] = caplog.records
    assert record.getMessage() == "dbroute_panel could not write down a recorded query."


def test_a_password_hash_in_a_long_error_is_masked_where_it_is_cut(site):
    password = make_password("secret")
    for size in (1900, 1960, 1990):

        def fails(*args, size=size):
            raise ValueError("x" * size + " " + password * 3)

        with (
            trace("error", keep=False) as t,
            connections["primary"].execute_wrapper(fails),
            pytest.raises(ValueError, match="x"),
        ):
            run("SELECT 1")
        assert password.split("$")[-1][:8] not in dumps(kept(t)).decode()
