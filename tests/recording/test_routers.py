from __future__ import annotations

import contextlib
import enum
import random
import sys
import types

import pytest
from django.db import models, router
from django.db.utils import ConnectionRouter
from django.utils.functional import SimpleLazyObject

from dbroute_panel.recording import _fastpath, decisions, router_proxy
from dbroute_panel.recording import routers as watching
from dbroute_panel.recording.captured import KINDS
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.recording.traces import trace
from dbroute_panel.records import InstanceRef, TypeRef
from example_site.library.models import Book, Person, Review, Tag
from example_site.notes.models import Note
from example_site.users.models import User

QUESTIONS = ["db_for_read", "db_for_write", "allow_relation", "allow_migrate"]


class Silent:
    """Has no opinion of anything."""

    def db_for_read(self, model, **hints):
        return None

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        return None

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return None


class Says(Silent):
    """Gives the same answer to every question."""

    def __init__(self, answer):
        self.answer = answer

    def db_for_read(self, model, **hints):
        return self.answer

    db_for_write = db_for_read

    def allow_relation(self, obj1, obj2, **hints):
        return self.answer

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return self.answer


class Fails(Silent):
    def db_for_read(self, model, **hints):
        raise KeyError(model._meta.label)

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        raise SystemExit(3)


class HasNothing:
    pass


def question(action):
    """Ask one of the four questions as Django does."""
    if action == "allow_relation":
        return router.allow_relation(Book(), Person())
    if action == "allow_migrate":
        return router.allow_migrate("primary", "library", model_name="book")
    return getattr(router, action)(Book)


def outcomes(decision):
    return [step.outcome.value for step in decision.steps]


# The chain


@pytest.mark.parametrize("action", QUESTIONS)
def test_every_kind_of_decision_has_one_step_for_every_router_in_order(recorded, ask, action):
    ask(HasNothing(), Silent(), Says("primary"), Fails())
    assert question(action) == "primary"
    [decision] = recorded.decisions
    assert decision.action == action
    assert [step.router.rpartition(".")[2] for step in decision.steps] == [
        "HasNothing",
        "Silent",
        "Says",
        "Fails",
    ]
    assert outcomes(decision) == ["no_method", "passed", "answered", "not_asked"]
    assert [step.answer for step in decision.steps] == [None, None, "primary", None]
    assert (decision.answer, decision.decided_by, decision.router) == (
        "primary",
        "router",
        f"{__name__}.Says",
    )
    assert all(step.source is None and step.traceback is None for step in decision.steps)


@pytest.mark.parametrize("falsy", ["", 0, []])
def test_a_falsy_answer_passes_for_reads_and_writes(recorded, ask, falsy):
    ask(Says(falsy), Says("primary"))
    assert router.db_for_write(Book) == "primary"
    [decision] = recorded.decisions
    assert outcomes(decision) == ["passed", "answered"]
    assert decision.steps[0].answer == (TypeRef(type="builtins.list") if falsy == [] else falsy)


@pytest.mark.parametrize("falsy", ["", 0, False])
def test_a_falsy_answer_settles_what_is_allowed(recorded, ask, falsy):
    ask(Says(falsy), Says(True))
    assert router.allow_migrate("primary", "library") == falsy
    assert router.allow_relation(Book(), Person()) == falsy
    for decision in recorded.decisions:
        assert outcomes(decision) == ["answered", "not_asked"]
        assert (decision.answer, decision.decided_by) == (falsy, "router")


def test_an_exception_ends_the_chain_and_reaches_the_caller(recorded, ask):
    ask(Silent(), Fails(), Says("primary"))
    with pytest.raises(KeyError, match=r"library\.Book"):
        router.db_for_read(Book)
    [decision] = recorded.decisions
    assert outcomes(decision) == ["passed", "raised", "not_asked"]
    assert decision.steps[1].error == "KeyError: 'library.Book'"
    assert (decision.decided_by, decision.answer, decision.router) == ("error", None, None)


def test_an_exception_that_is_no_error_is_recorded_too(recorded, ask):
    ask(Fails())
    with pytest.raises(SystemExit):
        router.allow_migrate("primary", "library")
    assert recorded.decisions[0].steps[0].error == "SystemExit: 3"


def test_an_answer_whose_truth_cannot_be_told_is_the_fault_of_its_router(recorded, ask):
    class Undecided:
        def __bool__(self):
            raise ValueError("neither")

    ask(Silent(), Says(Undecided()), Silent())
    with pytest.raises(ValueError, match="neither"):
        router.db_for_read(Book)
    [decision] = recorded.decisions
    assert outcomes(decision) == ["passed", "raised", "not_asked"]
    assert decision.steps[1].error == "ValueError: neither"


def test_routers_that_cannot_be_made_leave_a_decision_without_steps(recorded, monkeypatch):
    monkeypatch.delitem(router.__dict__, "routers", raising=False)
    monkeypatch.setattr(router, "_routers", ["example_site.routers.Missing"])
    with pytest.raises(ImportError):
        router.db_for_read(Book)
    [decision] = recorded.decisions
    assert (decision.steps, decision.decided_by) == ((), "error")
    assert recorded._recorder.dropped == dict.fromkeys(KINDS.values(), 0)


