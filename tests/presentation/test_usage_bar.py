"""The bar of databases in a line of the list: always as wide, every database to be seen, in one order."""

from __future__ import annotations

import pytest

from dbroute_panel.presentation import Palette, build_usage_bar
from dbroute_panel.presentation.totals import BAR_WIDTH, MIN_SEGMENT_WIDTH
from tests.traces import a_trace

PALETTE = Palette(a_trace().databases)


def bar(**queries: int) -> list[tuple[str, int, int]]:
    return [(one.database.alias, one.x, one.width) for one in build_usage_bar(queries, PALETTE)]


def test_without_queries_there_is_none():
    assert build_usage_bar({}, PALETTE) == build_usage_bar({"primary": 0}, PALETTE) == ()


def test_one_database_has_all_of_it():
    assert bar(archive=7) == [("archive", 0, BAR_WIDTH)]


def test_parts_are_as_the_queries_in_order_of_the_settings_the_unknown_last():
    half, quarter = (
        MIN_SEGMENT_WIDTH + (BAR_WIDTH - 3 * MIN_SEGMENT_WIDTH) // 2,
        MIN_SEGMENT_WIDTH + (BAR_WIDTH - 3 * MIN_SEGMENT_WIDTH) // 4,
    )
    assert bar(archive=1, replica1=1, primary=2) == [
        ("primary", 0, half),
        ("replica1", half, quarter),
        ("archive", half + quarter, quarter),
    ]


@pytest.mark.parametrize(
    "queries",
    [
        {"primary": 100_000, "replica1": 1},
        {"primary": 1, "replica1": 1, "replica2": 1},
        {f"shard{number}": number + 1 for number in range(30)},
    ],
)
def test_it_is_full_without_gaps_and_shows_every_database(queries):
    parts = build_usage_bar(queries, PALETTE)
    assert parts[0].x == 0
    assert [one.x + one.width for one in parts] == [*(one.x for one in parts[1:]), BAR_WIDTH]
    assert min(one.width for one in parts) >= MIN_SEGMENT_WIDTH


def test_of_more_databases_than_it_is_wide_none_is_negative():
    parts = build_usage_bar({f"shard{number}": number + 1 for number in range(BAR_WIDTH * 2)}, PALETTE)
    assert len(parts) == BAR_WIDTH * 2
    assert all(0 <= one.width <= 1 for one in parts)
    assert sum(one.width for one in parts) == BAR_WIDTH
