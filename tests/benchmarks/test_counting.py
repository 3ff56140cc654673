from __future__ import annotations

import sys

from tools.benchmarks.counting import count_calls, count_instructions


def one() -> int:
    return len("one")


def two() -> None:
    one()
    one()


def test_calls_in_python_and_in_c_are_counted_with_all_that_these_call():
    # The last one of all is the end of the counting itself.
    assert count_calls(two) - count_calls(one) == 3
    assert count_calls(two) - count_calls(lambda: None) == 4


def test_what_profiled_before_goes_on_profiling():
    def profiles(frame, event, argument):
        return

    sys.setprofile(profiles)
    try:
        count_calls(one)
        assert sys.getprofile() is profiles
    finally:
        sys.setprofile(None)


def test_it_ends_with_an_exception_too():
    def fails():
        raise ValueError

    try:
        count_calls(fails)
    except ValueError:
        assert sys.getprofile() is None
    else:
        raise AssertionError


def test_instructions_are_counted_by_the_folder_of_their_file():
    few, none = count_instructions(one, __file__)
    more, _ = count_instructions(two, __file__)
    assert more > 2 * few > 0
    assert none == 0
    assert count_instructions(one, "/elsewhere/") == (0, few)


def test_what_traced_before_goes_on_tracing():
    def traces(frame, event, argument):
        return None

    before = sys.gettrace()
    sys.settrace(traces)
    try:
        count_instructions(one, __file__)
        assert sys.gettrace() is traces
    finally:
        sys.settrace(before)
