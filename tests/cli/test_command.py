"""What all subcommands have in common: arguments, errors, exit codes, colours, pipes and encodings."""

from __future__ import annotations

import errno
import io
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from dbroute_panel.cli import SUBCOMMANDS
from dbroute_panel.records import dumps
from dbroute_panel.stores import StoreError
from tests import forking
from tests.cli.conftest import ROOT
from tests.traces import a_trace
from tests.waiting import PATIENCE_SECONDS

WRONG = {
    ("maap",): "No subcommand 'maap'. Did you mean 'map'?",
    ("map", "--formt", "json"): "No option '--formt'. Did you mean '--format'?",
    ("map", "--formt=json"): "No option '--formt'. Did you mean '--format'?",
    ("map", "extra"): "'extra' is one argument too many; see 'manage.py dbroute map --help'.",
    ("map", "--format", "jsn"): "No format 'jsn'. Did you mean 'json'?",
    ("explain", "libary.Book", "db_for_read"): "No model 'libary.Book'. Did you mean 'library.Book'?",
    ("explain", "library.Book", "db_for_reed"): "No question 'db_for_reed'. Did you mean 'db_for_read'?",
    ("explain", "libary", "allow_migrate", "--db", "primary"): "No app 'libary'. Did you mean 'library'?",
    (
        "explain",
        "library.Book",
        "allow_migrate",
        "--db",
        "primry",
    ): "No database 'primry'. Did you mean 'primary'?",
    ("traces", "--limit", "many"): "--limit many: give a whole number of at least 1.",
    ("show", "0123456789"): "No trace '0123456789'. There are no traces yet",
    ("export",): "Give the ids of traces, or --all.",
    ("export", "--all", "--format", "jsn"): "No export format 'jsn'. Did you mean 'json'?",
    ("import", "/nowhere.json"): f"/nowhere.json cannot be read: {os.strerror(errno.ENOENT)}.",
    ("prune",): "Say what shall go: --keep N, --older-than 7d, or both.",
    ("run",): "Which command? For example: dbroute run -- migrate --database=primary",
    ("run", "--", "migrat"): "No command 'migrat'. Did you mean 'migrate'?",
    ("map", "--no-color", "--force-color"): "--no-color and --force-color cannot be used together.",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_a_wrong_argument_is_one_line_that_says_what_is_right(dbroute, arguments):
    done = dbroute(*arguments)
    assert (done.out, done.code) == ("", 2)
    assert done.err.startswith(f"CommandError: {WRONG[arguments]}")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "names", "program"),
    [
        (("-v", "7", "map"), ("-v/--verbosity", "7"), "manage.py dbroute"),
        (("explain",), ("MODEL", "ACTION"), "manage.py dbroute explain"),
        (("replay",), ("FILE|ID",), "manage.py dbroute replay"),
    ],
)
def test_what_argparse_refuses_is_one_line_with_the_names_of_the_arguments(
    dbroute, arguments, names, program
):
    """Its sentences are its own, and other ones in another Python."""
    done = dbroute(*arguments)
    assert (done.out, done.code) == ("", 2)
    assert done.err.startswith("CommandError: ")
    assert done.err.endswith(f"; see '{program} --help'.\n")
    assert done.err.count("\n") == 1
    assert all(name in done.err for name in names)


@pytest.mark.parametrize("arguments", [("map", "--formt"), ("explain", "libary.Book", "db_for_read")])
def test_a_wrong_argument_is_one_line_for_the_user_too(manage, arguments):
    done = manage("dbroute", *arguments)
    assert (done.out, done.code) == ("", 2)
    assert done.err.count("\n") == 1


def test_call_command_raises_what_the_command_line_prints(site, store):
    for arguments, options in (
        (("maap",), {}),
        (("explain", "libary.Book", "db_for_read"), {}),
        (("map",), {"format": "xml"}),
        (("map", "--formt"), {}),
    ):
        with pytest.raises(CommandError) as raised:
            call_command("dbroute", *arguments, **options)
        assert raised.value.returncode == 2
        assert "\n" not in str(raised.value)


def test_without_a_subcommand_there_is_help(dbroute):
    done = dbroute()
    assert (done.err, done.code) == ("", 0)
    assert done.out.startswith("usage: manage.py dbroute")
    for name, subcommand in SUBCOMMANDS.items():
        assert f"    {name} " in done.out
        assert str(subcommand.help).split(":")[0][:20] in done.out


