"""The routing map, asked of the example site's routers and of others."""

from __future__ import annotations

import copy

import msgspec
import pytest
from django.apps import apps
from django.db import models
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dbroute_panel import trace
from dbroute_panel.inspection.arguments import AskError
from dbroute_panel.inspection.isolation import IsolationInterrupt
from dbroute_panel.inspection.map import (
    ModelRoutes,
    RoutingMap,
    build_map,
    dump_csv,
    dump_map,
    find_marks,
    load_map,
    sample_answers,
)
from dbroute_panel.inspection.map_diff import diff_maps
from dbroute_panel.records import Action
from dbroute_panel.text import DECODE_ERRORS
from example_site.library.models import Book
from tests.inspection.routers import Among, Constant, Pinning, Silent
from tools.benchmarks.counting import count_calls

ALIASES = [
    "archive", "auth_db", "default", "legacy_users", "new_users", "primary", "replica1", "replica2"
]  # fmt: skip
AUTH = [
    "admin.LogEntry", "auth.Group", "auth.Group_permissions", "auth.Permission", "auth.User",
    "auth.User_groups", "auth.User_user_permissions", "contenttypes.ContentType", "sessions.Session",
]  # fmt: skip
LIBRARY = ["library.Book", "library.Book_tags", "library.Person", "library.Review", "library.Tag"]
USERS = ["users.Card", "users.Loan", "users.User"]


def on(*aliases):
    return {alias: alias in aliases for alias in ALIASES}


def routes(read, write, *tables, **changes):
    fields = {"read": read, "write": write, "migrate": on(*tables), "managed": True, "errors": {}}
    return ModelRoutes(**fields | changes)


@pytest.fixture
def notes_models():
    """Registers models in the app ``notes`` for one test: call it with name, bases and Meta."""
    registered = apps.all_models["notes"]
    before = dict(registered)

    def make(name, *bases, **meta):
        options = type("Meta", (), {"app_label": "notes"} | meta)
        return type(name, bases or (models.Model,), {"__module__": __name__, "Meta": options})

    yield make
    registered.clear()
    registered.update(before)
    apps.clear_cache()


# The example site


def test_the_map_of_the_example_site():
    expected = dict.fromkeys(AUTH, routes(["auth_db"], ["auth_db"], "auth_db"))
    expected |= dict.fromkeys(LIBRARY, routes(["replica1", "replica2"], ["primary"], "primary", "archive"))
    expected |= dict.fromkeys(USERS, routes(["legacy_users"], ["legacy_users"], "legacy_users", "new_users"))
    expected["notes.Note"] = routes(["default"], ["default"], *ALIASES)
    assert build_map() == RoutingMap(databases=ALIASES, models=expected)


def test_asking_is_not_recorded(site):
    with trace("the map", keep=False) as t:
        build_map()
    assert t.events == []


def test_swapping_two_routers_changes_exactly_what_it_changes(settings):
    before = build_map()
    settings.DATABASE_ROUTERS = ["example_site.routers.EverythingRouter", *settings.DATABASE_ROUTERS]
    lines = diff_maps(before, build_map())
    assert lines == sorted(
        [f"{label} is read from replica1, replica2, was auth_db" for label in AUTH]
        + [f"{label} is written to primary, was auth_db" for label in AUTH]
        + [f"{label} is read from replica1, replica2, was legacy_users" for label in USERS]
        + [f"{label} is written to primary, was legacy_users" for label in USERS]
        + ["notes.Note is read from replica1, replica2, was default"]
        + ["notes.Note is written to primary, was default"]
    )


def test_every_kind_of_model_is_on_the_map(notes_models):
    plain = notes_models("Plain")
    notes_models("Proxied", plain, proxy=True)
    notes_models("View", managed=False)
    notes_models("ProxiedView", apps.get_model("notes", "View"), proxy=True, managed=False)
    notes_models("Abstract", abstract=True)
    found = build_map().models
    assert {"notes.Plain", "notes.Proxied", "notes.View", "notes.ProxiedView"} < set(found)
    assert "notes.Abstract" not in found
    assert not [label for label in found if label.startswith(("dbroute_panel.", "debug_toolbar."))]
    assert {label for label, model in found.items() if not model.managed} == {
        "notes.View",
        "notes.ProxiedView",
    }
    assert find_marks() == {
        **{label: ["auto-created"] for label in found if "_" in label},
        "notes.Proxied": ["proxy"],
        "notes.View": ["unmanaged"],
        "notes.ProxiedView": ["proxy", "unmanaged"],
    }


