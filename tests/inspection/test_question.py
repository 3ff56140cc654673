from __future__ import annotations

import random

import pytest

from dbroute_panel.inspection.arguments import AskError, ObjectSource, ObjectSpec
from dbroute_panel.inspection.explain import AnswerCount, Answers, Question, ask, count_answers
from dbroute_panel.records import TypeRef
from example_site.library.models import Book


class Counts:
    """Raises every fifth time, and answers odd things."""

    asked = 0

    def db_for_read(self, model, **hints):
        self.asked += 1
        if self.asked % 5 == 0:
            raise LookupError("fifth")
        return ["primary", "archive", ["odd"]][self.asked % 3]


def test_a_question_asked_once(site):
    answers = ask(Question("library.Book", "db_for_write"))
    assert isinstance(answers, Answers)
    assert answers.decision.answer == "primary"
    assert answers.counts == [AnswerCount(answer="primary", count=1)]


def test_a_question_asked_often_has_the_share_of_each_answer(site):
    random.seed(5)
    answers = ask(Question("library.Book", "db_for_read", repeat=100))
    assert {share.answer for share in answers.counts} == {"replica1", "replica2"}
    assert sum(share.count for share in answers.counts) == 100
    assert answers.counts[0].count >= answers.counts[1].count
    assert answers.decision.answer in {"replica1", "replica2"}


def test_exceptions_and_odd_answers_are_answers_too(site, settings):
    settings.DATABASE_ROUTERS = [Counts()]
    answers = ask(Question("library.Book", "db_for_read", repeat=15))
    assert sorted((str(s.answer), s.count, s.raised) for s in answers.counts) == [
        ("LookupError: fifth", 3, True),
        (str(TypeRef(type="builtins.list")), 4, False),
        ("archive", 4, False),
        ("primary", 4, False),
    ]


def test_shares_are_in_order_of_their_number(site):
    first = ask(Question("library.Book", "db_for_write")).decision
    second = ask(Question("users.User", "db_for_write")).decision
    assert [(s.answer, s.count) for s in count_answers([first, second, second])] == [
        ("legacy_users", 2),
        ("primary", 1),
    ]


def test_objects_are_made_as_the_question_says(site):
    book = Book.objects.using("archive").first()
    answers = ask(
        Question(
            "library.Book",
            "allow_relation",
            instance=ObjectSpec(ObjectSource.ROW, "archive", str(book.pk)),
            other_model="library.Person",
            other=ObjectSpec(ObjectSource.FROM, "primary"),
        )
    )
    args = answers.decision.args
    assert (args["obj1"].pk, args["obj1"].state_db) == (str(book.pk), "archive")
    assert (args["obj2"].model, args["obj2"].state_db) == ("library.Person", "primary")


def test_a_row_is_read_once_however_often_is_asked(site):
    from django.db import connections
    from django.test.utils import CaptureQueriesContext

    archive = connections["archive"]
    archive.ensure_connection()
    with CaptureQueriesContext(archive) as queries:
        ask(
            Question(
                "library.Book",
                "db_for_read",
                instance=ObjectSpec(ObjectSource.ROW, "archive", "1"),
                repeat=10,
            )
        )
    assert len(queries) == 1


def test_hints_are_passed_on(site):
    assert ask(Question("library.Book", "db_for_read", hints={"shard": 2})).decision.hints == {"shard": 2}


def test_migrating_an_app_or_a_model(site):
    assert ask(Question("library", "allow_migrate", db="primary")).decision.answer is True
    asked = ask(Question("library.Book", "allow_migrate", db="replica1", model_name="book"))
    assert (asked.decision.answer, asked.decision.model) == (False, "library.Book")


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question("library.Book", "db_for_read", repeat=0), "Ask 1 to 1000 times, not 0"),
        (Question("library.Book", "db_for_read", repeat=1001), "Ask 1 to 1000 times, not 1001"),
        (Question("library.Book", "read"), "No question 'read'"),
        (Question("library.Bok", "db_for_read"), "Did you mean 'library.Book'"),
        (
            Question("library", "allow_migrate", db="primary", instance=ObjectSpec(ObjectSource.NEW)),
            "not about objects",
        ),
        (
            Question("library.Book", "allow_migrate", db="primary", instance=ObjectSpec(ObjectSource.NEW)),
            "not about objects",
        ),
        (
            Question(
                "library",
                "allow_migrate",
                db="primary",
                other_model="library.Book",
                other=ObjectSpec(ObjectSource.NEW),
            ),
            "not about objects",
        ),
        (Question("library.Book", "allow_relation"), "give instance and other"),
    ],
)
def test_a_question_that_makes_no_sense(site, question, message):
    with pytest.raises(AskError, match=message):
        ask(question)
