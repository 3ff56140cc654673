"""What each scenario leaves in its trace. The buttons on the front page run the same code."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from django.db import connections
from django.db.utils import ConnectionDoesNotExist

from dbroute_panel.records import (
    Action,
    DecidedBy,
    Decision,
    ExceptionRaised,
    InstanceRef,
    Operation,
    Outcome,
    RouteKind,
)
from example_site.library.models import Book, Person
from example_site.notes.models import Note
from example_site.scenarios import GROUPS, SCENARIOS
from example_site.scenarios.running import run
from example_site.users.models import User
from tests.errors import recorded

AUTH = "example_site.routers.AuthRouter"
USERS = "example_site.routers.UserRouter"
LIBRARY = "example_site.routers.PrimaryReplicaRouter"
ROUTERS = [AUTH, USERS, LIBRARY]
REPLICAS = {"replica1", "replica2"}
READ, WRITE, RELATION, MIGRATE = Action


@pytest.fixture
def traces(site, store):
    """Runs a scenario and returns its traces, as the store has them, in the order in which they were made."""

    def traces_of(number):
        parts = run(SCENARIOS[number])
        assert [part.error for part in parts] == [None] * len(parts)
        assert all(part.lines for part in parts)
        return [store.get(trace_id) for part in parts for trace_id in part.traces]

    return traces_of


@pytest.fixture
def only_trace(traces):
    """Runs a scenario and returns its trace, which is the only one."""

    def trace_of(number):
        (trace,) = traces(number)
        assert trace.name == SCENARIOS[number].name
        assert trace.kind == SCENARIOS[number].kind
        assert trace.request is None
        assert trace.dropped.query == trace.dropped.decision == trace.dropped.transaction == 0
        return trace

    return trace_of


def by_id(trace, event_id):
    return next(event for event in trace.events if event.id == event_id)


def asked(trace):
    """What was asked, and what settled it, in order."""
    return [(decision.action, decision.model, decision.decided_by) for decision in trace.decisions]


def ran(trace):
    """What ran where, in order; a replica is either of the two."""
    return [
        (query.operation, query.model, "replica" if query.alias in REPLICAS else query.alias, query.route)
        for query in trace.queries
    ]


def passed(*routers):
    return [(router, Outcome.PASSED) for router in routers]


def chain(decision):
    return [(step.router, step.outcome) for step in decision.steps]


def answered_by(router):
    """The chain of the site's three routers when this one answers."""
    place = ROUTERS.index(router)
    return (
        passed(*ROUTERS[:place])
        + [(router, Outcome.ANSWERED)]
        + [(later, Outcome.NOT_ASKED) for later in ROUTERS[place + 1 :]]
    )


NOBODY = passed(*ROUTERS)


def test_01_many_databases_in_one_request(traces):
    (trace,) = traces(1)
    assert (trace.kind, trace.request.method, trace.request.path) == ("request", "GET", "/databases/")
    assert (trace.request.view, trace.request.status) == ("example_site.core.ordinary.databases", 200)
    (replica,) = {query.alias for query in trace.queries} & REPLICAS
    assert Counter(query.alias for query in trace.queries) == {
        "auth_db": 1,
        replica: 1,
        "primary": 1,
        "archive": 2,
        "legacy_users": 1,
        "new_users": 1,
    }
    assert all(query.duration_us > 0 for query in trace.queries)
    assert {alias: database.vendor for alias, database in trace.databases.items()} == {
        "default": "unknown",
        **dict.fromkeys(["auth_db", "primary", "replica1", "replica2"], "sqlite"),
        **dict.fromkeys(["archive", "legacy_users", "new_users"], "sqlite"),
    }
    assert {
        alias: database.replica_of for alias, database in trace.databases.items() if database.replica_of
    } == {
        "replica1": "primary",
        "replica2": "primary",
    }
    assert trace.routers == ROUTERS


def test_02_nobody_claims_the_model_and_default_is_empty(only_trace):
    trace = only_trace(2)
    (decision,) = trace.decisions
    assert (decision.action, decision.model) == (READ, "notes.Note")
    assert chain(decision) == NOBODY
    assert (decision.decided_by, decision.answer) == (DecidedBy.DEFAULT, "default")
    assert decision.callsite.file == "example_site/scenarios/several_databases.py"
    assert decision.callsite.function == "nobody_claims_it"
    assert trace.queries == []
    assert trace.databases["default"].engine == "django.db.backends.dummy"


