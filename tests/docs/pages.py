"""
Which code is in the documentation, and what is to be done with each block of it?

A page is read with markdown-it, the parser that MyST stands on. A comment in front of a block, which no
reader sees, is an order:

- ``<!-- docs: write PATH -->``, ``append PATH``: the block is (more of) that file of the page's project;
- ``<!-- docs: site -->``: the commands run in the checkout, with the data of the example site;
- ``<!-- docs: exits 1 -->``: the last command does; ``raises ValueError``: the Python does;
- ``<!-- docs: from Django 6.0 -->``: it runs there, and on newer ones;
- ``<!-- docs: output -->``: a ``text`` block is what the Python before it printed;
- ``<!-- docs: scenario 13 -->``: a ``text`` block is what ``dbroute show`` says of the trace of that
  scenario of the example site; ``scenario 23 trace 2``: of its second one; ``scenario 9 output``: the lines
  that it puts out;
- ``<!-- docs: source 13 -->``: a ``python`` block is the source of that scenario;
- ``<!-- docs: served -->``: the command is ``runserver``; it runs while a hidden ``get`` asks it for a path,
  and the answer is compared;
- ``<!-- docs: not run: WHY -->``: nothing; ``test_blocks.NOT_RUN`` has all of these.

``<!-- docs: hidden console`` or ``hidden python`` (with ``write PATH`` ...), the code, and ``-->`` is a block
that only the tests see. ``<!-- docs: project -->`` at the head of a page gives it a project that is set up
already (``conftest.base_project``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if "_build" not in path.parts)

_COMMENT = re.compile(r"<!-- docs: (?P<order>.*?)(?:\n(?P<hidden>.*?))?\s*-->\s*", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block. ``first`` and ``last`` are the lines of its text, from 0, the last one not included."""

    page: str
    first: int
    last: int
    language: str
    text: str
    order: str
    hidden: bool = False

    @property
    def place(self) -> str:
        return f"docs/{self.page}:{self.first}"

    @property
    def not_run(self) -> str | None:
        """Why nobody runs it, or None."""
        return self.order.removeprefix("not run: ") if self.order.startswith("not run: ") else None


def source(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


@cache
def blocks(page: str) -> tuple[Block, ...]:
    return tuple(_blocks(page))


@cache
def page_order(page: str) -> str | None:
    """The order at the head of a page, or None."""
    found = re.match(r"<!-- docs: (project) -->\n", source(page))
    return found[1] if found else None


def _blocks(page: str) -> Iterator[Block]:
    order = ""
    for token in MarkdownIt("commonmark").enable("table").parse(source(page)):
        if token.type == "html_block" and (found := _COMMENT.fullmatch(token.content)):
            if found["hidden"] is None:
                order = found["order"]
                continue
            _, language, *words = found["order"].split()
            first, last = token.map
            yield Block(page, first + 1, last, language, found["hidden"] + "\n", " ".join(words), hidden=True)
        elif token.type == "fence" and not token.info.startswith("{"):  # a directive of MyST's
            first, last = token.map
            yield Block(page, first + 1, last - 1, token.info.partition(" ")[0], token.content, order)
        order = ""