def test_the_time_of_a_step_is_its_routers_own(recorded, ask, monkeypatch):
    """By a clock of this test's own, on which nothing else takes time."""
    now = [0]
    for module in (_fastpath, decisions, router_proxy):
        monkeypatch.setattr(module, "perf_counter_ns", lambda: now[0])

    class Slow(Silent):
        def db_for_read(self, model, **hints):
            now[0] += 5_000

    class SlowlyWithout:
        @property
        def db_for_read(self):
            now[0] += 7_000
            raise AttributeError

    ask(Silent(), Slow(), Silent(), SlowlyWithout(), Silent())
    router.db_for_read(Book)
    [decision] = recorded.decisions
    assert [step.duration_us for step in decision.steps] == [0, 5, 0, 7, 0]
    assert decision.duration_us == 12


def test_the_time_of_a_decision_has_that_of_its_steps_in_it(recorded, ask):
    ask(Silent(), Silent())
    router.db_for_read(Book)
    [decision] = recorded.decisions
    assert decision.duration_us >= sum(step.duration_us for step in decision.steps) - 0.01


# What settled it


def test_decided_by_instance_or_default_where_no_router_answers(recorded, ask):
    ask(Silent())
    read = Note.objects.using("archive").first()
    assert router.db_for_write(Note, instance=read) == "archive"
    assert router.db_for_write(Note, instance=Note()) == "default"
    assert router.db_for_write(Note, instance=None) == "default"
    assert router.db_for_read(Note) == "default"
    assert [d.decided_by.value for d in recorded.decisions] == ["instance", "default", "default", "default"]
    assert [d.answer for d in recorded.decisions] == ["archive", "default", "default", "default"]


def test_decided_by_the_two_databases_where_nobody_has_an_opinion_of_a_relation(recorded, ask):
    ask(Silent())
    book = Book.objects.using("primary").first()
    assert router.allow_relation(book, book.author) is True
    assert router.allow_relation(book, Book.objects.using("archive").first()) is False
    assert [(d.decided_by.value, d.answer) for d in recorded.decisions if d.action == "allow_relation"] == [
        ("same_database", True),
        ("same_database", False),
    ]


def test_decided_by_permission_where_nobody_has_an_opinion_of_a_migration(recorded, ask):
    ask(Silent())
    assert router.allow_migrate("primary", "library") is True
    assert recorded.decisions[0].decided_by == "allowed"


def test_no_routers_at_all_settle_by_default(recorded, ask):
    ask()
    assert router.db_for_read(Book) == "default"
    [decision] = recorded.decisions
    assert (decision.steps, decision.decided_by, decision.answer) == ((), "default", "default")


def test_an_instance_that_is_no_model_fails_as_it_does_in_django(recorded, ask):
    ask(Silent())
    with pytest.raises(AttributeError):
        router.db_for_read(Book, instance=object())
    [decision] = recorded.decisions
    assert (outcomes(decision), decision.decided_by) == (["passed"], "error")


# Shapes of routers


def test_a_module_is_a_router(recorded, ask):
    module = types.ModuleType("our_routing")
    module.db_for_read = lambda model, **hints: "primary"
    ask(module)
    assert router.db_for_read(Book) == "primary"
    assert recorded.decisions[0].router == "our_routing"


def test_a_class_with_static_and_class_methods_is_a_router(recorded, ask):
    class Static:
        @staticmethod
        def db_for_read(model, **hints):
            return "primary"

        @classmethod
        def db_for_write(cls, model, **hints):
            return "archive"

    ask(Static)
    assert (router.db_for_read(Book), router.db_for_write(Book)) == ("primary", "archive")
    assert {d.router.rpartition(".")[2] for d in recorded.decisions} == {"Static"}


def test_a_class_in_place_of_an_instance_fails_as_it_does_in_django(recorded, ask):
    ask(Silent)
    with pytest.raises(TypeError):
        router.db_for_read(Book)
    assert outcomes(recorded.decisions[0]) == ["raised"]


def test_a_property_that_raises_attribute_error_counts_as_no_method(recorded, ask):
    class Broken:
        @property
        def db_for_read(self):
            return self.missing

    ask(Broken(), Says("primary"))
    assert router.db_for_read(Book) == "primary"
    assert outcomes(recorded.decisions[0]) == ["no_method", "answered"]


@pytest.mark.parametrize("action", QUESTIONS)
def test_a_property_that_raises_anything_else_is_an_exception(recorded, ask, action):
    class Broken:
        @property
        def db_for_read(self):
            raise ValueError("no setting")

        db_for_write = allow_relation = allow_migrate = db_for_read

    ask(Silent(), Broken(), Says("primary"))
    with pytest.raises(ValueError, match="no setting"):
        question(action)
    [decision] = recorded.decisions
    assert outcomes(decision) == ["passed", "raised", "not_asked"]
    assert decision.steps[1].error == "ValueError: no setting"


