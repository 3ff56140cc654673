from __future__ import annotations

import pytest

from dbroute_panel.suggestions import did_you_mean, find_nearest


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("library.Book", "library.Book"),
        ("libary.Book", "library.Book"),
        ("LIBRARY.BOOK", "library.Book"),
        ("libary.book", "library.Book"),
        ("", None),
        ("something else", None),
    ],
)
def test_nearest_whatever_the_case(word, expected):
    assert find_nearest(word, ["library.Author", "library.Book"]) == expected


def test_the_nearest_is_named():
    assert did_you_mean("replca1", ["primary", "replica1"]) == "Did you mean 'replica1'?"


def test_else_all_are_listed_in_order():
    assert did_you_mean("x", iter(["primary", "archive"])) == "Valid are 'archive', 'primary'."


def test_a_long_list_is_cut():
    answer = did_you_mean("x", [f"shard{n:03}" for n in range(50)])
    assert answer.startswith("Valid are 'shard000', ")
    assert answer.endswith("'shard019' and 30 more.")
    assert did_you_mean("x", [f"shard{n:03}" for n in range(20)]).endswith("'shard019'.")


def test_there_may_be_none():
    assert did_you_mean("x", []) == "There is none."
