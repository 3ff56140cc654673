from __future__ import annotations

import datetime as dt
import decimal
import enum
import functools
import sys
import uuid

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import models, router
from django.utils.functional import SimpleLazyObject, lazystr
from django.utils.safestring import mark_safe

from dbroute_panel.environment import dotted_path
from dbroute_panel.masking.values import CapturedInstance, CapturedType
from dbroute_panel.recording.errors import describe_error
from dbroute_panel.recording.snapshots import (
    capture_hint,
    capture_instance,
    capture_parameters,
    capture_scalar,
    estimate_bytes,
    model_label,
)
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Person
from example_site.users.models import User

NONE: dict[int, int] = {}


def never(*args, **kwargs):
    pytest.fail("this must not run")


# Instances


def test_an_unsaved_instance():
    assert capture_instance(Book(title="x"), NONE) == CapturedInstance("library.Book", None, None, True, None)


def test_a_saved_instance(site):
    book = Book.objects.using("archive").first()
    assert capture_instance(book, NONE) == CapturedInstance(
        "library.Book", (book.pk,), "archive", False, None
    )


def test_the_origin_is_the_decision_of_this_trace_that_answered_its_alias(site):
    with trace("test", keep=False) as t:
        book = Book.objects.using(router.db_for_write(Book)).first()
        answers = dict(t._recorder.answers)
    assert capture_instance(book, answers).origin_id == 1
    assert capture_instance(book, NONE).origin_id is None
    assert type(capture_instance(book, answers).state_db) is str


def test_an_instance_that_is_only_half_built():
    assert capture_instance(Book.__new__(Book), NONE) == CapturedInstance(
        "library.Book", None, None, True, None
    )


@pytest.mark.parametrize("value", [None, 3, "x", object(), AnonymousUser(), Book, [Book()]])
def test_what_is_no_instance(value):
    assert capture_instance(value, NONE) is None


def test_an_instance_inside_a_lazy_object_that_was_evaluated():
    lazy = SimpleLazyObject(lambda: User(pk=5))
    bool(lazy)
    assert capture_instance(lazy, NONE) == CapturedInstance("users.User", (5,), None, True, None)


def test_a_lazy_object_is_never_evaluated():
    lazy = SimpleLazyObject(never)
    assert capture_instance(lazy, NONE) is None
    assert capture_hint(lazy, NONE) == CapturedType("django.utils.functional.SimpleLazyObject")
    assert capture_scalar(lazy) == CapturedType("django.utils.functional.SimpleLazyObject")
    assert capture_parameters((lazy,), many=False) == (
        CapturedType("django.utils.functional.SimpleLazyObject"),
    )


def test_nothing_of_an_instance_is_called_or_loaded(site, own_models):
    class Guarded(Person):
        class Meta:
            proxy = True
            app_label = "library"

        __str__ = __repr__ = __eq__ = __hash__ = __bool__ = never

    person = Guarded.objects.using("primary").only("pk").first()
    with trace("test", keep=False) as t:
        assert router.db_for_read(Person, instance=person) in {"replica1", "replica2"}
        assert router.allow_relation(person, person)
    assert t.queries == []
    assert t.decisions[0].hints["instance"].pk == str(person.pk)


def test_a_key_that_is_not_there_is_none(site):
    book = Book.objects.using("archive").first()
    del book.__dict__["id"]
    assert capture_instance(book, NONE).pk is None
    assert "id" not in book.__dict__


class Color(models.TextChoices):
    RED = "red"


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        (mark_safe("a"), ("a",)),
        (Color.RED, ("red",)),
        (enum.IntEnum("Number", {"ONE": 1}).ONE, (1,)),
        (uuid.UUID(int=1), (uuid.UUID(int=1),)),
        (models.F("id"), None),
        (None, None),
    ],
)
def test_keys_of_all_kinds(key, kept):
    found = capture_instance(Person(pk=key), NONE).pk
    assert found == kept
    assert found is None or type(found[0]) in (str, int, uuid.UUID)


def test_a_composite_key_has_all_its_parts(site, own_models):
    class Place(models.Model):  # noqa: DJ008
        pk = models.CompositePrimaryKey("shelf", "slot")
        shelf = models.CharField(max_length=5)
        slot = models.IntegerField()

        class Meta:
            app_label = "library"

    assert capture_instance(Place(shelf="a", slot=3), NONE).pk == ("a", 3)
    assert capture_instance(Place(shelf="a"), NONE).pk is None
    with trace("test", keep=False) as t:
        router.db_for_read(Place, instance=Place(shelf="a", slot=3))
    assert t.decisions[0].hints["instance"].pk == '["a", "3"]'


def test_an_abstract_model_has_no_key(own_models):
    class Thing(models.Model):
        class Meta:
            abstract = True
            app_label = "library"

    assert capture_instance(Thing.__new__(Thing), NONE) == CapturedInstance(
        "library.Thing", None, None, True, None
    )


def test_an_alias_that_is_no_string_is_kept_by_its_type():
    class Shard:
        __str__ = __repr__ = never

    book = Book()
    book._state.db = Shard()
    assert capture_instance(book, NONE).state_db.endswith("<locals>.Shard")
    book._state.db = Color.RED
    assert (capture_instance(book, NONE).state_db, type(capture_instance(book, NONE).state_db)) == (
        "red",
        str,
    )


# Types and labels


