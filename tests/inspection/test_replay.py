"""Recorded decisions asked again: of the example site's routers, of others, of routers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from importlib import import_module
from itertools import count, cycle

import msgspec
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.test.utils import isolate_apps

from dbroute_panel import trace
from dbroute_panel.inspection import guard, override, reconstruct
from dbroute_panel.inspection.arguments import AskError
from dbroute_panel.inspection.guard import guard_databases
from dbroute_panel.inspection.isolation import IsolationInterrupt
from dbroute_panel.inspection.patches import Patches
from dbroute_panel.inspection.reconstruct import DecisionRebuilder, is_rebuilt
from dbroute_panel.inspection.replay import replay
from dbroute_panel.records import Action, DecidedBy, InstanceRef, Outcome, Step, TypeRef
from example_site.library.models import Book, Person, Tag
from example_site.notes.models import Note
from tests.errors import recorded
from tests.inspection.routers import (
    Among,
    Asking,
    Constant,
    Elsewhere,
    Pinning,
    Recording,
    Silent,
    in_pool,
    in_thread,
    query,
)
from tests.traces import CALLSITE, a_decision, a_query, a_trace
from tests.waiting import PATIENCE_SECONDS
from tools.benchmarks.counting import count_calls

HERE = "tests.inspection.routers"
SITE = "example_site.routers"


def why_not_imported(name):
    """In the words of this Python."""
    with pytest.raises(ModuleNotFoundError) as raised:
        import_module(name)
    return recorded(raised.value)


VALID = f"Valid are '{SITE}.AuthRouter', '{SITE}.PrimaryReplicaRouter', '{SITE}.UserRouter'."


@pytest.fixture
def routers(settings):
    """Makes these today's routers."""

    def use(*made):
        settings.DATABASE_ROUTERS = list(made)

    return use


def asked(*decisions, **kwargs):
    """A replay of one trace with these decisions."""
    return replay([a_trace(events=list(decisions))], **kwargs)


def reason(*decisions, **kwargs):
    """Why none of these decisions can be asked again."""
    found = asked(*decisions, **kwargs)
    assert (found.asked, found.not_replayable) == (len(decisions), len(decisions)), found
    [why] = found.reasons
    assert why.count == len(decisions)
    return why.reason


def plain(found):
    """Changes as in the JSON, without count and callsites."""
    changes = msgspec.to_builtins(found.changes)
    return [{k: v for k, v in change.items() if k not in ("count", "callsites")} for change in changes]


def read(**changes):
    return a_decision(**{"hints": {}} | changes)


def write(**changes):
    return read(**{"action": Action.WRITE, "answer": "primary"} | changes)


def relation(first="library.Book", second="library.Person", **changes):
    refs = [InstanceRef(model=model, pk="1", state_db="primary", adding=False) for model in (first, second)]
    args = {"obj1": refs[0], "obj2": refs[1]}
    return read(**{"action": Action.RELATION, "model": None, "args": args, "answer": True} | changes)


def migration(model="library.Book", model_name="book", db="primary", **changes):
    args = {"db": db, "app_label": "library", "model_name": model_name}
    return read(**{"action": Action.MIGRATE, "model": model, "args": args, "answer": True} | changes)


def failed(error, **changes):
    steps = [
        Step(router="a.A", outcome=Outcome.PASSED),
        Step(router="a.B", outcome=Outcome.RAISED, error=error),
    ]
    return read(**{"decided_by": DecidedBy.ERROR, "answer": None, "steps": steps} | changes)


# The example site


def a_visit():
    """What a visit to the example site asks."""
    User.objects.get(username="fred")
    book = Book.objects.select_related("author").first()
    book.title += "!"
    book.save()
    book.tags.add(Tag.objects.first())
    Note.objects.using("archive").create(text="moved", book=book)
    Person(name="somebody").books.model(author=book.author, title="new").save()


@pytest.fixture
def visit(site):
    with trace("a visit", keep=False) as t:
        a_visit()
    connections.close_all()
    return t.document


def test_nothing_changes_while_the_routers_are_the_same(visit):
    found = replay([visit, visit])
    assert found.asked == found.same == 2 * len(visit.decisions) > 20
    assert (found.changed, found.not_replayable, found.changes, found.reasons) == (0, 0, [], [])
    by_name = replay([visit], routers=[f"{SITE}.{name}" for name in
                                       ("AuthRouter", "UserRouter", "PrimaryReplicaRouter")])  # fmt: skip
    assert by_name.same == by_name.asked == len(visit.decisions)


def test_with_the_two_routers_swapped_auth_models_are_read_from_a_replica(site):
    with trace("logging in", keep=False) as t:
        fred = User.objects.get(username="fred")
        fred.has_perm("library.add_book")
        fred.save()
        Book.objects.first()
    found = replay([t.document], routers=[f"{SITE}.EverythingRouter", f"{SITE}.AuthRouter"])
    assert found.changed == found.asked - 1 == len(t.decisions) - 1
    assert {(change.model, change.action, change.before) for change in found.changes} == {
        (decision.model, decision.action, "auth_db")
        for decision in t.decisions
        if decision.model != "library.Book"
    }
    for change in found.changes:
        assert change.to in {Action.READ: ["replica1", "replica2"], Action.WRITE: ["primary"]}[change.action]
    lines = {int(site.rpartition(":")[2]) for change in found.changes for site in change.callsites}
    assert {site.rpartition(":")[0] for change in found.changes for site in change.callsites} == {
        "tests/inspection/test_replay.py"
    }
    start = test_with_the_two_routers_swapped_auth_models_are_read_from_a_replica.__code__.co_firstlineno
    assert lines == {start + 2, start + 3, start + 4}


