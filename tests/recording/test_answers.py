"""An alias is a string like any other, and still it is known which decision it is the answer of."""

from __future__ import annotations

import ast
import contextvars
import copy
import functools
import gc
import json
import marshal
import pickle
import sys
import threading
import xmlrpc.client

import msgspec
import pytest
import yaml
from django.db import connections, router

from dbroute_panel.recording import recorder as watching
from dbroute_panel.recording.answers import Aliases, SharedAlias
from dbroute_panel.recording.snapshots import capture_instance
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Person, Tag
from tests.threads import together

ALIASES = ["primary", "re", "a-b", "", "a", "é", "日", "日本", "ñandú", "x" * 1000, "\ud800x", "a\0b", "İ"]
SHARED = ["", "a", "é", "日", "İ"]


def spelled(alias):
    """Another string with the same letters."""
    return "".join(letter for letter in alias)


class Home:
    """A router that says always the same, and notes what it is asked."""

    def __init__(self, alias="primary"):
        self.alias = alias

    def db_for_read(self, model, **hints):
        return self.alias

    db_for_write = db_for_read


# What Python makes of it


@pytest.mark.parametrize("alias", ALIASES)
def test_each_answer_is_a_string_of_its_own(alias):
    aliases = Aliases()
    if alias in SHARED:
        with pytest.raises(SharedAlias):
            aliases[alias]
        return
    made = [alias[0] + aliases[alias] for _ in range(100)]
    assert {type(each) for each in made} == {str}
    assert set(made) == {alias}
    assert len({id(each) for each in (*made, alias, *aliases)}) == 102 - (alias is next(iter(aliases)))


@pytest.mark.parametrize("alias", [alias for alias in ALIASES if alias not in SHARED])
def test_nothing_that_is_interned_or_compiled_later_is_an_answer(alias):
    """``setattr()`` and ``sys.intern()`` would take ours for the one string of all with this text."""
    alias = f"{alias} never met before {alias}"
    aliases = Aliases()
    made = alias[0] + aliases[alias]
    thing = type("Thing", (), {})()
    setattr(thing, made, 1)
    assert sys.intern(made) is not made
    assert next(iter(vars(thing))) is not made
    literal = compile(ast.fix_missing_locations(ast.Expression(ast.Constant(alias))), "<alias>", "eval")
    assert eval(literal) is not made
    if alias.isascii() and alias.isprintable():
        named = compile(f"thing.{'_'.join(alias.split())}", "<alias>", "eval")
        assert made not in map(id, named.co_names)


def test_the_plain_alias_is_interned_before_the_first_answer(site, settings):
    name = spelled("interned later")
    settings.DATABASE_ROUTERS = [Home(name)]
    with trace("test", keep=False) as t:
        alias = router.db_for_read(Book)
        thing = type("Thing", (), {})()
        setattr(thing, alias, 1)
        literal = eval(repr(name))
        assert literal == alias
        assert id(alias) in t._recorder.answers
        assert id(literal) not in t._recorder.answers
        assert id(sys.intern(literal)) not in t._recorder.answers


# What it is for everybody else


@pytest.fixture
def alias(site):
    """What ``router.db_for_write()`` answers while a trace is active."""
    with trace("test", keep=False):
        yield router.db_for_write(Book)


TAKEN = {
    "its type": type,
    "msgspec's JSON": lambda alias: msgspec.json.encode({"db": alias}),
    "msgspec's keys": lambda alias: msgspec.json.encode({alias: 1}),
    "msgspec's MessagePack": msgspec.msgpack.encode,
    "msgspec's types": lambda alias: msgspec.convert(alias, str, strict=True),
    "JSON": lambda alias: json.dumps({alias: alias}),
    "YAML": lambda alias: yaml.safe_dump({"db": alias}),
    "marshal": lambda alias: marshal.loads(marshal.dumps(alias)),
    "pickle": lambda alias: pickle.loads(pickle.dumps(alias)),
    "XML-RPC": lambda alias: xmlrpc.client.dumps((alias,)),
    "a constant of code": lambda alias: (
        compile(ast.fix_missing_locations(ast.Expression(ast.Constant(alias))), "x", "eval").co_consts
    ),
    "a dict by type": lambda alias: {str: "text"}[type(alias)],
    "interned": sys.intern,
    "a cache by type": functools.lru_cache(typed=True)(type),
    "what it has": dir,
    "its size": sys.getsizeof,
    "reduced": lambda alias: alias.__reduce_ex__(4),
    "copied": copy.deepcopy,
    "formatted": "{}".format,
}


@pytest.mark.parametrize("name", TAKEN)
def test_it_is_what_it_is_without_a_trace(alias, name):
    assert TAKEN[name](alias) == TAKEN[name]("primary")


def test_it_is_a_str_wherever_django_puts_it(site, settings):
    settings.DATABASE_ROUTERS = ["example_site.routers.PrimaryReplicaRouter"]
    with trace("test", keep=False):
        book = Book.objects.select_related("author").first()
        tag = Tag(name="new")
        tag.save()
        connection = connections[router.db_for_write(Book)]
        book.tags.add(tag)
        found = [
            book._state.db,
            book.author._state.db,
            tag._state.db,
            Book.objects.db,
            Book.objects.all().db,
            book.tags.db,
            connection.alias,
            router.db_for_read(Book, instance=book),
        ]
    assert {type(each) for each in found} == {str}


# How long it is known