def test_an_attribute_error_inside_a_method_is_an_exception(recorded, ask):
    class Broken:
        def db_for_read(self, model, **hints):
            return self.missing

    ask(Broken(), Says("primary"))
    with pytest.raises(AttributeError):
        router.db_for_read(Book)
    assert outcomes(recorded.decisions[0]) == ["raised", "not_asked"]


def test_a_router_without_hints_in_its_signature_fails_with_a_hint_only(recorded, ask):
    class NoHints:
        def db_for_read(self, model):
            return "primary"

    ask(NoHints())
    assert router.db_for_read(Book) == "primary"
    with pytest.raises(TypeError):
        router.db_for_read(Book, instance=Book())
    assert [outcomes(d) for d in recorded.decisions] == [["answered"], ["raised"]]


def test_a_list_that_grows_while_it_is_asked_is_followed(recorded, ask):
    class Appends(Silent):
        def db_for_read(self, model, **hints):
            router.routers.append(Says("archive"))

    ask(Appends(), Silent())
    assert router.db_for_read(Book) == "archive"
    assert outcomes(recorded.decisions[0]) == ["passed", "passed", "answered"]


def test_a_router_that_appends_itself_is_asked_again(recorded, ask):
    class Again(Silent):
        asked = 0

        def db_for_read(self, model, **hints):
            self.asked += 1
            if self.asked == 3:
                return "primary"
            router.routers.append(self)
            return None

    ask(Again())
    assert router.db_for_read(Book) == "primary"
    assert outcomes(recorded.decisions[0]) == ["passed", "passed", "answered"]


def test_a_list_that_is_replaced_while_it_is_asked_still_has_its_own_rest(recorded, ask):
    class Replaces(Silent):
        def db_for_read(self, model, **hints):
            router.routers = [HasNothing()]
            return "primary"

    ask(Replaces(), Fails())
    assert router.db_for_read(Book) == "primary"
    [decision] = recorded.decisions
    assert [step.router.rpartition(".")[2] for step in decision.steps] == ["Replaces", "Fails"]
    assert outcomes(decision) == ["answered", "not_asked"]


@pytest.mark.parametrize("action", QUESTIONS)
@pytest.mark.parametrize("kind", [list, tuple, dict.fromkeys])
def test_a_router_that_asks_others_leaves_the_rest_of_its_own(recorded, monkeypatch, kind, action):
    """Such as one that overrides DATABASE_ROUTERS for a moment."""

    class AsksOthers:
        def asks(self, *args, **hints):
            if router.routers is mine:
                monkeypatch.setitem(vars(router), "routers", kind([Silent(), Says("replica")]))
                assert question("db_for_read") == "replica"
                assert question("allow_relation") == "replica"
                monkeypatch.setitem(vars(router), "routers", mine)

        db_for_read = db_for_write = allow_relation = allow_migrate = asks

    mine = kind([AsksOthers(), Says("archive"), Fails()])
    monkeypatch.setitem(vars(router), "routers", mine)
    assert question(action) == "archive"
    chain = ["passed", "answered"]
    kept = [*chain, "not_asked"] if kind in (list, tuple) else chain
    assert [outcomes(decision) for decision in recorded.decisions] == [kept, chain, chain]
    assert [decision.parent_id for decision in recorded.decisions] == [None, 1, 1]


@pytest.mark.parametrize("recording", [True, False])
@pytest.mark.parametrize("kind", [iter, lambda routers: iter(list(routers))])
def test_routers_that_are_made_at_their_turn_are_taken_as_by_django(site, monkeypatch, kind, recording):
    """What an iterator still has is for the next question."""

    def routers():
        for answer in ("primary", "replica", "archive"):
            yield Silent()
            yield Says(answer)

    monkeypatch.setitem(vars(router), "routers", kind(routers()))
    with trace("test", keep=False) if recording else contextlib.nullcontext() as t:
        answers = [question("db_for_read"), question("allow_relation"), question("db_for_write")]
    assert answers == ["primary", "replica", "archive"]
    if recording:
        assert [outcomes(decision) for decision in t.decisions] == [["passed", "answered"]] * 3


@pytest.mark.parametrize("recording", [True, False])
def test_an_iterator_need_not_be_iterable_itself(site, monkeypatch, recording):
    class Turns:
        def __init__(self):
            self.turns = [Says("primary"), Silent()]

        def __next__(self):
            if not self.turns:
                raise StopIteration
            return self.turns.pop()

    class Routers:
        def __iter__(self):
            return Turns()

    monkeypatch.setitem(vars(router), "routers", Routers())
    with trace("test", keep=False) if recording else contextlib.nullcontext():
        assert question("db_for_read") == "primary"
        assert question("allow_migrate") == "primary"
        monkeypatch.setattr(Says, "db_for_write", Silent.db_for_write)
        assert question("db_for_write") == "default"


