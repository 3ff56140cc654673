"""
Read what the documentation says about a finding, without trusting it to be HTML.

``docs/findings/<code>.md`` of the repository, which the package has as ``dbroute_panel/docs/findings``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

DOCS_FOLDER: Final = files("dbroute_panel") / "docs" / "findings"
INDEX_NAME: Final = "README"


@cache
def documented_codes() -> frozenset[str]:
    """Return the codes that have a page; none if the package was built without its documents."""
    names = [file.name for file in DOCS_FOLDER.iterdir()] if DOCS_FOLDER.is_dir() else []
    return frozenset(name.removesuffix(".md") for name in names if name.endswith(".md")) - {INDEX_NAME}


def read_finding_doc(code: str) -> list[Block] | None:
    """Return the page about ``code``, or None. The target of a link to another page is that page's code."""
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
    """Keep links to other codes; turn other links into text."""
    code = piece.target.removesuffix(".md")
    return TextSpan(piece.text, piece.kind, code if code in documented_codes() else "")


FENCE: Final = "```"
_HEADING: Final = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_ITEM: Final = re.compile(r"[-*]\s+(.*)")
_INLINE: Final = re.compile(
    r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\[(?P<text>[^\]]+)\]\((?P<target>[^()\s]+)\)"
)


class TextSpan(msgspec.Struct, frozen=True):
    """A piece of text: ``kind`` is "" or ``code``, ``strong``; ``target`` is where a link leads, or ""."""

    text: str
    kind: str = ""
    target: str = ""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """
    ``kind`` is ``heading`` (of ``level`` 1 to 6), ``paragraph``, ``list`` or ``code``.

    ``pieces`` has the text; of a list the ``items`` have it, of code ``text``.
    """

    kind: str
    level: int = 0
    pieces: tuple[TextSpan, ...] = ()
    items: tuple[tuple[TextSpan, ...], ...] = ()
    text: str = ""


def parse_blocks(source: str) -> Iterator[Block]:
    """Yield the blocks of a document: headings, paragraphs, lists, fenced code; the rest stays text."""
    lines = iter([*source.splitlines(), ""])
    pending: list[str] = []
    items: list[str] = []
    for line in lines:
        heading, item = _HEADING.match(line), _ITEM.match(line)
        if items and line.startswith(" ") and line.strip():
            items[-1] += f" {line.strip()}"
            continue
        if items and item is None:
            yield Block(kind="list", items=tuple(parse_inline(text) for text in items))
            items = []
        if pending and (heading or item or not line.strip() or line.startswith(FENCE)):
            yield Block(kind="paragraph", pieces=parse_inline(" ".join(pending)))
            pending = []
        if line.startswith(FENCE):
            yield Block(kind="code", text="\n".join(_read_fenced(lines)).rstrip())
        elif heading:
            yield Block(kind="heading", level=len(heading[1]), pieces=parse_inline(heading[2]))
        elif item:
            items.append(item[1])
        elif line.strip():
            pending.append(line.strip())


def _read_fenced(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines up to the closing fence, or to the end."""
    for line in lines:
        if line.startswith(FENCE):
            return
        yield line


def parse_inline(text: str) -> tuple[TextSpan, ...]:
    """Split a paragraph into ``code``, **strong**, links and text, which a template escapes."""
    return tuple(_iter_spans(text))


def _iter_spans(text: str) -> Iterator[TextSpan]:
    end = 0
    for found in _INLINE.finditer(text):
        if found.start() > end:
            yield TextSpan(text[end : found.start()])
        end = found.end()
        if found["target"]:
            for inner in _iter_spans(found["text"]):
                yield msgspec.structs.replace(inner, target=found["target"])
        else:
            yield TextSpan(found["code"] or found["strong"], "code" if found["code"] else "strong")
    if end < len(text):
        yield TextSpan(text[end:])
