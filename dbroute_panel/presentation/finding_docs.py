"""
What does the documentation say about a finding?

``docs/findings/<code>.md`` of the repository, which the package has as ``dbroute_panel/docs/findings``.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from .markdown import Block, Piece, blocks

FOLDER: Final = files("dbroute_panel") / "docs" / "findings"
INDEX: Final = "README"


@cache
def documented() -> frozenset[str]:
    """The codes that have a page; none where somebody has packed the tool without its documents."""
    names = [file.name for file in FOLDER.iterdir()] if FOLDER.is_dir() else []
    return frozenset(name.removesuffix(".md") for name in names if name.endswith(".md")) - {INDEX}


def document(code: str) -> list[Block] | None:
    """The page about ``code``, or None. A link to the page of another code has that code as its target."""
    if code not in documented():
        return None
    source = (FOLDER / f"{code}.md").read_text(encoding="utf-8")
    return [_with_links(block) for block in blocks(source)]


def _with_links(block: Block) -> Block:
    return Block(
        kind=block.kind,
        level=block.level,
        pieces=tuple(map(_linked, block.pieces)),
        items=tuple(tuple(map(_linked, item)) for item in block.items),
        text=block.text,
    )


def _linked(piece: Piece) -> Piece:
    """Of the links, those to other codes; the rest is text."""
    code = piece.target.removesuffix(".md")
    return Piece(piece.text, piece.kind, code if code in documented() else "")
