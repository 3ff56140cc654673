"""The colours of code: which piece has which, on what they can be read, and how long it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbroute_panel.presentation import highlight, plain_sql
from tests.waiting import no_trap
from tools.benchmarks.counting import count_calls

STATIC = Path(__file__).parents[2] / "static" / "dbroute_panel"


def css_of(pieces):
    return {piece.text.strip(): piece.css.removeprefix("dbroute-hl-") for piece in pieces}


@pytest.mark.parametrize("placeholder", ["%s", "%(name)s", ":name", "$1", "?"])
def test_the_placeholder_of_every_driver_is_one(placeholder):
    assert css_of(highlight.highlight_sql(f"WHERE a = {placeholder} AND b = 5"))[placeholder] == "placeholder"


def test_what_looks_like_a_placeholder_is_none():
    css = css_of(highlight.highlight_sql("SELECT a::date, b ?| c, '%s'"))
    assert "placeholder" not in css.values()
    assert css["'%s'"] == "literal"


@pytest.mark.parametrize("name", ['"order"', "`order`"])
def test_a_quoted_name_is_neither_a_keyword_nor_a_string(name):
    css = css_of(highlight.highlight_sql(f"SELECT {name} FROM x"))
    assert css == {"SELECT": "keyword", name: "", "FROM": "keyword", "x": ""}


def test_neighbours_of_one_colour_are_one_piece():
    pieces = highlight.highlight_sql("SELECT DISTINCT aa, bb FROM dd")
    assert [piece.text for piece in pieces] == ["SELECT DISTINCT ", "aa, bb ", "FROM ", "dd"]


def test_every_colour_is_in_the_style_sheet_and_no_other():
    styled = set(re.findall(r"\.(dbroute-hl-\w+) \{", (STATIC / "detail.css").read_text()))
    assert styled == {css for _token, css in highlight.CSS_CLASSES if css}


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (p / 255 for p in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def rgb(text):
    text = text.lstrip("#")
    text = text if len(text) == 6 else "".join(c * 2 for c in text)
    return [int(text[i : i + 2], 16) for i in (0, 2, 4)]


@pytest.mark.parametrize(
    ("fg", "bg"),
    [
        ("#222", "#fff"),
        ("#222", "#f4f4f4"),
        ("#333", "#fff"),
        ("#333", "#f8f8f8"),
        ("#eee", "#121212"),
        ("#eee", "#212121"),
        ("#eee", "#1c1c1c"),
    ],
)
def test_every_mixed_colour_can_be_read_light_and_dark(fg, bg):
    """In the panel, the file and the admin: each one's text and background."""
    css = (STATIC / "detail.css").read_text()
    mixed = re.findall(r"color-mix\(in srgb, var\(--dbroute-fg\) (\d+)%, (#\w{6})\)", css)
    assert len(mixed) == 3
    for percent, hue in mixed:
        share = int(percent) / 100
        colour = [a * share + b * (1 - share) for a, b in zip(rgb(fg), rgb(hue), strict=True)]
        assert contrast(colour, rgb(bg)) >= 4.5, hue


def test_a_statement_of_a_megabyte_is_not_taken_apart():
    sql = "SELECT " + ", ".join(f"'{n}'" for n in range(150_000))
    assert len(sql) > 2**20
    assert highlight.format_sql(sql) == plain_sql(sql)
    assert count_calls(lambda: highlight.format_sql(sql)) < 50


@pytest.mark.parametrize("unit", ["'", "`", "/*", "%(", "(", "$", "-"])
def test_the_longest_that_is_coloured_is_no_trap_for_the_lexer(unit):
    sql = (unit * highlight.MAX_FORMATTED_LENGTH)[: highlight.MAX_FORMATTED_LENGTH]
    with no_trap():
        assert "".join(piece.text for piece in highlight.highlight_sql(sql)) == sql
    assert count_calls(lambda: highlight.highlight_sql(sql)) < 30 * len(sql)
