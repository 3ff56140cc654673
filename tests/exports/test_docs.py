"""docs/exports.md says what is so: its formats, columns and code."""

from __future__ import annotations

import re
from pathlib import Path

from dbroute_panel.cli import SUBCOMMANDS
from dbroute_panel.exports import FORMATS
from dbroute_panel.exports.csv import COLUMNS

TEXT = (Path(__file__).parents[2] / "docs" / "exports.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)[1]


def first_cells(text: str) -> list[str]:
    rows = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_every_format_is_in_the_table_with_its_extension():
    table = TEXT.partition("## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| `(\.[\w.]+)` \|", table, re.MULTILINE))
    assert {name: f".{known.extension}" for name, known in FORMATS.items()} == rows


def test_every_column_is_in_the_table():
    assert sorted(first_cells(section("The columns of csv"))) == sorted(COLUMNS)


def test_the_python_code_runs(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(code, "docs/exports.md", "exec"), {})
    assert (tmp_path / "nightly.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_commands_exist_with_these_options(dbroute_parser):
    lines = re.findall(r"^python manage\.py dbroute (.+)$", TEXT, re.MULTILINE)
    assert len(lines) >= 5
    for line in lines:
        name, *words = line.split()
        assert name in SUBCOMMANDS
        dbroute_parser.parse_args([name, *words])
