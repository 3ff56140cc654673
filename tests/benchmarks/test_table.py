from __future__ import annotations

import pytest

from tools.benchmarks import table
from tools.benchmarks.figures import FIGURES, Figure
from tools.benchmarks.measuring import Results, Series
from tools.benchmarks.variants import SIDE_BY_SIDE

QUICK = Figure(title="a page", unit="ms", read=lambda results: results["page/ms"], most=30, section="Pages")
FAST = Figure(title="a file", unit="MB/s", read=lambda results: results["file/rate"], least=50)
SEEN = Figure(title="a call", unit="us", read=lambda results: results["call/us"])


def measured(**figures: float) -> Results:
    results = Results()
    for name, value in figures.items():
        first, _, second = name.partition("_")
        results.note(first, {second: value})
    return results


@pytest.mark.parametrize(
    ("figure", "value", "met"),
    [(QUICK, 30.0, True), (QUICK, 30.1, False), (FAST, 50.0, True), (FAST, 49.9, False), (SEEN, 1e9, None)],
)
def test_a_target_is_met_up_to_its_bound(figure: Figure, value: float, met: bool | None):
    assert figure.met(Series((value,))) is met


def test_the_middle_decides_and_not_one_round():
    assert QUICK.met(Series((10.0, 20.0, 300.0))) is True
    assert QUICK.met(Series((10.0, 31.0, 32.0))) is False


def test_the_table_has_every_figure_with_its_target_and_whether_it_is_met():
    rows = table.figures(measured(page_ms=31.0, file_rate=121.0, call_us=0.25), [QUICK, FAST, SEEN])

    assert rows[1:] == [
        ["Pages", "", "", "", "", ""],
        ["a page", "ms", "31.0", "31.0 - 31.0", "at most 30", "MISSED"],
        ["", "", "", "", "", ""],
        ["a file", "MB/s", "121", "121 - 121", "at least 50", "met"],
        ["a call", "us", "0.25", "0.25 - 0.25", "", ""],
    ]


def test_what_is_missed_is_named():
    results = measured(page_ms=31.0, file_rate=121.0, call_us=0.25)

    assert table.missed(results, [QUICK, FAST, SEEN]) == ["a page"]


@pytest.mark.parametrize(
    ("value", "written"),
    [(1234.5, "1,234"), (12.34, "12.3"), (1.234, "1.23"), (-0.2, "-0.20"), (float("inf"), "-")],
)
def test_a_number_has_three_digits_that_count(value: float, written: str):
    assert table.number(value) == written


def test_a_text_is_in_columns_and_a_markdown_table_in_cells():
    rows = [["what", "ms"], ["a page", "31.0"]]

    assert table.text(rows) == "what      ms\na page  31.0"
    assert table.markdown(rows) == "| what | ms |\n| --- | ---: |\n| a page | 31.0 |"


def test_each_variant_has_a_row_and_what_is_done_after_the_answer_one_more():
    results = Results()
    for variant in SIDE_BY_SIDE:
        whole = {"bare": 100.0, "stored": 140.0}.get(variant.name, 120.0)
        after = 15.0 if variant.name == "stored" else 0.1
        results.note(
            f"requests/{variant.name}/1000", {"request": whole - after, "after": after, "total": whole}
        )

    rows = table.variants(results, [1000])

    assert len(rows) == 1 + len(SIDE_BY_SIDE) + 1
    assert rows[1][:2] == ["Django alone (its own)", "100"]
    assert ["dbroute_panel, SQLiteStore, until the answer", "25.1", "25.1 - 25.1", "1.25"] in rows
    assert ["dbroute_panel, SQLiteStore, to the end", "40.0", "40.0 - 40.0", "1.40"] in rows


def test_no_figure_has_two_targets_and_no_two_the_same_title():
    assert not [figure for figure in FIGURES if figure.most is not None and figure.least is not None]
    assert len({(figure.section, figure.title) for figure in FIGURES}) == len(FIGURES)


@pytest.mark.parametrize(("rounds", "said"), [((100.0, 124.0), False), ((100.0, 126.0, 101.0), True)])
def test_it_is_said_where_the_machine_was_busy(rounds: tuple[float, ...], said: bool):
    results = Results()
    for took in rounds:
        results.note("requests/bare/1000", {"total": took})

    warning = table.busy(results)

    assert (warning is not None) is said
    assert not said or warning.startswith("Django alone took 100 - 126 us a query")
