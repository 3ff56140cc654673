"""
Routers of every shape: what they answer, raise and do is the same while it is recorded, and the record is
true.

What a chain, a step and a hint are is tested in ``tests/recording/test_routers.py``; here is what else people
write.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import functools
import io
import sys
import types
from typing import NamedTuple
from unittest import mock

import pytest
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, SuspiciousOperation, ValidationError
from django.db import DatabaseError, connections, router, transaction
from django.http import Http404
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbroute_panel.recording import _fastpath, decisions, router_proxy
from dbroute_panel.recording.traces import trace
from dbroute_panel.records import TypeRef, dumps, loads
from example_site.library.models import Book, Person, Review, Tag

QUESTIONS = ["db_for_read", "db_for_write", "allow_relation", "allow_migrate"]
ALIASES = ["auth_db", "primary", "replica1", "replica2", "archive", "legacy_users", "new_users"]


def put(action):
    """One of the four questions, with the hints that Django gives."""
    if action == "allow_relation":
        return router.allow_relation(Book(pk=1), Person(pk=2))
    if action == "allow_migrate":
        return router.allow_migrate("primary", "library", model_name="book", tenant="x")
    return getattr(router, action)(Book, instance=Book(pk=1))


def outcome(call):
    """What a call came to, in a form that two runs can be compared by."""
    try:
        answer = call()
    except BaseException as error:  # noqa: BLE001
        chain, told = error, []
        while chain is not None:
            told.append((type(chain), str(chain.args), getattr(chain, "__notes__", None)))
            chain = chain.__cause__ or chain.__context__
        return "raised", told
    if asyncio.iscoroutine(answer):
        answer.close()
    return "returned", answer if type(answer) in (str, bool) else TypeRef(type=dotted(type(answer)))


def dotted(cls):
    return f"{cls.__module__}.{cls.__qualname__}"


def work():
    """Some of everything that asks a router, rolled back: what it came to, and the SQL of each alias."""

    def steps():
        yield lambda: [book.title for book in Book.objects.order_by("pk")[:3]]
        yield lambda: Tag.objects.create(name="zoo").name
        yield lambda: Book.objects.order_by("pk").first().tags.add(Tag.objects.order_by("pk").first())
        yield lambda: setattr(Review(), "book", Book.objects.order_by("pk").first())
        yield lambda: list(Book.objects.order_by("pk").first().author.books.all())
        yield lambda: Tag.objects.filter(name="zoo").update(name="park")
        yield lambda: Tag.objects.bulk_create([Tag(name="a"), Tag(name="b")])
        yield lambda: Tag.objects.filter(name="park").delete()[0]

    sent = []

    def listen(execute, sql, params, many, context):
        if "SAVEPOINT" not in sql:  # their names have a counter in them
            sent.append((context["connection"].alias, sql, str(params), many))
        return execute(sql, params, many, context)

    came_to = []
    writable = [alias for alias in ALIASES if not alias.startswith("replica")]
    with transaction_on(writable), listening(listen):
        for step in steps():
            with transaction_on(writable):  # a step that fails leaves the others their transaction
                came_to.append(outcome(step))
    return came_to, sent


class transaction_on:  # noqa: N801
    """A transaction on each of some aliases, rolled back at the end."""

    def __init__(self, aliases):
        self.aliases = aliases

    def __enter__(self):
        self.open = [transaction.atomic(using=alias) for alias in self.aliases]
        for block in self.open:
            block.__enter__()

    def __exit__(self, *error):
        for alias, block in zip(reversed(self.aliases), reversed(self.open), strict=True):
            transaction.set_rollback(True, using=alias)
            block.__exit__(None, None, None)


class listening:  # noqa: N801
    """An execute wrapper of the user's on every connection."""

    def __init__(self, wrapper):
        self.wrapper = wrapper

    def __enter__(self):
        self.open = [connections[alias].execute_wrapper(self.wrapper) for alias in ALIASES]
        for block in self.open:
            block.__enter__()

    def __exit__(self, *error):
        for block in reversed(self.open):
            block.__exit__(*error)


# The animals: each makes a chain of fresh routers. ``step`` is what becomes of the first one.


class Last:
    """Answers what nobody before it did."""

    def db_for_read(self, model, **hints):
        return "primary"

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        return True

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return True


