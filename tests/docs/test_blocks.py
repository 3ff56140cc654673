"""
Every block of code in the documentation is run, page by page, and prints what the page says.

``DOCS_WRITE=1 pytest tests/docs`` writes what was really printed into the pages, to be looked at and
committed.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, Block, blocks, page_order

WRITE = bool(os.environ.get("DOCS_WRITE"))
WITH_CODE = [page for page in PAGES if blocks(page) and not page.startswith("findings/")]


def rewrite(page: str, rewritten: dict[Block, str]) -> None:
    file: Path = DOCS / page
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for block in sorted(rewritten, key=lambda block: -block.first):
        lines[block.first : block.last] = rewritten[block].splitlines(keepends=True)
    file.write_text("".join(lines), encoding="utf-8")


@pytest.mark.parametrize("name", WITH_CODE)
def test_every_block_runs_and_prints_what_is_shown(name, page):
    runner = page(page_order(name))
    for block in blocks(name):
        runner.run(block)
    runner.finish()
    if WRITE and runner.rewritten:
        rewrite(name, runner.rewritten)
    else:
        assert {
            block.place: (block.text.splitlines(), text.splitlines())
            for block, text in runner.rewritten.items()
        } == {}


NOT_RUN = {
    ("database-store.md", "needs a server of PostgreSQL or MySQL; tests/services runs the same steps"): 2,
    ("opentelemetry.md", "a drawing"): 1,
    ("opentelemetry.md", "a header; tests/recording/test_server_timing.py has it"): 1,
    ("opentelemetry.md", "installs from a package index; tests/packaging does it with the built wheel"): 1,
    (
        "reference/toolbar.md",
        "installs from a package index; tests/packaging does it with the built wheel",
    ): 1,
    ("tutorial.md", "installs from a package index; tests/packaging does it with the built wheel"): 1,
}


def test_the_blocks_that_nobody_runs_are_these():
    assert (
        Counter((block.page, block.not_run) for page in PAGES for block in blocks(page) if block.not_run)
        == NOT_RUN
    )


def test_every_server_of_a_page_is_asked_for_something():
    for page in WITH_CODE:
        served = sum(block.order == "served" for block in blocks(page))
        asked = sum(block.language == "get" for block in blocks(page))
        assert served == 0 or asked >= served, page