def test_the_settings_as_they_are_now_are_asked(visit, settings):
    settings.DATABASE_ROUTERS = ["example_site.routers.EverythingRouter"]
    assert replay([visit]).changed > 0
    router.routers = []
    assert {change.to for change in replay([visit]).changes if change.action is Action.READ} == {"default"}


def test_migrations_are_asked_again_of_every_model(site):
    with trace("migrate", keep=False) as t:
        call_command("migrate", database="primary", verbosity=0)
    found = replay([t.document])
    assert found.same == found.asked == len(t.decisions) > 20
    found = replay([t.document], routers=[])
    assert {(c.action, c.db, c.before, c.to) for c in found.changes if c.action is Action.MIGRATE} == {
        (Action.MIGRATE, "primary", False, True)
    }
    labels = {change.model for change in found.changes if change.action is Action.MIGRATE}
    assert {"auth.User", "users.Card", "sessions.Session"} <= labels


def test_the_json_form(routers):
    routers(Constant(write="archive", migrate=False))
    found = asked(write(), write(), write(callsite=None), migration(callsite=None), read(model="x.Y"))
    assert json.loads(msgspec.json.encode(found)) == {
        "asked": 5,
        "same": 0,
        "changed": 4,
        "not_replayable": 1,
        "changes": [
            {
                "model": "library.Book",
                "action": "db_for_write",
                "from": "primary",
                "to": "archive",
                "count": 3,
                "callsites": {"library/views.py:88": 2},
            },
            {
                "model": "library.Book",
                "action": "allow_migrate",
                "db": "primary",
                "from": True,
                "to": False,
                "count": 1,
                "callsites": {},
            },
        ],
        "reasons": [{"reason": "There is no model 'x.Y'.", "count": 1}],
        "notes": [
            (
                "Another database would be answered. If other code than the routers had chosen it then "
                "(in a thread-local or a context variable, as for a customer): that is in no trace, and "
                "nothing was chosen now."
            )
        ],
    }


def test_the_most_frequent_comes_first(routers):
    routers(Constant(read="archive", write="archive"))
    elsewhere = msgspec.structs.replace(CALLSITE, line=7)
    found = asked(
        read(model="x.Y"),
        write(),
        read(callsite=elsewhere),
        read(),
        read(callsite=elsewhere),
        read(model="x.Z"),
        read(model="x.Z"),
    )
    assert [(change.action, change.count) for change in found.changes] == [
        (Action.READ, 3),
        (Action.WRITE, 1),
    ]
    assert list(found.changes[0].callsites.items()) == [("library/views.py:7", 2), ("library/views.py:88", 1)]
    assert [(why.reason, why.count) for why in found.reasons] == [
        ("There is no model 'x.Z'.", 2),
        ("There is no model 'x.Y'.", 1),
    ]


def test_what_is_as_frequent_is_in_the_order_of_its_names(routers):
    routers(Constant(read="archive", write="archive"))
    found = asked(
        read(model="library.Tag"),
        write(),
        read(answer="primary"),
        read(answer="auth_db"),
        read(model="x.Z"),
        read(model="x.Y"),
    )
    assert [(change.model, change.action, change.before) for change in found.changes] == [
        ("library.Book", Action.READ, "auth_db"),
        ("library.Book", Action.READ, "primary"),
        ("library.Book", Action.WRITE, "primary"),
        ("library.Tag", Action.READ, "replica1"),
    ]
    assert [why.reason for why in found.reasons] == ["There is no model 'x.Y'.", "There is no model 'x.Z'."]


def test_a_migration_without_a_model_is_called_by_what_it_was_asked_about(routers):
    routers(Constant(migrate=False))
    found = asked(migration(None, "old"), migration(None, None))
    assert [change.model for change in found.changes] == ["library", "library.old"]


def test_queries_are_not_asked_about_and_no_traces_give_an_empty_answer():
    assert asked(a_query()).asked == 0
    assert replay([]).asked == 0


def test_progress_is_told_after_each_trace():
    told = []
    replay(
        [a_trace(events=[read(), read()]), a_trace(events=[]), a_trace(events=[read()])], progress=told.append
    )
    assert told == [2, 2, 3]


# What counts as the same


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ("primary", "primary", True),
        ("replica1", "replica2", True),
        ("primary", "replica1", False),
        ("replica2", "primary", False),
        ("replica1", "archive", False),
        ("auth_db", "nowhere", False),
        ("nowhere", "nowhere", True),
        (TypeRef(type="a.Shard"), "primary", False),
    ],
)
def test_reads_from_replicas_of_one_primary_are_the_same(routers, before, now, same):
    routers(Constant(read=now))
    assert asked(read(answer=before)).same == same


def test_a_write_that_moves_to_a_replica_is_a_change(routers):
    routers(Constant(write="replica1"))
    assert plain(asked(write())) == [
        {"model": "library.Book", "action": "db_for_write", "from": "primary", "to": "replica1"}
    ]
    assert asked(write(answer="replica1")).same == 1


def test_without_declared_replicas_every_alias_stands_for_itself(routers, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {}}
    routers(Constant(read="replica2"))
    assert asked(read(answer="replica1")).changed == 1