def test_it_is_known_in_its_own_trace_only(site):
    with trace("first", keep=False) as first:
        alias = router.db_for_write(Book)
        assert first._recorder.answers == {id(alias): 1}
    assert first._recorder.answers == {}
    with trace("second", keep=False) as second:
        list(Book.objects.using(alias))
    assert second.queries[0].route == "explicit"


def test_the_strings_live_as_long_as_the_trace_looks_for_them(recorded):
    """Else the next string could be where one of them was."""
    for _ in range(500):
        router.db_for_write(Book)
    assert len(recorded._recorder.answers) == 500
    gc.collect()
    others = [spelled("primary") for _ in range(10_000)]
    assert recorded._recorder.answers.keys().isdisjoint(map(id, others))


def test_what_only_its_event_has_is_let_go(recorded):
    for _ in range(2500):
        router.db_for_write(Book)
    recorder = recorded._recorder
    assert len(recorder.answers) < 1100
    assert {decision.answer for decision in recorded.decisions} == {"primary"}
    assert len({id(event.answer) for event in recorder.events}) < 1100


def test_what_somebody_still_has_is_kept(recorded):
    kept = [router.db_for_write(Book) for _ in range(2500)]
    answers = recorded._recorder.answers
    assert [answers[id(alias)] for alias in kept] == list(range(1, 2501))
    books = Book.objects.using(kept[0])
    del kept
    for _ in range(2500):
        router.db_for_write(Book)
    list(books)
    assert recorded.queries[0].decision_id == 1


def test_where_references_cannot_be_counted_all_are_kept(recorded, monkeypatch):
    monkeypatch.setattr(watching, "UNSHARED_REFERENCES", 0)
    for _ in range(1500):
        router.db_for_write(Book)
    assert len(recorded._recorder.answers) == 1500


def test_beyond_the_limit_no_more_are_kept(site, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 3}
    with trace("test", keep=False) as t:
        aliases = [router.db_for_write(Book) for _ in range(10)]
        assert len(t._recorder.answers) == 3
    assert len({id(alias) for alias in aliases}) == 4  # the router's own is handed back from then on


def test_a_trace_that_is_over_keeps_no_alias(site):
    with trace("test", keep=False) as t:
        router.db_for_write(Book)
    assert dict(t._recorder.aliases) == {}


# Which decision


def test_many_threads_have_their_own_answers_at_once(site, settings):
    settings.DATABASE_ROUTERS = [Home()]
    seen = []

    def ask():
        seen.extend((router.db_for_read(Book), threading.get_ident()) for _ in range(200))

    with trace("test", keep=False) as t:
        context = contextvars.copy_context()
        together(lambda: context.copy().run(ask), 4)
        answers = dict(t._recorder.answers)
    assert len(seen) == len({id(alias) for alias, _thread in seen}) == 800
    assert sorted(answers[id(alias)] for alias, _thread in seen) == list(range(1, 801))


def test_one_letter_is_shared_by_all_and_linked_by_the_model(site, settings, monkeypatch):
    """As the member of an enum is. Of all that was answered it is the latest about the query's model."""
    monkeypatch.setitem(connections.settings, "p", connections.settings["primary"])
    settings.DATABASE_ROUTERS = [home := Home("p")]
    try:
        with trace("test", keep=False) as t:
            books = Book.objects.using(router.db_for_read(Book))
            people = Person.objects.using(router.db_for_read(Person))
            assert router.db_for_read(Tag) is home.alias
            list(books), list(people)
            list(Book.objects.using(spelled("primary")))
    finally:
        connections["p"].close()
        del connections["p"]
    by_book, by_person, named = t.queries
    assert (by_book.decision_id, by_person.decision_id) == (1, 2)
    assert (named.decision_id, named.route) == (None, "explicit")


def test_an_object_knows_whose_answer_its_database_is(recorded):
    book = Book.objects.first()
    answers = recorded._recorder.answers
    assert capture_instance(book, answers).origin_id == recorded.decisions[0].id
    for copied in (copy.copy(book), copy.deepcopy(book)):
        assert capture_instance(copied, answers).origin_id == recorded.decisions[0].id
    assert capture_instance(pickle.loads(pickle.dumps(book)), answers).origin_id is None


def test_a_router_that_answers_with_an_answer_gives_it_a_new_one(recorded, settings):
    class Same(Home):
        def db_for_write(self, model, *, instance, **hints):
            return instance._state.db

    settings.DATABASE_ROUTERS = [Same("archive")]
    book = Book.objects.first()
    alias = router.db_for_write(Book, instance=book)
    assert alias == book._state.db
    assert alias is not book._state.db
    read, write = recorded.decisions
    assert recorded._recorder.answers == {id(book._state.db): read.id, id(alias): write.id}
    assert write.hints["instance"].origin_id == read.id


def test_whoever_names_the_alias_in_between_has_none_of_its_queries(recorded):
    alias = router.db_for_write(Book)
    list(Book.objects.using("primary"))
    list(Book.objects.using(alias))
    list(Book.objects.using(spelled(alias)))
    assert [query.decision_id for query in recorded.queries] == [None, 1, None]


def test_a_context_that_is_used_after_the_trace_finds_nothing(site):
    with trace("test", keep=False) as t:
        context = contextvars.copy_context()
    alias = context.run(router.db_for_write, Book)
    assert (alias, type(alias), t._recorder.answers) == ("primary", str, {})
