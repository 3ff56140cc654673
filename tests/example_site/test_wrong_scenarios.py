"""The scenarios in which something is wrong: what they leave in their traces, and what is found in it."""

from __future__ import annotations

import pytest
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import reverse

from dbroute_panel.records import Action, DecidedBy, Level, Operation, Outcome, RouteKind
from example_site import replication
from example_site.library.models import Book, Person, Tag
from example_site.scenarios import SCENARIOS
from example_site.scenarios.lagging_replicas import NEW, OLD
from example_site.scenarios.running import run

pytestmark = pytest.mark.unmeasured

READ, WRITE, RELATION, MIGRATE = Action
REPLICAS = {"replica1", "replica2"}
STATIC = ("contrib-split: ", "contenttypes-on-several: ")


@pytest.fixture
def ran(site, store):
    """Runs a scenario; its parts, each with its traces as the store has them."""

    def parts_of(number):
        parts = run(SCENARIOS[number])
        assert [part.error for part in parts] == [None] * len(parts)
        return [(part, [store.get(trace_id) for trace_id in part.traces]) for part in parts]

    return parts_of


def codes(*traces, levels=(Level.WARNING, Level.ERROR)):
    return {found.code for trace in traces for found in trace.findings if found.level in levels}


def of(trace, code):
    """The only finding with this code, and its events."""
    (found,) = (found for found in trace.findings if found.code == code)
    return found, [event for event in trace.events if event.id in found.events]


@pytest.mark.parametrize("number", SCENARIOS)
def test_exactly_what_is_wrong_is_found(ran, number):
    traces = [trace for _, traces in ran(number) for trace in traces]
    assert traces
    assert codes(*traces) == SCENARIOS[number].expected_findings


def test_22_a_foreign_key_across_databases(ran):
    ((part, (trace,)),) = ran(22)
    assert part.lines[0].startswith("Known before anything runs: users.Loan.book points from legacy_users")
    failed = [(query.alias, query.model, query.error) for query in trace.queries if query.error]
    assert [
        (alias if alias not in REPLICAS else "replica", model, error.partition(":")[0])
        for alias, model, error in failed
    ] == [
        ("legacy_users", "users.Loan", "OperationalError"),
        ("replica", "library.Book", "OperationalError"),
        ("auth_db", "library.Review", "OperationalError"),
    ]
    missing = [found for found in trace.findings if found.code == "missing-table"]
    tables = ("library_book", "users_loan", "library_review")
    assert [table in found.message for found, table in zip(missing, tables, strict=True)] == [True] * 3
    assert [found.events[-1] for found in missing] == [query.id for query in trace.queries if query.error]
    # The reviews went where the content type was deleted: no router was asked about them.
    passed_on = next(one for one in trace.decisions if one.model == "contenttypes.ContentType" and one.hints)
    assert [len(found.events) for found in missing] == [1, 1, 2]
    assert missing[2].events[0] == passed_on.id
    assert "the alias of db_for_write(contenttypes.ContentType)" in missing[2].message

    refused, (_, _, decision) = of(trace, "relation-refused")
    assert decision.router == "example_site.routers.UserRouter"
    assert (decision.args["obj1"].model, decision.args["obj2"].model) == ("library.Book", "users.Loan")
    assert "UserRouter refused it" in refused.message
    # By its key it is read after all, by a query of its own, with the loan as a hint.
    followed = next(d for d in trace.decisions if "instance" in d.hints and d.model == "library.Book")
    assert followed.hints["instance"].model == "users.Loan"
    assert followed.answer in REPLICAS
    # What was written by the cascade before it failed was undone.
    assert [(event.alias, event.operation) for event in trace.transactions] == [
        ("auth_db", Operation.BEGIN),
        ("auth_db", Operation.ROLLBACK),
    ]
    assert ContentType.objects.using("auth_db").filter(app_label="cinema").exists()
    assert part.lines[-2].startswith("Where the subquery says using(), Django refuses: ValueError: ")


def test_23_contrib_apps_that_belong_together(ran):
    parts = {part.settings.rpartition(".")[2]: part for part, _ in ran(23)}
    found = {name: [line for line in part.lines if line.startswith(STATIC)] for name, part in parts.items()}
    said = {name: [line.split(",")[0] for line in lines] for name, lines in found.items()}
    assert said == {
        "contenttypes_apart": [
            "contrib-split: admin.LogEntry is on auth_db",
            "contrib-split: auth.Permission is on auth_db",
        ],
        "admin_apart": ["contrib-split: admin.LogEntry is on archive"] * 2,
        "sites_apart": [
            "contrib-split: flatpages.FlatPage is on archive",
            "contrib-split: redirects.Redirect is on archive",
        ],
        "contenttypes_twice": ["contenttypes-on-several: ContentType has a table on archive"],
    }


def test_23_the_trace_has_where_each_model_goes(ran):
    for part, (trace,) in ran(23):
        assert {decision.action for decision in trace.decisions} == {WRITE}
        answers = {decision.model: decision.answer for decision in trace.decisions}
        assert [f"{label} is written to {alias}" for label, alias in answers.items()] == [
            line for line in part.lines if not line.startswith(STATIC)
        ]
        assert answers["auth.User"] == "auth_db"
        moved = {
            "contenttypes_apart": "contenttypes.ContentType",
            "admin_apart": "admin.LogEntry",
            "sites_apart": "flatpages.FlatPage",
        }.get(part.settings.rpartition(".")[2])
        assert moved is None or answers[moved] == "archive"


