from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from dbroute_panel.findings import REGISTRY, Facts
from dbroute_panel.inspection.lints import LINTS
from dbroute_panel.records import Level
from example_site.findings import archive_written_in_request
from tests.traces import a_trace

DOCS = Path(__file__).parents[2] / "docs" / "findings"

SPECIFIED = {
    "write-outside-atomic": Level.WARNING,
    "on-commit-elsewhere": Level.WARNING,
    "stale-read": Level.WARNING,
    "replica-read-in-atomic": Level.WARNING,
    "write-to-replica": Level.ERROR,
    "session-stale-read": Level.WARNING,
    "checked-elsewhere": Level.WARNING,
    "migration-elsewhere": Level.WARNING,
    "write-by-fallback": Level.WARNING,
    "write-on-read-route": Level.ERROR,
    "pk-overwrite": Level.ERROR,
    "several-databases-written": Level.INFO,
    "partial-commit": Level.ERROR,
    "relation-refused": Level.ERROR,
    "unknown-alias": Level.ERROR,
    "empty-default": Level.ERROR,
    "router-raised": Level.ERROR,
    "router-queried": Level.WARNING,
    "random-route": Level.INFO,
    "missing-table": Level.ERROR,
    "repeated-query": Level.WARNING,
    "same-query-elsewhere": Level.INFO,
    "add-across-databases": Level.ERROR,
    "subquery-across-databases": Level.ERROR,
}


def test_the_codes_and_levels_are_those_that_were_promised():
    assert {code: function.level for code, function in REGISTRY.items()} == SPECIFIED


@pytest.mark.parametrize("code", sorted(REGISTRY))
def test_every_code_has_a_page_with_cause_example_and_remedy(code):
    text = (DOCS / f"{code}.md").read_text(encoding="utf-8")
    title, *rest = text.split("\n## ")
    assert title.startswith(f"# `{code}`\n")
    assert f"**{REGISTRY[code].level}**" in title.lower()
    sections = {section.partition("\n")[0]: section.partition("\n")[2].strip() for section in rest}
    assert [*sections][:3] == ["Cause", "Example", "Remedy"]
    assert all(len(section) > 80 for section in sections.values())


@pytest.mark.parametrize("code", sorted(REGISTRY))
def test_the_python_of_every_page_compiles(code):
    examples = re.findall(
        r"```python\n(.*?)```", (DOCS / f"{code}.md").read_text(encoding="utf-8"), re.DOTALL
    )
    for example in examples:
        compile(example, f"{code}.md", "exec")
    assert examples


def test_the_index_has_every_code_with_its_level():
    rows = re.findall(
        r"^\| \[`([\w-]+)`\]\(([\w-]+)\.md\) \| (\w+) \| \S.*\|$",
        (DOCS / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert all(code == page for code, page, _ in rows)
    listed = [(code, level) for code, _, level in rows]
    expected = [*REGISTRY.values(), *LINTS.values()]
    assert listed == [(one.code, one.level) for one in expected]
    assert {code for code, _ in listed} == {file.stem for file in DOCS.glob("*.md")} - {"README"}


def test_the_example_in_the_index_is_the_one_of_the_example_site():
    text = (DOCS / "README.md").read_text(encoding="utf-8")
    example = inspect.getsource(archive_written_in_request.function).partition('"""\n')[2]
    assert example.strip() in text
    assert f'"{archive_written_in_request.code}"' in text
    for name in set(re.findall(r"`trace\.(\w+)", text)):
        assert hasattr(Facts(a_trace(1)), name), name
