"""
What recording costs, as a number that no machine and no load changes: how many functions it calls.

Times are those of ``make bench``. Here is only noticed when somebody adds work to every query or decision.
The bounds are barely above what was counted on every supported Python and Django. Whoever makes recording
cheaper lowers them: else what they are to notice, which the last two tests do, would go by unseen.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
from django.db import router

from dbroute_panel import trace
from dbroute_panel.recording import decisions, stack
from example_site.library.models import Book
from tools.benchmarks.counting import count_calls, suspend_tracing

TIMES = 5

QUERY = 30
"""Calls of recording a query with its decision, by three routers."""

DECISION = 39
"""Calls of recording a decision about an instance, by three routers."""


def query() -> None:
    for _ in range(TIMES):
        Book.objects.get(pk=1)


def decision() -> None:
    book = Book(pk=1)
    for _ in range(TIMES):
        router.db_for_write(Book, instance=book)


def recorded() -> AbstractContextManager[object]:
    return trace("counted", keep=False)


@pytest.fixture(autouse=True)
def the_same_luck(site):
    """One of the routers is random, and what it draws is drawn with more or fewer calls."""
    state = random.getstate()
    yield
    random.setstate(state)


def counted(work: Callable[[], None], watching: Callable[[], AbstractContextManager[object]]) -> float:
    with watching(), suspend_tracing():
        count_calls(
            work
        )  # what is done once is not what is counted, such as to class the file of the counting
        random.seed(1)
        return count_calls(work) / TIMES


def added_by_recording(work: Callable[[], None]) -> float:
    return counted(work, recorded) - counted(work, nullcontext)


def test_what_is_counted_is_the_same_each_time():
    assert len({added_by_recording(query) for _ in range(3)}) == 1
    assert len({added_by_recording(decision) for _ in range(3)}) == 1


def test_recording_a_query_with_its_decision_calls_no_more_than_it_did():
    assert 0 < added_by_recording(query) < QUERY


def test_recording_a_decision_about_an_instance_calls_no_more_than_it_did():
    assert 0 < added_by_recording(decision) < DECISION


def test_it_would_be_noticed_if_a_hint_were_shown_by_repr(monkeypatch):
    plain = decisions.capture_hint
    monkeypatch.setattr(decisions, "capture_hint", lambda value, trace: (repr(value), plain(value, trace))[1])

    assert added_by_recording(decision) > DECISION


def test_it_would_be_noticed_if_the_frames_were_walked_twice(monkeypatch):
    plain = stack.next_frame
    monkeypatch.setattr(stack, "next_frame", lambda *args: (plain(*args), plain(*args))[0])

    assert added_by_recording(query) > QUERY