class TakesAnything:
    def db_for_read(self, *args, **kwargs):
        return "primary" if args else None

    db_for_write = allow_relation = allow_migrate = db_for_read


class PositionalOnly:
    def db_for_read(self, model, /, **hints):
        return "primary"

    db_for_write = db_for_read

    def allow_relation(self, a, b, /):
        return True

    def allow_migrate(self, db, app, /, model_name=None, **hints):
        return True


class WithSlots:
    __slots__ = ("alias",)

    def __init__(self):
        self.alias = "primary"

    def db_for_read(self, model, **hints):
        return self.alias

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        return self.alias

    def allow_migrate(self, db, app_label, **hints):
        return self.alias


class StaticOnInstance:
    @staticmethod
    def db_for_read(model, **hints):
        return "primary"

    db_for_write = db_for_read

    @staticmethod
    def allow_relation(obj1, obj2, **hints):
        return True

    @staticmethod
    def allow_migrate(db, app_label, **hints):
        return True


class Getters:
    """Each method is a property that makes it."""

    @property
    def db_for_read(self):
        return lambda *args, **hints: "primary"

    db_for_write = allow_relation = allow_migrate = db_for_read


class BrokenGetters:
    """Each getter raises AttributeError for a reason of its own: for Django the method is not there."""

    @property
    def db_for_read(self):
        return self.settings.alias

    db_for_write = allow_relation = allow_migrate = db_for_read


class ByName:
    """Makes up its methods, as a proxy does."""

    def __getattr__(self, name):
        if name.startswith(("db_for", "allow")):
            return lambda *args, **hints: "primary"
        raise AttributeError(name)


class NeverThere:
    def __getattribute__(self, name):
        if name in QUESTIONS:
            raise AttributeError(name)
        return object.__getattribute__(self, name)


class Tuple(NamedTuple):
    alias: str = "primary"

    def db_for_read(self, model, **hints):
        return self.alias

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        return self.alias

    def allow_migrate(self, db, app_label, **hints):
        return self.alias


@dataclasses.dataclass(frozen=True)
class Frozen:
    alias: str = "primary"

    def db_for_read(self, model, **hints):
        return self.alias

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        return self.alias

    def allow_migrate(self, db, app_label, **hints):
        return self.alias


class NotCallable:
    db_for_read = db_for_write = allow_relation = allow_migrate = "primary"


class WithoutHints:
    """As the documentation of Django 1.1 might have had it: every hint is too many."""

    def db_for_read(self, model):
        return "primary"

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2):
        return True

    def allow_migrate(self, db, app_label):
        return True


class Coroutines:
    """Somebody's mistake: a coroutine is true, and no alias."""

    async def db_for_read(self, model, **hints):
        return "primary"

    db_for_write = db_for_read

    async def allow_relation(self, obj1, obj2, **hints):
        return True

    async def allow_migrate(self, db, app_label, **hints):
        return True


class Generators:
    def db_for_read(self, model, **hints):
        yield "primary"

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        yield True

    def allow_migrate(self, db, app_label, **hints):
        yield True


class Unequal:
    """Neither equal to anything nor hashable, and false."""

    __hash__ = None

    def __eq__(self, other):
        raise TypeError("not comparable")

    def __bool__(self):
        return False

    def __repr__(self):
        raise TypeError("not printable")

    def db_for_read(self, model, **hints):
        return "primary"

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return True


class Pretends:
    """Says that it is of another class."""

    @property
    def __class__(self):
        return dict

    def db_for_read(self, model, **hints):
        return "primary"

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return True


def module():
    made = types.ModuleType("somebodys_routing")
    made.db_for_read = made.db_for_write = lambda model, **hints: "primary"
    made.allow_relation = lambda obj1, obj2, **hints: True
    made.allow_migrate = lambda db, app_label, **hints: True
    return made


def partials():
    def answer(value, *args, **hints):
        return value

    named = {name: functools.partial(answer, "primary") for name in QUESTIONS}
    return types.SimpleNamespace(**named)


