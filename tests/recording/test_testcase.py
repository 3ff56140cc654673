"""
Inside of ``TestCase``, whose own transactions are no part of a trace: everything is as in production.

Each program runs in a ``TestCase`` and in a ``TransactionTestCase``, on the example site's databases, and the
traces of both have to say the same.
"""

from __future__ import annotations

import unittest
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User as Account
from django.db import connections, transaction
from django.test import TestCase, TransactionTestCase

from dbroute_panel import findings
from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Tag

pytestmark = pytest.mark.usefixtures("site")
DATABASES = {"primary", "auth_db", "archive"}


def run(base: type[Any], program, *, around: bool = False):
    """The trace of ``program`` in a test of the class ``base``; ``around``: it began before the test."""

    class Case(base):
        databases = DATABASES

        @classmethod
        def setUpTestData(cls):
            Tag.objects.using("primary").create(name="of the class")

        def _fixture_teardown(self):
            if base is TestCase:
                super()._fixture_teardown()  # else it would empty the tables of the site

        def test(self):
            if around:
                program()
            else:
                with trace("t", keep=False) as self.__class__.traced:
                    program()

    result = unittest.TestResult()
    if around:
        with trace("t", keep=False) as Case.traced:
            unittest.TestSuite([Case("test")]).run(result)
    else:
        unittest.TestSuite([Case("test")]).run(result)
    assert result.errors == result.failures == []
    return Case.traced


def told(t):
    return [
        (type(event).__name__, event.alias, getattr(event, "operation", None), event.transaction_number)
        for event in t.document.events
        if hasattr(event, "alias")
    ]


def atomics(t):
    return [(query.alias, query.atomic, query.transaction_number) for query in t.document.queries]


def write(alias, name="a"):
    Tag.objects.using(alias).create(name=name)


def outside():
    write("primary")
    Account.objects.update(first_name="x")


def one_block():
    with transaction.atomic(using="primary"):
        write("primary")
    write("primary")


def a_block_without_a_savepoint():
    with transaction.atomic(using="primary", savepoint=False):
        write("primary")


def nested():
    with transaction.atomic(using="primary"):
        write("primary")
        with suppress(LookupError), transaction.atomic(using="primary"):
            write("primary")
            raise LookupError
        with transaction.atomic(using="primary"):
            write("primary")
        with transaction.atomic(using="primary", savepoint=False):
            write("primary")


def rolled_back():
    with suppress(LookupError), transaction.atomic(using="primary"):
        write("primary")
        raise LookupError
    write("primary")


def marked_for_rollback():
    with transaction.atomic(using="primary"):
        write("primary")
        transaction.set_rollback(True, using="primary")


def two_databases():
    with transaction.atomic(using="auth_db"):
        write("primary")


def the_orm_s_own():
    with transaction.atomic(using="auth_db"):
        Tag.objects.using("primary").get_or_create(name="a")
    book = Book.objects.using("primary").first()
    book.tags.clear()


def savepoints_by_hand():
    with transaction.atomic(using="primary"):
        sid = connections["primary"].savepoint()
        write("primary")
        connections["primary"].savepoint_rollback(sid)
        connections["primary"].savepoint_commit(sid)


def half_of_the_work():
    with suppress(LookupError), transaction.atomic(using="auth_db"):
        Account.objects.update(first_name="x")
        with transaction.atomic(using="primary"):
            write("primary")
        raise LookupError


def a_failing_statement():
    with suppress(Exception), transaction.atomic(using="primary"), connections["primary"].cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")


PROGRAMS = [
    outside,
    one_block,
    a_block_without_a_savepoint,
    nested,
    rolled_back,
    marked_for_rollback,
    two_databases,
    the_orm_s_own,
    savepoints_by_hand,
    half_of_the_work,
    a_failing_statement,
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_trace_is_that_of_production(program):
    inside, production = run(TestCase, program), run(TransactionTestCase, program)
    assert told(inside) == told(production)
    assert atomics(inside) == atomics(production)
    assert [(event.operation, event.by_orm) for event in inside.transactions] == [
        (event.operation, event.by_orm) for event in production.transactions
    ]
    assert [found.message for found in findings.find(inside.document)] == [
        found.message for found in findings.find(production.document)
    ]


def test_the_findings_of_transactions_are_found():
    found = {program: {one.code for one in run(TestCase, program).document.findings} for program in PROGRAMS}
    assert found[two_databases] == found[the_orm_s_own] == {"write-outside-atomic"}
    assert "partial-commit" in found[half_of_the_work]


def test_a_test_s_own_transactions_are_in_no_trace():
    t = run(TestCase, outside, around=True)
    assert [event.operation for event in t.transactions] == []
    assert {query.atomic for query in t.document.queries} == {False}


def test_a_block_that_is_older_than_the_trace():
    traced = []

    def older():
        with transaction.atomic(using="primary"):
            with trace("inner", keep=False) as t:
                write("primary")
            traced.append(t)
            with trace("end", keep=False) as t:
                pass
            traced.append(t)

    def older_and_ends_inside():
        block = transaction.atomic(using="primary")
        block.__enter__()
        with trace("ends", keep=False) as t:
            block.__exit__(None, None, None)
        traced.append(t)

    for base in (TestCase, TransactionTestCase):
        for part in (older, older_and_ends_inside):
            run_bare(base, part)
    inside, production = traced[:3], traced[3:]
    assert [told(t) for t in inside] == [told(t) for t in production]
    assert [atomics(t) for t in inside] == [atomics(t) for t in production]
    assert atomics(traced[0]) == [("primary", True, None)]


def run_bare(base, program):
    """Run it without a trace around."""

    class Case(base):
        databases = DATABASES

        def _fixture_teardown(self):
            if base is TestCase:
                super()._fixture_teardown()

        def test(self):
            program()

    result = unittest.TestResult()
    unittest.TestSuite([Case("test")]).run(result)
    assert result.errors == result.failures == []


def test_an_error_of_ours_costs_the_event_alone(monkeypatch, caplog):
    from dbroute_panel.recording import transactions

    def broken(*args):
        raise RuntimeError("broken")

    monkeypatch.setattr(transactions, "capture_scalar", broken)
    with trace("t", keep=False) as t, suppress(LookupError), transaction.atomic(using="primary"):
        raise LookupError
    assert t.document.dropped.exception == 2
    assert t.document.exceptions == []


def test_it_is_watched_once():
    from dbroute_panel.recording import transactions

    before = transaction.Atomic.__enter__, transaction.Atomic.__exit__
    transactions.watch()
    assert (transaction.Atomic.__enter__, transaction.Atomic.__exit__) == before