def test_03_a_database_that_does_not_exist(traces):
    using, by_alias, books = traces(3)
    with pytest.raises(ConnectionDoesNotExist) as raised:
        connections["nowhere"]
    missing = recorded(raised.value)
    for trace, path, route in (
        (using, "/nowhere/using/", RouteKind.EXPLICIT),
        (by_alias, "/nowhere/connections/", RouteKind.CURSOR),
    ):
        assert (trace.request.path, trace.request.status) == (path, 500)
        assert trace.decisions == []
        query = trace.queries[0]
        assert (query.alias, query.route, query.error) == ("nowhere", route, missing)
        assert query.callsite.file.startswith("example_site/")

    assert (books.queries[0].alias, books.queries[0].error) == ("nowhere", missing)
    assert books.queries[0].decision_id == books.decisions[0].id
    assert (books.request.path, books.request.status) == ("/books/", 500)
    assert books.routers == ["example_site.routers.NowhereRouter", *ROUTERS]
    decision = books.decisions[0]
    assert chain(decision) == [
        ("example_site.routers.NowhereRouter", Outcome.ANSWERED),
        *((router, Outcome.NOT_ASKED) for router in ROUTERS),
    ]
    assert (decision.decided_by, decision.answer) == (DecidedBy.ROUTER, "nowhere")
    assert "nowhere" not in books.databases
    assert decision.callsite.file == "example_site/library/views.py"
    assert decision.callsite.template[0].endswith("library/books.html")


def test_07_an_object_sticks_to_its_database(only_trace):
    trace = only_trace(7)
    _, read_note, update, delete = trace.queries
    assert ran(trace) == [
        ("SELECT", "library.Book", "archive", RouteKind.EXPLICIT),
        ("SELECT", "notes.Note", "archive", RouteKind.INSTANCE),
        ("UPDATE", "notes.Note", "archive", RouteKind.INSTANCE),
        ("DELETE", "notes.Note", "archive", RouteKind.INSTANCE),
    ]
    for decision in trace.decisions:
        assert chain(decision) == NOBODY

    reading, saving, deleting = (by_id(trace, query.decision_id) for query in (read_note, update, delete))
    assert (reading.action, saving.action, deleting.action) == (READ, WRITE, WRITE)
    for decision in (reading, saving, deleting):
        assert (decision.decided_by, decision.answer) == (DecidedBy.INSTANCE, "archive")
    book = reading.hints["instance"]
    assert (book.model, book.state_db, book.origin_id) == ("library.Book", "archive", None)
    note = saving.hints["instance"]
    assert (note.model, note.state_db, note.adding, note.origin_id) == (
        "notes.Note",
        "archive",
        False,
        reading.id,
    )
    # Saving put the alias into _state.db again.
    assert deleting.hints["instance"].state_db == "archive"
    assert deleting.hints["instance"].origin_id == saving.id
    assert update.instance == note
    assert (update.rowcount, delete.rowcount) == (1, 1)


def test_08_one_app_on_a_database_of_its_own(only_trace):
    trace = only_trace(8)
    assert {decision.action for decision in trace.decisions} == set(Action)
    for decision in trace.decisions:
        assert chain(decision) == answered_by(USERS)
        assert decision.decided_by is DecidedBy.ROUTER
        assert decision.answer == ("legacy_users" if decision.action.names_alias else True)
    assert [decision.action for decision in trace.decisions] == [READ, WRITE, RELATION, WRITE, *[MIGRATE] * 3]
    assert {query.alias for query in trace.queries} == {"legacy_users"}

    read, assign, relate, save, *migrate = trace.decisions
    assert assign.hints["instance"].model == "users.User"
    assert assign.hints["instance"].origin_id == read.id
    assert (relate.args["obj1"].model, relate.args["obj2"].model) == ("users.User", "users.Card")
    assert save.hints["instance"].origin_id == assign.id
    assert [decision.args for decision in migrate] == [
        {"db": "legacy_users", "app_label": "users", "model_name": name} for name in ("user", "card", "loan")
    ]
    insert = next(query for query in trace.queries if query.writes)
    assert (insert.decision_id, insert.route) == (save.id, RouteKind.ROUTER)


