"""What the code has in its registries is in the documentation, and the documentation has nothing else."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest
from django.contrib import admin
from django.core.management import BaseCommand

from dbroute_panel import records
from dbroute_panel.cli import SUBCOMMANDS
from dbroute_panel.conf import SETTINGS, MistakeKind
from dbroute_panel.exports import FORMATS
from dbroute_panel.management.commands.dbroute import Command
from dbroute_panel.models import Trace
from dbroute_panel.stores import DatabaseStore, MemoryStore, SQLiteStore
from example_site.scenarios import SCENARIOS
from tests.docs.pages import PAGES, ROOT, blocks, source

SETTINGS_PAGE, COMMAND = source("reference/settings.md"), source("reference/command.md")
DOCUMENT, ADMIN = source("reference/trace-document.md"), source("reference/admin.md")


def section(text: str, title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def first_cells(text: str) -> list[str]:
    """The names in the first column of the tables."""
    cells = re.findall(r"^\| ((?:[^|\\]|\\.)*?) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_setting_has_a_section_and_no_other_has():
    assert sorted(re.findall(r"^### `(\w+)`$", SETTINGS_PAGE, re.MULTILINE)) == sorted(SETTINGS)


def test_the_defaults_are_those_of_the_code():
    shown = ast.literal_eval(ast.parse(blocks("reference/settings.md")[0].text).body[0].value)
    assert shown == {name: key.default for name, key in SETTINGS.items()}


def test_every_check_is_listed():
    expected = [f"dbroute_panel.E{wrong:03}" for wrong in MistakeKind] + [
        "dbroute_panel.E009",
        "dbroute_panel.W001",
        "dbroute_panel.W002",
    ]
    assert first_cells(section(SETTINGS_PAGE, "Checks")) == expected


def test_every_store_is_listed():
    stores = {f"dbroute_panel.stores.{store.__name__}" for store in (SQLiteStore, MemoryStore, DatabaseStore)}
    assert set(first_cells(section(SETTINGS_PAGE, "Where traces go"))) == stores


def test_every_extra_is_listed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sorted(first_cells(section(SETTINGS_PAGE, "Extras"))) == sorted(project["optional-dependencies"])


@pytest.fixture(scope="module")
def arguments() -> dict[str, set[str]]:
    """Of each subcommand its own options, as they are given."""
    of_django = {
        option
        for action in BaseCommand().create_parser("manage.py", "x")._actions
        for option in action.option_strings
    }
    parser = Command().create_parser("manage.py", "dbroute")
    return {
        name: {
            option
            for action in subparser._actions
            for option in action.option_strings
            if option not in of_django
        }
        for name, subparser in parser.subparsers.choices.items()
    }


def test_every_subcommand_has_a_section_and_no_other_has():
    assert sorted(re.findall(r"^## (.+)$", COMMAND, re.MULTILINE)) == sorted(SUBCOMMANDS)


@pytest.mark.parametrize("name", sorted(SUBCOMMANDS))
def test_every_option_of_a_subcommand_is_in_its_table(name, arguments):
    listed = {cell.split()[0] for cell in first_cells(section(COMMAND, name)) if cell.startswith("--")}
    assert listed - {"--"} == arguments[name]


def test_every_format_is_a_choice_of_export():
    (row,) = (line for line in section(COMMAND, "export").splitlines() if line.startswith("| `--format"))
    assert re.findall(r"`(\w+)`", row.split(" | ")[1]) == list(FORMATS)


def test_every_page_of_the_admin_is_listed():
    names = [url.name for url in admin.site._registry[Trace].get_urls()]
    assert sorted(name for name in first_cells(ADMIN)) == sorted(names)


@pytest.mark.parametrize("name", ["Trace", "Decision", "Query", "CommitHook", "ExceptionRaised"])
def test_every_attribute_of_a_record_is_listed(name):
    first_table = section(DOCUMENT, name).partition(" is one of:")[0]
    assert sorted(first_cells(first_table)) == sorted(getattr(records, name).__struct_fields__)


@pytest.mark.parametrize("name", ["Transaction", "InstanceRef", "Callsite", "Finding"])
def test_every_attribute_of_a_small_record_is_named(name):
    fields = set(getattr(records, name).__struct_fields__)
    assert fields <= set(re.findall(r"`(\w+)`", section(DOCUMENT, name)))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (records.Action, "Decision"),
        (records.DecidedBy, "Decision"),
        (records.Outcome, "Decision"),
        (records.RouteKind, "Query"),
        (records.Operation, "Transaction"),
        (records.HookOutcome, "CommitHook"),
        (records.Level, "Finding"),
    ],
)
def test_every_value_of_an_enumeration_is_named(kind, name):
    assert {value.value for value in kind} <= set(re.findall(r"`(\w+)`", section(DOCUMENT, name)))


def test_every_scenario_is_in_the_guide():
    text = "\n".join(source(page) for page in PAGES if page.startswith("guide/"))
    told = {int(number) for number in re.findall(r"[Ss]cenario (\d+)", text)}
    told |= {int(number) for number in re.findall(r"docs: source (\d+)", text)}
    assert told == set(SCENARIOS)


def test_every_page_is_in_a_table_of_contents():
    index = source("index.md")
    for page in PAGES:
        if page.startswith("findings/") and page != "findings/README.md":
            assert "findings/[a-z]*" in index
        elif page not in ("index.md", "reliability.md", "performance.md"):
            assert f"\n{page.removesuffix('.md')}\n" in index, page