# What routers answer


def test_every_answer_of_a_random_router_is_found(settings):
    aliases = [f"replica{number}" for number in range(12)]
    settings.DATABASE_ROUTERS = [Among(*aliases)]
    for model in build_map().models.values():
        assert model.read == sorted(aliases)
        assert model.write == ["default"]


def test_a_router_that_always_answers_alike_is_asked_twenty_times(settings):
    asked = Constant(read="primary", write="primary", migrate=True)
    settings.DATABASE_ROUTERS = [Silent(), asked]
    number = len(build_map().models)
    assert asked.asked == {
        "read": 20 * number,
        "write": 20 * number,
        "migrate": len(ALIASES) * number,
        "relation": 0,
    }


@pytest.mark.parametrize("error", [ValueError("no shard"), SystemExit("no shard")])
def test_what_raises_is_on_the_map_as_an_error(settings, error):
    settings.DATABASE_ROUTERS = [Constant(read=error, write="primary", migrate=error)]
    name = type(error).__name__
    for model in build_map().models.values():
        assert model.read == []
        assert model.write == ["primary"]
        assert model.migrate == {}
        assert model.errors == {"db_for_read": f"{name}: no shard", "allow_migrate": f"{name}: no shard"}


def test_an_alias_that_raised_is_left_out_of_the_tables(settings):
    class Half(Silent):
        def allow_migrate(self, db, app_label, **hints):
            if db in ("archive", "primary"):
                raise LookupError(db)
            return "yes" if db == "auth_db" else 0

    settings.DATABASE_ROUTERS = [Half()]
    book = build_map().models["library.Book"]
    assert book.migrate == {
        "auth_db": True, "default": False, "legacy_users": False, "new_users": False,
        "replica1": False, "replica2": False,
    }  # fmt: skip
    assert book.errors == {"allow_migrate": "LookupError: archive"}


def test_a_router_that_raises_now_and_then_has_raised(settings):
    class Moody(Silent):
        asked = 0

        def db_for_read(self, model, **hints):
            self.asked += 1
            if self.asked % 7 == 0:
                raise TimeoutError
            return "primary"

    settings.DATABASE_ROUTERS = [Moody()]
    book = build_map().models["library.Book"]
    assert (book.read, book.errors) == ([], {"db_for_read": "TimeoutError"})


@pytest.mark.parametrize("stop", [KeyboardInterrupt, IsolationInterrupt])
@pytest.mark.parametrize("question", ["read", "write", "migrate"])
def test_being_stopped_is_no_answer(settings, stop, question):
    settings.DATABASE_ROUTERS = [Constant(**{question: stop()})]
    with pytest.raises(stop):
        build_map()


class Moody:
    """Answers in turn, and raises at each fifth question."""

    asked = 0

    def db_for_read(self, model, **hints):
        self.asked += 1
        if self.asked % 5 == 0:
            raise TimeoutError("no answer")
        return ("replica1", "replica2")[self.asked % 2]


def test_the_shares_of_all_answers_and_of_what_was_raised(settings):
    settings.DATABASE_ROUTERS = [Moody()]
    assert sample_answers(Book, Action.READ, 100) == [
        ("replica1", 40),
        ("replica2", 40),
        ("TimeoutError: no answer", 20),
    ]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, IsolationInterrupt])
def test_being_stopped_is_no_share(settings, stop):
    settings.DATABASE_ROUTERS = [Constant(read=stop())]
    with pytest.raises(stop):
        sample_answers(Book, Action.READ, 100)


def test_answers_that_are_no_configured_alias_are_shown_as_they_are(settings):
    class Shard:
        pass

    class Alias(models.TextChoices):
        PRIMARY = "primary"

    given = {"nowhere": "nowhere", Alias.PRIMARY: "primary", 7: "7", Shard(): f"<{__name__}."}
    for answer, shown in given.items():
        settings.DATABASE_ROUTERS = [Constant(read=answer)]
        [read] = build_map().models["library.Book"].read
        assert type(read) is str
        assert read.startswith(shown)