def test_objects_as_answers_are_compared_by_type(routers):
    routers(Constant(read=dt.date(2026, 1, 1)))
    assert asked(read(answer=TypeRef(type="datetime.date"))).same == 1
    [change] = plain(asked(read()))
    assert change["to"] == {"type": "datetime.date"}


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [(True, True, True), (True, "yes", True), (False, 0, True), (True, False, False), (False, "x", False)],
)
def test_yes_and_no_are_compared_by_what_they_mean(routers, before, now, same):
    routers(Constant(relation=now, migrate=now))
    assert asked(relation(answer=before), migration(answer=before)).same == 2 * same


def test_an_error_that_answers_now_and_the_other_way_round_are_changes(routers):
    routers(Constant(read="primary", write=LookupError("no shard")))
    found = asked(failed("ValueError: bad"), failed("ValueError"), failed(None), write())
    assert sorted((str(c["from"]), c["to"]) for c in plain(found)) == [
        ("Exception", "primary"),
        ("ValueError: bad", "primary"),
        ("primary", "LookupError: no shard"),
    ]
    assert found.changed == 4


def test_the_same_error_is_the_same_whatever_its_message(routers):
    routers(Constant(read=LookupError("shard 2")))
    assert asked(failed("LookupError: shard 1"), failed("LookupError")).same == 2
    assert asked(failed("KeyError: 'x'")).changed == 1


def test_errors_are_counted_by_their_class(routers):
    class Numbered:
        numbers = count()

        def db_for_read(self, model, **hints):
            raise LookupError(next(self.numbers))

    routers(Numbered())
    [change] = asked(*(read() for _ in range(50))).changes
    assert (change.before, change.to, change.count) == ("replica1", "LookupError: 0", 50)


@pytest.mark.parametrize("error", [SystemExit(2), GeneratorExit("x")])
def test_whatever_a_router_raises_is_its_answer(routers, error):
    routers(Constant(read=error))
    assert asked(read()).changes[0].to.startswith(type(error).__name__)


def test_an_error_that_is_its_own_cause_is_an_error(routers):
    def does(model, hints):
        error = ValueError("x")
        raise error from error

    routers(Asking(does))
    assert asked(read()).changes[0].to == "ValueError: x"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, IsolationInterrupt])
def test_being_stopped_stops_the_replay(routers, stop):
    routers(Constant(read=stop()))
    with pytest.raises(stop):
        asked(read())
    assert guard.current_guard.get() is None


# Random routers


def test_a_random_router_is_asked_several_times_and_compared_as_a_set(routers):
    routers(Among("archive", "auth_db"))
    decisions = [read(answer=alias) for alias in ("archive", "auth_db")] * 50
    assert asked(*decisions, repeat=20).same == 100
    assert asked(*decisions).changed > 20


def test_few_recordings_of_a_random_router_are_no_change(routers):
    routers(Among("archive", "auth_db"))
    assert asked(*(read(answer="archive") for _ in range(6)), repeat=20).same == 6


def test_an_answer_that_would_have_been_recorded_long_since_is_a_change(routers):
    routers(Among("archive", "auth_db"))
    found = asked(*(read(answer="archive") for _ in range(20)), repeat=20)
    assert (found.changed, plain(found)) == (
        20,
        [{"model": "library.Book", "action": "db_for_read", "from": "archive", "to": ["archive", "auth_db"]}],
    )
    routers(Among(*["archive"] * 99, "auth_db"))
    assert asked(*(read(answer="archive") for _ in range(20)), repeat=100).same == 20


@pytest.mark.parametrize(("times", "changed"), [(9, 0), (10, 10)])
def test_five_times_is_often_enough_to_have_been_recorded(routers, times, changed):
    answers = cycle(["archive", "auth_db"])
    routers(Asking(lambda model, hints: next(answers)))
    assert asked(*(read(answer="archive") for _ in range(times)), repeat=2).changed == changed


def test_a_router_that_raises_now_and_then_gives_both_as_its_answers(routers):
    answers = cycle(["archive", LookupError("no shard")])

    def does(model, hints):
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    routers(Asking(does))
    [change] = plain(asked(read(answer="primary"), repeat=2))
    assert change["to"] == ["LookupError: no shard", "archive"]


def test_what_was_recorded_and_is_not_among_the_answers_is_a_change(routers):
    routers(Among("archive", "auth_db"))
    [change] = plain(asked(read(answer="legacy_users"), repeat=20))
    assert change["to"] == ["archive", "auth_db"]


def test_a_random_replica_is_the_same_as_another(routers):
    routers(Among("replica1", "replica2"))
    assert asked(*(read(answer="replica1") for _ in range(30)), repeat=10).same == 30
    routers(Among("replica1", "replica2", "primary"))
    assert asked(*(read(answer="replica1") for _ in range(30)), repeat=10).changed > 20


@pytest.mark.parametrize("repeat", [0, -1, 1001])
def test_asking_never_or_for_ever_is_refused(repeat):
    with pytest.raises(AskError, match=r"^Ask 1 to 1000 times, not "):
        asked(read(), repeat=repeat)
    assert asked(read(), repeat=1000).asked == 1


def test_a_router_is_really_asked_each_time(routers):
    constant = Constant(read="primary")
    routers(constant)
    asked(*(read() for _ in range(7)), repeat=3)
    assert constant.asked["read"] == 21


# Which routers


