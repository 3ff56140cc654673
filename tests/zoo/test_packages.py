"""
Other people's routers do the same whether we are not there, there, or recording.

Each in processes of its own (``program.py``), because they keep their state in modules and threads.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_SECONDS
from tests.zoo.program import ALIASES, PACKAGES

ROOT = Path(__file__).resolve().parents[2]
MODES = ["without", "installed", "recording"]
MIGRATE = """
import sys
from pathlib import Path
from tests.zoo import program
program.configure("django-tenants", "without", Path(sys.argv[1]))
from django.conf import settings
settings.DATABASE_ROUTERS.clear()
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
"""


def python(*arguments: object) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    ended = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What every package did in every mode."""
    template = tmp_path_factory.mktemp("zoo")
    python("-c", MIGRATE, template)
    for replica in ALIASES[1:]:
        shutil.copy(template / "default.sqlite3", template / f"{replica}.sqlite3")

    def run(package, mode):
        folder = tmp_path_factory.mktemp("zoo-run") / "databases"
        shutil.copytree(template, folder)
        return json.loads(python("-m", "tests.zoo.program", package, mode, folder))

    asked = [(package, mode) for package in PACKAGES for mode in MODES]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(asked, pool.map(lambda names: run(*names), asked), strict=True))


@pytest.mark.parametrize("package", PACKAGES)
def test_answers_state_and_sql_are_the_same_without_us_with_us_and_while_we_record(runs, package):
    assert version(package)
    without, installed, recording = (runs[package, mode] for mode in MODES)
    assert (without["ours"], installed["ours"], recording["ours"]) == (False, True, True)
    for what in ("answers", "states", "random"):
        assert installed[what] == recording[what] == without[what]
    assert runs[package, "recording"]["traces"]
    assert installed["sql"] == recording["sql"] == without["sql"]


@pytest.mark.parametrize("package", ["django-multidb-router", "django-replicated"])
def test_the_record_has_every_statement_on_the_alias_that_the_package_chose(runs, package):
    run = runs[package, "recording"]
    queries = [
        (event["alias"], event["sql"].split()[0], event["route"])
        for trace in run["traces"]
        for event in trace["events"]
        if event["type"] == "query"
    ]
    sent = [
        (alias, sql.split()[0])
        for alias, sql in run["sql"]
        if not sql.startswith(("BEGIN", "COMMIT", "PRAGMA"))
    ]
    assert [query[:2] for query in queries] == sent
    assert {"replica1", "default"} < {alias for alias, _, _ in queries}
    assert {route for _, _, route in queries} == {"router"} | ({"cursor"} & {q[2] for q in queries})
    for trace in run["traces"]:
        decisions = {event["id"]: event for event in trace["events"] if event["type"] == "decision"}
        for event in trace["events"]:
            if event["type"] == "query" and event["decision_id"]:
                assert decisions[event["decision_id"]]["answer"] == event["alias"]
        assert set(trace["dropped"].values()) == {0}


def test_pinned_requests_are_told_by_the_answers_of_the_pinning_router(runs):
    run = runs["django-multidb-router", "recording"]
    reads = [
        {
            event["answer"]
            for event in trace["events"]
            if event["type"] == "decision" and event["action"] == "db_for_read"
        }
        for trace in run["traces"]
    ]
    requests = [trace["request"] and trace["request"]["method"] for trace in run["traces"]]
    assert requests == ["GET", "GET", "POST", "GET", "GET", "POST", "GET", None]
    # Not pinned; after the first POST its cookie pins every request.
    assert reads[:2] == [{"replica1", "replica2"}] * 2
    assert reads[2:7] == [{"default"}] * 5
    assert reads[7] == {"default", "replica1", "replica2"}
    routers = {
        step["router"]
        for trace in run["traces"]
        for event in trace["events"]
        for step in event.get("steps", [])
    }
    assert routers == {"multidb.PinningReplicaRouter"}


def test_a_write_that_the_replicated_router_forbids_is_recorded_as_its_exception(runs):
    run = runs["django-replicated", "recording"]
    [forbidden] = [status for status, *_ in run["answers"] if status == 500]
    [raised] = [
        step
        for trace in run["traces"]
        for event in trace["events"]
        for step in event.get("steps", [])
        if step["outcome"] == "raised"
    ]
    assert forbidden == 500
    assert raised["error"] == "RuntimeError: Trying to access master database in slave state"
    assert raised["router"] == "django_replicated.router.ReplicationRouter"


def test_every_answer_of_the_tenants_router_is_in_the_record(runs):
    run = runs["django-tenants", "recording"]
    [trace] = run["traces"]
    assert [event["args"]["app_label"] for event in trace["events"]] == [
        answer[2] for answer in run["answers"]
    ]
    for event, (_schema, alias, _app, answer) in zip(trace["events"], run["answers"], strict=True):
        [step] = event["steps"]
        assert event["args"]["db"] == alias
        if isinstance(answer, str):
            assert (step["outcome"], step["error"]) == ("raised", f"LookupError: {answer}")
        elif answer:  # it passes, and so Django allows it
            assert (step["outcome"], event["decided_by"], event["answer"]) == ("passed", "allowed", True)
        else:
            assert (step["outcome"], step["answer"], event["decided_by"]) == ("answered", False, "router")
    assert {type(answer[3]) for answer in run["answers"]} == {str, bool}
    assert {answer[3] for answer in run["answers"]} >= {True, False}