def test_every_subcommand_of_the_contract_is_there():
    assert list(SUBCOMMANDS) == [
        "explain", "map", "lint", "run", "traces", "show", "export", "import", "replay", "prune",
    ]  # fmt: skip


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_has_its_own_help(dbroute, name, capsys):
    done = dbroute(name, "--help")
    assert done.code == 0
    shown = capsys.readouterr().out
    assert f"usage: manage.py dbroute {name}" in shown
    assert "--force-color" in shown


def test_djangos_own_options_may_follow_the_subcommand(manage):
    options = ("--no-color", "-v", "2", "--traceback", "--skip-checks", "--pythonpath", "/tmp")
    before = manage("dbroute", *options, "map")
    after = manage("dbroute", "map", *options, "--settings", "example_site.settings")
    assert before == after
    assert after.code == 0
    assert "library.Book" in after.out


def test_an_option_before_the_subcommand_is_not_forgotten(dbroute, store):
    store.save(a_trace(7))
    assert dbroute("-v", "2", "show", f"{7:032x}").out == dbroute("show", f"{7:032x}", "-v", "2").out
    assert dbroute("-v", "2", "show", f"{7:032x}").out != dbroute("show", f"{7:032x}").out


def test_traceback_shows_where_an_error_came_from(manage):
    done = manage("dbroute", "explain", "libary.Book", "db_for_read", "--traceback")
    assert "AskError: No model 'libary.Book'" in done.err
    assert done.err.startswith("Traceback (most recent call last)")


# Colours


def test_colours_are_for_terminals_only(terminal, manage):
    assert "\x1b[" in terminal("dbroute", "explain", "library.Book", "db_for_write").out
    assert "\x1b[" not in manage("dbroute", "explain", "library.Book", "db_for_write").out


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"DJANGO_COLORS": "nocolor"}])
def test_the_environment_can_refuse_colours(terminal, variables):
    assert "\x1b[" not in terminal("dbroute", "explain", "library.Book", "db_for_write", **variables).out
    assert "\x1b[" not in terminal("dbroute", "explain", "libary.Book", "db_for_write", **variables).out
    assert "\x1b[" not in terminal("dbroute", "maap", **variables).out


def test_an_empty_no_color_refuses_nothing(terminal):
    assert "\x1b[" in terminal("dbroute", "explain", "library.Book", "db_for_write", NO_COLOR="").out


def test_no_color_is_an_option_too(terminal):
    assert "\x1b[" not in terminal("dbroute", "explain", "library.Book", "db_for_write", "--no-color").out
    assert "\x1b[" not in terminal("dbroute", "maap", "--no-color").out


def test_force_color_is_stronger_than_no_color_and_a_pipe(manage):
    done = manage("dbroute", "explain", "library.Book", "db_for_write", "--force-color", NO_COLOR="1")
    assert "\x1b[32;1mprimary\x1b[0m" in done.out


