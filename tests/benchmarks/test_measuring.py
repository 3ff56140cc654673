from __future__ import annotations

import pytest

from tools.benchmarks.measuring import Results, Series


def test_a_series_has_a_middle_and_goes_from_the_least_to_the_most():
    found = Series((5.0, 1.0, 2.0, 100.0))

    assert (found.median, found.least, found.most) == (3.5, 1.0, 100.0)


def test_what_two_series_have_of_the_same_round_is_compared():
    # The whole machine was three times as slow in the second round: the ratio does not know.
    ours, theirs = Series((2.0, 6.0)), Series((4.0, 12.0))

    assert ours.over(theirs).values == (0.5, 0.5)
    assert theirs.minus(ours).values == (2.0, 6.0)


def test_series_of_different_rounds_cannot_be_compared():
    with pytest.raises(ValueError, match="shorter"):
        Series((1.0, 2.0)).over(Series((1.0,)))


@pytest.mark.parametrize("nothing", [0.0, -0.3])
def test_how_many_times_nothing_is_without_bound(nothing: float):
    assert Series((3.0,)).over(Series((nothing,))).values == (float("inf"),)


def test_what_a_variant_adds_is_without_what_django_takes_in_that_round():
    results = Results()
    for slow in (1, 10):
        results.note("requests/bare/1000", {"total": 100.0 * slow})
        results.note("requests/recording/1000", {"total": 118.0 * slow})

    assert results.added("recording", 1000).values == (18.0, 180.0)


def test_what_was_not_measured_has_no_series():
    with pytest.raises(KeyError, match="page/1000/ms"):
        Results()["page/1000/ms"]
