"""Which labels are offered for what somebody has typed so far."""

from __future__ import annotations

from dbroute_panel.inspection.labels import MOST, like, nearest

LABELS = ["auth.Book", "bookings.Room", "library.Book", "library.Book_tags", "library.Notebook"]


def test_the_likeliest_come_first():
    assert like("book", LABELS) == [
        *("auth.Book", "library.Book"),  # the model itself
        "library.Book_tags",  # a model that begins so
        "bookings.Room",  # an app that does
        "library.Notebook",
    ]
    assert like("book", ["a.Booklet", "library.Book"]) == ["library.Book", "a.Booklet"]
    assert like("lib", ["alibi.Case", "library.Tag"]) == ["library.Tag", "alibi.Case"]
    assert like(" LIBRARY.book ", LABELS) == ["library.Book", "library.Book_tags"]
    assert like("nothing", LABELS) == []


def test_never_more_than_can_be_looked_over():
    many = [f"app.Model{number:04}" for number in range(1000)]
    assert like("", many) == many[:MOST]
    assert like("model0", many) == many[:MOST]
    assert like("model0999", many) == many[999:]


def test_what_a_wrong_one_was_meant_to_be():
    assert nearest("library.Bok", LABELS)[0] == "library.Book"
    assert nearest("Book", LABELS, most=2) == ["auth.Book", "library.Book"]  # no app was named
    assert nearest("LIBRARY.BOOKTAGS", LABELS)[0] == "library.Book_tags"
    many = [f"app.Model{number}" for number in range(9)]
    assert len(nearest("model", many)) == len(nearest("app.Modle", many)) == 5
    assert len(nearest("app.Modle", many, most=4)) == 4
    assert nearest("", LABELS) == nearest("zzzz", LABELS) == []
