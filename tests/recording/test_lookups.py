"""A raw cursor is on the routers' answer where its function looked the connection up with it, else not."""

from __future__ import annotations

import sys
from contextlib import suppress
from types import SimpleNamespace

import django.db
import pytest
from django.db import connection, connections, router

from dbroute_panel.recording.lookups import _iter_loads, find_lookup_decision
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Tag

pytestmark = pytest.mark.usefixtures("site")
ARCHIVE = "archive"


class Home:
    """Reads tags from the archive, and books from the primary or from default."""

    def __init__(self, tags="archive", books="primary"):
        self.homes = {Tag: tags, Book: books}

    def db_for_read(self, model, **hints):
        return self.homes[model]

    db_for_write = db_for_read


def send(cursor):
    with cursor:
        cursor.execute("SELECT 1")


def by_a_variable():
    db = router.db_for_read(Tag)
    with connections[db].cursor() as cursor:
        cursor.execute("SELECT 1")


def by_an_attribute():
    db = router.db_for_read(Tag)
    with django.db.connections[db].cursor() as cursor:
        cursor.execute("SELECT 1")


def kept():
    db = router.db_for_read(Tag)
    found = connections[db]
    list(Tag.objects.using("primary"))
    cursor = found.cursor()
    cursor.execute("SELECT 1")


def imported_here():
    from django.db import connections as handler

    db = router.db_for_read(Tag)
    with handler[db].cursor() as cursor:
        cursor.execute("SELECT 1")


def beside_another_database():
    db, other = router.db_for_read(Tag), router.db_for_read(Book)
    with connections[other].cursor():
        pass
    with connections["primary"].cursor():
        pass
    with connections[db].cursor() as cursor:
        cursor.execute("SELECT 1")


def before_another_one():
    db = router.db_for_read(Tag)
    with connections[db].cursor() as cursor:
        cursor.execute("SELECT 1")
    other = "archive"
    assert connections[other]


def of_an_outer_function():
    db = router.db_for_read(Tag)

    def inner():
        with connections[db].cursor() as cursor:
            cursor.execute("SELECT 1")

    inner()


@pytest.mark.parametrize(
    "function",
    [
        by_a_variable,
        by_an_attribute,
        kept,
        imported_here,
        beside_another_database,
        before_another_one,
        of_an_outer_function,
    ],
)
def test_an_answer_that_looked_the_connection_up(ask, function):
    ask(Home())
    with trace("t", keep=False) as t:
        function()
    decisions = {decision.id: decision for decision in t.decisions}
    query = t.queries[-1]
    assert (query.alias, decisions[query.decision_id].model) == ("archive", "library.Tag")


def by_a_constant():
    db = router.db_for_read(Tag)
    with connections["archive"].cursor() as cursor:
        cursor.execute("SELECT 1")
    return db


def by_a_constant_of_the_module():
    db = router.db_for_read(Tag)
    with connections[ARCHIVE].cursor() as cursor:
        cursor.execute("SELECT 1")
    return db


def by_both():
    db = router.db_for_read(Tag)
    with connections[db].cursor():
        pass
    with connections["archive"].cursor() as cursor:
        cursor.execute("SELECT 1")


def by_what_is_worked_out():
    db = router.db_for_read(Tag)
    with connections[db].cursor():
        pass
    with connections[str.lower("ARCHIVE")].cursor() as cursor:
        cursor.execute("SELECT 1")


class Key:
    """Whether it is equal to an alias is for its own code to say, which nobody is to ask."""

    def __eq__(self, other):
        raise AssertionError

    def __hash__(self):
        raise AssertionError


def beside_another_kind_of_key():
    db, other = router.db_for_read(Tag), Key()
    with connections[db].cursor() as cursor:
        cursor.execute("SELECT 1")
    with suppress(TypeError):
        connections[other]


def in_a_loop():
    db = router.db_for_read(Tag)
    with connections[db].cursor():
        pass
    for each in connections:
        if each == "archive":
            with connections[each].cursor() as cursor:
                cursor.execute("SELECT 1")


def of_a_parameter(found=None):
    db = router.db_for_read(Tag)
    with (found or Outer.archive()).cursor() as cursor:
        cursor.execute("SELECT 1")
    return db


class Outer:
    @staticmethod
    def archive():
        return connections["archive"]


def by_one_of_two_answers():
    db, other = router.db_for_read(Tag), router.db_for_write(Tag)
    with connections[db].cursor():
        pass
    with connections[other].cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.parametrize(
    "function",
    [
        by_a_constant,
        by_a_constant_of_the_module,
        by_both,
        by_what_is_worked_out,
        beside_another_kind_of_key,
        in_a_loop,
        of_a_parameter,
        by_one_of_two_answers,
    ],
)
def test_an_answer_that_possibly_did_not(ask, function):
    ask(Home())
    with trace("t", keep=False) as t:
        function()
    [query] = t.queries
    assert (query.alias, query.decision_id, query.route) == ("archive", None, "cursor")


def default_by_the_answer():
    db = str.lower("DEFAULT")
    return db, connections[db] and sys._getframe()


def default_by_the_answer_or_by_its_name():
    db = str.lower("DEFAULT")
    return db, connections[db] and connection and sys._getframe()


@pytest.mark.parametrize(
    ("function", "decision"), [(default_by_the_answer, 7), (default_by_the_answer_or_by_its_name, None)]
)
def test_the_connection_of_default_has_a_name_of_its_own(function, decision):
    db, frame = function()
    assert find_lookup_decision(frame, "default", {id(db): 7}) == decision


def test_nothing_is_looked_for_without_a_frame_or_an_answer():
    assert find_lookup_decision(None, "default", {1: 7}) is None
    assert find_lookup_decision(sys._getframe(), "default", {}) is None


@pytest.mark.parametrize(
    ("instruction", "loads"),
    [
        (("BINARY_SUBSCR", None, ""), [("subscript", None)]),
        (("BINARY_OP", 26, "[]"), [("subscript", None)]),
        (("BINARY_OP", 0, "+"), [("", None)]),
        (("LOAD_FAST", "db", "db"), [("name", "db")]),
        (("LOAD_FAST_BORROW", "db", "db"), [("name", "db")]),
        (("LOAD_FAST_LOAD_FAST", ("connections", "db"), ""), [("name", "connections"), ("name", "db")]),
        (("STORE_FAST_LOAD_FAST", ("db", "found"), ""), [("name", "found")]),
        (("STORE_FAST", "db", "db"), [("", None)]),
        (("LOAD_METHOD", "cursor", "cursor"), [("attribute", "cursor")]),
        (("EXTENDED_ARG", 1, ""), []),
    ],
)
def test_what_the_instructions_of_each_python_load(instruction, loads):
    name, value, text = instruction
    assert [*_iter_loads(SimpleNamespace(opname=name, argval=value, argrepr=text))] == loads


def test_a_write_beside_an_answer_about_reads_is_no_finding(ask):
    ask(Home(tags="primary"))
    with trace("t", keep=False) as t:
        db = router.db_for_read(Tag)
        list(Tag.objects.using(db))
        with connections["primary"].cursor() as cursor:
            cursor.execute("UPDATE library_tag SET name = name")
    assert "write-on-read-route" not in [finding.code for finding in t.document.findings]
