"""The versions that are supported are the same wherever they are named, and those that Django supports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from types import ModuleType

import django
import pytest
import yaml

from tests.packaging.conftest import ROOT
from tools.lowest import EXTRAS, main, parse_release, read_lowest_versions

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHON = "Programming Language :: Python :: "
DJANGO = "Framework :: Django :: "
LATER = {("3.14", "5.2"): (5, 2, 8)}
"""The release of Django that was the first of its series to support that Python."""


def versions(classifiers: list[str], prefix: str) -> list[str]:
    """``3.11`` of ``Programming Language :: Python :: 3.11``."""
    named = (classifier.removeprefix(prefix) for classifier in classifiers if classifier.startswith(prefix))
    return [version for version in named if re.fullmatch(r"\d+\.\d+", version)]


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    module = ModuleType("noxfile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.environ["PATH"])  # it puts pyenv's in front
        exec(compile((ROOT / "noxfile.py").read_text(encoding="utf-8"), "noxfile.py", "exec"), vars(module))
    found: list[tuple[str, str]] = module.PAIRS
    return found


def in_words(pairs: list[tuple[str, str]], between: str) -> str:
    """``Python 3.12 and 3.13 with Django 5.2 and 6.0; ...``: Pythons with the same Djangos are one."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for python in dict.fromkeys(python for python, _ in pairs):
        groups.setdefault(tuple(django for each, django in pairs if each == python), []).append(python)

    def listed(names: list[str] | tuple[str, ...]) -> str:
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))

    return between.join(
        f"Python {listed(pythons)} with Django {listed(djangos)}" for djangos, pythons in groups.items()
    )


def test_the_classifiers_are_the_pairs_that_nox_tests(pairs: list[tuple[str, str]]) -> None:
    assert versions(PROJECT["classifiers"], PYTHON) == list(dict.fromkeys(python for python, _ in pairs))
    assert versions(PROJECT["classifiers"], DJANGO) == sorted({version for _, version in pairs})
    assert PROJECT["requires-python"] == f">={pairs[0][0]}"


def test_the_pythons_of_this_django_are_those_that_it_names(pairs: list[tuple[str, str]]) -> None:
    here = ".".join(map(str, django.VERSION[:2]))
    named = versions(metadata("Django").get_all("Classifier") or [], PYTHON)
    ours = versions(PROJECT["classifiers"], PYTHON)

    assert [
        python
        for python, version in pairs
        if version == here and LATER.get((python, version), ()) <= django.VERSION[:3]
    ] == [python for python in named if python in ours]


@pytest.mark.parametrize(("page", "between"), [("README.md", "; "), ("docs/reliability.md", ", ")])
def test_the_pages_name_the_pairs(pairs: list[tuple[str, str]], page: str, between: str) -> None:
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())

    assert in_words(pairs, between) in text


def test_the_workflow_tests_the_pairs(pairs: list[tuple[str, str]]) -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["tests"]["strategy"]["matrix"]
    named = [(python, version) for python in matrix["python"] for version in matrix["django"]]
    named += [(each["python"], each["django"]) for each in matrix["include"]]

    assert sorted(named) == sorted(pairs)


def test_the_hooks_of_pre_commit_are_the_parts_of_make_check() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    parts = re.search(r"^check: (.+)$", makefile, re.MULTILINE)
    assert parts is not None

    assert [hook["id"] for hook in local["hooks"]] == parts[1].split()
    assert all(hook["entry"].split()[-1] == hook["id"] for hook in local["hooks"])


def test_this_python_is_supported() -> None:
    assert "{}.{}".format(*sys.version_info[:2]) in versions(PROJECT["classifiers"], PYTHON)


def test_every_requirement_of_a_user_has_a_lowest_version() -> None:
    found = read_lowest_versions(PROJECT)
    requirements = [*PROJECT["dependencies"]]
    for extra in EXTRAS:
        requirements += PROJECT["optional-dependencies"][extra]

    assert [f"{name}>={version}" for name, version in found.items()] == requirements
    assert set(found) > {"Django", "msgspec", "platformdirs", "sqlparse", "Pygments", "django-debug-toolbar"}


def test_a_requirement_without_a_lowest_version_is_an_error() -> None:
    with pytest.raises(ValueError, match="'msgspec<1' promises no lowest version"):
        read_lowest_versions(
            {
                "dependencies": ["Django>=5.2", "msgspec<1"],
                "optional-dependencies": {"toolbar": [], "otlp": []},
            }
        )


def test_the_constraints_are_printed_for_pip(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{name}=={version}" for name, version in read_lowest_versions(PROJECT).items()
    ]


def test_another_version_than_the_lowest_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed = read_lowest_versions(PROJECT)
    monkeypatch.setattr("tools.lowest.version", lambda name: f"{installed[name]}.0")
    assert main(["--installed"]) == 0
    monkeypatch.setitem(installed, "msgspec", "99.1")
    assert main(["--installed"]) == 1
    assert (
        capsys.readouterr().err
        == f"msgspec 99.1.0 is installed, not {read_lowest_versions(PROJECT)['msgspec']}\n"
    )


@pytest.mark.parametrize(
    ("text", "numbers"), [("5.2", (5, 2)), ("5.2.0", (5, 2)), ("4", (4,)), ("4.0.0", (4,))]
)
def test_a_release_is_its_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_release(text) == numbers


def test_who_cannot_have_a_newer_python_is_told_why() -> None:
    script = (ROOT / ".ci/next-python").read_text(encoding="utf-8")
    nobody = "#!/bin/sh\nid() { echo 65534; }\n"
    done = subprocess.run(
        ["bash", "-s", "/nowhere/at/all"],
        input=nobody + script,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("", 3)
    assert done.stderr == "No newer Python from Debian forky: only root may make and enter it.\n"