def test_09_four_answers_to_allow_relation(only_trace):
    trace = only_trace(9)
    yes, no, equal, different = (decision for decision in trace.decisions if decision.action is RELATION)
    assert chain(yes) == answered_by(LIBRARY)
    assert (yes.decided_by, yes.answer) == (DecidedBy.ROUTER, True)
    assert chain(no) == answered_by(USERS)
    assert (no.decided_by, no.answer) == (DecidedBy.ROUTER, False)
    assert chain(equal) == NOBODY
    assert (equal.decided_by, equal.answer) == (DecidedBy.SAME_DATABASE, True)
    assert chain(different) == NOBODY
    assert (different.decided_by, different.answer) == (DecidedBy.SAME_DATABASE, False)

    def ends(decision):
        return [(end.model, end.state_db) for end in (decision.args["obj1"], decision.args["obj2"])]

    assert all(decision.hints == {} for decision in (yes, no, equal, different))
    (author, replica), (book, alias) = ends(yes)
    assert (author, book, alias) == ("library.Person", "library.Book", "primary")
    assert replica in REPLICAS
    assert ends(no)[1] == ("users.Loan", "legacy_users")
    assert ends(equal) == [("library.Book", "archive"), ("notes.Note", "archive")]
    assert ends(different)[0][1] in REPLICAS
    assert ends(different)[1] == ("notes.Note", "archive")

    # Where each object came from: what was read by name of the database came from no decision.
    for decision, origins in ((yes, (READ, WRITE)), (no, (READ, WRITE)), (different, (READ, WRITE))):
        ends_of = (decision.args["obj1"], decision.args["obj2"])
        assert tuple(by_id(trace, end.origin_id).action for end in ends_of) == origins
    assert equal.args["obj1"].origin_id is None
    note = by_id(trace, equal.args["obj2"].origin_id)
    assert (note.action, note.decided_by, note.answer) == (WRITE, DecidedBy.INSTANCE, "archive")


def test_10_allow_migrate_says_no(only_trace, site):
    trace = only_trace(10)
    about_the_library = [
        d for d in trace.decisions if d.action is MIGRATE and d.args["app_label"] == "library"
    ]
    assert [d.args["model_name"] for d in about_the_library] == ["person", "tag", "review", "book"]
    for decision in about_the_library:
        assert decision.args["db"] == "auth_db"
        assert chain(decision) == answered_by(LIBRARY)
        assert (decision.decided_by, decision.answer) == (DecidedBy.ROUTER, False)
    assert {query.alias for query in trace.queries} == {"auth_db"}
    assert not {query.operation for query in trace.queries} & {"CREATE", "ALTER", "DROP"}
    applied = [query for query in trace.queries if query.model == "migrations.Migration" and query.writes]
    assert [query.operation for query in applied] == ["INSERT"]
    # It ran on a copy: the site itself knows nothing of it.
    with closing(sqlite3.connect(site / "auth_db.sqlite3")) as connection:
        sql = "SELECT count(*) FROM django_migrations WHERE app = 'library'"
        assert connection.execute(sql).fetchone() == (0,)


def test_11_what_the_routers_are_told(only_trace):
    trace = only_trace(11)
    first, *rest = trace.decisions
    assert first.hints == {}
    for decision in trace.decisions:
        assert decision.action is READ
        assert chain(decision) == answered_by(LIBRARY)

    book = InstanceRef(
        model="library.Book", pk=first_pk(), state_db=first.answer, adding=False, origin_id=first.id
    )
    forward = next(d for d in rest if d.model == "library.Person")
    assert forward.hints == {"instance": book}
    reverse = [d for d in rest if d.model == "library.Book" and "instance" in d.hints]
    assert reverse
    for decision in reverse:
        author = decision.hints["instance"]
        assert (author.model, author.state_db, author.origin_id) == (
            "library.Person",
            forward.answer,
            forward.id,
        )
    many_to_many = next(d for d in rest if d.model == "library.Tag")
    assert many_to_many.hints == {"instance": book}
    generic = next(d for d in rest if d.model == "library.Review")
    assert generic.hints == {"instance": book}
    assert rest[-1].hints == {"shelf": "fantasy", "floor": 2, "open": True}
    assert [type(value) for value in rest[-1].hints.values()] == [str, int, bool]

    # A generic relation looks its content type up where the object is; nobody is asked.
    content_types = [query for query in trace.queries if query.model == "contenttypes.ContentType"]
    assert [query.alias for query in content_types] == list(dict.fromkeys([first.answer, generic.answer]))
    assert content_types[0].decision_id == first.id