def test_a_router_that_another_thread_takes_away_at_its_turn_is_passed_over():
    """It is looked for in the list when it was not met before, and is in it no more."""
    left = iter([Says("primary"), Silent()])
    found, _ = router_proxy.RouterStandIn().make_proxies([HasNothing()], left, None)
    assert list(found) == [None, None]


def test_a_list_of_somebodys_own_class_has_those_that_were_not_asked(recorded, monkeypatch):
    class Routers(list):
        pass

    monkeypatch.setitem(vars(router), "routers", Routers([Says("primary"), Fails()]))
    assert question("db_for_read") == "primary"
    assert outcomes(recorded.decisions[0]) == ["answered", "not_asked"]


def test_the_routers_are_never_changed(recorded, ask):
    ask(Silent(), Says("primary"))
    before, members = router.routers, list(router.routers)
    for action in QUESTIONS:
        question(action)
    assert router.routers is before
    assert all(now is then for now, then in zip(router.routers, members, strict=True))


# Django's router itself


def test_the_router_keeps_its_identity_and_its_class_is_a_subclass():
    from django.db.models import query

    assert query.router is router
    assert isinstance(router, ConnectionRouter)
    assert type(router).__mro__[1] is ConnectionRouter
    assert type(router).__name__ == "WatchedConnectionRouter"


def test_watching_again_changes_nothing():
    before = type(router)
    watching.watch(router)
    assert type(router) is before


def test_the_parameter_names_work_as_keywords(recorded, ask):
    ask(Says("primary"))
    assert router.db_for_read(model=Book) == "primary"
    assert router.db_for_write(model=Book, instance=None) == "primary"
    assert router.allow_relation(obj1=Book(), obj2=Person()) == "primary"
    assert router.allow_migrate(db="archive", app_label="library", model_name="book") == "primary"
    assert [d.action.value for d in recorded.decisions] == QUESTIONS


def test_keywords_work_while_nothing_is_recorded(site, ask):
    ask(Says("primary"))
    assert router.db_for_read(model=Book) == "primary"
    assert router.db_for_read(model=Book, instance=Book()) == "primary"
    assert router.db_for_write(model=Book) == "primary"
    assert router.db_for_write(model=Book, instance=Book()) == "primary"
    assert router.allow_relation(obj1=Book(), obj2=Person()) == "primary"
    assert router.allow_migrate(db="archive", app_label="library") == "primary"


def test_the_users_routers_are_called_once_with_exactly_djangos_arguments(site, ask):
    calls = []

    class Listens:
        def __getattr__(self, name):
            if name not in QUESTIONS:
                raise AttributeError(name)
            return lambda *args, **kwargs: calls.append((name, args, kwargs))

    ask(Listens())
    book, person = Book(), Person()

    def everything():
        calls.clear()
        router.db_for_read(Book)
        router.db_for_write(Book, instance=book, shard=3)
        router.allow_relation(book, person)
        router.allow_migrate_model("primary", Book)
        router.allow_migrate("primary", "library", flag=True)
        return list(calls)

    bare = everything()
    with trace("test", keep=False):
        watched = everything()
    assert watched == bare
    assert len(bare) == 5
    assert bare[1] == ("db_for_write", (Book,), {"instance": book, "shard": 3})
    assert type(watched[3][1][0]) is str


class Sharding(ConnectionRouter):
    """A router class of the user's, one of whose methods is its own."""

    def db_for_read(self, model, **hints):
        if model is Tag:
            raise LookupError("no shard")
        return self.db_for_write(model, **hints) if model is Book else None


def test_a_class_that_overrides_djangos_method_is_called_as_it_is_in_one_step(recorded):
    mine = Sharding(routers=[Silent(), Says("primary")])
    watching.watch(mine)
    answer = mine.db_for_read(Book)
    assert answer == "primary"
    assert mine.db_for_read(Person) is None
    with pytest.raises(LookupError):
        mine.db_for_read(Tag)
    outer, inner, nothing, failed = recorded.decisions
    assert (outer.model, recorded._recorder.answers[id(answer)]) == ("library.Book", outer.id)
    assert (outcomes(outer), outcomes(inner)) == (["answered"], ["passed", "answered"])
    assert outer.steps[0].router == f"{__name__}.Sharding"
    assert (inner.parent_id, outer.parent_id) == (outer.id, None)
    assert (nothing.answer, nothing.decided_by) == (None, "router")
    assert (outcomes(failed), failed.decided_by) == (["raised"], "error")


