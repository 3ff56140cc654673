"""Decisions asked again with the transactions open that were open when they were recorded."""

from __future__ import annotations

import asyncio
import contextvars

import msgspec
import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.utils.translation import override

from dbroute_panel import trace
from dbroute_panel.inspection.replay import replay
from dbroute_panel.records import Action, Operation
from example_site.library.models import Book, Tag
from tests.inspection.routers import Constant, Pinning
from tests.traces import a_decision, a_query, a_trace, a_transaction

BEGIN, COMMIT, ROLLBACK = Operation.BEGIN, Operation.COMMIT, Operation.ROLLBACK


class InAtomic:
    """What the page on replica-read-in-atomic recommends."""

    def __init__(self, alias="primary"):
        self.alias = alias

    def db_for_read(self, model, **hints):
        return "primary" if connections[self.alias].in_atomic_block else "replica1"

    def db_for_write(self, model, **hints):
        return "primary"


@pytest.fixture
def routers(settings):
    def use(*made):
        settings.DATABASE_ROUTERS = list(made)

    return use


def read(id, answer="replica1"):
    return a_decision(id, hints={}, answer=answer)


def query(id, alias="primary", **changes):
    return a_query(id, alias, **{"decision_id": None, "duration_us": 1} | changes)


def at(id, operation, alias="primary"):
    return msgspec.structs.replace(a_transaction(id, alias), operation=operation)


def asked(*events):
    return replay([a_trace(events=list(events))])


def inside_and_outside():
    Book.objects.first()
    with transaction.atomic(using="primary"):
        Book.objects.first()
        with transaction.atomic(using="primary"):
            Book.objects.first()
        Book.objects.first()
    Book.objects.first()
    with transaction.atomic(using="archive"):
        Book.objects.first()


def test_a_router_that_looks_whether_a_transaction_is_open_answers_as_it_did(site, routers):
    routers(InAtomic())
    with trace("t", keep=False) as t:
        inside_and_outside()
    answers = [decision.answer for decision in t.decisions]
    assert answers == ["replica1", "primary", "primary", "primary", "replica1", "replica1"]
    found = replay([t.document])
    assert (found.asked, found.same) == (6, 6)


def test_the_fix_that_replica_read_in_atomic_recommends_is_a_change(site, routers):
    routers(Constant(read="replica2"))
    with trace("t", keep=False) as t:
        inside_and_outside()
    routers(InAtomic())
    found = replay([t.document])
    assert [(change.before, change.to, change.count) for change in found.changes] == [
        ("replica2", "primary", 3)
    ]
    assert found.same == 3


def test_a_transaction_that_was_rolled_back_is_over(site, routers):
    routers(InAtomic())
    with trace("t", keep=False) as t:
        try:
            with transaction.atomic(using="primary"):
                Book.objects.first()
                raise ZeroDivisionError
        except ZeroDivisionError:
            Book.objects.first()
    assert [decision.answer for decision in t.decisions] == ["primary", "replica1"]
    assert replay([t.document]).same == 2


def test_hooks_after_a_commit_are_asked_outside_of_it(site, routers):
    routers(InAtomic())
    with trace("t", keep=False) as t, transaction.atomic(using="primary"):
        transaction.on_commit(Book.objects.first, using="primary")
        Tag.objects.first()
    assert [decision.answer for decision in t.decisions] == ["primary", "replica1"]
    assert replay([t.document]).same == 2


def test_a_transaction_that_began_before_the_trace_is_open_from_its_start(site, routers):
    routers(InAtomic())
    with transaction.atomic(using="primary"), trace("t", keep=False) as t:
        Book.objects.first()
        Book.objects.first()
    assert [decision.answer for decision in t.decisions] == ["primary", "primary"]
    assert replay([t.document]).same == 2
    # Only its end is in the trace.
    assert asked(read(1, "primary"), at(2, COMMIT), read(3)).same == 2
    assert asked(read(1), at(2, BEGIN), read(3, "primary"), at(4, ROLLBACK), read(5)).same == 3
    assert asked(read(1), query(2, atomic=False), at(3, BEGIN), read(4, "primary")).same == 2