def first_pk():
    return str(Book.objects.using("primary").get(title="Small Gods").pk)


def test_12_the_order_of_the_routers(traces):
    in_order, swapped = traces(12)
    everything = "example_site.routers.EverythingRouter"
    assert (in_order.routers, swapped.routers) == ([AUTH, everything], [everything, AUTH])

    book, fred = in_order.decisions
    assert (book.model, book.router) == ("library.Book", everything)
    assert (fred.model, fred.answer) == ("auth.User", "auth_db")
    assert chain(fred) == [(AUTH, Outcome.ANSWERED), (everything, Outcome.NOT_ASKED)]
    assert [query.error for query in in_order.queries] == [None, None]

    book, fred = swapped.decisions
    assert (book.model, book.router) == ("library.Book", everything)
    assert fred.model == "auth.User"
    assert fred.answer in REPLICAS
    assert chain(fred) == [(everything, Outcome.ANSWERED), (AUTH, Outcome.NOT_ASKED)]
    failed = swapped.queries[-1]
    assert (failed.alias, failed.decision_id) == (fred.answer, fred.id)
    assert failed.error.startswith("OperationalError: ")
    assert "auth_user" in failed.error


def test_12_a_replay_says_beforehand_what_the_other_order_changes(site, store):
    in_order, swapped = run(SCENARIOS[12])
    for part in (in_order, swapped):
        assert part.lines[-2] == "Replayed with the routers in reverse order: 1 the same, 1 changed"
    assert re.fullmatch(
        r"db_for_read\(auth\.User\): auth_db -> replica[12], from example_site/.*router_order\.py:\d+",
        in_order.lines[-1],
    )
    assert re.fullmatch(r"db_for_read\(auth\.User\): replica[12] -> auth_db, from .*", swapped.lines[-1])


def test_13_the_walk_through(only_trace):
    trace = only_trace(13)
    assert asked(trace) == [
        (READ, "auth.User", DecidedBy.ROUTER),
        (WRITE, "auth.User", DecidedBy.ROUTER),
        (READ, "library.Person", DecidedBy.ROUTER),
        (WRITE, "library.Book", DecidedBy.ROUTER),
        (RELATION, None, DecidedBy.ROUTER),
        (WRITE, "library.Book", DecidedBy.ROUTER),
        (READ, "library.Book", DecidedBy.ROUTER),
    ]
    read_fred, save_fred, read_dna, assign, relate, save_mh, read_mh = trace.decisions
    assert [decision.router for decision in trace.decisions] == [AUTH, AUTH, *[LIBRARY] * 5]
    assert (read_fred.answer, save_fred.answer) == ("auth_db", "auth_db")
    fred = save_fred.hints["instance"]
    assert (fred.model, fred.state_db, fred.origin_id) == ("auth.User", "auth_db", read_fred.id)

    assert read_dna.answer in REPLICAS
    dna = assign.hints["instance"]
    assert (dna.model, dna.state_db, dna.origin_id) == ("library.Person", read_dna.answer, read_dna.id)
    assert assign.answer == "primary"

    # The assignment bound mh, which was unsaved, before the two were compared.
    assert relate.args["obj1"] == dna
    mh = relate.args["obj2"]
    assert (mh.model, mh.pk, mh.state_db, mh.adding, mh.origin_id) == (
        "library.Book",
        None,
        "primary",
        True,
        assign.id,
    )
    assert relate.answer is True
    assert save_mh.hints["instance"] == mh
    assert save_mh.answer == "primary"
    assert read_mh.answer in REPLICAS
    assert read_mh.hints == {}

    assert ran(trace) == [
        ("SELECT", "auth.User", "auth_db", RouteKind.ROUTER),
        ("UPDATE", "auth.User", "auth_db", RouteKind.ROUTER),
        ("SELECT", "library.Person", "replica", RouteKind.ROUTER),
        ("INSERT", "library.Book", "primary", RouteKind.ROUTER),
        ("SELECT", "library.Book", "replica", RouteKind.ROUTER),
    ]
    deciders = [read_fred, save_fred, read_dna, save_mh, read_mh]
    assert [query.decision_id for query in trace.queries] == [decision.id for decision in deciders]
    assert [query.alias for query in trace.queries] == [decision.answer for decision in deciders]
    assert trace.queries[3].instance == mh
    assert {query.callsite.function for query in trace.queries} == {"walk_through"}


