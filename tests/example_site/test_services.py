"""What is said where the services configuration cannot be had. With servers, ``tests/services`` tests it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from example_site.services import Missing, Services, programs
from example_site.services.__main__ import USAGE, main

ROOT = Path(__file__).resolve().parent.parent.parent

APT = "On Debian and Ubuntu: apt install"
STARTS = "python -m example_site.services -- COMMAND starts the servers and sets it."


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "PACKAGED", tmp_path)
    monkeypatch.setattr(programs, "SBIN", str(tmp_path))
    return tmp_path


def make_programs(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        folder.joinpath(name).touch(mode=0o755)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], f"PostgreSQL, MariaDB. {APT} postgresql mariadb-server"),
        (
            ["--browser"],
            f"PostgreSQL, MariaDB, Chromium. {APT} postgresql mariadb-server chromium",
        ),
    ],
)
def test_one_line_says_what_to_install(nothing_installed, capsys, options, said):
    assert main([*options, "--", sys.executable]) == 2
    assert capsys.readouterr().err == f"Not installed: {said}\n"


def test_only_what_is_missing_is_named(nothing_installed, capsys):
    make_programs(nothing_installed, *programs.MARIADB, "chromium")
    assert main(["--browser", "--", sys.executable]) == 2
    said = "Not installed: PostgreSQL. On Debian and Ubuntu: apt install postgresql\n"
    assert capsys.readouterr().err == said


def test_a_block_without_the_programs_leaves_nothing_behind(nothing_installed, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(nothing_installed))
    with pytest.raises(Missing, match="Not installed: PostgreSQL"), Services():
        pass
    assert list(nothing_installed.iterdir()) == []


def test_the_newest_postgresql_is_taken_and_all_of_its_programs_from_there(nothing_installed):
    for version in ("9.6", "15", "17"):
        make_programs(nothing_installed / version / "bin", *programs.POSTGRESQL)
    make_programs(nothing_installed / "18" / "bin", "psql")
    make_programs(nothing_installed, "psql", "postgres")
    assert programs.postgresql() == nothing_installed / "17" / "bin"
    make_programs(nothing_installed, *programs.POSTGRESQL)
    assert programs.postgresql() == nothing_installed


@pytest.mark.parametrize("arguments", [[], ["--"], ["true"], ["--firefox", "--", sys.executable]])
def test_a_wrong_command_line_is_told_what_is_right(capsys, arguments):
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"{USAGE}\n"


def test_a_command_that_is_not_there_is_named(capsys):
    assert main(["--", "nothing-like-it"]) == 2
    assert capsys.readouterr().err == "There is no command nothing-like-it.\n"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"EXAMPLE_SITE_DATABASES": "oracle"},
            "EXAMPLE_SITE_DATABASES is one of files, services; not 'oracle'.",
        ),
        (
            {"EXAMPLE_SITE_DATABASES": "services"},
            f"EXAMPLE_SITE_DATABASES=services needs EXAMPLE_SITE_PASSWORD. {STARTS}",
        ),
    ],
)
def test_settings_that_cannot_be_say_what_can(environ, said):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EXAMPLE_", "DJANGO_"))}
    done = subprocess.run(
        [sys.executable, "-c", "import example_site.settings"],
        cwd=ROOT,
        env=kept | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == f"django.core.exceptions.ImproperlyConfigured: {said}"