def test_the_order_of_the_ids_counts_not_that_of_the_list(routers):
    routers(InAtomic())
    assert asked(read(3, "primary"), at(2, BEGIN), read(1)).same == 2


def test_the_callers_own_transactions_are_neither_seen_nor_touched(site, routers):
    routers(InAtomic())
    mine = connections["primary"]
    with transaction.atomic(using="primary"):
        Tag(name="mine").save(using="primary")
        assert asked(read(1), at(2, BEGIN, alias="archive"), read(3)).same == 2
        assert asked(read(1), at(2, BEGIN), read(3, "primary"), at(4, COMMIT)).same == 2
        assert connections["primary"] is mine
        assert mine.in_atomic_block
        assert Tag.objects.using("primary").filter(name="mine").exists()
    assert not mine.in_atomic_block


def test_nothing_is_opened_and_no_connection_is_made_where_no_transaction_was(site, routers):
    seen = []

    class Looking(InAtomic):
        def db_for_read(self, model, **hints):
            local = connections._connections
            seen.append(
                {alias: getattr(local, alias).connection for alias in connections if hasattr(local, alias)}
            )
            return "replica1"

    routers(Looking())
    assert asked(read(1)).same == 1
    assert asked(read(1), at(2, BEGIN), at(3, BEGIN, alias="archive"), read(4)).same == 2
    assert seen == [{}, {"primary": None, "archive": None}, {"primary": None, "archive": None}]


def test_what_a_router_leaves_on_such_a_connection_is_gone_afterwards(site, routers):
    ran, kept = [], []

    class Hooking(InAtomic):
        def db_for_read(self, model, **hints):
            transaction.on_commit(lambda: ran.append("hook"), using="primary")
            kept.append(connections["primary"])
            return super().db_for_read(model)

    routers(Hooking())
    assert asked(at(1, BEGIN), read(2, "primary")).same == 1
    [connection] = kept
    assert (connection.in_atomic_block, connection.run_on_commit, connection.connection) == (False, [], None)
    assert connection is not connections["primary"]
    with transaction.atomic(using="primary"):
        Tag.objects.using("primary").first()
    assert ran == []


def test_an_alias_that_is_no_longer_there_is_passed_over(routers):
    routers(InAtomic())
    assert asked(at(1, BEGIN, alias="gone"), read(2), at(3, BEGIN), read(4, "primary")).same == 2


WHOSE = (
    "A router looked whether a transaction is open on primary; several threads ran then, and the trace "
    "does not hold whose it was."
)


def test_whose_a_transaction_was_is_not_known_where_several_threads_ran(routers):
    routers(InAtomic())
    apart = [query(1, "archive", at_us=0, duration_us=90.0), query(2, "archive", at_us=95)]
    at_once = [query(1, "archive", at_us=0, duration_us=90.0), query(2, "archive", at_us=50)]
    rest = [read(3), at(4, BEGIN), read(5, "primary"), at(6, COMMIT), read(7)]
    assert asked(*apart, *rest).same == 3
    found = asked(*at_once, *rest)
    assert (found.same, found.not_replayable) == (2, 1)
    assert [reason.reason for reason in found.reasons] == [WHOSE]


def test_a_router_that_does_not_look_is_asked_whoever_the_transaction_was(routers):
    routers(InAtomic("archive"))
    at_once = [query(1, "archive", at_us=0, duration_us=90.0, atomic=False), query(2, "archive", at_us=50)]
    assert asked(*at_once, at(4, BEGIN), read(5)).same == 1


def test_a_connection_kept_from_such_a_trace_is_an_ordinary_one_afterwards(site, routers):
    kept = []

    class Keeping(InAtomic):
        def db_for_read(self, model, **hints):
            kept.append((connections["primary"], type(connections["primary"])))
            return "replica1"

    routers(Keeping())
    at_once = [query(1, "archive", at_us=0, duration_us=90.0), query(2, "archive", at_us=50)]
    assert asked(*at_once, at(4, BEGIN), read(5)).same == 1
    [(connection, then)] = kept
    assert type(connection) is type(connections["primary"]) is not then
    assert issubclass(then, type(connection))
    assert connection.in_atomic_block is False


