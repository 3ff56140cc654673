"""
What does the documentation say about a finding?

``docs/findings/<code>.md`` of the repository, which the package has as ``dbroute_panel/docs/findings``.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from .markdown import Block, TextSpan, parse_blocks

DOCS_FOLDER: Final = files("dbroute_panel") / "docs" / "findings"
INDEX_NAME: Final = "README"


@cache
def documented_codes() -> frozenset[str]:
    """The codes that have a page; none where somebody has packed the tool without its documents."""
    names = [file.name for file in DOCS_FOLDER.iterdir()] if DOCS_FOLDER.is_dir() else []
    return frozenset(name.removesuffix(".md") for name in names if name.endswith(".md")) - {INDEX_NAME}


def read_finding_doc(code: str) -> list[Block] | None:
    """The page about ``code``, or None. A link to the page of another code has that code as its target."""
    if code not in documented_codes():
        return None
    source = (DOCS_FOLDER / f"{code}.md").read_text(encoding="utf-8")
    return [_resolve_links(block) for block in parse_blocks(source)]


def _resolve_links(block: Block) -> Block:
    return Block(
        kind=block.kind,
        level=block.level,
        pieces=tuple(map(_resolve_link, block.pieces)),
        items=tuple(tuple(map(_resolve_link, item)) for item in block.items),
        text=block.text,
    )


def _resolve_link(piece: TextSpan) -> TextSpan:
    """Of the links, those to other codes; the rest is text."""
    code = piece.target.removesuffix(".md")
    return TextSpan(piece.text, piece.kind, code if code in documented_codes() else "")