@pytest.mark.parametrize("how", ["context", "thread"])
def test_a_router_that_pins_what_has_written_does_not_change_the_map(settings, how):
    pinning = Pinning(how)
    settings.DATABASE_ROUTERS = [pinning]
    for model in build_map().models.values():
        assert (model.read, model.write) == (["archive"], ["primary"])
    assert not pinning.pinned.get()  # nor is whoever asked for the map pinned


def test_a_thousand_models_eight_databases_and_three_routers_are_a_few_thousand_calls_a_model(
    settings, notes_models
):
    for number in range(1000):
        notes_models(f"Model{number}")
    settings.DATABASE_ROUTERS = [Constant(), Constant(), Among("replica1", "replica2", "replica3")]
    counted = count_calls(build_map)
    found = build_map()
    assert counted < 8000 * len(found.models)
    assert len(found.models) > 1000
    assert {tuple(model.read) for model in found.models.values()} == {("replica1", "replica2", "replica3")}
    assert {tuple(model.migrate) for model in found.models.values()} == {tuple(ALIASES)}


# As a document


LABELS = st.sampled_from(["library.Book", "library.Tag", "auth.User"])
SOME = st.sampled_from(["primary", "replica1", "archive"])
LISTS = st.lists(SOME, max_size=3, unique=True).map(sorted)
MODELS = st.builds(
    ModelRoutes,
    read=LISTS,
    write=LISTS,
    migrate=st.dictionaries(SOME, st.booleans()),
    managed=st.booleans(),
    errors=st.dictionaries(
        st.sampled_from(["db_for_read", "db_for_write", "allow_migrate"]),
        st.sampled_from(["ValueError: a", "KeyError: b"]),
    ),
)
MAPS = st.builds(RoutingMap, databases=LISTS, models=st.dictionaries(LABELS, MODELS, max_size=3))


@given(MAPS)
def test_a_map_comes_back_from_its_document(routes):
    assert load_map(dump_map(routes)) == routes
    assert load_map(dump_map(routes).encode()) == routes


def test_the_document_is_the_same_each_time_and_one_fact_a_line():
    document = dump_map(build_map())
    assert document == dump_map(build_map())
    assert document.startswith('{\n  "databases": [\n    "archive",\n')
    assert document.endswith("}\n")
    assert '"library.Book": {\n      "errors": {},\n      "managed": true,\n' in document
    assert '      "read": [\n        "replica1",\n        "replica2"\n      ],\n' in document


def test_a_document_in_another_order_is_the_same_map():
    routes = build_map()
    document = dump_map(routes).replace(
        '"replica1",\n        "replica2"', '"replica2",\n"replica1", "replica1"'
    )
    assert document != dump_map(routes)
    assert load_map(document) == routes


