"""``dbroute explain`` asks the real routers of the example site."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from django.core.management import call_command
from django.db import connections, router
from django.db.utils import ConnectionRouter

from dbroute_panel import explain, records, trace
from dbroute_panel.cli.explain import build_question
from dbroute_panel.inspection.arguments import ObjectSource, ObjectSpec
from dbroute_panel.inspection.explain import Question
from dbroute_panel.management.commands.dbroute import Command
from dbroute_panel.views.sandbox import as_command
from example_site.library.models import Book


def without_times(text):
    return re.sub(r" +[\d,.]+ us", " 0 us", text)


def test_the_answer_and_the_chain(dbroute):
    done = dbroute("explain", "library.Book", "db_for_write")
    assert (done.err, done.code) == ("", 0)
    assert without_times(done.out).splitlines() == [
        "library.Book would be written to primary.",
        "PrimaryReplicaRouter answered primary. AuthRouter and UserRouter had no opinion.",
        "",
        "  AuthRouter            passed 0 us  example_site/routers.py:18",
        "  UserRouter            passed 0 us  example_site/routers.py:44",
        "  PrimaryReplicaRouter  answered  primary 0 us  example_site/routers.py:73",
    ]


def test_json_is_a_decision(dbroute):
    done = dbroute("explain", "library.Book", "db_for_write", "--format", "json")
    decision = records.msgspec.convert(json.loads(done.out), records.Decision)
    build_question = explain("library.Book", "db_for_write")
    assert (decision.action, decision.answer, decision.decided_by) == ("db_for_write", "primary", "router")
    assert [step.source for step in decision.steps] == [step.source for step in build_question.steps]
    assert json.loads(done.out)["type"] == "decision"
    assert (decision.id, decision.at_us) == (1, 0)


def test_json_of_many_is_the_decision_and_the_answers(dbroute):
    done = dbroute("explain", "library.Book", "db_for_read", "--repeat", 60, "--format", "json")
    found = json.loads(done.out)
    assert list(found) == ["decision", "answers"]
    assert [list(entry) for entry in found["answers"]] == [["answer", "count"]] * 2
    assert {entry["answer"] for entry in found["answers"]} == {"replica1", "replica2"}
    assert sum(entry["count"] for entry in found["answers"]) == 60


def test_shares(dbroute):
    lines = dbroute("explain", "library.Book", "db_for_read", "--repeat", "200").out.splitlines()
    place = lines.index("Asked 200 times:")
    shares = [
        re.fullmatch(r"  (replica[12])  +(\d+)  +([\d.]+)%", line).groups() for line in lines[place + 1 :]
    ]
    assert {alias for alias, _, _ in shares} == {"replica1", "replica2"}
    assert sum(int(count) for _, count, _ in shares) == 200
    assert all(float(percent) == int(count) / 2 for _, count, percent in shares)


def test_an_instance_said_to_come_from_a_database_costs_no_query(site, store):
    with trace("watching", keep=False) as t:
        call_command("dbroute", "explain", "notes.Note", "db_for_write", "--instance-db", "archive")
    assert t.queries == []


def test_the_instance_settles_it(dbroute):
    out = dbroute("explain", "notes.Note", "db_for_write", "--instance-db", "archive").out
    assert out.startswith("notes.Note would be written to archive.\nNo router had an opinion. Django took")
    assert "instance = notes.Note without a key, _state.db = archive\n" in out


def test_a_real_row_is_one_query_on_that_database(site, store, capsys):
    pk = Book.objects.using("archive").first().pk
    with trace("watching", keep=False) as t:
        call_command("dbroute", "explain", "library.Book", "db_for_write", instance_db="archive", pk=pk)
    assert [(query.alias, query.route) for query in t.queries] == [("archive", "explicit")]
    assert f"instance = library.Book #{pk}, _state.db = archive\n" in capsys.readouterr().out


def test_a_row_that_is_not_there(dbroute):
    done = dbroute("explain", "library.Book", "db_for_write", "--instance-db", "archive", "--pk", "4711")
    assert done.code == 2
    assert done.err == "CommandError: archive has no library.Book with the primary key '4711'.\n"


def test_hints_are_json(dbroute):
    done = dbroute(
        *("explain", "library.Book", "db_for_read", "--format", "json"),
        *("--hint", 'tenant="acme"', "--hint", "floor=2", "--hint", "open=true", "--hint", "nobody=null"),
    )
    assert json.loads(done.out)["hints"] == {"tenant": "acme", "floor": 2, "open": True, "nobody": None}
    assert (
        'tenant = "acme"\n'
        in dbroute("explain", "library.Book", "db_for_read", "--hint", 'tenant="acme"').out
    )


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        (
            ["tenant=acme"],
            "--hint tenant=acme: the value is no JSON. Text is put in double quotes: --hint tenant='",
        ),
        (["tenant"], "--hint tenant: give a name and a value, such as --hint tenant="),
        (["a b=1"], "--hint a b=1: give a name and a value"),
        (["a=1", "a=2"], "--hint a was given twice."),
        (["a=" + "[" * 100_000], "--hint a=["),
    ],
)
def test_hints_that_are_none(dbroute, hints, message):
    done = dbroute(
        "explain", "library.Book", "db_for_read", *[part for hint in hints for part in ("--hint", hint)]
    )
    assert done.code == 2
    assert done.err.startswith(f"CommandError: {message}")
    assert done.err.count("\n") == 1


def test_allow_relation(dbroute):
    done = dbroute(
        *("explain", "library.Book", "allow_relation", "--instance-db", "primary"),
        *("--with", "users.User", "--with-db", "legacy_users"),
    )
    assert done.out.startswith(
        "A relation of library.Book without a key and users.User without a key would be refused.\n"
        "UserRouter answered False. AuthRouter had no opinion.\n"
    )
    assert "PrimaryReplicaRouter  not asked" in done.out
    new = dbroute("explain", "library.Book", "allow_relation", "--with", "library.Tag")
    assert new.out.startswith("A relation of new library.Book and new library.Tag would be allowed.\n")


def test_allow_migrate(dbroute):
    assert dbroute("explain", "library", "allow_migrate", "--db", "primary").out.startswith(
        "library on primary: migrate.\n"
    )
    assert dbroute("explain", "library.Book", "allow_migrate", "--db", "auth_db").out.startswith(
        "library.Book on auth_db: skip.\n"
    )
    named = dbroute(
        "explain",
        "library.Book",
        "allow_migrate",
        "--db",
        "auth_db",
        "--model-name",
        "Thing",
        "--format",
        "json",
    )
    assert json.loads(named.out)["args"] == {"db": "auth_db", "app_label": "library", "model_name": "Thing"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["db_for_read", "--pk", "1"], "--pk needs --instance-db: the database that has the row."),
        (["db_for_read", "--with", "library.Tag"], "--with belongs to allow_relation, not to db_for_read."),
        (["db_for_read", "--with-db", "primary"], "--with-db needs --with: the model of the second object."),
        (
            ["db_for_read", "--db", "primary"],
            "db and model_name belong to allow_migrate, not to db_for_read.",
        ),
        (["allow_relation"], "allow_relation is asked about two objects: give --with MODEL."),
        (["allow_relation", "--with", "library.Tog"], "No model 'library.Tog'. Did you mean 'library.Tag'?"),
        (["allow_migrate"], "allow_migrate is asked about a database: give --db ALIAS."),
        (["db_for_read", "--repeat", "0"], "--repeat 0: give a whole number of at least 1."),
        (["db_for_read", "--repeat", "1001"], "Ask 1 to 1000 times, not 1001."),
        (["db_for_read", "--instance-db", "primry"], "No database 'primry'. Did you mean 'primary'?"),
    ],
)
def test_what_does_not_go_together(dbroute, arguments, message):
    done = dbroute("explain", "library.Book", *arguments)
    assert (done.out, done.err, done.code) == ("", f"CommandError: {message}\n", 2)


@pytest.mark.parametrize(
    "question",
    [
        Question(model="library.Book", action="db_for_read"),
        Question(
            model="library.Book",
            action="db_for_write",
            instance=ObjectSpec(ObjectSource.FROM, "archive"),
            repeat=7,
        ),
        Question(
            model="library.Book",
            action="db_for_read",
            instance=ObjectSpec(ObjectSource.ROW, "primary", "1 2"),
        ),
        Question(model="library.Book", action="db_for_read", hints={"tenant": "it's", "floor": [1, None]}),
        Question(model="library", action="allow_migrate", db="primary", model_name="Book"),
        Question(
            model="library.Book",
            action="allow_relation",
            instance=ObjectSpec(ObjectSource.NEW),
            other_model="library.Tag",
            other=ObjectSpec(ObjectSource.FROM, "primary"),
        ),
        Question(
            model="library.Book",
            action="allow_relation",
            instance=ObjectSpec(ObjectSource.ROW, "primary", "1"),
            other_model="library.Tag",
            other=ObjectSpec(ObjectSource.NEW),
        ),
    ],
)
def test_the_line_that_the_sandbox_shows_asks_the_same(question):
    program, command, *words = shlex.split(as_command(question))
    assert (program, command) == ("manage.py", "dbroute")
    options = vars(Command().create_parser(program, command).parse_args(words))
    assert build_question(options) == question


def test_a_router_that_raises_is_an_answer(dbroute, settings, monkeypatch):
    class Raising:
        def db_for_read(self, model, **hints):
            raise LookupError("no shard for it")

    monkeypatch.setitem(router.__dict__, "routers", [Raising()])
    assert isinstance(router, ConnectionRouter)
    done = dbroute("explain", "library.Book", "db_for_read", "--repeat", "3")
    assert done.code == 0
    assert done.out.startswith("db_for_read(library.Book): no answer.\nRaising raised LookupError: no shard")
    assert 'raise LookupError("no shard for it")' in done.out
    assert "  LookupError: no shard for it  3  100.0%" in done.out
    assert connections["primary"].connection is None