@pytest.mark.parametrize("recording", [True, False])
def test_such_a_method_takes_whatever_it_takes(site, recording):
    from dbroute_panel.models import Trace

    class Positional(ConnectionRouter):
        def db_for_read(self, model, using=None, **hints):
            return using, hints

        db_for_write = db_for_read

        def allow_relation(self, obj1, obj2, using=None, **hints):
            return using, hints

        def allow_migrate(self, db, app_label, model_name=None, **hints):
            return model_name, hints

    mine = Positional([])
    watching.watch(mine)
    with trace("test", keep=False) if recording else contextlib.nullcontext() as t:
        assert mine.db_for_read(Book, "archive") == ("archive", {})
        assert mine.db_for_write(Book, "archive", why=1) == ("archive", {"why": 1})
        assert mine.allow_relation(Book(), Person(), "archive") == ("archive", {})
        assert mine.allow_migrate("primary", "library", "book") == ("book", {})
        assert mine.db_for_read(Trace, "archive") == ("archive", {})
    if recording:
        assert [decision.action for decision in t.decisions] == QUESTIONS
        assert list(t.decisions[2].args) == ["obj1", "obj2"]


@pytest.mark.parametrize("recording", [True, False])
@pytest.mark.parametrize("action", QUESTIONS)
def test_django_s_method_takes_no_more_than_without_us(site, recording, action):
    with pytest.raises(TypeError) as without:
        getattr(ConnectionRouter([]), action)(Book, "second", "third")
    watching_it = trace("test", keep=False) if recording else contextlib.nullcontext()
    with watching_it, pytest.raises(TypeError) as raised:
        getattr(router, action)(Book, "second", "third")
    assert str(raised.value) == str(without.value)


def test_a_method_of_djangos_that_a_test_replaces_is_called(site, monkeypatch):
    monkeypatch.setattr(ConnectionRouter, "db_for_read", lambda self, model, **hints: "archive")
    assert router.db_for_read(Book) == "archive"
    with trace("test", keep=False) as t:
        assert router.db_for_read(Book) == "archive"
    assert outcomes(t.decisions[0]) == ["answered"]


# Nesting


def test_a_router_that_asks_the_router_makes_a_decision_inside_a_decision(recorded, ask):
    class Asks(Silent):
        def db_for_read(self, model, **hints):
            return router.db_for_write(model, **hints)

    class Decides(Silent):
        def db_for_write(self, model, **hints):
            return "primary"

    ask(Asks(), Decides())
    assert router.db_for_read(Book) == "primary"
    router.db_for_write(Book)
    outer, inner, after = recorded.decisions
    assert (outer.id, inner.id) == (1, 2)
    assert (outer.action, inner.action) == ("db_for_read", "db_for_write")
    assert (outer.parent_id, inner.parent_id, after.parent_id) == (None, outer.id, None)
    assert (outcomes(outer), outcomes(inner)) == (["answered", "not_asked"], ["passed", "answered"])


def test_whatever_becomes_of_a_decision_inside_a_decision_it_knows_the_outer_one(recorded, ask):
    class Asks(Silent):
        def db_for_read(self, model, **hints):
            if model is Book:
                router.db_for_read(Person)
                router.allow_relation(Book(), Book())
                router.allow_migrate("primary", "library")
                router.db_for_read(Tag, shard=3)
            if model is Tag:
                raise LookupError("no such shard")
            return Alias.PRIMARY

    ask(Silent(), Asks())
    with pytest.raises(LookupError, match="no such shard"):
        router.db_for_read(Book)
    outer, *inner = recorded.decisions
    assert outcomes(outer) == ["passed", "raised"]
    assert outer.steps[1].router.endswith(".Asks")
    assert (inner[-1].action, inner[-1].model, inner[-1].hints) == (
        "db_for_read",
        "library.Tag",
        {"shard": 3},
    )
    assert {one.callsite.function for one in inner} == {"db_for_read"}
    assert [(decision.parent_id, decision.decided_by) for decision in inner] == [
        (outer.id, "router"),
        (outer.id, "same_database"),
        (outer.id, "allowed"),
        (outer.id, "error"),
    ]


def test_each_question_has_the_line_that_asks_it(recorded):
    router.db_for_read(Book)
    router.db_for_write(Book)
    router.allow_relation(Book(), Book())
    router.allow_migrate("primary", "library")
    first = recorded.decisions[0].callsite
    assert first.function == "test_each_question_has_the_line_that_asks_it"
    assert [decision.callsite.line - first.line for decision in recorded.decisions] == [0, 1, 2, 3]


def test_what_a_router_queries_is_within_its_decision(recorded, ask):
    class Queries(Silent):
        def db_for_read(self, model, **hints):
            if model is Book:
                User.objects.using("legacy_users").count()
                return "primary"
            return None

    ask(Queries())
    Book.objects.count()
    Book.objects.using("archive").count()
    inside, outside, later = recorded.queries
    [decision] = recorded.decisions
    assert (inside.parent_id, outside.parent_id, later.parent_id) == (decision.id, None, None)
    assert (inside.alias, inside.route) == ("legacy_users", "explicit")
    assert outside.decision_id == decision.id


def test_a_decision_that_raised_leaves_nothing_nested(recorded, ask):
    ask(Fails())
    with pytest.raises(KeyError):
        router.db_for_read(Book)
    Book.objects.using("primary").count()
    assert recorded.queries[0].parent_id is None


# Answers