def test_13_reads_from_both_replicas_when_it_is_run_often(traces):
    chosen = {query.alias for _ in range(12) for (trace,) in [traces(13)] for query in trace.queries}
    assert chosen == {"auth_db", "primary", "replica1", "replica2"}


def test_14_all_and_using(only_trace):
    trace = only_trace(14)
    (decision,) = trace.decisions
    assert chain(decision) == answered_by(LIBRARY)
    assert ran(trace) == [
        ("SELECT", "library.Book", "replica", RouteKind.ROUTER),
        ("SELECT", "library.Book", "primary", RouteKind.EXPLICIT),
        ("SELECT", "library.Book", "archive", RouteKind.EXPLICIT),
    ]
    assert [query.decision_id for query in trace.queries] == [decision.id, None, None]


def test_15_save_using(only_trace):
    trace = only_trace(15)
    assert trace.decisions == []
    assert ran(trace) == [("INSERT", "users.User", "legacy_users", RouteKind.EXPLICIT)]
    (insert,) = trace.queries
    assert insert.writes
    assert (insert.instance.model, insert.instance.state_db, insert.instance.adding) == (
        "users.User",
        None,
        True,
    )
    assert User.objects.using("legacy_users").filter(username="margaret").exists()


def test_16_moving_an_object(only_trace):
    trace = only_trace(16)
    assert trace.decisions == []
    assert {query.route for query in trace.queries} == {RouteKind.EXPLICIT}
    writes = [query for query in trace.queries if query.writes]
    assert [(query.operation, query.alias) for query in writes] == [
        *[("INSERT", "primary")] * 3,
        ("INSERT", "archive"),  # Wilma
        ("UPDATE", "archive"),  # Fred, over Wilma
        ("INSERT", "archive"),  # Barney, without a key
        ("INSERT", "archive"),  # Fred, refused
        ("INSERT", "archive"),  # Betty
    ]
    *_, wilma, overwriting, without_key, refused, forced = writes
    assert (wilma.instance.adding, wilma.instance.state_db) == (True, None)
    assert overwriting.rowcount == 1
    assert overwriting.instance == InstanceRef(
        model="library.Person", pk=wilma.instance.pk, state_db="primary", adding=False
    )
    assert (without_key.instance.pk, without_key.instance.state_db) == (None, "primary")
    assert refused.error.startswith("IntegrityError: ")
    assert forced.error is None
    assert (forced.instance.state_db, forced.instance.adding) == ("primary", False)
    assert [query.error for query in trace.queries if query is not refused] == [None] * (
        len(trace.queries) - 1
    )

    archived = dict(Person.objects.using("archive").values_list("name", "pk"))
    assert "Wilma" not in archived
    assert archived["Fred"] == int(wilma.instance.pk)
    assert archived["Betty"] == int(forced.instance.pk)


def test_16_finds_free_keys_whatever_was_written_to_the_archive_before(traces):
    for number in (26, 26, 16, 26, 16):
        traces(number)


