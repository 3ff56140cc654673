"""The pages of the documentation: what of Markdown is understood, and that nothing else does harm."""

from __future__ import annotations

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from dbroute_panel import findings
from dbroute_panel.inspection.lints import LINTS
from dbroute_panel.presentation import document, documented
from dbroute_panel.presentation.markdown import Block, Piece, blocks, pieces

SIGNS = st.text("ab`*[]()#- \n<>&.", max_size=60)


def paragraph(*parts):
    return Block(kind="paragraph", pieces=parts)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        ("one\ntwo\n\nthree", [paragraph(Piece("one two")), paragraph(Piece("three"))]),
        ("# `code` here #", [Block(kind="heading", level=1, pieces=(Piece("code", "code"), Piece(" here")))]),
        (
            "text\n## Two\nmore",
            [
                paragraph(Piece("text")),
                Block(kind="heading", level=2, pieces=(Piece("Two"),)),
                paragraph(Piece("more")),
            ],
        ),
        ("#hashtag", [paragraph(Piece("#hashtag"))]),
        (
            "text\n```python\ndef f(**hints):\n\n    # no heading\n```\nmore",
            [
                paragraph(Piece("text")),
                Block(kind="code", text="def f(**hints):\n\n    # no heading"),
                paragraph(Piece("more")),
            ],
        ),
        ("```\nno end", [Block(kind="code", text="no end")]),
        (
            "- one\n  goes on\n- `two`\n\nafter",
            [
                Block(kind="list", items=((Piece("one goes on"),), (Piece("two", "code"),))),
                paragraph(Piece("after")),
            ],
        ),
        (
            "before\n* item\n## Two",
            [
                paragraph(Piece("before")),
                Block(kind="list", items=((Piece("item"),),)),
                Block(kind="heading", level=2, pieces=(Piece("Two"),)),
            ],
        ),
    ],
)
def test_blocks(source, expected):
    assert list(blocks(source)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`a*b*` **c**", (Piece("a*b*", "code"), Piece(" "), Piece("c", "strong"))),
        ("see [x](x.md).", (Piece("see "), Piece("x", "", "x.md"), Piece("."))),
        ("[`x`](x.md)", (Piece("x", "code", "x.md"),)),
        ("`[x](y)` **hints", (Piece("[x](y)", "code"), Piece(" **hints"))),
        ("` alone, [and] (this)", (Piece("` alone, [and] (this)"),)),
    ],
)
def test_pieces(text, expected):
    assert pieces(text) == expected


@given(SIGNS)
def test_no_text_is_lost_and_none_becomes_markup(source):
    def shown(block):
        inline = [*block.pieces, *(piece for item in block.items for piece in item)]
        return block.text + "".join(piece.text for piece in inline)

    found = list(blocks(source))
    letters = [char for block in found for char in shown(block) if char in "ab<>&"]
    kept = [char for line in source.splitlines() if not line.startswith("```") for char in line]
    targets = sum(len(piece.target) for block in found for piece in block.pieces)
    if not targets and "](" not in source:
        assert letters == [char for char in kept if char in "ab<>&"]
    markup = render_to_string("dbroute_panel/_pieces.html", {"pieces": [Piece(shown(b)) for b in found]})
    assert "<" not in markup


def test_every_code_has_a_page_that_is_read_to_its_end():
    assert documented() >= findings.REGISTRY.keys() | LINTS.keys()
    for code in documented():
        found = document(code)
        assert found[0] == Block(kind="heading", level=1, pieces=found[0].pieces)
        assert found[0].pieces[0].text == code
        titles = [block.pieces[0].text for block in found if block.kind == "heading"]
        assert titles[1:] == ["Cause", "Example", "Remedy"]
        assert any(block.kind == "code" for block in found)
        inline = [piece for block in found for piece in block.pieces]
        assert not [piece for piece in inline if not piece.kind and ("`" in piece.text or "](" in piece.text)]


def test_links_lead_to_other_codes_alone():
    assert {piece.target for block in document("partial-commit") for piece in block.pieces} == {
        "",
        "several-databases-written",
    }


@pytest.mark.parametrize("code", ["README", "stale-raed", "", "../../pyproject", "stale-read.md"])
def test_there_is_no_page_about_anything_else(code):
    assert document(code) is None