@pytest.mark.parametrize("module", [_fastpath, decisions])
@pytest.mark.parametrize("moment", [1, 2])
def test_an_interrupt_just_before_or_after_the_routers_leaves_nothing_nested(
    recorded, ask, monkeypatch, module, moment
):
    ask(Fails() if moment == 2 else Silent())
    left, clock = [moment], module.perf_counter_ns

    def interrupted():
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return clock()

    monkeypatch.setattr(module, "perf_counter_ns", interrupted)
    with pytest.raises(KeyboardInterrupt):
        question("db_for_read" if module is _fastpath else "allow_migrate")
    ask(Silent())
    question("db_for_write")
    assert {decision.parent_id for decision in recorded.decisions} == {None}
    assert recorded._recorder.parent_id is None


class Alias(enum.StrEnum):
    PRIMARY = "primary"
    ARCHIVE = "archive"


def test_a_plain_answer_comes_back_as_a_string_of_its_own_only_while_a_trace_is_active(site, ask):
    ask(Says("primary"))
    assert router.db_for_read(Book) is router.routers[0].answer
    with trace("test", keep=False):
        assert type(router.db_for_read(Book)) is str
        assert router.db_for_read(Book) == "primary"
        assert router.db_for_read(Book) is not router.routers[0].answer
        assert router.allow_migrate("primary", "library") is router.routers[0].answer
    assert router.db_for_read(Book) is router.routers[0].answer


@pytest.mark.parametrize("answer", [["primary"], object(), Alias.PRIMARY, 3])
def test_an_answer_of_another_type_is_handed_back_untouched(recorded, ask, answer):
    ask(Says(answer))
    assert router.db_for_read(Book) is answer
    assert router.allow_relation(Book(), Book()) is answer


def test_the_record_of_an_odd_answer_is_its_type(recorded, ask):
    ask(Says(["primary"]))
    router.db_for_read(Book)
    [decision] = recorded.decisions
    assert decision.answer == decision.steps[0].answer == TypeRef(type="builtins.list")


def test_an_alias_that_is_an_enum_is_still_linked(recorded, ask):
    ask(Says(Alias.PRIMARY))
    books = Book.objects.all()
    assert list(books)
    [decision], [query] = recorded.decisions, recorded.queries
    assert (query.decision_id, query.route, query.alias) == (decision.id, "router", "primary")
    assert (decision.answer, type(decision.answer)) == ("primary", str)


def test_an_enum_that_answered_for_two_models_is_linked_to_the_decision_about_its_own(recorded, ask):
    ask(Says(Alias.PRIMARY))
    books = Book.objects.using(router.db_for_read(Book))
    people = Person.objects.using(router.db_for_read(Person))
    list(books), list(people)
    assert [query.decision_id for query in recorded.queries] == [d.id for d in recorded.decisions]


def test_a_plain_alias_beside_an_enum_is_linked_to_its_own_decision(recorded, ask):
    class Mixed(Silent):
        def db_for_read(self, model, **hints):
            return Alias.PRIMARY if model is Book else "primary"

    ask(Mixed())
    Book.objects.count()
    Tag.objects.count()
    assert [query.decision_id for query in recorded.queries] == [one.id for one in recorded.decisions]


def test_an_enum_that_no_router_answered_is_named_by_code(recorded, ask):
    ask(Says(Alias.PRIMARY))
    router.db_for_read(Book)
    list(Book.objects.using(Alias.ARCHIVE))
    assert (recorded.queries[0].decision_id, recorded.queries[0].route) == (None, "explicit")


def test_an_enum_about_a_model_that_nobody_asked_about_is_linked_to_the_latest_decision(recorded, ask):
    ask(Says(Alias.PRIMARY))
    alias = router.db_for_read(Book)
    list(Tag.objects.using(alias))
    assert recorded.queries[0].decision_id == recorded.decisions[0].id


# Hints and arguments


class Lazy(SimpleLazyObject):
    pass


def never():
    pytest.fail("a lazy object was evaluated")


def test_hints_are_plain_facts(recorded):
    book = Book.objects.using("primary").first()
    router.db_for_read(
        Book,
        instance=book,
        shard=3,
        name="n",
        ratio=0.5,
        on=True,
        nothing=None,
        many=[1],
        model_class=Tag,
        lazy=Lazy(never),
        module=sys,
    )
    assert recorded.decisions[0].hints == {
        "instance": InstanceRef(model="library.Book", pk=str(book.pk), state_db="primary", adding=False),
        "shard": 3,
        "name": "n",
        "ratio": 0.5,
        "on": True,
        "nothing": None,
        "many": TypeRef(type="builtins.list"),
        "model_class": TypeRef(type="example_site.library.models.Tag"),
        "lazy": TypeRef(type=f"{__name__}.Lazy"),
        "module": TypeRef(type="sys"),
    }


def test_no_hints_are_an_empty_object(recorded):
    router.db_for_read(Book)
    router.allow_relation(Book(), Book())
    router.allow_migrate("primary", "library")
    assert [d.hints for d in recorded.decisions] == [{}, {}, {}]