def test_17_delete_and_delete_using(only_trace):
    trace = only_trace(17)
    (decision,) = trace.decisions
    assert (decision.action, decision.model, decision.answer) == (WRITE, "users.User", "legacy_users")
    assert chain(decision) == answered_by(USERS)
    arthur = decision.hints["instance"]
    assert (arthur.model, arthur.state_db, arthur.origin_id) == ("users.User", "legacy_users", None)
    assert {query.alias for query in trace.queries} == {"legacy_users"}
    deletion = [("DELETE", f"users.{name}") for name in ("Card", "Loan", "User")]
    assert [(query.operation, query.model) for query in trace.queries] == [
        ("SELECT", "users.User"),
        *deletion,
        ("SELECT", "users.User"),
        *deletion,
    ]
    asked_for, named = trace.queries[1:4], trace.queries[5:]
    assert {(query.route, query.decision_id) for query in asked_for} == {(RouteKind.ROUTER, decision.id)}
    assert {(query.route, query.decision_id) for query in named} == {(RouteKind.EXPLICIT, None)}
    assert [(event.alias, event.operation, event.transaction_number) for event in trace.transactions] == [
        ("legacy_users", Operation.BEGIN, 1),
        ("legacy_users", Operation.COMMIT, 1),
        ("legacy_users", Operation.BEGIN, 2),
        ("legacy_users", Operation.COMMIT, 2),
    ]
    assert [query.transaction_number for query in trace.queries] == [None, 1, 1, 1, None, 2, 2, 2]
    assert not User.objects.filter(username__in=["arthur", "tricia"]).exists()


def test_18_a_managers_own_method(only_trace):
    trace = only_trace(18)
    assert trace.decisions == []
    assert ran(trace) == [("INSERT", "users.User", "new_users", RouteKind.EXPLICIT)]
    assert trace.queries[0].callsite.function == "create_user"
    assert User.objects.using("new_users").filter(username="margaret").exists()
    assert not User.objects.using("legacy_users").filter(username="margaret").exists()


def test_19_a_manager_that_forgets_its_database(only_trace):
    trace = only_trace(19)
    assert ran(trace) == [
        ("SELECT", "library.Book", "archive", RouteKind.EXPLICIT),
        ("SELECT", "library.Book", "replica", RouteKind.ROUTER),
    ]
    (decision,) = trace.decisions
    assert (decision.action, decision.model) == (READ, "library.Book")
    assert trace.queries[1].decision_id == decision.id


def test_20_two_admin_sites(traces):
    requests = traces(20)
    assert [(trace.request.method, trace.request.status) for trace in requests] == [
        ("GET", 200),
        ("GET", 200),
        ("POST", 302),
        ("POST", 302),
    ] * 2
    for site, alias, of_site in (
        ("/admin/", "legacy_users", requests[:4]),
        ("/new-users-admin/", "new_users", requests[4:]),
    ):
        assert all(trace.request.path.startswith(f"{site}users/user/") for trace in of_site)
        changelist, form, save, delete = of_site
        for trace in of_site:
            assert not [query for query in trace.queries if query.error]
            of_readers = [query for query in trace.queries if query.model.startswith("users.")]
            # Who is logged in, and what they did, is where AuthRouter says.
            others = [query for query in trace.queries if query not in of_readers]
            assert {(query.alias, query.route) for query in others} == {("auth_db", RouteKind.ROUTER)}
            routed = [query for query in of_readers if query.route is not RouteKind.EXPLICIT]
            assert {query.alias for query in of_readers if query not in routed} == {alias}
            if trace is delete:
                # What else would go is looked for where the routers say, not where the row is.
                assert [(q.alias, q.operation, q.model) for q in routed] == [
                    ("legacy_users", "SELECT", "users.Card"),
                    ("legacy_users", "SELECT", "users.Loan"),
                ]
            else:
                assert routed == []
        assert {q.model for q in changelist.queries if q.alias == alias} == {"users.User"}
        assert {q.model for q in form.queries if q.alias == alias} == {"users.User", "users.Card"}

        def writes(trace, alias=alias):
            return [(q.operation, q.model) for q in trace.queries if q.writes and q.alias == alias]

        assert writes(save) == [("UPDATE", "users.User"), ("INSERT", "users.Card")]
        assert writes(delete) == [("DELETE", f"users.{name}") for name in ("Card", "Loan", "User")]
        for trace in (save, delete):
            log_entry = next(query for query in trace.queries if query.model == "admin.LogEntry")
            assert (log_entry.alias, log_entry.atomic) == ("auth_db", False)
            # The admin's transaction is where the routers would write, whatever its class says.
            begun = [event.alias for event in trace.transactions if event.operation is Operation.BEGIN]
            assert begun[0] == "legacy_users"
    new_save = requests[6]
    assert [query.atomic for query in new_save.queries if query.writes] == [False, False, False]