def test_a_string_gets_no_colours_even_where_python_itself_has_a_terminal(site, store, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    out = io.StringIO()
    call_command("dbroute", "explain", "library.Book", "db_for_write", stdout=out)
    assert "library.Book would be written to primary." in out.getvalue()
    assert "\x1b[" not in out.getvalue()


def test_lines_fit_the_terminal(terminal):
    wide, narrow = terminal("dbroute", "map", columns=200).out, terminal("dbroute", "map", columns=70).out
    assert "auth.User_user_permissions (auto-created)" in wide
    assert max(map(len, narrow.replace("\x1b[0m", "").replace("\x1b[1m", "").splitlines())) <= 70
    assert "…" in narrow
    assert len(narrow.splitlines()) == len(wide.splitlines())


# Pipes and encodings


@pytest.mark.parametrize("arguments", ["map", "show {id}", "export --all"])
def test_a_closed_pipe_ends_it_quietly(environment, store, arguments):
    """A reader that is gone before anything was written, and one that goes in the middle."""
    for number in range(200):
        store.save(a_trace(number))
    arguments = arguments.format(id=f"{7:032x}")
    for reader in ("true", "head -c 10 >/dev/null"):
        script = f"{forking.python()} -m example_site dbroute {arguments} | {reader}; echo ${{PIPESTATUS[0]}}"
        finished = subprocess.run(
            ["bash", "-c", script],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert finished.stderr == ""
        assert finished.stdout in (["141\n"] if reader == "true" else ["0\n", "141\n"])


def test_an_error_comes_after_the_output_where_both_go_to_one_pipe(environment, tmp_path):
    """As in the log of a CI: there Python buffers stdout, and not stderr."""
    (tmp_path / "map.json").write_text('{"databases": [], "models": {}}')
    command = [sys.executable, "-m", "example_site", "dbroute", "map", "--check", str(tmp_path / "map.json")]
    environment.pop("PYTHONUNBUFFERED", None)
    finished = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert finished.returncode == 1
    lines = finished.stdout.splitlines()
    assert len(lines) > 10
    assert [number for number, line in enumerate(lines) if line.startswith("CommandError")] == [
        len(lines) - 1
    ]


def test_what_an_encoding_cannot_show_is_written_otherwise(manage, store):
    store.save(a_trace(7, name="Grüße 日本", request=None))
    done = manage("dbroute", "traces", PYTHONIOENCODING="ascii")
    assert (done.err, done.code) == ("", 0)
    assert r"Gr\xfc\xdfe \u65e5\u672c" in done.out
    assert " - " in manage("dbroute", "show", "0000", PYTHONIOENCODING="ascii").out
    assert " · " in manage("dbroute", "show", "0000", PYTHONIOENCODING="utf-8").out
    assert r'"name": "Gr\u00fc\u00dfe \u65e5\u672c"' in manage(
        "dbroute", "show", "0000", "--format", "json", PYTHONIOENCODING="ascii"
    ).out  # fmt: skip


def test_what_was_recorded_cannot_send_anything_to_the_terminal(dbroute, store):
    store.save(a_trace(7, name="\x1b[2J\x9b31mred\r\nnext\u202e", request=None))
    for arguments in (("traces",), ("show", "0000"), ("show", "0000", "-v", "2")):
        out = dbroute(*arguments).out
        assert not set(out) & set("\x1b\x9b\r\u202e")
        assert r"\x1b[2J\x9b31mred  next\u202e" in out
    assert not set(dbroute("show", "0000", "--format", "json").out) & set("\x1b\x9b\r\u202e")


# What fails


@pytest.fixture(params=["folder", "database"])
def broken_store(request, tmp_path, settings, store):
    """A store that cannot be used, because its file is a folder, or a database of something else."""
    path = tmp_path / request.param
    if request.param == "folder":
        path.mkdir()
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE something_else (id)")
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {
        "STORE": {"BACKEND": "dbroute_panel.stores.SQLiteStore", "OPTIONS": {"path": str(path)}}
    }


@pytest.mark.parametrize(
    "arguments", ["traces", "show 0123", "export --all", "replay 0123", "prune --keep 1", "import {file}"]
)
def test_a_store_that_fails_is_one_line(dbroute, broken_store, tmp_path, arguments):
    file = tmp_path / "one.json"
    file.write_bytes(dumps(a_trace(7)))
    done = dbroute(*arguments.format(file=file).split())
    assert (done.out, done.code) == ("", 1)
    assert done.err.startswith("CommandError: Kept traces cannot be read: ")
    assert done.err.count("\n") == 1


def test_a_store_that_fails_is_one_line_for_the_user_too(manage, tmp_path):
    done = manage("dbroute", "traces", EXAMPLE_SITE_TRACES=str(tmp_path))
    assert (done.out, done.code) == ("", 1)
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "error", [DatabaseError("no\nluck"), ImproperlyConfigured("not so"), StoreError("is gone")]
)
def test_whatever_fails_is_one_line(dbroute, monkeypatch, error):
    def fails():
        raise error

    monkeypatch.setattr("dbroute_panel.cli.maps.build_map", fails)
    done = dbroute("map")
    name = "" if isinstance(error, StoreError) else f"{type(error).__name__}: "
    assert done == ("", f"CommandError: {name}{' '.join(str(error).split())}\n", 1)


def test_an_interrupt_is_no_traceback(dbroute, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("dbroute_panel.cli.maps.build_map", interrupted)
    done = dbroute("map")
    assert (done.out, done.code) == ("", 130)


def test_a_database_that_fails_is_one_line(manage, site):
    for file in site.glob("primary.sqlite3-*"):
        file.unlink()
    (site / "primary.sqlite3").write_bytes(b"no database, but long enough to be taken for one" * 100)
    # Django does not close a connection whose first statement fails. Python says so if it finds that in time,
    # as 3.14 does.
    done = manage(
        *("dbroute", "explain", "library.Book", "db_for_read", "--instance-db", "primary", "--pk", "1"),
        PYTHONWARNINGS="error,ignore::ResourceWarning",
    )
    assert done.out == ""
    assert done.err.startswith("CommandError: library.Book cannot be read from primary: ")
    assert done.err.count("\n") == 1
    done = manage(
        "dbroute", "explain", "library.Book", "db_for_read", "--instance-db", "default", "--pk", "1"
    )
    assert (done.out, done.code) == ("", 2)
    assert done.err.startswith("CommandError: library.Book cannot be read from default: ")
    assert done.err.count("\n") == 1
