from __future__ import annotations

import datetime as dt
import math
import sqlite3
import sys
from pathlib import Path

import pytest
from django.db import connections, models, router, transaction

from dbroute_panel import environment
from dbroute_panel.environment import base_dir, relative_path
from dbroute_panel.recording.builder import TraceBuilder
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.recording.traces import trace
from dbroute_panel.records import Database, TypeRef, dumps, loads
from example_site.library.models import Book, Person, Tag


def test_what_was_written_is_read_again_without_a_difference(recorded):
    book = Book.objects.first()
    book.title = "\ud800 lone"
    router.allow_relation(book, Person())
    router.db_for_read(Book, shard=[1], big=2**70, odd=math.nan)
    with connections["primary"].cursor() as cursor:
        cursor.executemany("INSERT INTO library_tag (name) VALUES (%s)", [("a",), ("b",)])
    recorded.finish()
    assert loads(dumps(recorded.document)) == recorded.document


def test_a_trace_tells_databases_and_routers(recorded):
    Book.objects.count()
    recorded.finish()
    t = recorded.document
    assert list(t.databases) == list(connections.settings)
    assert t.databases["default"] == Database(
        vendor="unknown", engine="django.db.backends.dummy", replica_of=None
    )
    assert t.databases["replica1"] == Database(
        vendor="sqlite", engine="example_site.replica", replica_of="primary"
    )
    assert t.routers == [
        "example_site.routers.AuthRouter",
        "example_site.routers.UserRouter",
        "example_site.routers.PrimaryReplicaRouter",
    ]
    assert (t.name, t.kind, t.request, t.findings) == ("test", "block", None, [])


def test_routers_that_nobody_asked_are_named_and_not_made(site, settings, monkeypatch):
    monkeypatch.delitem(router.__dict__, "routers", raising=False)
    with trace("test", keep=False) as t:
        pass
    assert t.document.routers == settings.DATABASE_ROUTERS
    assert "routers" not in router.__dict__


def test_a_list_of_routers_that_was_emptied_is_empty(site, monkeypatch):
    monkeypatch.setitem(router.__dict__, "routers", [])
    with trace("test", keep=False) as t:
        pass
    assert t.document.routers == []


@pytest.mark.parametrize("name", ["m", "another"])
def test_a_mirror_stays_a_replica_where_the_test_runner_gives_it_the_name_of_its_primary(
    site, monkeypatch, name
):
    options = {"ENGINE": "django.db.backends.sqlite3", "NAME": "m", "TEST": {"MIRROR": "archive"}}
    monkeypatch.setitem(connections.settings, "mirror", options)  # the dict that settings.DATABASES is, too
    monkeypatch.setitem(connections.settings["archive"], "NAME", name)
    with trace("mirrors", keep=False) as t:
        """Nothing happens."""
    assert t.document.databases["mirror"].replica_of == "archive"


def test_databases_that_are_added_at_run_time_or_lack_their_driver(site, monkeypatch):
    monkeypatch.setitem(connections.settings, "tenant", {"NAME": "x"})
    monkeypatch.setitem(connections.settings, "old", {"ENGINE": "no.such.engine"})
    with trace("test", keep=False) as t:
        pass
    assert t.document.databases["tenant"] == Database(vendor="unknown", engine="", replica_of=None)
    assert t.document.databases["old"].vendor == "unknown"


def test_no_connection_is_opened_for_the_document(site):
    with trace("test", keep=False) as t:
        router.db_for_read(Book)
    assert "replica1" in t.document.databases
    assert all(connection.connection is None for connection in connections.all(initialized_only=True))


def test_times_count_from_the_start_in_microseconds(recorded):
    Tag.objects.using("primary").count()
    Tag.objects.using("primary").count()
    first, second = recorded.queries
    assert type(first.at_us) is int
    assert first.at_us + first.duration_us <= second.at_us + 1
    assert first.duration_us == round(first.duration_us, 3)
    recorded.finish()
    t = recorded.document
    assert second.at_us + second.duration_us <= t.duration_us + 1
    started = dt.datetime.fromisoformat(t.started_at)
    assert t.started_at.endswith("Z")
    assert dt.timedelta(0) < dt.datetime.now(dt.UTC) - started < dt.timedelta(minutes=1)