def test_21_raw_sql(only_trace):
    trace = only_trace(21)
    counted, raw, many = trace.queries
    (decision,) = trace.decisions
    assert (counted.alias, counted.route, counted.decision_id) == ("primary", RouteKind.CURSOR, None)
    assert counted.model is None
    assert (raw.alias, raw.route, raw.decision_id) == (decision.answer, RouteKind.ROUTER, decision.id)
    assert raw.alias in REPLICAS
    assert (raw.model, raw.params) == ("library.Book", ("1980",))
    assert (many.alias, many.route, many.many, many.writes) == ("primary", RouteKind.CURSOR, True, True)
    assert many.params == (["brass"], ["copper"])
    assert many.rowcount == 2
    assert not counted.many
    assert not raw.many


def test_24_what_django_makes_after_migrate(only_trace):
    trace = only_trace(24)
    made = {
        table: {query.alias for query in trace.queries if query.sql.startswith(f'INSERT INTO "{table}"')}
        for table in ("django_site", "django_content_type", "auth_permission")
    }
    assert made == {
        "django_site": {"auth_db", "primary"},
        "django_content_type": {"auth_db"},
        "auth_permission": {"auth_db"},
    }
    assert {query.alias for query in trace.queries} == {"auth_db", "primary"}

    def answers(app_label, alias):
        return {
            (decision.decided_by, decision.answer)
            for decision in trace.decisions
            if decision.action is MIGRATE
            and decision.args["app_label"] == app_label
            and decision.args["db"] == alias
        }

    assert answers("contenttypes", "auth_db") == answers("auth", "auth_db") == {(DecidedBy.ROUTER, True)}
    assert answers("contenttypes", "primary") == answers("auth", "primary") == {(DecidedBy.ROUTER, False)}
    assert answers("sites", "auth_db") == answers("sites", "primary") == {(DecidedBy.ALLOWED, True)}
    sites = [query for query in trace.queries if query.sql.startswith('INSERT INTO "django_site"')]
    assert {query.route for query in sites} == {RouteKind.EXPLICIT}


def test_28_requests_at_once_under_wsgi_and_asgi(traces):
    found = traces(28)
    markers = [trace.request.path.split("/")[3] for trace in found]
    both = ["plain", "async", "gathered", "threads"]
    assert markers == [
        *(f"wsgi-{name}" for name in [*both, "streamed", "copied-context"]),
        *(f"asgi-{name}" for name in [*both, "async-streamed", "copied-context"]),
    ]
    for trace, marker in zip(found, markers, strict=True):
        assert (trace.kind, trace.request.status) == ("request", 200)
        assert [query.params for query in trace.queries] == [(marker,)] * 3
        assert Counter(query.model for query in trace.queries) == {
            "library.Book": 1,
            "library.Person": 1,
            "users.User": 1,
        }
        by_model = {query.model: query for query in trace.queries}
        assert by_model["library.Book"].alias in REPLICAS
        assert (by_model["users.User"].alias, by_model["library.Person"].alias) == ("legacy_users", "archive")
        assert by_model["library.Person"].route is RouteKind.EXPLICIT
        # Each of the others has its own decision, in the same trace.
        decisions = {decision.id: decision.model for decision in trace.decisions}
        linked = [query for query in trace.queries if query.decision_id]
        assert {query.decision_id: query.model for query in linked}.items() <= decisions.items()
        assert len(linked) == 2
        assert {query.callsite.file for query in trace.queries} == {"example_site/core/side_by_side.py"}
        assert trace.dropped.query == trace.dropped.decision == 0