def test_named_routers_are_asked_in_their_order_and_nowhere_else(routers):
    routers(Constant(read="archive"))
    both = [f"{SITE}.AuthRouter", f"{SITE}.EverythingRouter"]
    during = []

    class Looking:
        def db_for_read(self, model, **hints):
            during.append([type(r).__name__ for r in router.routers])
            return in_thread(Context().run, lambda: router.db_for_read(Book))[0]

    before = list(router.routers)
    found = asked(read(model="auth.User"), read(), routers=both)
    assert {(c.model, c.to) for c in found.changes} == {("auth.User", "auth_db")}
    assert router.routers == before
    assert "routers" not in type(router).__dict__

    with guard.PATCHES, override.override_routers([Looking(), Silent()]):
        assert router.db_for_read(Book) == "archive"  # a thread of its own: today's
    assert during == [["Looking", "Silent"]]


def test_a_router_that_asks_the_router_again_reaches_the_named_ones(routers):
    routers(Constant(write="archive"))
    found = asked(read(answer="archive"), routers=[f"{HERE}.Elsewhere", f"{SITE}.PrimaryReplicaRouter"])
    assert found.changes[0].to == "primary"


def test_the_list_of_routers_can_still_be_read_and_changed_elsewhere(routers):
    mine = Constant(read="archive")
    with override.override_routers([]):
        assert router.routers == []
        assert type(router).routers is not None
        [in_another] = in_thread(Context().run, lambda: router.routers)
        assert [type(each).__name__ for each in in_another][:2] == ["AuthRouter", "UserRouter"]
        router.routers = [mine]
        assert router.routers == []
        assert in_thread(Context().run, lambda: router.routers) == [[mine]]
        del router.routers
        with pytest.raises(AttributeError, match=r"^routers$"):
            del router.routers
        assert len(in_thread(Context().run, lambda: router.routers)[0]) == 3
    assert len(router.routers) == 3


def test_nested_decisions_come_about_by_their_outer_one(routers):
    outer, inner = read(id=1, answer="archive"), write(id=2, parent_id=1, answer="primary")
    constant = Constant(write="archive")
    routers(Elsewhere(), constant)
    assert asked(outer, inner).asked == 1
    assert constant.asked["write"] == 1
    assert reason(write(id=2, parent_id=1)) == (
        "It was asked by a router in a decision that the trace does not hold."
    )


def test_what_a_router_pins_is_pinned_for_its_trace_alone(routers, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {}}
    pinning = Pinning()
    routers(pinning)
    traces = [a_trace(events=[read(answer="archive"), write(), read(answer="primary")])] * 3
    assert replay(traces).same == 9
    assert pinning.pinned.get() is False


def test_replaying_is_not_recorded(routers):
    routers(Constant(read="replica2"))
    with trace("a replay", keep=False) as t:
        assert asked(read()).same == 1
        router.db_for_read(Book)
    assert [decision.callsite.line for decision in t.decisions] == [
        test_replaying_is_not_recorded.__code__.co_firstlineno + 4
    ]


def test_a_router_of_which_a_method_is_missing_is_passed_over(routers):
    routers(Silent(), Constant(read="replica2"))
    assert asked(read()).same == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("AuthRouter", f"No router 'AuthRouter'. A router is named by its dotted path. {VALID}"),
        (
            f"{SITE[:-1]}.AuthRouter",
            (
                f"No router '{SITE[:-1]}.AuthRouter'. There is no module 'example_site.router'. "
                "Did you mean 'example_site.routers.AuthRouter'?"
            ),
        ),
        ("nowhere.at.All", f"No router 'nowhere.at.All'. There is no module 'nowhere'. {VALID}"),
        (
            f"{SITE}.AuthRoutr",
            (
                f"No router '{SITE}.AuthRoutr'. The module '{SITE}' has no 'AuthRoutr'. "
                "Did you mean 'AuthRouter'?"
            ),
        ),
        (f"{HERE}.NOT_A_ROUTER", f"'{HERE}.NOT_A_ROUTER' is no router class but a str."),
        (f"{HERE}.Broken", f"The router '{HERE}.Broken' cannot be made: RuntimeError: no configuration"),
        (
            f"{HERE}_needing.Router",
            (f"The router '{HERE}_needing.Router' cannot be made: {why_not_imported('not_installed')}"),
        ),
        (
            f"{HERE}_failing.Router",
            f"The router '{HERE}_failing.Router' cannot be made: LookupError: half of it is missing",
        ),
    ],
)
def test_a_router_that_cannot_be_made_is_named(path, message):
    with pytest.raises(AskError) as caught:
        asked(read(), routers=[f"{SITE}.AuthRouter", path])
    assert str(caught.value) == message


# Objects, rebuilt


def the_call(decision, routers):
    """How a router is called for a decision: its arguments."""
    recording = Recording(read="replica1", relation=True, migrate=True)
    routers(recording)
    assert asked(decision).same == 1
    [call] = recording.calls
    return call


def test_an_object_is_as_it_was_recorded(routers):
    ref = InstanceRef(model="library.Book", pk="42", state_db="replica1", adding=False)
    model, hints = the_call(read(hints={"instance": ref, "extra": "x", "n": 3, "none": None}), routers)
    book = hints.pop("instance")
    assert model is type(book) is Book
    assert (book.pk, book.id, book._state.db, book._state.adding) == (42, 42, "replica1", False)
    assert hints == {"extra": "x", "n": 3, "none": None}
    assert book == Book(pk=42)
    assert is_rebuilt(book)
    assert not is_rebuilt(Book())
    assert not is_rebuilt("book")