def test_the_times_of_every_kind_of_event_are_those_of_the_clock(recorded):
    with transaction.atomic(using="primary"):
        Tag(name="new").save()
    started = recorded._recorder.started
    for raw in recorded._recorder.events:
        raw.start = started + 5_000_000_999
        if hasattr(raw, "end"):
            raw.end = started + 9_000_000_999
    assert {event.at_us for event in recorded.events} == {5_000_000}
    assert {event.duration_us for event in recorded.events if hasattr(event, "duration_us")} == {4_000_000}
    for raw in recorded._recorder.events:
        raw.start = started - 5_000
    assert {event.at_us for event in recorded.events} == {0}


def test_every_kind_of_event_says_when_it_began(recorded):
    with transaction.atomic(using="primary"):
        Tag(name="new").save()
    times = [event.at_us for event in recorded.events]
    assert {type(event).__name__ for event in recorded.events} == {"Decision", "Query", "Transaction"}
    assert times == sorted(times)
    assert {type(at) for at in times} == {int}


def test_a_trace_that_is_not_over_lasts_until_its_last_event(recorded):
    builder = TraceBuilder(recorded._recorder)
    assert builder.trace("x", "block").duration_us == 0
    Tag.objects.using("primary").count()
    [query] = recorded.queries
    document = TraceBuilder(recorded._recorder).trace("x", "block")
    assert document.duration_us == pytest.approx(query.at_us + query.duration_us, abs=1)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (math.inf, "inf"),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (2**64 - 1, 2**64 - 1),
        (2**64, str(2**64)),
        ("\ud800", "\\ud800"),
        ("ä", "ä"),
        (object(), TypeRef(type="builtins.object")),
    ],
)
def test_values_that_json_cannot_hold_as_they_are(recorded, value, kept):
    router.db_for_read(Book, hint=value)
    [decision] = recorded.decisions
    assert decision.hints == {"hint": kept}
    recorded.finish()
    assert loads(dumps(recorded.document)) == recorded.document


def test_an_integer_of_thousands_of_digits_is_written_in_hexadecimal(recorded):
    """Python makes no decimal digits of it."""
    number = 16**5000
    router.db_for_read(Book, hint=number)
    with connections["primary"].cursor() as cursor, pytest.raises(OverflowError):
        cursor.execute("SELECT %s", [number])
    assert recorded.decisions[0].hints == {"hint": "0x1" + "0" * 5000}
    assert recorded.queries[0].params == ("0x1" + "0" * 5000,)


def test_names_of_hints_and_traces_are_text_too(site):
    with trace("\ud800", keep=False) as t:
        router.db_for_read(Book, **{"\ud801": 1})
    assert t.document.name == "\\ud800"
    assert t.decisions[0].hints == {"\\ud801": 1}


def test_parameters_become_text(recorded):
    class Custom:
        pass

    with connections["primary"].cursor() as cursor:
        cursor.execute(
            "SELECT %s, %s, %s, %s", [None, 1.5, b"\x00", "\udcff".encode("utf-8", "surrogatepass")]
        )
        with pytest.raises(sqlite3.Error):  # Django does not wrap it where it only quotes
            cursor.execute("SELECT %s, %s", [["a", 1], Custom()])
    plain, odd = recorded.queries
    assert plain.params == ("None", "1.5", "b'\\x00'", "b'\\xed\\xb3\\xbf'")
    assert odd.params == ("[a, 1]", f"<{Custom.__module__}.{Custom.__qualname__}>")


def test_numbers_become_text_of_any_length(recorded):
    with connections["primary"].cursor() as cursor:
        cursor.execute("SELECT %s, %s, %s, %s", [1, -1.5, True, None])
        with pytest.raises(OverflowError):
            cursor.execute("SELECT %s, %s", [2**70, 10**5000])
    plain, long = recorded.queries
    assert plain.params == ("1", "-1.5", "True", "None")
    assert long.params == (str(2**70), hex(10**5000))


