"""How queries, objects and errors are called in a message."""

from __future__ import annotations

from dbroute_panel.findings import Facts
from dbroute_panel.records import InstanceRef
from tests.traces import a_query, a_trace


def test_what_queries_are_about():
    def saved(pk):
        return a_query(instance=InstanceRef(model="library.Book", pk=pk, state_db="primary", adding=False))

    facts = Facts(a_trace(events=[]))
    assert facts.subjects([saved("1")]) == "library.Book #1"
    assert facts.subjects([saved("1"), saved("1")]) == "library.Book #1 (2 queries)"
    assert facts.subjects([saved("1"), saved("2")]) == "library.Book (2 queries)"
    assert facts.subject(saved("***")) == facts.subject(saved(None)) == "library.Book"
    assert facts.subject(saved("x" * 60)) == f"library.Book #{'x' * 60}"
    assert facts.subject(saved("x" * 61)) == f"library.Book #{'x' * 60}…"
    assert Facts(a_trace(events=[]), redacted=True).subject(saved("1")) == "library.Book"


def test_an_error_in_one_line():
    facts, redacted = Facts(a_trace(events=[])), Facts(a_trace(events=[]), redacted=True)
    assert facts.error("KeyError: 'a: b'\nDETAIL: c") == "KeyError: 'a: b'"
    assert redacted.error("KeyError: 'a: b'\nDETAIL: c") == "KeyError"
    assert facts.error(None) == redacted.error(None) == "an error"
    assert facts.error("x" * 200) == "x" * 200
    assert facts.error("x" * 201) == "x" * 200 + "…"