def test_dotted_paths():
    assert dotted_path(Book) == dotted_path(Book()) == "example_site.library.models.Book"
    assert dotted_path(sys) == "sys"
    assert dotted_path(3) == "builtins.int"
    assert dotted_path(SimpleLazyObject(never)) == "django.utils.functional.SimpleLazyObject"


def test_labels():
    assert model_label(Book) == "library.Book"
    assert model_label(None) is None
    assert model_label(object) is None


def test_scalars():
    assert [capture_scalar(value) for value in ("a", 1, 1.5, True, None)] == ["a", 1, 1.5, True, None]
    assert capture_scalar(Color.RED) == "red"
    assert type(capture_scalar(Color.RED)) is str
    assert capture_scalar([]) == CapturedType("builtins.list")


# Exceptions


def test_an_exception_has_its_class_and_its_message():
    assert describe_error(ValueError("no")) == "ValueError: no"
    assert describe_error(ValueError()) == "ValueError"
    assert describe_error(OSError(2, "No such file")) == "FileNotFoundError: [Errno 2] No such file"
    assert describe_error(ValueError(lazystr("later"))) == "ValueError: later"
    source = ("routers.py", 3, 1, "password = 'x", 3, 2)
    assert describe_error(IndentationError("wrong", source)) == "IndentationError: wrong (routers.py, line 3)"


def test_the_message_of_an_exception_is_not_asked_for_where_that_could_run_a_query(own_models):
    class Guarded(Person):
        class Meta:
            proxy = True
            app_label = "library"

        __str__ = __repr__ = never

    assert describe_error(Person.DoesNotExist(Guarded())) == "DoesNotExist"
    assert describe_error(ValueError("protected", {1})) == "ValueError"


def test_an_exception_that_cannot_say_what_it_is():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    assert describe_error(Mute("x")) == "Mute"
    library = {}
    source = "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError"
    exec(compile(source, "/python/site-packages/odd.py", "exec"), library)
    assert describe_error(library["Odd"]("x")) == "Odd"


def test_a_text_that_the_project_makes_for_an_exception_is_not_asked_for():
    class Counts(Exception):
        def __str__(self):
            return never()

    assert describe_error(Counts("x")) == "Counts"


def test_what_an_exception_was_given_is_read_without_the_projects_code():
    class Keeps(Exception):
        @property
        def args(self):
            return never()

    assert describe_error(Keeps("x")) == "Keeps: x"


def test_a_text_that_another_object_of_the_projects_makes_is_not_asked_for():
    class Says(Exception):
        __str__ = functools.cache(lambda self: never())

    assert describe_error(Says("x")) == "Says"


def test_a_message_that_is_very_long_is_cut():
    assert describe_error(ValueError("x" * 2000)) == "ValueError: " + "x" * 2000
    assert describe_error(ValueError("x" * 2001)) == "ValueError: " + "x" * 2000 + "… (2001 characters)"


# Parameters


def test_a_tuple_of_plain_values_is_kept_as_it_is():
    given = (1, "a", None, 1.5, True, b"b", decimal.Decimal("1.5"), dt.date(2026, 1, 2), uuid.UUID(int=2))
    assert capture_parameters(given, many=False) is given


def test_nothing_is_kept_of_what_may_change():
    values = [1, 2]
    row = bytearray(b"abc")
    kept = capture_parameters([values, row, memoryview(row)], many=False)
    assert kept == ((1, 2), b"abc", b"abc")
    row.append(1)  # a view of it that we kept would forbid that
    values.append(3)
    assert kept == ((1, 2), b"abc", b"abc")


def test_a_tuple_with_a_view_in_it_is_copied_too():
    row = bytearray(b"abc")
    assert capture_parameters((memoryview(row),), many=False) == (b"abc",)
    row.append(1)


def test_subclasses_of_plain_types_without_their_own_text():
    class Loud(str):
        __slots__ = ()
        __str__ = __repr__ = never

    kept = capture_parameters(
        [Loud("a"), Color.RED, enum.IntEnum("N", {"A": 7}).A, type("F", (float,), {})(1.5)], False
    )
    assert kept == ("a", "red", 7, 1.5)
    assert [type(value) for value in kept] == [str, str, int, float]


def test_named_parameters_and_odd_ones():
    assert capture_parameters({"a": 1, "b": object}, many=False) == {
        "a": 1,
        "b": CapturedType("builtins.object"),
    }
    assert capture_parameters(None, many=False) is None
    assert capture_parameters("not a sequence of parameters", many=False) is None


def test_the_first_ten_rows_of_many():
    rows = [(i, [i]) for i in range(25)]
    assert capture_parameters(rows, many=True) == tuple((i, (i,)) for i in range(10))


def test_an_iterator_of_rows_is_not_consumed():
    rows = iter([(1,), (2,)])
    assert capture_parameters(rows, many=True) is None
    assert list(rows) == [(1,), (2,)]


def test_what_is_kept_weighs_about_what_python_says():
    text, long = "x" * 100, 1 << 63
    assert estimate_bytes(text) == sys.getsizeof(text)
    assert estimate_bytes((1, -1, text)) == 64 + sys.getsizeof(text)
    assert estimate_bytes((long - 1, 1 - long)) == 64
    assert estimate_bytes((long,)) == estimate_bytes((-long,)) == sys.getsizeof(long)
    assert estimate_bytes({"a": text, "b": (1, 2)}) == sys.getsizeof(text) + 64