def test_keys_that_could_tell_are_kept_only_with_the_parameters(own_models, site, settings):
    class Named(models.Model):  # noqa: DJ008
        name = models.CharField(max_length=9, primary_key=True)

        class Meta:
            app_label = "library"

    def keys():
        with trace("test", keep=False) as t:
            router.db_for_read(Named, instance=Named(name="ada"))
            router.db_for_read(Book, instance=Book(pk=7))
        return [decision.hints["instance"].pk for decision in t.decisions]

    assert keys() == ["ada", "7"]
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": False}
    assert keys() == [None, "7"]


def test_the_error_of_a_step_is_its_class_alone_without_parameters(site, settings, ask):
    class Raises:
        def db_for_read(self, model, **hints):
            raise KeyError("secret")

    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": False}
    ask(Raises())
    with trace("test", keep=False) as t, pytest.raises(KeyError):
        router.db_for_read(Book)
    assert t.decisions[0].steps[0].error == "KeyError"


def test_files_are_relative_to_the_project_where_they_are_in_it(settings):
    here = Path(__file__)
    assert relative_path(__file__, base_dir()) == here.relative_to(settings.BASE_DIR).as_posix()
    assert relative_path("<string>", base_dir()) == "<string>"
    assert relative_path(sys.executable, base_dir()) == sys.executable or not relative_path(
        sys.executable, base_dir()
    ).startswith("/")
    settings.BASE_DIR = str(here.parent)
    assert relative_path(__file__, base_dir()) == here.name
    settings.BASE_DIR = None
    assert relative_path(__file__, base_dir()) == __file__
    del settings.BASE_DIR
    assert relative_path(__file__, base_dir()) == __file__


def test_an_event_whose_decision_was_not_kept_counts_as_routed(recorded):
    Tag.objects.count()
    recorder = recorded._recorder
    assert recorded.queries[0].route == "router"
    del recorder.events[0]
    assert recorded.queries[0].route == "router"


def test_a_callsite_is_not_recorded_where_the_setting_says_so(site, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"CALLSITES": False}
    with trace("test", keep=False) as t, transaction.atomic(using="primary"):
        Tag.objects.count()
        Tag(name="x").save()
    assert {event.callsite for event in t.events} == {None}
    assert t.queries[1].instance.model == "library.Tag"
    assert t.queries[0].decision_id == t.decisions[0].id


def test_an_engine_without_a_driver_is_of_an_unknown_vendor():
    environment._vendor.cache_clear()
    assert environment._vendor("django.db.backends.sqlite3") == "sqlite"
    assert environment._vendor("no.such") == "unknown"


def test_a_recorder_that_never_ended_can_be_written(site):
    assert TraceBuilder(Recorder("x", "block")).trace("x", "block").events == []


def test_events_of_the_same_line_share_its_callsite(site):
    with trace("alike", keep=False) as t:
        for _ in range(2):
            Book.objects.using("primary").get(pk=1)

    first, second = t.document.queries
    assert first.callsite is second.callsite


def test_the_same_place_in_two_functions_is_two_callsites(recorded):
    def one():
        Tag.objects.using("primary").count()

    def other():
        Tag.objects.using("primary").count()

    one(), other()
    assert [query.callsite.function for query in recorded.queries] == ["one", "other"]


def test_statements_that_look_alike_share_their_text_and_each_has_its_own_parameters(site):
    with trace("alike", keep=False) as t:
        for title in ("one", "django.contrib.sessions.cached_db" + "k" * 32, "two"):
            list(Book.objects.using("primary").filter(title=title))

    kept = [query.params for query in t.document.queries]
    assert kept == [("one",), ("***",), ("two",)]
    first, _, last = t.document.queries
    assert first.sql is last.sql


def test_routers_that_say_that_they_are_equal_are_each_named(site, monkeypatch):
    class Same:
        def __eq__(self, other):
            return True

        __hash__ = None

    class One(Same):
        pass

    class Other(Same):
        pass

    monkeypatch.setattr(router, "routers", [One(), Other()])
    with trace("two routers", keep=False) as t:
        router.db_for_read(Book)

    (decision,) = t.document.decisions
    assert [step.router.rpartition(".")[2] for step in decision.steps] == ["One", "Other"]
