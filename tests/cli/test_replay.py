"""``dbroute replay``: of files, of stored traces, with today's routers and with others."""

from __future__ import annotations

import json

import pytest

from dbroute_panel import trace
from dbroute_panel.records import Callsite, dumps
from example_site.library.models import Book
from example_site.users.models import User
from tests.traces import a_decision, a_trace

AUTH, USERS, LIBRARY, EVERYTHING = (
    f"example_site.routers.{name}"
    for name in ("AuthRouter", "UserRouter", "PrimaryReplicaRouter", "EverythingRouter")
)


@pytest.fixture
def recorded(site, store):
    """A trace in the store: books from a replica, readers from their database, twice from one line."""
    with trace("recorded") as t:
        Book.objects.first()
        for _ in range(2):
            User.objects.first()
        User.objects.last()
    return t.document


def test_nothing_has_changed(dbroute, recorded):
    for source in (recorded.id, recorded.id[:8]):
        done = dbroute("replay", source, "--fail-on-change")
        assert done == ("4 decisions asked again: 4 the same, 0 changed, 0 not replayable.\n", "", 0)


def test_one_decision_is_no_decisions(dbroute, site, store):
    with trace("one") as t:
        User.objects.first()
    done = dbroute("replay", t.document.id)
    assert done.out == "1 decision asked again: 1 the same, 0 changed, 0 not replayable.\n"


def test_other_routers(dbroute, recorded):
    done = dbroute("replay", recorded.id, "--routers", LIBRARY, "--fail-on-change")
    assert done.code == 1
    assert done.err == "CommandError: 3 of 4 decisions would change.\n"
    first, empty, head, change, place = done.out.splitlines()
    assert first == "4 decisions asked again: 1 the same, 3 changed, 0 not replayable."
    assert empty == ""
    assert head.split() == ["model", "question", "was", "would", "be", "where"]
    assert change.split()[:4] == ["3×", "users.User", "db_for_read", "legacy_users"]
    assert change.split()[4] == "default"
    lines = [site.callsite.line for site in recorded.decisions[2:]]
    assert change.endswith(f"tests/cli/test_replay.py:{lines[0]} ×2")
    assert place == " " * change.index("tests/") + f"tests/cli/test_replay.py:{lines[-1]}"


def test_json(dbroute, recorded):
    found = json.loads(dbroute("replay", recorded.id, "--routers", LIBRARY, "--format", "json").out)
    assert {name: found[name] for name in ("asked", "same", "changed", "not_replayable")} == {
        "asked": 4,
        "same": 1,
        "changed": 3,
        "not_replayable": 0,
    }
    (change,) = found["changes"]
    assert {"model", "action", "from", "to", "count", "callsites"} <= set(change)
    assert (change["model"], change["action"], change["from"], change["to"], change["count"]) == (
        "users.User",
        "db_for_read",
        "legacy_users",
        "default",
        3,
    )


def test_without_fail_on_change_a_change_is_no_failure(dbroute, recorded):
    assert dbroute("replay", recorded.id, "--routers", LIBRARY).code == 0


def test_repeat(dbroute, recorded):
    done = dbroute("replay", recorded.id, "--routers", EVERYTHING, "--repeat", "50", "--format", "json")
    (change,) = json.loads(done.out)["changes"]
    assert change["to"] == ["replica1", "replica2"]
    assert dbroute("replay", recorded.id, "--repeat", "0").code == 2
    assert (
        dbroute("replay", recorded.id, "--repeat", "1001").err
        == "CommandError: Ask 1 to 1000 times, not 1001.\n"
    )


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_files(dbroute, recorded, tmp_path, form):
    file = tmp_path / f"traces.{form}"
    parts = [dumps(recorded), dumps(a_trace(2, events=[]))]
    file.write_bytes(b"\n".join(parts) if form == "ndjson" else b"[" + b",".join(parts) + b"]")
    assert (
        dbroute("replay", file).out == "4 decisions asked again: 4 the same, 0 changed, 0 not replayable.\n"
    )
    assert dbroute("replay", file, recorded.id).out.startswith("8 decisions asked again: 8 the same")


