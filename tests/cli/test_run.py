"""``dbroute run -- COMMAND``: the command is as it is by itself, and its trace is kept."""

from __future__ import annotations

import errno
import io
import json
import os
import re

import pytest
from django.core.management import CommandError, call_command

from dbroute_panel import trace
from dbroute_panel.records import loads

FETCH = "from example_site.library.models import Book; print(Book.objects.count())"


@pytest.fixture
def command(monkeypatch):
    """Registers a management command with this body."""
    from django.core import management

    def register(body):
        class Command(management.BaseCommand):
            requires_system_checks = []

            def handle(self, **options):
                return body(self)

        commands = {**management.get_commands(), "somebodys": Command()}
        monkeypatch.setattr(management, "get_commands", lambda: commands)
        monkeypatch.setattr("dbroute_panel.cli.run.get_commands", lambda: commands)

    return register


def only(store):
    (found,) = store.traces()
    return found


@pytest.mark.parametrize(
    "words",
    [
        ["showmigrations", "library", "--database=primary"],
        ["check", "--tag", "nonsense"],
        ["shell", "-c", FETCH],
        ["shell", "-c", "import sys; sys.exit(7)"],
        ["migrate", "--database=nowhere"],
        ["dumpdata", "library.Tag", "--database", "archive", "-v", "2"],
        ["migrate", "--help"],
    ],
)
def test_output_and_exit_code_are_those_of_the_command(manage, store, words):
    alone = manage(*words)
    traced = manage("dbroute", "run", "--", *words)
    assert traced == alone
    document = only(store)
    assert document.kind == "command"
    assert document.name.startswith(words[0])


def test_the_trace_has_what_the_command_did(manage, store):
    manage("dbroute", "run", "--", "shell", "-c", FETCH)
    document = only(store)
    assert [query.model for query in document.queries] == ["library.Book"]
    assert [decision.router for decision in document.decisions] == [
        "example_site.routers.PrimaryReplicaRouter"
    ]
    assert document.name == f"shell -c '{FETCH}'"


def test_an_exception_has_the_traceback_that_it_has_by_itself(manage, store):
    words = ["shell", "-c", f"{FETCH}; 1 / 0"]
    alone, traced = manage(*words), manage("dbroute", "run", "--", *words)
    assert traced.code == alone.code == 1
    assert traced.out == alone.out
    assert traced.err.splitlines()[0] == "Traceback (most recent call last):"
    assert traced.err.splitlines()[-4:] == alone.err.splitlines()[-4:]
    assert "During handling" not in traced.err
    assert len(only(store).queries) == 1


def test_the_commands_own_traceback_option(manage, store):
    words = ["loaddata", "nothing-like-it", "--database=primary"]
    alone, traced = manage(*words), manage("dbroute", "run", "--", *words)
    assert traced == alone
    assert alone.err.startswith("CommandError: No fixture named 'nothing-like-it' found.")
    alone, traced = manage(*words, "--traceback"), manage("dbroute", "run", "--", *words, "--traceback")
    assert (traced.out, traced.code) == (alone.out, alone.code) == ("", 1)
    assert traced.err.startswith("Traceback (most recent call last):")
    assert traced.err.splitlines()[-1] == alone.err.splitlines()[-1]
    assert "During handling" not in traced.err


def test_the_dashes_can_be_left_out(manage, store):
    assert manage("dbroute", "run", "showmigrations", "library", "--database", "primary").code == 0
    assert only(store).name == "showmigrations library --database primary"


def test_options_before_the_dashes_are_ours(manage, store, tmp_path):
    file = tmp_path / "trace.json"
    done = manage("dbroute", "run", "-v", "2", "--export", file, "--", "check", "-v", "0")
    document = only(store)
    assert loads(file.read_bytes()) == document
    assert document.name == "check -v 0"
    counts = f"0 queries, {len(document.decisions)} decisions"
    assert done.err.splitlines()[-1] == f"{counts}: dbroute show {document.id[:8]}"


def test_it_says_where_the_trace_is_on_a_terminal_only(terminal, manage, store):
    seen = terminal("dbroute", "run", "--", "check", "-v", "0").out
    assert re.search(r"\n0 queries, [0-9]+ decisions: dbroute show [0-9a-f]{8}\n$", f"\n{seen}")
    assert manage("dbroute", "run", "--", "check").err == ""
    assert "dbroute show" not in terminal("dbroute", "run", "-v", "0", "--", "check").out