def test_allow_relation_has_its_two_objects_as_arguments(recorded):
    book = Book.objects.first()
    router.allow_relation(book, Person(name="new"))
    read, asked = recorded.decisions
    assert (asked.model, asked.hints) == (None, {})
    assert asked.args == {
        "obj1": InstanceRef(
            model="library.Book", pk=str(book.pk), state_db=book._state.db, adding=False, origin_id=read.id
        ),
        "obj2": InstanceRef(model="library.Person", pk=None, state_db=None, adding=True),
    }


def test_an_object_among_the_hints_of_any_question_tells_which_decision_it_is_from(recorded):
    person = Person.objects.first()
    [read] = recorded.decisions
    router.allow_relation(Book(), person, instance=person)
    router.db_for_read(Book, instance=person)
    _, relation, question = recorded.decisions
    assert relation.args["obj2"].origin_id == relation.hints["instance"].origin_id == read.id
    assert question.hints["instance"].origin_id == read.id


def test_allow_migrate_has_database_app_and_model_name_as_arguments(recorded):
    router.allow_migrate_model("primary", Review)
    router.allow_migrate("archive", "library", tenant="x")
    first, second = recorded.decisions
    assert (first.model, first.hints) == ("library.Review", {})
    assert first.args == {"db": "primary", "app_label": "library", "model_name": "review"}
    assert (second.model, second.hints) == (None, {"tenant": "x"})
    assert second.args == {"db": "archive", "app_label": "library", "model_name": None}


def test_a_model_that_is_none_or_only_looks_like_one_is_recorded(recorded, ask):
    class Options:
        app_label, object_name, model_name = "django_cache", "CacheEntry", "cacheentry"

    class CacheEntry:
        _meta = Options

    ask(Says("primary"))
    router.db_for_read(CacheEntry)
    router.db_for_read(object)
    assert [d.model for d in recorded.decisions] == ["django_cache.CacheEntry", None]


def test_a_model_that_cannot_tell_its_name_is_recorded_without(recorded, ask):
    class Nameless:
        @property
        def _meta(self):
            raise LookupError

    ask(Says("primary"))
    assert router.db_for_read(Nameless()) == "primary"
    assert [d.model for d in recorded.decisions] == [None]


def test_an_object_in_place_of_its_class_is_never_hashed(recorded, ask):
    ask(Says("primary"))
    assert router.db_for_read(Book()) == "primary"
    assert [d.model for d in recorded.decisions] == ["library.Book"]


def test_a_model_whose_class_cannot_be_hashed_has_its_label(recorded, ask):
    class Equal(type):
        __hash__ = None

        def __eq__(cls, other):
            return cls is other

    class Entry(metaclass=Equal):
        _meta = Book._meta

    ask(Says("primary"))
    assert router.db_for_read(Entry) == "primary"
    assert [d.model for d in recorded.decisions] == ["library.Book"]


def test_a_through_model_has_its_own_label(recorded):
    router.db_for_read(Book.tags.through)
    assert recorded.decisions[0].model == "library.Book_tags"


# What must not be recorded, and what must not be disturbed


def test_questions_about_the_tools_own_models_are_not_recorded(recorded):
    from dbroute_panel.models import Trace

    router.db_for_read(Trace)
    router.db_for_write(Trace)
    router.allow_migrate("primary", "dbroute_panel")
    router.allow_migrate("primary", "debug_toolbar")
    assert recorded.events == []


@pytest.mark.toolbar
def test_questions_about_the_toolbars_models_are_not_recorded(recorded):
    from debug_toolbar.models import HistoryEntry

    router.db_for_read(HistoryEntry)
    router.db_for_write(HistoryEntry)
    assert recorded.events == []


def test_the_users_seeded_random_gives_what_it_gives_without_us(site):
    def sequence():
        random.seed(42)
        return [str(router.db_for_read(Book)) for _ in range(20)] + [random.random()]

    bare = sequence()
    with trace("test", keep=False):
        watched = sequence()
    assert watched == bare
    assert len(set(bare[:-1])) == 2


def test_an_error_of_ours_before_the_question_is_counted_and_the_answer_comes(recorded, monkeypatch, caplog):
    monkeypatch.setattr(decisions, "capture_hint", lambda value, trace: 1 / 0)
    assert router.db_for_write(Book, instance=Book()) == "primary"
    assert router.db_for_write(Book, instance=Book()) == "primary"
    assert router.db_for_write(Book) == "primary"
    assert router.allow_relation(Book(), Book()) is True
    assert len(recorded.decisions) == 1
    assert recorded._recorder.dropped["decision"] == 3
    [record] = caplog.records
    assert record.getMessage() == "dbroute_panel could not record a decision; the request goes on."
    assert "ZeroDivisionError" in caplog.text


def test_so_is_one_before_a_question_about_two_objects(recorded, ask, monkeypatch, caplog):
    ask(Says("primary"))
    monkeypatch.setattr(decisions, "capture_hint", lambda value, trace: 1 / 0)
    assert question("allow_relation") == "primary"
    assert recorded._recorder.dropped["decision"] == 1
    assert "ZeroDivisionError" in caplog.text