def test_the_standard_input(manage, recorded):
    done = manage("dbroute", "replay", "-", stdin=dumps(recorded).decode())
    assert done == ("4 decisions asked again: 4 the same, 0 changed, 0 not replayable.\n", "", 0)


def test_a_file_of_an_earlier_version_is_refused_with_what_to_do(dbroute, recorded, tmp_path):
    file = tmp_path / "old.json"
    file.write_bytes(dumps(recorded).replace(b"trace/2", b"trace/1").replace(b"decided_by", b"settled_by"))
    done = dbroute("replay", file)
    assert (done.out, done.code) == ("", 2)
    assert done.err == (
        f"CommandError: {file}: Line 1: This is a dbroute-trace/1 document, which an earlier version of "
        "dbroute_panel wrote; this one reads dbroute-trace/2. Record the trace again.\n"
    )


def test_what_cannot_be_asked_again_is_told(dbroute, store):
    store.save(a_trace(1, events=[a_decision(1, model="library.Gone"), a_decision(2, model="library.Gone")]))
    done = dbroute("replay", f"{1:032x}", "--fail-on-change")
    assert done.code == 0
    assert done.out.splitlines() == [
        "2 decisions asked again: 0 the same, 0 changed, 2 not replayable.",
        "",
        "Not replayable:",
        "  2  There is no model 'library.Gone'.",
    ]


def test_many_places_are_cut(dbroute, store):
    sites = [Callsite(file="views.py", line=number, function="view") for number in range(1, 11)]
    decisions = [
        a_decision(n, hints={}, answer="elsewhere", callsite=site) for n, site in enumerate(sites, 1)
    ]
    store.save(a_trace(1, events=decisions))
    lines = dbroute("replay", f"{1:032x}", "--routers", "example_site.routers.PassingRouter").out.splitlines()
    assert lines[3].split() == ["10×", "library.Book", "db_for_read", "elsewhere", "default", "views.py:1"]
    assert [line.strip() for line in lines[4:]] == [
        *(f"views.py:{n}" for n in range(2, 6)),
        "and 5 more places",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.json"], "There is no file 'nowhere.json'."),
        (["folder/nowhere"], "There is no file 'folder/nowhere'."),
        (["0123456789"], "No trace '0123456789'."),
        (["{file}"], "{file}: Line 2: A trace document was expected here."),
        (
            ["{file}", "--routers", "example_site.routers.AuthRuter"],
            "No router 'example_site.routers.AuthRuter'.",
        ),
        (["{file}", "--format", "yaml"], "No format 'yaml'."),
    ],
)
def test_what_is_no_source(dbroute, tmp_path, arguments, message):
    file = tmp_path / "traces.json"
    file.write_bytes(dumps(a_trace(1)) + b"\nwhat?")
    done = dbroute("replay", *(part.format(file=file) for part in arguments))
    assert (done.out, done.code) == ("", 2)
    assert done.err.startswith(f"CommandError: {message.format(file=file)}")
    assert done.err.count("\n") == 1


READS = f"{__name__}.PrimaryReads"


class PrimaryReads:
    def db_for_read(self, model, **hints):
        return "primary"


class ReplicaReads:
    def db_for_read(self, model, **hints):
        return "replica2"


def test_a_read_that_moves_between_primary_and_replica_is_a_change(dbroute, store):
    store.save(a_trace(1, events=[a_decision(1, hints={}, answer="primary")]))
    store.save(a_trace(2, events=[a_decision(1, hints={}, answer="replica1")]))
    replicas = f"{__name__}.ReplicaReads"
    to_replica = dbroute("replay", f"{1:032x}", "--routers", replicas, "--fail-on-change")
    assert (to_replica.code, to_replica.err) == (1, "CommandError: 1 of 1 decisions would change.\n")
    assert "If middleware had pinned them there" in to_replica.out
    to_primary = dbroute("replay", f"{2:032x}", "--routers", READS, "--fail-on-change")
    assert to_primary.code == 1
    assert "pinned" not in to_primary.out
    for source, routers in ((f"{2:032x}", replicas), (f"{1:032x}", READS)):
        assert dbroute("replay", source, "--routers", routers, "--fail-on-change").code == 0
    found = json.loads(dbroute("replay", f"{1:032x}", "--routers", replicas, "--format", "json").out)
    assert len(found["notes"]) == 1