def test_25_a_page_that_shows_the_old_row(ran):
    ((part, (saving, later)),) = ran(25)
    assert part.lines == [
        f"On primary, the book is “{NEW}” now",
        f"The page that saved it shows “{OLD}”",
        f"The next page, when the replicas have caught up: “{NEW}”",
    ]
    book = Book.objects.using("primary").get(title=NEW)
    assert (saving.request.method, saving.request.path) == ("POST", f"/books/{book.pk}/title/")
    found, (write, *reads) = of(saving, "stale-read")
    assert (write.alias, write.operation, write.instance.pk) == ("primary", "UPDATE", str(book.pk))
    assert {read.alias for read in reads} <= REPLICAS
    assert {read.model for read in reads} == {"library.Book"}
    assert all(read.id > write.id for read in reads)
    assert f"library.Book #{book.pk} was written on primary" in found.message
    assert codes(later, levels=Level) == set()
    # The lag is what it was.
    assert replication.lag() == 0
    assert Book.objects.get(pk=book.pk).title == NEW


@pytest.mark.parametrize("lag", [0, 3600, None])
def test_25_whatever_the_lag_is_before(ran, lag):
    replication.set_lag(lag)
    for _again in range(2):
        ((part, _),) = ran(25)
        assert [NEW in line for line in part.lines] == [True, False, True]
        assert replication.lag() == lag


def test_25_the_same_page_for_a_person(site, store):
    pk = Book.objects.using("primary").get(title=OLD).pk
    url = reverse("book-title", args=[pk])
    client = Client(REMOTE_ADDR="192.0.2.1", SERVER_NAME="localhost")
    assert url in client.get(reverse("book", args=[pk])).content.decode()
    replication.set_lag(None)
    response = client.post(url, {"title": NEW})
    assert (OLD in response.content.decode(), NEW in response.content.decode()) == (True, False)
    assert codes(store.get(response["Dbroute-Trace-Id"])) == {"stale-read"}
    replication.replicate()
    assert NEW in client.get(reverse("book", args=[pk])).content.decode()
    assert client.post(url, {"title": ""}).status_code == 400
    assert client.get(url).status_code == 405


def test_26_transactions_of_other_databases(ran):
    ((part, (trace,)),) = ran(26)
    begin, *_ = trace.transactions
    outside, (opened, write) = of(trace, "write-outside-atomic")
    assert opened == begin
    assert (opened.alias, opened.operation) == ("auth_db", Operation.BEGIN)
    assert (write.alias, write.model, write.atomic) == ("primary", "library.Tag", False)
    assert "written on primary in autocommit while a transaction was open on auth_db" in outside.message
    assert Tag.objects.using("primary").filter(name="brass").exists()

    _, events = of(trace, "partial-commit")
    ends = [(event.alias, event.operation) for event in events if event in trace.transactions]
    assert ends == [
        ("archive", Operation.BEGIN),
        ("primary", Operation.BEGIN),
        ("primary", Operation.ROLLBACK),
        ("archive", Operation.COMMIT),
    ]
    assert not Tag.objects.using("primary").filter(name="copper").exists()
    assert Person.objects.using("archive").filter(name="Quentin").exists()
    assert part.lines[-1] == "On archive there is 1 person more, on primary there are 0 tags more"


def test_27_routers_that_misbehave(ran):
    ((_, (trace,)),) = ran(27)
    routers = dict(
        zip(("raising", "querying", "nowhere", "random", "pinning", "reading"), trace.routers, strict=False)
    )

    def decisions(model, action=READ):
        return [d for d in trace.decisions if (d.model, d.action) == (model, action)]

    def step(decision, router):
        return next(step for step in decision.steps if step.router == routers[router])

    (raised,) = decisions("library.Review")
    assert (raised.decided_by, raised.answer) == (DecidedBy.ERROR, None)
    assert step(raised, "raising").outcome is Outcome.RAISED
    assert step(raised, "raising").error == "KeyError: 'library.Review'"
    assert {one.outcome for one in raised.steps[1:]} == {Outcome.NOT_ASKED}
    assert of(trace, "router-raised")[1] == [raised]

    (asked,) = decisions("users.User")
    _, (deciding, inside) = of(trace, "router-queried")
    assert deciding == asked
    assert (inside.parent_id, inside.alias, inside.route) == (asked.id, "new_users", RouteKind.CURSOR)

    (nowhere,) = decisions("library.Book")
    assert (nowhere.router, nowhere.answer) == (routers["nowhere"], "nowhere")
    assert of(trace, "unknown-alias")[1] == [nowhere]

    drawn = decisions("library.Person")
    assert {decision.answer for decision in drawn} == {"primary", "archive"}
    assert {decision.router for decision in drawn} == {routers["random"]}
    assert of(trace, "random-route")[0].level is Level.INFO

    # What a thread remembers is seen in the answers; within one replica group that is nothing wrong.
    before, after = decisions("library.Tag")
    (pinned, *_) = decisions("library.Tag", WRITE)
    assert (before.answer, pinned.answer, after.answer) == ("replica1", "primary", "primary")
    assert before.id < pinned.id < after.id

    (note,) = decisions("notes.Note", WRITE)
    assert step(note, "reading").outcome is Outcome.NO_METHOD
    assert note.decided_by is DecidedBy.DEFAULT
    assert of(trace, "empty-default")[1] == [note]