ANIMALS = {
    "anything": (TakesAnything, "answered"),
    "positional only": (PositionalOnly, "answered"),
    "slots": (WithSlots, "answered"),
    "static methods of an instance": (StaticOnInstance, "answered"),
    "static methods of a class": (lambda: StaticOnInstance, "answered"),
    "getters": (Getters, "answered"),
    "getters that raise AttributeError": (BrokenGetters, "no_method"),
    "methods by name": (ByName, "answered"),
    "methods that are never there": (NeverThere, "no_method"),
    "a tuple": (Tuple, "answered"),
    "a frozen dataclass": (Frozen, "answered"),
    "a module": (module, "answered"),
    "a namespace of partials": (partials, "answered"),
    "a mock": (mock.MagicMock, "answered"),
    "a counter": (collections.Counter, "no_method"),
    "None": (lambda: None, "no_method"),
    "a class in place of an instance": (lambda: Last, "raised"),
    "an attribute that is no method": (NotCallable, "raised"),
    "coroutine functions": (Coroutines, "answered"),
    "generator functions": (Generators, "answered"),
    "unequal, unhashable, false": (Unequal, "answered"),
    "of another class": (Pretends, "answered"),
}


@pytest.mark.parametrize("action", QUESTIONS)
@pytest.mark.parametrize("name", ANIMALS)
def test_a_router_of_any_shape_answers_the_same_and_is_told_of_as_it_was(ask, name, action):
    make, step = ANIMALS[name]
    ask(make(), Last())
    bare = outcome(lambda: put(action))
    ask(make(), Last())
    with trace("zoo", keep=False) as t:
        watched = outcome(lambda: put(action))
    assert watched == bare
    [decision] = t.decisions
    rest = {"answered": "not_asked", "raised": "not_asked", "no_method": "answered"}[step]
    assert [step.outcome for step in decision.steps] == [step, rest]
    if bare[0] == "raised":
        kind = bare[1][0][0].__name__
        assert decision.steps[0].error.startswith(kind)
        assert (decision.decided_by, decision.answer) == ("error", None)
    else:
        assert decision.decided_by == "router"
        assert decision.answer == bare[1]
    assert t.document.dropped.decision == 0
    assert loads(dumps(t.document)) == t.document


def test_a_router_without_hints_in_its_signature_fails_for_the_questions_that_have_some(ask):
    ask(WithoutHints(), Last())
    bare = [outcome(lambda action=action: put(action)) for action in QUESTIONS]
    with trace("zoo", keep=False) as t:
        watched = [outcome(lambda action=action: put(action)) for action in QUESTIONS]
    assert watched == bare
    assert [d.steps[0].outcome.value for d in t.decisions] == ["raised", "raised", "answered", "raised"]
    assert all(d.steps[0].error.startswith("TypeError: ") for d in t.decisions if d.decided_by == "error")


@pytest.mark.parametrize("name", [name for name in ANIMALS if name != "coroutine functions"])
def test_the_orm_sends_the_same_sql_to_the_same_databases_with_any_router(site, ask, name):
    def run():
        ask(ANIMALS[name][0](), Last())
        return work()

    bare = run()
    with trace("zoo", keep=False) as t:
        watched = run()
    assert watched == bare
    assert [(query.alias, query.sql) for query in t.queries if query.sql] == [entry[:2] for entry in bare[1]]
    assert t.document.dropped == type(t.document.dropped)()


# Answers


class Falsy:
    def __bool__(self):
        return False


class Words(str):
    """A string of somebody's own, which has its say whenever it is printed."""

    __slots__ = ()

    def __str__(self):
        return "shouted"