def test_an_error_of_ours_leaves_a_routers_exception_alone(recorded, ask, monkeypatch):
    class Raises:
        def db_for_read(self, model, **hints):
            raise LookupError("no such shard")

    ask(Raises())
    monkeypatch.setattr(router_proxy, "describe_error", lambda error: 1 / 0)
    with pytest.raises(LookupError, match="no such shard"):
        router.db_for_read(Book)
    [decision] = recorded.decisions
    assert decision.decided_by == "error"
    assert [(step.outcome, step.error) for step in decision.steps] == [("raised", "LookupError")]


@pytest.mark.parametrize("answer", ["primary", LookupError("no such shard")])
def test_nothing_is_made_to_count_the_routers(recorded, monkeypatch, answer):
    class Answers:
        def db_for_read(self, model, **hints):
            if isinstance(answer, Exception):
                raise answer
            return answer

    def routers():
        yield Answers()
        raise RuntimeError("there is no second one")

    monkeypatch.setitem(vars(router), "routers", routers())
    if isinstance(answer, Exception):
        with pytest.raises(LookupError, match="no such shard"):
            router.db_for_read(Book)
    else:
        assert router.db_for_read(Book) == "primary"
    [decision] = recorded.decisions
    assert len(decision.steps) == 1


def test_an_error_of_ours_leaves_django_s_alone(recorded, ask, monkeypatch, caplog):
    class Undecided:
        def __bool__(self):
            raise LookupError("neither")

    ask(Says(Undecided()))
    monkeypatch.setattr(decisions, "describe_error", lambda error: 1 / 0)
    with pytest.raises(LookupError, match="neither"):
        router.db_for_read(Book)
    assert recorded.decisions == []
    assert recorded._recorder.dropped["decision"] == 1
    assert "ZeroDivisionError" in caplog.text


def test_an_error_of_ours_after_the_question_is_counted_and_the_answer_comes(recorded, monkeypatch, caplog):
    monkeypatch.setattr(recorded._recorder, "aliases", None)
    assert router.db_for_write(Book) == "primary"
    assert recorded._recorder.dropped["decision"] == 1
    monkeypatch.setattr(decisions, "capture_scalar", lambda value: 1 / 0)
    assert router.allow_relation(Book(), Book()) is True
    assert recorded._recorder.dropped["decision"] == 2
    assert "TypeError" in caplog.text


@pytest.mark.parametrize("part", [(decisions, "capture_scalar"), (Recorder, "hand_back")])
def test_so_is_one_where_no_router_has_answered(recorded, ask, monkeypatch, caplog, part):
    ask(Silent())
    monkeypatch.setattr(*part, lambda *args: 1 / 0)
    assert router.db_for_write(Book) == "default"
    assert recorded._recorder.dropped["decision"] == 1
    assert "ZeroDivisionError" in caplog.text


def test_decisions_beyond_the_limit_are_counted(site, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 2}
    with trace("test", keep=False) as t:
        for _ in range(5):
            assert router.db_for_write(Book) == "primary"
    assert [d.id for d in t.decisions] == [1, 2]
    assert t.document.dropped.decision == 3


def test_beyond_the_limit_each_kind_of_question_is_counted_and_the_tools_own_is_not(site, settings):
    from dbroute_panel.models import Trace

    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 1}
    with trace("test", keep=False) as t:
        router.db_for_write(Book)
        router.db_for_write(Trace)
        router.db_for_read(Trace)
        assert t._recorder.dropped["decision"] == 0
        router.db_for_read(Book)
        router.allow_relation(Book(), Person())
        router.allow_migrate("primary", "library")
    assert t.document.dropped.decision == 3


@pytest.mark.parametrize("recording", ["nothing", "all", "what there is room for"])
def test_a_router_is_given_what_it_was_asked_with_a_trace_and_without(site, ask, settings, recording):
    if recording == "what there is room for":
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"MAX_EVENTS": 1}
    heard = []

    class Hears:
        def db_for_read(self, *args, **hints):
            heard.append((args, hints))
            return "primary"

        db_for_write = allow_relation = allow_migrate = db_for_read

    ask(Hears())
    book, person = Book(), Person()
    questions = [
        (router.db_for_read, (Book,)),
        (router.db_for_write, (Book,)),
        (router.allow_relation, (book, person)),
        (router.allow_migrate, ("primary", "library")),
    ]
    with contextlib.nullcontext() if recording == "nothing" else trace("test", keep=False):
        for question, args in questions:
            for hints in ({}, {"shard": 3}):
                question(*args, **hints)
                assert heard.pop() == (args, hints)


def test_a_historical_model_has_its_label(recorded):
    from django.db.migrations.state import ModelState, ProjectState

    state = ProjectState()
    state.add_model(ModelState("library", "Old", [("id", models.AutoField(primary_key=True))]))
    router.db_for_read(state.apps.get_model("library", "Old"))
    assert recorded.decisions[0].model == "library.Old"