def test_an_unsaved_object_has_no_key(routers):
    ref = InstanceRef(model="library.Book_tags", pk=None, state_db=None, adding=True)
    book = the_call(read(hints={"instance": ref}), routers)[1]["instance"]
    assert (book.pk, book._state.db, book._state.adding) == (None, None, True)


def a_model(name, *bases, **fields):
    options = type("Meta", (), {"app_label": "notes"})
    return type(name, bases or (models.Model,), {"__module__": __name__, "Meta": options} | fields)


def a_pair():
    key = models.CompositePrimaryKey("a", "b")
    return a_model("Pair", pk=key, a=models.IntegerField(), b=models.DateField())


@isolate_apps("example_site.notes")
def test_keys_of_every_kind_are_converted():
    parent = a_model("Parent", id=models.UUIDField(primary_key=True))
    child = a_model("Child", parent)
    when = a_model("When", at=models.DateTimeField(primary_key=True))
    registry = DecisionRebuilder()
    registry.models |= {"Parent": parent, "Child": child, "When": when, "Pair": a_pair()}

    def key(model, pk):
        made = registry._rebuild_instance(InstanceRef(model=model, pk=pk, state_db=None, adding=False))
        return made.pk

    one = uuid.uuid4()
    assert key("Parent", str(one)) == key("Child", str(one)) == one
    now = dt.datetime.now(dt.UTC)
    assert key("When", str(now)) == now
    assert key("Pair", '["1", "2026-11-22"]') == (1, dt.date(2026, 11, 22))
    ref = InstanceRef(model="Child", pk=str(one), state_db=None, adding=False)
    made = registry._rebuild_instance(ref)
    assert made.id == made.parent_ptr_id == one
    with reconstruct.PATCHES, guard.guard_question() as watch:
        made = registry._rebuild_instance(ref)
        assert made.id == made.pk == one
        made = registry._rebuild_instance(msgspec.structs.replace(ref, pk=None))
        with pytest.raises(guard.DatabaseAccessBlocked):
            getattr(made, "pk", None)
    assert watch.reason == "A router read parent_ptr_id of a notes.Child, which the trace does not hold."


@pytest.mark.parametrize("pk", [None, "***", "forty-two"])
def test_a_key_that_the_trace_does_not_hold_is_only_missed_where_it_is_read(routers, pk):
    ref = InstanceRef(model="library.Book", pk=pk, state_db="replica1", adding=False)
    decision = read(hints={"instance": ref})
    routers(Asking(lambda model, hints: hints["instance"]._state.db))
    assert asked(decision).same == 1
    for look in (lambda book: book.pk, lambda book: getattr(book, "id", None), hash, Book(pk=1).__eq__):
        routers(Asking(lambda model, hints, look=look: "primary" if look(hints["instance"]) else "archive"))
        assert reason(decision) == "A router read id of a library.Book, which the trace does not hold."


@isolate_apps("example_site.notes")
@pytest.mark.parametrize("pk", ["1", '["1"]', "{}", '["x", "y"]'])
def test_a_composite_key_that_is_none_is_missed(pk):
    registry = DecisionRebuilder()
    registry.models["Pair"] = a_pair()
    made = registry._rebuild_instance(InstanceRef(model="Pair", pk=pk, state_db=None, adding=False))
    assert not {"a", "b"} & set(made.__dict__)


BOOK = InstanceRef(model="library.Book", pk="42", state_db="replica1", adding=False)
UNSAVED = InstanceRef(model="library.Book", pk=None, state_db=None, adding=True)


@pytest.mark.parametrize("ref", [BOOK, UNSAVED])
@pytest.mark.parametrize(
    ("look", "read_of_it"),
    [
        (lambda book: book.title, "title"),
        (lambda book: getattr(book, "title", None), "title"),
        (lambda book: book.author, "author_id"),
        (lambda book: book.author_id, "author_id"),
        (str, "title"),
        (lambda book: book.tenant, "tenant"),
    ],
)
def test_a_router_that_reads_what_the_trace_does_not_hold_is_stopped(routers, ref, look, read_of_it):
    routers(Asking(lambda model, hints: look(hints["instance"]) and "primary"))
    assert reason(read(hints={"instance": ref})) == (
        f"A router read {read_of_it} of a library.Book, which the trace does not hold."
    )


def test_reloading_an_object_is_reading_it(routers):
    routers(Asking(lambda model, hints: hints["instance"].refresh_from_db()))
    assert reason(read(hints={"instance": BOOK})) == "A router reloaded a library.Book."
    routers(Asking(lambda model, hints: async_to_sync(hints["instance"].arefresh_from_db)()))
    assert reason(read(hints={"instance": BOOK})) == "A router reloaded a library.Book."


def test_an_attribute_that_is_missing_elsewhere_is_an_error(routers):
    routers(Asking(lambda model, hints: model.tenant))
    assert asked(read(hints={"instance": BOOK})).changes[0].to.startswith("AttributeError: ")

    def does(model, hints):
        try:
            return hints["instance"].tenant
        except AttributeError as error:
            raise LookupError("no tenant") from error

    routers(Asking(does))
    assert "tenant of a library.Book" in reason(read(hints={"instance": BOOK}))


def test_other_objects_load_their_fields_as_ever(site, routers):
    routers(Asking(lambda model, hints: Book(title="x").title and "replica1"))
    assert asked(read()).same == 1
    pk = Book.objects.using("primary").first().pk

    def traces():
        book = Book.objects.using("primary").defer("title").get(pk=pk)
        assert book.title
        yield a_trace(events=[read()])

    assert replay(traces()).same == 1