@pytest.mark.parametrize("action", QUESTIONS)
@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("", ""), (0, 0), (0.0, 0.0), (False, False), (True, True), (1, 1), ("primary", "primary"),
        ("no such alias", "no such alias"), ("\0", "\0"), ("ü" * 3000, "ü" * 3000),
        ([], "list"), (["primary"], "list"), (("primary",), "tuple"), ({"primary"}, "set"), ({}, "dict"),
        (b"primary", "bytes"), (b"", "bytes"), (..., "ellipsis"),
        (Falsy(), "Falsy"), (Words("primary"), "primary"), (Book, "Book"), (10**30, str(10**30)),
        (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_every_answer_comes_back_as_the_object_it_is_and_is_kept_as_json(ask, action, answer, kept):
    class Says:
        def __getattr__(self, name):
            if name in QUESTIONS:
                return lambda *args, **hints: answer
            raise AttributeError(name)

    ask(Says(), Last())
    bare = put(action)
    with trace("zoo", keep=False) as t:
        watched = put(action)
    settles = action.startswith("allow") or bool(answer)
    if type(bare) is str and action.startswith("db_for"):
        assert watched == bare
    else:
        assert watched is bare
        assert not settles or bare is answer
    [decision] = t.decisions
    step = decision.steps[0]
    assert step.outcome == ("answered" if settles else "passed")
    told = step.answer.type.rpartition(".")[2] if isinstance(step.answer, TypeRef) else step.answer
    assert (told, type(told)) == (kept, type(kept))
    assert not settles or decision.answer == step.answer
    assert loads(dumps(t.document)) == t.document


# Exceptions


def unicode_error():
    return UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


class NeedsArguments(Exception):
    def __init__(self, first, *, second):
        super().__init__(first, second)


class Speaks(Exception):
    """An exception of the project's whose text does something."""

    def __str__(self):
        return str(Tag.objects.using("primary").count())


EXCEPTIONS = [
    lambda: Exception("plain"),
    Exception,
    lambda: KeyError("key"),
    lambda: AttributeError("inside"),
    lambda: StopIteration("over"),
    lambda: StopAsyncIteration("over"),
    lambda: RecursionError("deep"),
    MemoryError,
    lambda: AssertionError("false"),
    NotImplementedError,
    lambda: UserWarning("careful"),
    lambda: DatabaseError("no connection"),
    lambda: ObjectDoesNotExist("no tenant"),
    lambda: ValidationError({"field": ["wrong"]}),
    lambda: Http404("no page"),
    lambda: PermissionDenied("no"),
    lambda: SuspiciousOperation("odd"),
    lambda: OSError(28, "No space left on device"),
    unicode_error,
    lambda: NeedsArguments("a", second="b"),
    lambda: Speaks("loud"),
    lambda: ExceptionGroup("several", [ValueError("one"), KeyError("two")]),
    lambda: BaseExceptionGroup("several", [KeyboardInterrupt()]),
    lambda: BaseException("base"),
    KeyboardInterrupt,
    lambda: SystemExit(3),
    GeneratorExit,
    lambda: asyncio.CancelledError("cancelled"),
]


@pytest.mark.parametrize("action", QUESTIONS)
@pytest.mark.parametrize("make", EXCEPTIONS, ids=lambda make: type(make()).__name__)
def test_an_exception_of_any_kind_arrives_as_the_object_it_is(ask, make, action):
    cause = LookupError("why")
    error = make()
    error.add_note("a note of the router's")

    class Raises:
        def __getattr__(self, name):
            if name not in QUESTIONS:
                raise AttributeError(name)

            def method(*args, **hints):
                raise error from cause

            return method

    ask(BrokenGetters(), Raises(), Last())
    with trace("zoo", keep=False) as t, pytest.raises(type(error)) as caught:
        put(action)
    assert caught.value is error
    assert (error.__cause__, error.__suppress_context__) == (cause, True)
    assert error.__notes__ == ["a note of the router's"]
    frames = [entry.name for entry in caught.traceback]
    assert frames[-1] == "method"
    [decision] = t.decisions
    assert [step.outcome.value for step in decision.steps] == ["no_method", "raised", "not_asked"]
    assert decision.steps[1].error.partition(":")[0] == type(error).__name__
    assert (decision.decided_by, decision.answer) == ("error", None)
    assert t.queries == []  # of none of them the text was asked for, where that could send a query
    # Nothing is left behind: the next question is no part of this one.
    with trace("after", keep=False) as after:
        ask(Last())
        assert put(action) in ("primary", True)
    assert after.decisions[0].parent_id is None


def test_a_stop_iteration_while_the_routers_are_made_stays_one(monkeypatch):
    class Stops:
        def __init__(self):
            raise StopIteration("no more settings")

    monkeypatch.delitem(router.__dict__, "routers", raising=False)
    monkeypatch.setattr(router, "_routers", [f"{__name__}.made_late"])
    monkeypatch.setitem(globals(), "made_late", Stops)
    with pytest.raises(StopIteration, match="no more settings"):
        router.db_for_read(Book)
    with trace("zoo", keep=False), pytest.raises(StopIteration, match="no more settings"):
        router.db_for_read(Book)


# Behaviour


def test_a_router_that_sleeps_costs_its_own_step_that_time(ask, monkeypatch):
    """By a clock of this test's own, on which nothing else takes time."""
    now = [0]
    for module in (_fastpath, decisions, router_proxy):
        monkeypatch.setattr(module, "perf_counter_ns", lambda: now[0])

    class Sleeps:
        def db_for_read(self, model, **hints):
            now[0] += 30_000_000

    ask(BrokenGetters(), Sleeps(), Last())
    with trace("zoo", keep=False) as t:
        assert router.db_for_read(Book) == "primary"
    assert [step.duration_us for step in t.decisions[0].steps] == [0, 30_000, 0]
    assert t.decisions[0].duration_us == 30_000


class Box(dict):
    """A hint that somebody passes by hand, to be filled by the router."""


def test_what_a_router_does_to_its_hints_is_as_without_us_and_the_record_has_them_as_they_came(ask):
    class Mutates:
        def db_for_write(self, model, **hints):
            hints["box"]["seen"] = sorted(hints)
            hints["instance"]._state.db = "archive"
            hints.clear()

    def run():
        box, book = Box(), Book(pk=1)
        ask(Mutates())
        return router.db_for_write(Book, instance=book, box=box, n=1), dict(box), book._state.db

    bare = run()
    with trace("zoo", keep=False) as t:
        watched = run()
    assert watched == bare == ("archive", {"seen": ["box", "instance", "n"]}, "archive")
    [decision] = t.decisions
    assert set(decision.hints) == {"instance", "box", "n"}
    assert decision.hints["instance"].state_db is None
    assert (decision.decided_by, decision.answer) == ("instance", "archive")


def inserts_itself(place):
    class Inserts:
        asked = 0

        def db_for_read(self, model, **hints):
            self.asked += 1
            if self.asked == 1:
                router.routers.insert(place(), self)

    return Inserts()


class Nothing:
    """Has no method at all."""


class Removes:
    def db_for_read(self, model, **hints):
        router.routers.remove(self)


class Empties:
    def db_for_read(self, model, **hints):
        router.routers.clear()


class Guards:
    """As some packages do: puts a guard in front at the first question."""

    def db_for_read(self, model, **hints):
        if not any(isinstance(other, Last) for other in router.routers):
            router.routers[:0] = [Last()]


@pytest.mark.parametrize(
    ("make", "outcomes"),
    [
        (lambda: [inserts_itself(lambda: 0), BrokenGetters()], ["passed", "passed", "no_method"]),
        (lambda: [inserts_itself(lambda: 9), BrokenGetters()], ["passed", "no_method", "passed"]),
        (lambda: [Nothing(), inserts_itself(lambda: 1)], ["no_method", "passed", "passed"]),
        (lambda: [Removes(), BrokenGetters(), Last()], ["passed", "answered"]),
        (lambda: [Empties(), Last()], ["passed"]),
        (lambda: [Guards()], ["passed", "passed"]),
    ],
    ids=["the front", "the end", "its own place", "removes itself", "empties the list", "puts a guard"],
)  # fmt: skip
def test_a_router_that_changes_the_list_while_it_is_asked(ask, make, outcomes):
    def run():
        routers = make()
        ask(*routers)
        first = router.db_for_read(Book)
        return first, [type(entry).__name__ for entry in router.routers], router.db_for_read(Book)

    bare = run()
    with trace("zoo", keep=False) as t:
        watched = run()
    assert watched == bare
    assert [step.outcome.value for step in t.decisions[0].steps] == outcomes


def test_a_router_that_asks_without_end_fails_as_without_us(ask):
    class Circles:
        def db_for_read(self, model, **hints):
            return router.db_for_read(model, **hints)

    ask(Circles())
    for _ in range(2):
        with pytest.raises(RecursionError):
            router.db_for_read(Book)
        with trace("zoo", keep=False) as t, pytest.raises(RecursionError):
            router.db_for_read(Book)
    inner = t.document.decisions[-1]
    assert inner.parent_id is not None
    ask(Last())
    with trace("after", keep=False) as t:
        assert router.db_for_read(Book) == "primary"
    assert t.decisions[0].parent_id is None


def test_a_router_that_writes_prints_and_reads_files_does_it_once(site, ask, capsys):
    written = io.StringIO()

    class Busy:
        def db_for_write(self, model, **hints):
            written.write("asked\n")
            sys.stdout.write("asked\n")
            Tag.objects.using("primary").create(name="by the router")

    def run():
        ask(Busy(), Last())
        return router.db_for_write(Book)

    with transaction_on(["primary"]):
        run()
        with trace("zoo", keep=False) as t:
            run()
        assert Tag.objects.using("primary").filter(name="by the router").count() == 2
    assert (written.getvalue(), capsys.readouterr().out) == ("asked\n" * 2,) * 2
    assert [query.parent_id for query in t.queries] == [t.decisions[0].id]


# What is asked about


class Hostile(type):
    """The class of a model that wants to be left alone."""

    def __eq__(cls, other):
        raise TypeError("not comparable")

    __hash__ = None

    @property
    def _meta(cls):
        raise RuntimeError("not now")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Hostile("Model", (), {}),
        lambda: Book(title="new"),  # an object in place of its class, which cannot be hashed
        lambda: Book(pk=1),
        list,
        dict,
        lambda: None,
        lambda: "library.Book",
        mock.MagicMock,
        lambda: type("Plain", (), {"_meta": None}),
        lambda: type("Plain", (), {"_meta": types.SimpleNamespace(app_label=["dbroute_panel"], label="a.B")}),
    ],
)
def test_whatever_is_asked_about_the_answer_is_the_same(ask, make):
    ask(Last())
    about = make()
    assert router.db_for_read(about) == "primary"
    with trace("zoo", keep=False) as t:
        assert router.db_for_read(about) == "primary"
        assert router.db_for_write(about) == "primary"
        assert router.allow_migrate("primary", ["library"]) is True
        assert router.allow_migrate(None, None) is True
    assert loads(dumps(t.document)) == t.document