def test_29_a_default_that_works(traces):
    without, passing = traces(29)
    assert without.routers == []
    assert passing.routers == ["example_site.routers.PassingRouter"]
    for trace in (without, passing):
        assert list(trace.databases) == ["default"]
        assert trace.databases["default"].vendor == "sqlite"
        assert asked(trace) == [
            (READ, "library.Book", DecidedBy.DEFAULT),
            (WRITE, "library.Book", DecidedBy.DEFAULT),
        ]
        assert [decision.answer for decision in trace.decisions] == ["default", "default"]
        assert ran(trace) == [("SELECT", "library.Book", "default", RouteKind.DEFAULT)]
        assert trace.queries[0].decision_id == trace.decisions[0].id
    assert [chain(decision) for decision in without.decisions] == [[], []]
    assert [chain(decision) for decision in passing.decisions] == [passed(*passing.routers)] * 2


def test_30_allow_migrate_has_no_opinion(only_trace, site):
    trace = only_trace(30)
    (decision,) = (d for d in trace.decisions if d.args["app_label"] == "notes")
    assert decision.args == {"db": "primary", "app_label": "notes", "model_name": "note"}
    assert chain(decision) == NOBODY
    assert (decision.decided_by, decision.answer) == (DecidedBy.ALLOWED, True)
    create, *_ = (query for query in trace.queries if query.operation == "CREATE")
    assert create.sql.startswith('CREATE TABLE "notes_note"')
    assert (create.alias, create.route, create.decision_id) == ("primary", RouteKind.SCHEMA, None)
    assert create.writes
    assert create.id > decision.id
    # It ran on a copy.
    assert "notes_note" not in connections["primary"].introspection.table_names()


def test_33_assigning_a_relation_binds_a_new_object(only_trace):
    trace = only_trace(33)
    bind, relate, save = trace.decisions
    assert asked(trace) == [
        (WRITE, "notes.Note", DecidedBy.INSTANCE),
        (RELATION, None, DecidedBy.SAME_DATABASE),
        (WRITE, "notes.Note", DecidedBy.INSTANCE),
    ]
    assert [chain(decision) for decision in trace.decisions] == [NOBODY] * 3
    book = bind.hints["instance"]
    assert (book.model, book.state_db, book.origin_id) == ("library.Book", "archive", None)
    assert bind.answer == "archive"
    assert relate.answer is True
    note = save.hints["instance"]
    assert relate.args == {"obj1": book, "obj2": note}
    assert (note.model, note.pk, note.state_db, note.adding) == ("notes.Note", None, "archive", True)
    assert note.origin_id == bind.id
    insert = trace.queries[-1]
    assert (insert.alias, insert.route, insert.decision_id) == ("archive", RouteKind.INSTANCE, save.id)
    assert Note.objects.using("archive").filter(text="Lent to Ford Prefect.").exists()


# All of them


def test_every_scenario_is_on_the_front_page_once():
    listed = [scenario.number for _, scenarios in GROUPS for scenario in scenarios]
    assert sorted(listed) == sorted(SCENARIOS)
    assert all(title for title, _ in GROUPS)


def test_every_row_that_there_should_be_is_there():
    assert set(SCENARIOS) == {*range(1, 34)}


@pytest.mark.parametrize("number", SCENARIOS)
def test_the_source_that_is_shown_is_the_code_that_runs(number):
    source = SCENARIOS[number].source
    assert source.startswith(f"def {SCENARIOS[number].function.__name__}(")
    compile(source, "<shown>", "exec")


@pytest.mark.parametrize("number", [n for n, scenario in SCENARIOS.items() if not scenario.has_own_process])
def test_a_scenario_can_be_run_again_and_looks_the_same(traces, number):
    def shape(trace):
        for event in trace.events:
            if isinstance(event, Decision):
                yield event.action, event.model, event.decided_by
            elif isinstance(event, ExceptionRaised):
                yield event.error.partition(":")[0], event.ended
            elif number not in (11, 25):  # the draw of the replicas says how many content types are read
                yield event.operation, "replica" if event.alias in REPLICAS else event.alias

    # Where a request asks on several threads at once, their order is nobody's.
    in_order = sorted if number == 28 else list
    looks = [[in_order(shape(trace)) for trace in traces(number)] for _ in range(3)]
    assert looks[0] == looks[1] == looks[2]