def test_an_object_that_a_router_has_kept_loads_its_fields_later(site, routers):
    pk = Book.objects.using("primary").first().pk
    kept = []
    routers(Asking(lambda model, hints: kept.append(hints["instance"]) or "replica1"))
    ref = InstanceRef(model="library.Book", pk=str(pk), state_db="primary", adding=False)
    assert asked(read(hints={"instance": ref})).same == 1
    assert kept[0].title == Book.objects.using("primary").first().title


def test_relations_are_asked_about_two_objects(routers):
    book, person, hints = the_call(relation(), routers)
    assert (type(book), type(person), hints) == (Book, Person, {})
    assert book._state.db == person._state.db == "primary"
    assert the_call(relation(hints={"shard": 3}), routers)[2] == {"shard": 3}
    routers(Constant(relation=False))
    [change] = plain(asked(relation()))
    assert change["model"] == "library.Book + library.Person"


def test_migrations_are_asked_as_they_were(routers):
    assert the_call(migration(), routers) == ("primary", "library", {"model_name": "book", "model": Book})
    assert the_call(migration(None, "Book"), routers) == ("primary", "library", {"model_name": "Book"})
    assert the_call(migration(None, None, hints={"phase": 2}), routers) == (
        "primary",
        "library",
        {"phase": 2},
    )
    routers(Constant(migrate=False))
    found = asked(migration(), migration(None, "Book"), migration(None, None), migration(db="archive"))
    assert {(c["model"], c["db"]) for c in plain(found)} == {
        ("library.Book", "primary"), ("library.Book", "archive"), ("library", "primary")
    }  # fmt: skip


def test_the_database_cache_is_asked_about_like_a_model(routers):
    [model, _hints] = the_call(read(model="django_cache.CacheEntry"), routers)
    assert (model._meta.app_label, model._meta.model_name) == ("django_cache", "cacheentry")


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        (read(model="libary.Book"), "There is no model 'libary.Book'."),
        (read(model=None), "The trace does not say which model was asked about."),
        (read(hints={"instance": msgspec.structs.replace(BOOK, model="old.Book")}),
         "There is no model 'old.Book'."),
        (read(hints={"request": TypeRef(type="django.http.HttpRequest")}),
         "Of 'request' the trace holds only its type, django.http.HttpRequest."),
        (read(hints={"tenant": "***"}), "The value of 'tenant' is masked."),
        (read(hints={"tenants": ["a"]}), "The trace does not hold 'tenants'."),
        (relation(args=None), "The trace does not hold 'obj1'."),
        (relation(args={"obj1": BOOK, "obj2": None}), "The trace does not hold 'obj2'."),
        (relation(args={"obj1": BOOK, "obj2": TypeRef(type="a.B")}),
         "Of 'obj2' the trace holds only its type, a.B."),
        (migration(args=None), "The trace does not hold 'db'."),
        (migration(db=TypeRef(type="a.B")), "Of 'db' the trace holds only its type, a.B."),
        (migration(model_name=5), "The trace does not hold 'model_name'."),
        (migration("old.Book"), "There is no model 'old.Book'."),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_again_has_a_reason(decision, why):
    assert reason(decision, decision) == why


# No database is reached


def tagging():
    Tag(name="left by a router").save(using="primary")


def primary(method):
    getattr(connections["primary"], method)()


async def atagging():
    await Tag(name="left by a router").asave(using="primary")


REACHING = {
    "a queryset": lambda: Tag.objects.using("primary").first(),
    "a write": tagging,
    "a cursor": lambda: query("primary"),
    "ensure_connection": lambda: primary("ensure_connection"),
    "connect": lambda: primary("connect"),
    "a new connection": lambda: connections.create_connection("primary").cursor(),
    "a copied connection": lambda: connections["primary"].copy().cursor(),
    "commit": lambda: transaction.commit(using="primary"),
    "rollback": lambda: transaction.rollback(using="primary"),
    "atomic": lambda: transaction.atomic(using="primary").__enter__(),
    "on_commit": lambda: transaction.on_commit(print, using="primary"),
    "a schema editor": lambda: connections["primary"].schema_editor().__enter__(),
    "introspection": lambda: len(connections["primary"].introspection.table_names()),
    "a related manager": lambda: Book(pk=1).tags.using("primary").count(),
    "async": async_to_sync(atagging),
    "sync_to_async": lambda: asyncio.run(sync_to_async(tagging)()),
    "to_thread": lambda: asyncio.run(asyncio.to_thread(tagging)),
    "a thread": lambda: in_thread(tagging),
    "a timer": lambda: run_timer(tagging),
    "a new pool": lambda: run_pool(tagging),
    "a thread in a thread": lambda: in_thread(in_thread, tagging),
}


def run_timer(function):
    timer = threading.Timer(0, function)
    timer.start()
    timer.join()


def run_pool(function):
    with ThreadPoolExecutor(2) as pool:
        return in_pool(pool, function)


@pytest.fixture
def opened(monkeypatch):
    """The aliases of connections that are opened."""
    aliases = []
    original = DatabaseWrapper.get_new_connection

    def get_new_connection(self, params):
        aliases.append(self.alias)
        return original(self, params)

    monkeypatch.setattr(DatabaseWrapper, "get_new_connection", get_new_connection)
    return aliases