# Any chain of them


CALLS: list[tuple[int, str]] = []


class Animal:
    """Does what ``kind`` says, and notes that it was asked."""

    def __init__(self, place, kind):
        self.place, self.kind = place, kind

    def __getattr__(self, name):
        if name not in QUESTIONS or self.kind == "no method":
            raise AttributeError(name)
        CALLS.append((self.place, name))
        if self.kind == "broken getter":
            raise AttributeError(name)
        if self.kind == "failing getter":
            raise KeyError(name)
        return functools.partial(self.answer, name)

    def answer(self, name, *args, **hints):
        if self.kind == "raises":
            raise ValueError(name)
        if self.kind == "interrupts":
            raise KeyboardInterrupt
        if self.kind == "asks again" and not any(
            call == (self.place, "allow_migrate") for call in CALLS[:-1]
        ):
            return router.allow_migrate("primary", "library") and None
        return (
            self.kind[1:]
            if self.kind.startswith("=")
            else {"list": ["primary"], "zero": 0, "no": False}.get(self.kind)
        )


KINDS = [
    "silent",
    "no method",
    "broken getter",
    "failing getter",
    "raises",
    "interrupts",
    "asks again",
    "list",
]
KINDS += ["zero", "no", "=", "=primary", "=archive", "=nowhere"]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(kinds=st.lists(st.sampled_from(KINDS), max_size=6), action=st.sampled_from(QUESTIONS))
def test_any_chain_of_routers_gives_the_same_and_has_every_call_in_its_record(ask, kinds, action):
    def run():
        CALLS.clear()
        ask(*(Animal(place, kind) for place, kind in enumerate(kinds)))
        return outcome(lambda: put(action)), list(CALLS)

    bare, called = run()
    with trace("zoo", keep=False) as t:
        watched = run()
    assert watched == (bare, called)
    told = sorted(
        (place, decision.action.value)
        for decision in t.decisions
        for place, step in enumerate(decision.steps)
        if kinds[place] != "no method" and step.outcome != "not_asked"
    )
    assert told == sorted(called)
    outer = t.decisions[0]
    assert outer.action == action
    assert len(outer.steps) == len(kinds)
    if bare[0] == "raised":
        assert outer.decided_by == "error"
    else:
        assert outer.answer == {"builtins.int": 0}.get(getattr(bare[1], "type", None), bare[1])
