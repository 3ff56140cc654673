"""The pages of the documentation: what of Markdown is understood, and that nothing else does harm."""

from __future__ import annotations

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from dbroute_panel import findings
from dbroute_panel.inspection.lints import LINTS
from dbroute_panel.presentation import documented_codes, read_finding_doc
from dbroute_panel.presentation.finding_docs import Block, TextSpan, parse_blocks, parse_inline

SIGNS = st.text("ab`*[]()#- \n<>&.", max_size=60)


def paragraph(*parts):
    return Block(kind="paragraph", pieces=parts)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        ("one\ntwo\n\nthree", [paragraph(TextSpan("one two")), paragraph(TextSpan("three"))]),
        (
            "# `code` here #",
            [Block(kind="heading", level=1, pieces=(TextSpan("code", "code"), TextSpan(" here")))],
        ),
        (
            "text\n## Two\nmore",
            [
                paragraph(TextSpan("text")),
                Block(kind="heading", level=2, pieces=(TextSpan("Two"),)),
                paragraph(TextSpan("more")),
            ],
        ),
        ("#hashtag", [paragraph(TextSpan("#hashtag"))]),
        (
            "text\n```python\ndef f(**hints):\n\n    # no heading\n```\nmore",
            [
                paragraph(TextSpan("text")),
                Block(kind="code", text="def f(**hints):\n\n    # no heading"),
                paragraph(TextSpan("more")),
            ],
        ),
        ("```\nno end", [Block(kind="code", text="no end")]),
        (
            "- one\n  goes on\n- `two`\n\nafter",
            [
                Block(kind="list", items=((TextSpan("one goes on"),), (TextSpan("two", "code"),))),
                paragraph(TextSpan("after")),
            ],
        ),
        (
            "before\n* item\n## Two",
            [
                paragraph(TextSpan("before")),
                Block(kind="list", items=((TextSpan("item"),),)),
                Block(kind="heading", level=2, pieces=(TextSpan("Two"),)),
            ],
        ),
    ],
)
def test_blocks(source, expected):
    assert list(parse_blocks(source)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`a*b*` **c**", (TextSpan("a*b*", "code"), TextSpan(" "), TextSpan("c", "strong"))),
        ("see [x](x.md).", (TextSpan("see "), TextSpan("x", "", "x.md"), TextSpan("."))),
        ("[`x`](x.md)", (TextSpan("x", "code", "x.md"),)),
        ("`[x](y)` **hints", (TextSpan("[x](y)", "code"), TextSpan(" **hints"))),
        ("` alone, [and] (this)", (TextSpan("` alone, [and] (this)"),)),
    ],
)
def test_pieces(text, expected):
    assert parse_inline(text) == expected


@given(SIGNS)
def test_no_text_is_lost_and_none_becomes_markup(source):
    def shown(block):
        inline = [*block.pieces, *(piece for item in block.items for piece in item)]
        return block.text + "".join(piece.text for piece in inline)

    found = list(parse_blocks(source))
    letters = [char for block in found for char in shown(block) if char in "ab<>&"]
    kept = [char for line in source.splitlines() if not line.startswith("```") for char in line]
    targets = sum(len(piece.target) for block in found for piece in block.pieces)
    if not targets and "](" not in source:
        assert letters == [char for char in kept if char in "ab<>&"]
    markup = render_to_string("dbroute_panel/_pieces.html", {"pieces": [TextSpan(shown(b)) for b in found]})
    assert "<" not in markup


def test_every_code_has_a_page_that_is_read_to_its_end():
    assert documented_codes() >= findings.REGISTRY.keys() | LINTS.keys()
    for code in documented_codes():
        found = read_finding_doc(code)
        assert found[0] == Block(kind="heading", level=1, pieces=found[0].pieces)
        assert found[0].pieces[0].text == code
        titles = [block.pieces[0].text for block in found if block.kind == "heading"]
        assert titles[1:] == ["Cause", "Example", "Remedy"]
        assert any(block.kind == "code" for block in found)
        inline = [piece for block in found for piece in block.pieces]
        assert not [piece for piece in inline if not piece.kind and ("`" in piece.text or "](" in piece.text)]


def test_links_lead_to_other_codes_alone():
    assert {piece.target for block in read_finding_doc("partial-commit") for piece in block.pieces} == {
        "",
        "several-databases-written",
    }


@pytest.mark.parametrize("code", ["README", "stale-raed", "", "../../pyproject", "stale-read.md"])
def test_there_is_no_page_about_anything_else(code):
    assert read_finding_doc(code) is None