def swallowing(function):
    """A router's ``try`` that catches everything."""

    def swallow():
        with contextlib.suppress(BaseException):
            function()
        return "replica1"

    return swallow


@pytest.mark.parametrize("swallow", [False, True])
@pytest.mark.parametrize("reach", REACHING)
def test_a_router_that_reaches_for_a_database_is_stopped(site, routers, opened, reach, swallow):
    does = swallowing(REACHING[reach]) if swallow else REACHING[reach]
    routers(Asking(lambda model, hints: does()))
    connections.close_all()
    opened.clear()
    why = reason(read())
    assert why == "A router queried primary.", why
    assert opened == []
    assert not Tag.objects.using("primary").filter(name="left by a router").exists()


def test_open_connections_are_out_of_reach_and_come_back(site, routers, opened):
    seen = []
    mine = connections["primary"]

    def does(model, hints):
        other = connections["primary"]
        seen.append((other is mine, other.connection, other.in_atomic_block, other.vendor))
        return "replica1"

    routers(Asking(does))
    with transaction.atomic(using="primary"):
        Tag(name="mine").save(using="primary")
        assert asked(read()).same == 1
        assert connections["primary"] is mine
        assert Tag.objects.using("primary").filter(name="mine").exists()
    assert seen == [(False, None, False, "sqlite")]
    assert connections["primary"] is mine


def test_what_a_router_has_kept_open_is_stopped_too(site, routers):
    held = connections["primary"]
    cursor = held.cursor()
    tag = "INSERT INTO library_tag (name) VALUES ('left by a router')"
    for method in (
        lambda: held.cursor(),  # noqa: PLW0108 - looked up while it is guarded
        lambda: held.commit(),  # noqa: PLW0108
        lambda: held.rollback(),  # noqa: PLW0108
        lambda: held.set_autocommit(False),
        lambda: held.close_if_health_check_failed(),  # noqa: PLW0108
        lambda: cursor.execute(tag),
        lambda: cursor.executemany(tag, [()]),
        lambda: cursor.callproc("left"),
    ):
        routers(Asking(lambda model, hints, method=method: method()))
        assert reason(read()) == "A router queried primary."
    assert not Tag.objects.using("primary").filter(name="left by a router").exists()
    assert cursor.execute("SELECT 1").fetchone() == (1,)


def test_a_connection_that_a_router_keeps_from_a_replay_works_afterwards(site, routers):
    kept = []
    routers(Asking(lambda model, hints: kept.append(connections["primary"]) or "replica2"))
    assert asked(read()).same == 1
    kept[0].inc_thread_sharing()  # it was made on the thread that asked
    with kept[0].cursor() as cursor:
        assert cursor.execute("SELECT 1").fetchone() == (1,)
    kept[0].close()


def test_a_pool_made_before_and_used_while_asked_is_guarded_only_then(site, routers):
    pool = ThreadPoolExecutor(1)
    try:
        assert pool.submit(query, "primary").result() == (1,)
        routers(Asking(lambda model, hints: in_pool(pool, tagging)))
        assert reason(read()) == "A router queried primary."
        assert pool.submit(query, "primary").result() == (1,)
    finally:
        pool.submit(connections.close_all).result()
        pool.shutdown()


def test_a_worker_that_a_replay_started_serves_others_afterwards(site, routers):
    pool = ThreadPoolExecutor(1)
    try:
        routers(Asking(lambda model, hints: in_pool(pool, str, "replica2")))
        assert asked(read()).same == 1
        assert pool.submit(query, "primary").result() == (1,)
    finally:
        pool.submit(connections.close_all).result()
        pool.shutdown()


def test_a_thread_that_outlives_the_question_is_stopped_still(site, routers, opened):
    go = threading.Event()
    threads = []

    def does(model, hints):
        thread = threading.Thread(target=lambda: go.wait(PATIENCE_SECONDS) and tagging())
        thread.start()
        threads.append(thread)
        return "replica1"

    routers(Asking(does))
    assert asked(read()).same == 1
    opened.clear()
    go.set()
    threads[0].join()
    assert opened == []
    assert not Tag.objects.using("primary").filter(name="left by a router").exists()


def test_other_threads_go_on_as_ever_while_a_replay_runs(site, routers):
    asking, done = threading.Event(), threading.Event()
    outcome = []

    def visit_archive():
        try:
            return query("archive")
        finally:
            connections.close_all()

    def other():
        asking.wait(PATIENCE_SECONDS)
        with ThreadPoolExecutor(1) as pool:
            outcome.append((query("primary"), in_thread(visit_archive), in_pool(pool, query, "auth_db")))
            in_pool(pool, connections.close_all)
        connections.close_all()
        done.set()

    def does(model, hints):
        asking.set()
        done.wait(PATIENCE_SECONDS)
        return "replica1"

    thread = threading.Thread(target=other)
    thread.start()
    routers(Asking(does))
    assert asked(read()).same == 1
    thread.join()
    assert outcome == [((1,), [(1,)], (1,))]


def test_reading_the_traces_and_telling_progress_may_use_databases(site, routers):
    routers(Constant(read="replica2"))

    def traces():
        for number in range(3):
            assert query("primary") == (1,)
            yield a_trace(number, events=[read()])

    found = replay(traces(), progress=lambda asked: query("archive"))
    assert found.same == 3


