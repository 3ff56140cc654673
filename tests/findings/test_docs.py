from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbroute_panel.findings import REGISTRY
from dbroute_panel.records import Level

DOCS = Path(__file__).parents[2] / "docs" / "findings"

SPECIFIED = {
    "write-outside-atomic": Level.WARNING,
    "stale-read": Level.WARNING,
    "replica-read-in-atomic": Level.WARNING,
    "write-to-replica": Level.ERROR,
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