@pytest.mark.parametrize(
    "document",
    [
        "",
        "<html>",
        "[]",
        "{}",
        '{"databases": [], "models": {"a.B": {"read": []}}}',
        '{"databases": [], "models": {}, "schema": 1}',
        '{"databases": [], "models": {}, "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_what_is_no_map_is_refused(document):
    """With what msgspec says of it, which each release of it may word in its own way."""
    with pytest.raises(DECODE_ERRORS) as said:
        msgspec.json.decode(document, type=RoutingMap)
    with pytest.raises(AskError) as refused:
        load_map(document)
    assert str(refused.value) == f"This is no map of the routing as JSON: {said.value}."


@pytest.mark.parametrize(
    ("document", "byte"),
    [
        (b'{"databases": ["\xff"], "models": {}}', "0xff"),
        (b'{"databases": [], "models": {}, "\xfe": 1}', "0xfe"),
        ("[]".encode("utf-16"), "0xff"),
        ('{"databases": ["\ud800"], "models": {}}', "0xed"),
    ],
)
def test_what_is_not_utf8_is_refused(document, byte):
    with pytest.raises(AskError) as refused:
        load_map(document)
    assert str(refused.value) == f"This is not UTF-8 (byte {byte})."


# Differences


@hypothesis_settings(max_examples=300)
@given(MAPS, MAPS)
def test_equal_maps_and_only_equal_maps_have_no_difference(one, other):
    assert diff_maps(one, copy.deepcopy(one)) == []
    assert (diff_maps(one, other) == []) == (one == other)


def differences(**changes):
    """The lines about one model of which this changes; a pair is (before, after)."""
    fields = {"read": ["primary"], "write": ["primary"], "migrate": {"primary": True}, "managed": True,
              "errors": {}}  # fmt: skip
    pairs = {name: changes.get(name, (value, value)) for name, value in fields.items()}
    maps = [
        RoutingMap(
            databases=["primary", "archive"],
            models={"library.Book": ModelRoutes(**{name: pair[side] for name, pair in pairs.items()})},
        )
        for side in (0, 1)
    ]
    return diff_maps(*maps)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"write": (["primary"], ["replica1"])}, ["library.Book is written to replica1, was primary"]),
        ({"read": (["a"], ["a", "b"])}, ["library.Book is read from a, b, was a"]),
        ({"read": (["a"], [])}, ["library.Book is read from nowhere, was a"]),
        ({"migrate": ({"primary": True}, {"primary": False})},
         ["library.Book is not migrated on primary, was"]),
        ({"migrate": ({"primary": False, "archive": True}, {"primary": True, "archive": True})},
         ["library.Book is migrated on primary, was not"]),
        ({"migrate": ({"primary": True}, {})},
         ["library.Book has no answer to whether it is migrated on primary, had one"]),
        ({"migrate": ({}, {"primary": False})}, ["library.Book is not migrated on primary, had no answer"]),
        ({"migrate": ({}, {"primary": True})}, ["library.Book is migrated on primary, had no answer"]),
        ({"managed": (True, False)}, ["library.Book is unmanaged, was managed"]),
        ({"managed": (False, True)}, ["library.Book is managed, was unmanaged"]),
        ({"read": (["a"], []), "errors": ({}, {"db_for_read": "ValueError: x"})},
         ["library.Book: db_for_read raises ValueError: x, did not"]),
        ({"write": ([], ["a"]), "errors": ({"db_for_write": "ValueError: x"}, {})},
         ["library.Book: db_for_write answers, raised ValueError: x"]),
        ({"errors": ({"db_for_write": "ValueError: x"}, {"db_for_write": "ValueError: y"})},
         ["library.Book: db_for_write raises ValueError: y, raised ValueError: x"]),
        ({"errors": ({"db_for_write": "E", "db_for_read": "E"}, {"db_for_write": "E"})},
         ["library.Book: db_for_read answers, raised E"]),
    ],
)  # fmt: skip
def test_a_difference_is_one_line_that_can_be_read(changes, lines):
    assert differences(**changes) == lines


def test_models_and_databases_come_and_go():
    book = ModelRoutes(read=["a"], write=["b"], migrate={"a": True, "b": False}, managed=True, errors={})
    before = RoutingMap(databases=["a", "b"], models={"library.Book": book, "library.Tag": book})
    moved = ModelRoutes(
        read=["a"], write=["b"], migrate={"a": True, "c": True, "d": False}, managed=True, errors={}
    )
    after = RoutingMap(databases=["a", "c", "d"], models={"library.Book": moved, "library.Person": book})
    assert diff_maps(before, after) == [
        "The database b is gone",
        "The database c is new",
        "The database d is new",
        "library.Book is migrated on c, was not",
        "library.Person is new: read from a, written to b, migrated on a",
        "library.Tag is gone",
    ]


# As tables


SMALL = RoutingMap(
    databases=["archive", "primary"],
    models={
        "library.Tag": ModelRoutes(
            read=["a", "b"],
            write=["primary"],
            migrate={"archive": False, "primary": True},
            managed=True,
            errors={},
        ),
        "library.Book": ModelRoutes(
            read=[],
            write=["primary"],
            migrate={"primary": True},
            managed=False,
            errors={"db_for_read": "ValueError: on,\ntwo lines", "allow_migrate": "E"},
        ),
    },
)


def test_the_table_as_csv_has_one_model_a_row():
    assert dump_csv(SMALL) == (
        "model,managed,read,write,migrate:archive,migrate:primary,errors\n"
        'library.Book,no,,primary,,yes,"allow_migrate: E; db_for_read: ValueError: on,\ntwo lines"\n'
        "library.Tag,yes,a b,primary,no,yes,\n"
    )