def test_nothing_of_it_stays(site, routers):
    places = [
        (BaseDatabaseWrapper, "connect"),
        (BaseDatabaseWrapper, "ensure_connection"),
        (CursorWrapper, "execute"),
        (CursorWrapper, "callproc"),
        (threading.Thread, "start"),
        (ThreadPoolExecutor, "submit"),
    ]
    before = [owner.__dict__[name] for owner, name in places]
    routers(Asking(lambda model, hints: in_thread(tagging)))
    asked(read())
    assert [owner.__dict__[name] for owner, name in places] == before
    assert "routers" not in type(router).__dict__


def test_a_thread_that_cannot_start_leaves_nothing_behind(routers):
    def does(model, hints):
        thread = threading.Thread(target=str)
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError):
            thread.start()
        return "replica1"

    routers(Asking(does))
    assert asked(read()).same == 1
    assert not hasattr(threading.Thread.start, "__wrapped__")


def test_the_message_of_an_error_may_not_query_either(routers):
    library = {"query": query}
    source = "class Curious(Exception):\n    def __str__(self):\n        return str(query('primary'))"
    exec(compile(source, "/python/site-packages/curious.py", "exec"), library)
    routers(Constant(read=library["Curious"]("x")))
    assert reason(read()) == "A router queried primary."


def test_the_projects_own_message_of_an_error_is_not_asked_for(routers):
    times = []

    class Curious(Exception):
        def __str__(self):
            times.append(query("primary"))
            return "x"

    routers(Constant(read=Curious("x")))
    found = asked(read())
    assert [change.to for change in found.changes] == ["Curious"]
    assert (found.not_replayable, times) == (0, [])


def test_guarding_lets_through_what_is_no_question(site):
    with guard_databases(), ThreadPoolExecutor(1) as pool:
        assert query("primary") == (1,)
        with connections["primary"].cursor() as cursor:
            assert cursor.execute(sql="SELECT %s", params=[2]).fetchone() == (2,)
        assert pool.submit(dict, of="a call").result() == {"of": "a call"}
        connections.close_all()


def test_a_call_in_a_pool_is_guarded_until_its_end_and_no_longer(site, routers):
    go = threading.Event()
    pool = ThreadPoolExecutor(1)
    calls = []

    def works(seconds, *, of):
        go.wait(seconds)
        return of

    def does(model, hints):
        calls.append(pool.submit(works, 10, of="a router"))
        return "replica1"

    routers(Asking(does))
    assert asked(read()).same == 1
    assert hasattr(ThreadPoolExecutor.submit, "__wrapped__")
    go.set()
    pool.shutdown()
    assert calls[0].result() == "a router"
    assert not hasattr(ThreadPoolExecutor.submit, "__wrapped__")


# Patches


class Owner:
    def method(self):
        return "own"


class Heir(Owner):
    pass


def patches(owner):
    return Patches(((lambda: (owner, "method")), lambda original: lambda self: f"patched {original(self)}"))


@pytest.mark.parametrize("owner", [Owner, Heir])
def test_patches_stay_while_somebody_holds_them(owner):
    own = dict(owner.__dict__)
    patched = patches(owner)
    with patched, patched:
        assert owner().method() == "patched own"
    assert owner().method() == "own"
    patched.hold()
    with patched:
        pass
    assert owner().method() == "patched own"
    patched.release()
    assert dict(owner.__dict__) == own


def test_what_somebody_else_patched_meanwhile_stays(monkeypatch):
    # It stays patched at the end, and so by ours too, which theirs calls: of other tests that is the class.
    own = Owner.method
    try:
        with patches(Owner):
            ours = Owner.method
            monkeypatch.setattr(Owner, "method", lambda self: f"theirs {ours(self)}")
        assert Owner().method() == "theirs patched own"
    finally:
        monkeypatch.undo()
        Owner.method = own


# How much, how fast

A_DECISION = 110
"""Calls of functions, with those that make the trace that it is of."""


def test_a_decision_is_asked_again_with_few_calls_however_many_there_are():
    """How many seconds a hundred thousand take ``make bench`` says."""
    decisions = [
        a_decision(1),
        write(id=2, hints={"instance": BOOK}),
        relation(id=3),
        migration(id=4, answer=True),
        read(id=5, model="auth.User", answer="auth_db"),
    ]
    found = []

    def ask(traces: int) -> None:
        found.append(replay(a_trace(events=decisions * 20) for _ in range(traces)))

    few, many = count_calls(lambda: ask(5)), count_calls(lambda: ask(20))
    assert (found[0].asked, found[1].asked) == (500, 2000)
    assert all(one.same == one.asked for one in found)
    assert many - few < 1500 * A_DECISION


@pytest.fixture
def untraced_threads():
    """Where coverage is measured, it keeps something for each thread, and each trace has a thread."""
    tracer = threading.gettrace()
    threading.settrace(None)
    yield
    threading.settrace(tracer)


@pytest.mark.usefixtures("untraced_threads")
def test_memory_does_not_grow_with_the_number_of_traces(routers):
    class Numbered:
        numbers = count()

        def db_for_read(self, model, **hints):
            raise LookupError(f"{next(self.numbers)}")

    routers(Numbered())

    def objects_after(number):
        seen = []
        traces = (a_trace(events=[read(), write(), read(model="x.Y")] * 5) for _ in range(number))
        replay(
            traces,
            progress=lambda asked: seen.append(len(gc.get_objects())) if asked == 15 * number else None,
        )
        return seen[0]

    objects_after(5)
    gc.collect()
    few = objects_after(10)
    gc.collect()
    many = objects_after(400)
    assert many - few < 200
