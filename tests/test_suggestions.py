from __future__ import annotations

import pytest

from dbroute_panel.suggestions import MAX_LABELS, did_you_mean, find_nearest, match_labels, suggest_labels

LABELS = ["auth.Book", "bookings.Room", "library.Book", "library.Book_tags", "library.Notebook"]


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


def test_the_likeliest_come_first():
    assert match_labels("book", LABELS) == [
        *("auth.Book", "library.Book"),  # the model itself
        "library.Book_tags",  # a model that begins so
        "bookings.Room",  # an app that does
        "library.Notebook",
    ]
    assert match_labels("book", ["a.Booklet", "library.Book"]) == ["library.Book", "a.Booklet"]
    assert match_labels("lib", ["alibi.Case", "library.Tag"]) == ["library.Tag", "alibi.Case"]
    assert match_labels(" LIBRARY.book ", LABELS) == ["library.Book", "library.Book_tags"]
    assert match_labels("nothing", LABELS) == []


def test_never_more_than_can_be_looked_over():
    many = [f"app.Model{number:04}" for number in range(1000)]
    assert match_labels("", many) == many[:MAX_LABELS]
    assert match_labels("model0", many) == many[:MAX_LABELS]
    assert match_labels("model0999", many) == many[999:]


def test_what_a_wrong_one_was_meant_to_be():
    assert suggest_labels("library.Bok", LABELS)[0] == "library.Book"
    assert suggest_labels("Book", LABELS, most=2) == ["auth.Book", "library.Book"]  # no app was named
    assert suggest_labels("LIBRARY.BOOKTAGS", LABELS)[0] == "library.Book_tags"
    many = [f"app.Model{number}" for number in range(9)]
    assert len(suggest_labels("model", many)) == len(suggest_labels("app.Modle", many)) == 5
    assert len(suggest_labels("app.Modle", many, most=4)) == 4
    assert suggest_labels("", LABELS) == suggest_labels("zzzz", LABELS) == []