def test_call_command(site, store):
    out = io.StringIO()
    call_command("dbroute", "run", "--", "shell", "-c", FETCH)
    call_command("dbroute", "run", "showmigrations", "library", "--database", "primary", stdout=out)
    assert out.getvalue().startswith("library\n")
    assert [summary.name.split()[0] for summary in store.summaries()] == ["showmigrations", "shell"]
    with pytest.raises(CommandError):
        call_command("dbroute", "run", "--", "loaddata", "nothing", "--database=primary")
    assert store.count() == 3
    with pytest.raises(ZeroDivisionError):
        call_command("dbroute", "run", "--", "shell", "-c", "1/0")
    assert store.count() == 4


def test_inside_a_trace_it_is_part_of_it(site, store):
    with trace("outer") as t:
        call_command("dbroute", "run", "--", "shell", "-c", FETCH)
    assert len(t.queries) == 1
    assert only(store).name == "outer"


def test_an_export_is_written_even_where_the_command_fails(dbroute, command, store, tmp_path):
    from example_site.library.models import Book

    def body(self):
        Book.objects.count()
        raise CommandError("not today", returncode=5)

    command(body)
    file = tmp_path / "trace.json"
    done = dbroute("run", "--export", file, "--", "somebodys")
    assert done.code == 5
    assert len(loads(file.read_bytes()).queries) == 1
    assert only(store).name == "somebodys"


def test_an_export_that_fails_fails_the_run(dbroute, command, tmp_path, store):
    folder = tmp_path / "folder"
    folder.mkdir()
    command(lambda self: folder.rmdir())
    done = dbroute("run", "--export", folder / "trace.json", "--", "somebodys")
    assert (done.out, done.code) == ("", 1)
    assert f"trace.json cannot be written: {os.strerror(errno.ENOENT)}." in done.err
    assert store.count() == 1


def test_an_export_that_fails_does_not_hide_why_the_command_failed(dbroute, command, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()

    def body(self):
        folder.rmdir()
        raise CommandError("not today", returncode=5)

    command(body)
    done = dbroute("run", "--export", folder / "trace.json", "--", "somebodys")
    assert done.code == 5
    assert f"trace.json cannot be written: {os.strerror(errno.ENOENT)}." in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--export", "{folder}/trace.xyz", "--", "check"], "No export format for a name like 'trace.xyz'. "),
        (
            ["--export", "{folder}/no/trace.json", "--", "check"],
            "{folder}/no/trace.json cannot be written: there is no",
        ),
        (
            ["--", "check", "--settings", "other"],
            "The settings are loaded already: give --settings before the '--'.",
        ),
        (
            ["--", "check", "--settings=other"],
            "The settings are loaded already: give --settings before the '--'.",
        ),
        (["--"], "Which command?"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_run(dbroute, store, tmp_path, arguments, message):
    done = dbroute("run", *(part.format(folder=tmp_path) for part in arguments))
    assert (done.out, done.code) == ("", 2)
    assert done.err.startswith(f"CommandError: {message.format(folder=tmp_path)}")
    assert done.err.count("\n") == 1
    assert store.count() == 0


def test_the_settings_that_are_loaded_may_be_named(manage, store):
    done = manage("dbroute", "run", "--", "check", "--settings", "example_site.settings")
    assert done.code == 0


def test_a_trace_that_is_lost_is_one_line_and_costs_nothing(manage, tmp_path):
    done = manage(
        "dbroute", "run", "--", "shell", "-v", "0", "-c", "print(1)", EXAMPLE_SITE_TRACES=str(tmp_path)
    )
    assert (done.out, done.code) == ("1\n", 0)
    assert done.err.startswith("A trace could not be kept: ")
    assert done.err.count("\n") == 1


def test_a_store_in_memory_keeps_nothing_for_later(dbroute, settings, command):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {
        "STORE": {"BACKEND": "dbroute_panel.stores.MemoryStore", "OPTIONS": {}}
    }
    command(lambda self: "done")
    done = dbroute("run", "--", "somebodys")
    assert done.err == "The trace ends with this process, because the store is a MemoryStore: use --export.\n"


def test_what_was_run_can_be_looked_at(manage):
    manage("dbroute", "run", "--", "shell", "-c", FETCH)
    (summary,) = json.loads(manage("dbroute", "traces", "--format", "json").out)
    shown = manage("dbroute", "show", summary["id"]).out
    assert shown.startswith(f"shell -c '{FETCH}'  command {summary['id']}\n")
    assert "SELECT library_book" in shown
