"""``make demo`` as a newcomer meets it: a fresh checkout, one command, and a site to log in to."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.browser import free_port, served
from tests.packaging.conftest import ROOT

LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "node_modules")
CHECKED_OUT = [
    "Makefile",
    "README.md",
    "LICENSE",
    "pyproject.toml",
    "dbroute_panel",
    "example_site",
    "static",
    "templates",
    "docs",
    "tools",
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What ``git clone`` would give: no environment, no databases."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in CHECKED_OUT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, symlinks=True, ignore=LEFT_BEHIND)
        else:
            shutil.copy(source, folder / name)
    shutil.rmtree(folder / "example_site/data", ignore_errors=True)
    return folder


@pytest.mark.slow
def test_make_demo_serves_a_site_that_one_can_log_in_to_and_may_be_run_again(
    checkout: Path, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    for run in ("first", "second"):
        log = tmp_path / f"{run}.log"
        port = free_port()
        command = ["make", "demo", f"PYTHON={sys.executable}", f"PORT={port}"]
        with served(
            command, port=port, folder=checkout, environment=clean_environment, log=log, seconds=300
        ) as browser:
            printed = log.read_text()
            assert ("Installing" in printed) is (run == "first")
            # Below what Django's server says of itself; a request is logged below it in turn.
            said = [line for line in printed.splitlines() if line and '] "GET ' not in line]
            login = re.fullmatch(rf"The site: http://127.0.0.1:{port}/  Its admin: (\w+) / (\w+)", said[-1])
            assert login is not None, printed
            browser.get("/")
            browser.log_in(login[1], login[2])
            shown = browser.post("/scenarios/13/run/").text
            link = re.search(r"/admin/dbroute_panel/trace/[0-9a-f]{32}/change/", shown)
            assert link is not None, shown
            assert "PrimaryReplicaRouter" in browser.get(link[0]).text
            browser.get("/admin/dbroute_panel/trace/sandbox/")


def test_make_says_which_python_it_needs(
    checkout: Path, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit\nexit 1\n')
    old.chmod(0o755)

    made = subprocess.run(
        ["make", "demo", f"PYTHON={old}"],
        cwd=checkout,
        env=clean_environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert made.returncode != 0
    assert f"dbroute_panel needs Python 3.11 or newer, but '{old}' is Python 3.9.2." in made.stderr
    assert "make demo PYTHON=python3.13" in made.stderr
    assert not (checkout / ".venv").exists()


def test_an_environment_with_another_python_than_the_one_that_is_asked_for_is_refused(
    checkout: Path, clean_environment: dict[str, str]
) -> None:
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/.made").touch()
    for path, version in ((".venv/bin/python", "3.11"), ("other", "3.13")):
        (checkout / path).write_text(f"#!/bin/sh\necho {version}\n")
        (checkout / path).chmod(0o755)

    refused = subprocess.run(
        ["make", "test", "PYTHON=./other"],
        cwd=checkout,
        env=clean_environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert refused.returncode != 0
    assert ".venv has Python 3.11 and not ./other: add VENV=.venv-other, or remove .venv." in refused.stderr
    subprocess.run(["make", "help", "PYTHON=./other"], cwd=checkout, env=clean_environment, check=True)


def test_make_help_names_ten_targets_and_where_the_others_are(
    checkout: Path, clean_environment: dict[str, str]
) -> None:
    shown = subprocess.run(
        ["make"], cwd=checkout, env=clean_environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert [line.split()[1] for line in shown if line.startswith("make ")] == [
        "demo",
        "demo-services",
        "test",
        "test-services",
        "test-browser",
        "test-matrix",
        "check",
        "docs",
        "messages",
        "bench",
    ]
    assert "tools/targets.mk" in shown[-1]


@pytest.mark.parametrize("name", ["Makefile", "tools/targets.mk"])
def test_every_target_that_is_described_exists(name: str) -> None:
    text = (ROOT / name).read_text()
    described = re.findall(r"^# +make ([\w-]+)", text, re.MULTILINE)

    assert len(described) >= 8
    assert set(described) <= set(re.findall(r"^([\w-]+):", text, re.MULTILINE))