def test_outside_of_a_question_the_class_tells_what_is_so(routers):
    seen = []

    class Elsewhere(InAtomic):
        def db_for_read(self, model, **hints):
            connection = connections["primary"]
            # A context that the question is not asked in.
            seen.append(contextvars.Context().run(lambda: connection.in_atomic_block))
            return "replica1"

    routers(Elsewhere())
    at_once = [query(1, "archive", at_us=0, duration_us=90.0), query(2, "archive", at_us=50)]
    assert asked(*at_once, at(4, BEGIN), read(5)).same == 1
    assert seen == [False]


@pytest.mark.parametrize("how", ["context", "thread"])
def test_what_a_router_pins_is_pinned_for_its_trace_alone(routers, how):
    routers(Pinning(how))
    write = a_decision(2, action=Action.WRITE, hints={}, answer="primary")
    events = [read(1, "archive"), write, read(3, "primary")]
    assert replay([a_trace(number, events=events) for number in range(1, 4)]).same == 9


def test_what_was_pinned_elsewhere_is_said_to_be_in_no_trace(routers):
    routers(InAtomic())
    [note] = asked(read(1, "primary"), read(2)).notes
    assert note == (
        "Reads that went to a primary would go to its replica. If middleware had pinned them there (in a "
        "thread-local, a context variable or a cookie): that is in no trace, and nothing was pinned now."
    )
    assert asked(read(2)).notes == []


OTHERS_CHOICE = (
    "Another database would be answered. If other code than the routers had chosen it then (in a "
    "thread-local or a context variable, as for a customer): that is in no trace, and nothing was chosen now."
)


def test_what_other_code_chose_is_said_to_be_in_no_trace(routers, settings):
    routers(InAtomic())
    write = a_decision(1, action=Action.WRITE, hints={}, answer="archive")
    for events in ([read(1, "archive")], [at(1, BEGIN), read(2)], [write]):
        assert asked(*events).notes == [OTHERS_CHOICE]
        assert replay([a_trace(events=list(events))], routers=[f"{__name__}.InAtomic"]).notes == []
    first, second = asked(read(1, "primary"), read(2, "archive")).notes
    assert (first[:5], second) == ("Reads", OTHERS_CHOICE)
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {}}
    assert asked(read(1, "primary")).notes == [OTHERS_CHOICE]


def test_nothing_of_it_where_no_database_is_answered_for_another(routers):
    class Refusing:
        def allow_migrate(self, db, app_label, **hints):
            return False

        def db_for_read(self, model, **hints):
            raise LookupError

    routers(Refusing())
    migrate = a_decision(1, action=Action.MIGRATE, model=None, hints={}, answer=True)
    migrate = msgspec.structs.replace(migrate, args={"db": "primary", "app_label": "library"})
    found = asked(migrate, read(2))
    assert (found.changed, found.notes) == (2, [])


def test_what_is_pinned_where_the_replay_is_asked_for_is_not_seen_by_it(routers):
    pinning = Pinning("context")
    routers(pinning)
    events = [read(1, pinning.db_for_read(Book))]
    context = contextvars.copy_context()
    context.run(pinning.db_for_write, Book)
    assert context.run(pinning.db_for_read, Book) != events[0].answer
    assert context.run(replay, [a_trace(events=events)]).same == 1
    with override("de"):
        assert "Aufzeichnung" in asked(read(1, "nowhere")).notes[0]


async def test_an_async_view_in_a_transaction(site, routers):
    routers(InAtomic())

    def visit():
        with transaction.atomic(using="primary"):
            Book.objects.first()

    with trace("t", keep=False) as t:
        await asyncio.gather(sync_to_async(visit)(), sync_to_async(visit)())
    assert [decision.answer for decision in t.decisions] == ["primary", "primary"]
    assert replay([t.document]).same == 2
