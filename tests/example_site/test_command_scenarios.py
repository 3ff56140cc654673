"""
The scenarios that are management commands: run as the front page does, and under ``dbroute run``.

The latter in processes of their own, as somebody at a terminal does it, on a copy of the site's databases.
Django's system checks ask the routers as well, in 6.1 about every database: some of the tests skip them.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from dbroute_panel.records import Action, DecidedBy, Operation, Outcome, RouteKind, loads
from example_site.replication import files
from example_site.scenarios import SCENARIOS
from example_site.scenarios.running import run
from tests import forking
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
AUTH, USERS, LIBRARY = (
    f"example_site.routers.{name}" for name in ("AuthRouter", "UserRouter", "PrimaryReplicaRouter")
)
NOBODY = None
MIGRATED = ["auth_db", "primary", "archive", "legacy_users", "new_users"]
WHO = {
    **dict.fromkeys(["auth", "contenttypes", "sessions", "admin"], AUTH),
    "users": USERS,
    "library": LIBRARY,
    "notes": NOBODY,
}
WHERE = {
    **{app: {"auth_db"} for app in ("auth", "contenttypes", "sessions", "admin")},
    "users": {"legacy_users", "new_users"},
    "library": {"primary", "archive"},
    "notes": set(MIGRATED),
}


@pytest.fixture
def traces(site, store):
    """Runs a scenario and returns its traces."""

    def traces_of(number):
        parts = run(SCENARIOS[number])
        assert [part.error for part in parts] == [None] * len(parts)
        found = [store.get(trace_id) for part in parts for trace_id in part.traces]
        assert [trace.dropped.query + trace.dropped.decision for trace in found] == [0] * len(found)
        assert {trace.kind for trace in found} == {"command"}
        return found, [line for part in parts for line in part.lines]

    return traces_of


@pytest.fixture
def dbroute(site, store, tmp_path):
    """``python -m example_site dbroute ...`` on a copy of the databases (or none yet); the trace it left."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def command(*arguments, empty=False, settings="example_site.settings", code=0):
        if not empty and not any(scratch.iterdir()):
            files.copy_databases(scratch)
        chosen = ["--settings", settings]
        words = ["run", *chosen, *arguments] if "--" in arguments else [*arguments, *chosen]
        finished = subprocess.run(
            [forking.python(), "-m", "example_site", "dbroute", *words],
            cwd=ROOT,
            env=os.environ | {"EXAMPLE_SITE_DATA": str(scratch), "EXAMPLE_SITE_TRACES": str(store.path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert finished.returncode == code, finished.stderr
        return finished

    return command


@pytest.fixture
def traced(dbroute, store):
    def trace_of(*command, **options):
        dbroute("--", *command, **options)
        trace = store.get(store.summaries(limit=1)[0].id)
        assert (trace.name, trace.kind) == (" ".join(command), "command")
        return trace

    return trace_of


def migrations_of(trace):
    """(database, app, who answered, answer) of every question about migrations, once each."""
    return {
        (decision.args["db"], decision.args["app_label"], decision.router, decision.answer)
        for decision in trace.decisions
        if decision.action is Action.MIGRATE
    }


def made(trace, alias):
    """The tables that were made there."""
    return {
        query.sql.split('"')[1]
        for query in trace.queries
        if query.alias == alias and query.sql.startswith("CREATE TABLE") and '"new__' not in query.sql
    }


def check_migration(trace, alias):
    """Every question about the site's apps on this database, who answered it, and what came of it."""
    about = {entry for entry in migrations_of(trace) if entry[0] == alias and entry[1] in WHO}
    assert about == {(alias, app, WHO[app], alias in WHERE[app]) for app in WHO}
    for decision in trace.decisions:
        if decision.action is Action.MIGRATE and decision.args["app_label"] in WHO:
            nobody = WHO[decision.args["app_label"]] is NOBODY
            assert decision.decided_by is (DecidedBy.ALLOWED if nobody else DecidedBy.ROUTER)
            assert len(decision.steps) == 3
    apps = {table.split("_")[0] for table in made(trace, alias)}
    names = {"contenttypes": "django", "sessions": "django", "admin": "django"}
    assert apps == {names.get(app, app) for app in WHO if alias in WHERE[app]} | {"django"}


def test_04_migrate_once_per_database(traces):
    (trace,), lines = traces(4)
    for alias in MIGRATED:
        check_migration(trace, alias)
    assert {query.alias for query in trace.queries} == set(MIGRATED)
    schema = [
        query for query in trace.queries if query.operation == "CREATE" and '"django_migr' not in query.sql
    ]
    assert {query.route for query in schema} == {RouteKind.SCHEMA}
    assert all(query.writes and query.decision_id is None for query in schema)
    assert lines[1] == (
        "primary: django_migrations, library_book, library_book_tags, library_person, library_review, "
        "library_tag, notes_note"
    )


def test_04_under_dbroute_run(traced):
    for alias in ("auth_db", "primary"):
        trace = traced("migrate", f"--database={alias}", empty=True)
        check_migration(trace, alias)
        assert {query.alias for query in trace.queries} == {alias}
        begun = [event for event in trace.transactions if event.operation is Operation.BEGIN]
        assert {event.alias for event in begun} == {alias}


def test_05_migrate_without_a_database_while_default_is_empty(traces):
    (trace,), lines = traces(5)
    assert lines[0].startswith("ImproperlyConfigured: ")
    assert lines[1] == "Files of databases: []"
    (query,) = trace.queries
    assert (query.alias, query.sql, query.route) == ("default", "", RouteKind.CURSOR)
    assert query.error.startswith("ImproperlyConfigured: ")
    assert trace.transactions == []


def test_05_under_dbroute_run_fails_as_it_would_by_itself(dbroute, store, tmp_path):
    finished = dbroute("--", "migrate", empty=True, code=1)
    assert finished.stdout == ""
    assert finished.stderr.startswith("Traceback (most recent call last):\n")
    assert finished.stderr.splitlines()[-1].startswith(
        "django.core.exceptions.ImproperlyConfigured: settings.DATABASES"
    )
    (summary,) = store.summaries()
    assert (summary.name, summary.kind, summary.queries) == ("migrate", "command", 1)
    assert [file.name for file in (tmp_path / "scratch").glob("*.sqlite3")] == []


def test_06_commands_with_a_database(traces):
    (trace,), lines = traces(6)
    assert lines == [
        "makemigrations --check: nothing to do",
        "dumpdata --database=primary: 4 tags",
        "loaddata --database=archive: 4 tags",
        "flush --database=new_users: ['django_migrations', 'users_card', 'users_loan', 'users_user']",
        "createcachetable --database=archive: ['pages']",
        "inspectdb --database=replica1: True",
    ]
    deleted = {
        (query.alias, query.sql.split('"')[1]) for query in trace.queries if query.operation == "DELETE"
    }
    assert deleted == {("new_users", f"users_{name}") for name in ("card", "loan", "user")}
    tags = [query for query in trace.queries if query.model == "library.Tag" and query.writes]
    assert {(query.alias, query.route) for query in tags} == {("archive", RouteKind.EXPLICIT)}
    assert {query.operation for query in tags} == {"UPDATE", "INSERT"}


@pytest.mark.parametrize(
    ("command", "alias", "asked"),
    [
        (["dumpdata", "library.Tag", "--database=archive"], "archive", {("library", LIBRARY, True)}),
        (["dumpdata", "users", "--database=new_users"], "new_users", {("users", USERS, True)}),
        (["dumpdata", "library", "--database=legacy_users"], None, {("library", LIBRARY, False)}),
        (["flush", "--noinput", "--database=archive"], "archive", None),
        (["createcachetable", "pages", "--database=archive"], "archive", {("django_cache", NOBODY, True)}),
        (["inspectdb", "--database=replica1"], "replica1", set()),
        (["sqlflush", "--database=new_users"], "new_users", None),
    ],
)
def test_06_under_dbroute_run_each_uses_the_database_it_asked_for(traced, command, alias, asked):
    has_checks = command[0] not in ("createcachetable", "inspectdb")
    trace = traced(*command, *(["--skip-checks"] if has_checks else []))
    assert {query.alias for query in trace.queries} == ({alias} if alias else set())
    answers = {entry[1:] for entry in migrations_of(trace)}
    if asked is not None:
        assert answers == asked
    if alias:
        assert {entry[0] for entry in migrations_of(trace)} <= {alias}


def test_06_loaddata_under_dbroute_run(traced, tmp_path):
    file = tmp_path / "tags.json"
    tag = {"model": "library.tag", "pk": 4711, "fields": {"name": "loaded"}}
    file.write_text(json.dumps([tag]))
    trace = traced("loaddata", str(file), "--database=archive", "--skip-checks")
    written = [query for query in trace.queries if query.model == "library.Tag" and query.writes]
    assert {(query.alias, query.route) for query in written} == {("archive", RouteKind.EXPLICIT)}
    # The object knows where it goes before the row exists.
    assert {query.alias for query in trace.queries} == {"archive"}
    assert migrations_of(trace) == {("archive", "library", LIBRARY, True)}


def test_12_other_routers_change_exactly_what_they_answer_for(dbroute, store):
    dbroute("--", "shell", "-c", ORDER, settings="example_site.variants.in_order")
    (summary,) = store.summaries()
    routers = ["example_site.routers.EverythingRouter", AUTH]

    def replay(*arguments, code=0):
        out = dbroute(
            "replay", summary.id, "--format", "json", *arguments, settings=IN_ORDER, code=code
        ).stdout
        return json.loads(out)

    same = replay("--fail-on-change")
    assert (same["asked"], same["same"], same["changed"], same["changes"]) == (3, 3, 0, [])
    found = replay("--fail-on-change", "--routers", *routers, code=1)
    assert (found["asked"], found["same"], found["changed"], found["not_replayable"]) == (3, 1, 2, 0)
    assert [
        (
            change["model"],
            change["action"],
            change["from"],
            change["to"] in ("replica1", "replica2"),
            change["count"],
        )
        for change in found["changes"]
    ] == [
        ("auth.User", "db_for_read", "auth_db", True, 1),
        ("auth.User", "db_for_write", "auth_db", False, 1),
    ]
    assert found["changes"][1]["to"] == "primary"
    text = dbroute("replay", summary.id, "--routers", *routers, settings=IN_ORDER).stdout.splitlines()
    assert text[0] == "3 decisions asked again: 1 the same, 2 changed, 0 not replayable."
    assert [line.split()[:3] for line in text[3:]] == [
        ["1×", "auth.User", "db_for_read"],
        ["1×", "auth.User", "db_for_write"],
    ]


IN_ORDER = "example_site.variants.in_order"
ORDER = """
from django.contrib.auth.models import User
from example_site.library.models import Book
Book.objects.first()
User.objects.get(username="fred").save()
"""


def test_31_makemigrations_looks_at_the_history(traces):
    (with_routers, without), _ = traces(31)
    for trace in (with_routers, without):
        for decision in trace.decisions:
            assert decision.action is Action.MIGRATE
            assert decision.model is None
            name = decision.args["model_name"]
            assert name != name.lower(), "CamelCase, as the class is called"
    assert {decision.args["db"] for decision in with_routers.decisions} == {*MIGRATED, "replica1", "replica2"}
    read = {query.alias for query in with_routers.queries if query.model == "migrations.Migration"}
    assert read == {*MIGRATED, "replica1", "replica2"}
    assert {decision.args["db"] for decision in without.decisions} == {"default"}
    assert {query.alias for query in without.queries} == {"default"}


def test_31_under_dbroute_run(traced):
    trace = traced("makemigrations", "--check", "--dry-run", "--skip-checks")
    names = {decision.args["model_name"] for decision in trace.decisions}
    assert names
    assert not any(name.islower() for name in names)


def test_32_hints_of_operations(traces):
    (trace,), lines = traces(32)
    assert lines == ["primary: ['MIGRATED']", "archive: []"]
    hinted = [decision for decision in trace.decisions if decision.args["app_label"] == "data_migrations"]
    assert [(decision.args["db"], decision.answer) for decision in hinted] == [
        ("primary", True),
        ("primary", True),
        ("archive", False),
        ("archive", False),
    ]
    for decision in hinted:
        assert decision.hints == {"only_on": "primary"}
        assert (decision.model, decision.args["model_name"]) == (None, None)
        assert decision.steps[0].outcome is Outcome.ANSWERED
        assert decision.router == "example_site.variants.data_migrations.router.HintRouter"


def test_32_under_dbroute_run_with_an_export(dbroute, tmp_path):
    file = tmp_path / "trace.json"
    command = ["migrate", "data_migrations", "--database=archive"]
    finished = dbroute("--export", str(file), "--", *command, settings="example_site.variants.hinted")
    assert "Applying data_migrations.0001_tags... OK" in finished.stdout
    trace = loads(file.read_bytes())
    assert trace.name == " ".join(command)
    hinted = [decision for decision in trace.decisions if decision.hints.get("only_on")]
    assert [decision.answer for decision in hinted] == [False, False]
