from __future__ import annotations

import contextlib

import msgspec
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.utils.connection import ConnectionDoesNotExist

from dbroute_panel import findings, trace
from dbroute_panel.records import Action, Database, DecidedBy, InstanceRef, Outcome, Step, TypeRef
from example_site.library.models import Book, Person, Tag
from example_site.notes.models import Note
from example_site.users.models import Loan, User
from tests.errors import recorded
from tests.findings import routers
from tests.traces import a_decision, a_query, a_trace

pytestmark = pytest.mark.usefixtures("site")


@pytest.fixture
def first(settings):
    """Put a router before all others."""

    def first(*new):
        settings.DATABASE_ROUTERS = [*new, *settings.DATABASE_ROUTERS]

    return first


class TestRelationRefused:
    code = "relation-refused"

    def test_a_router_says_no(self, found):
        with trace("t") as t:
            book = Book.objects.get(title="Small Gods")
            with pytest.raises(ValueError):  # noqa: PT011 - the words are not ours
                Loan(book=book)

        assert found(t).codes == {self.code}
        assert found(t).one(self.code).message == (
            f"A relation between library.Book #{book.pk} (of {book._state.db}) and users.Loan (of "
            "legacy_users) was not allowed: UserRouter refused it. Take both from one database, or answer "
            "allow_relation for them."
        )
        read, write, refused = found(t).events(self.code)
        assert [one.action for one in (read, write, refused)] == [
            "db_for_read",
            "db_for_write",
            "allow_relation",
        ]

    def test_nobody_has_an_opinion_and_the_databases_differ(self, found):
        book = Book.objects.using("primary").get(title="Small Gods")
        note = Note.objects.using("archive").first()
        with trace("t") as t:
            for _ in range(2):
                with pytest.raises(ValueError):  # noqa: PT011 - the words are not ours
                    note.book = book
        message = found(t).one(self.code).message
        assert "not allowed (2 times): no router had an opinion, and their databases differ" in message

    def test_each_pair_of_models_and_databases_is_one_finding(self, found):
        def refused(number, first, second):
            ends = zip(("obj1", "obj2"), (first, second), strict=True)
            args = {
                name: InstanceRef(model=model, pk=str(number), state_db=alias, adding=False)
                for name, (model, alias) in ends
            }
            changes = {"hints": {}, "model": None, "answer": False, "decided_by": DecidedBy.ROUTER}
            return a_decision(number, action=Action.RELATION, args=args, **changes)

        book, moved, tag = ("a.Book", "primary"), ("a.Book", "archive"), ("a.Tag", "primary")
        pairs = [(book, tag), (moved, tag), (book, tag), (book, moved), (moved, moved)]
        events = [refused(number, *pair) for number, pair in enumerate(pairs, 1)]
        assert [one.events for one in found(a_trace(events=events)).all] == [[1, 3], [2], [4], [5]]

    def test_objects_that_are_none(self, found):
        with trace("t") as t:
            router.allow_relation(Tag(), Anything("legacy_users"))
        message = found(t).one(self.code).message
        assert (
            "between library.Tag (of no database yet) and something that is no model instance was" in message
        )

    def test_not_where_it_is_allowed(self, found):
        with trace("t") as t:
            Book(title="New", author=Person.objects.first())
            Note(book=Book.objects.using("archive").first())
        assert [one.answer for one in t.decisions if one.action == "allow_relation"] == [True, True]
        assert found(t).codes == set()

    def test_not_where_a_router_raised(self, found, first):
        first(routers.Raises("allow_relation"))
        with trace("t") as t, pytest.raises(ZeroDivisionError):
            Book(title="New", author=Person.objects.first())
        assert found(t).codes == {"router-raised"}

    def test_not_what_one_router_asked_and_did_not_follow(self, found, first):
        first(routers.AsksAndAllows())
        with trace("t") as t:
            Loan(book=Book.objects.first())
        assert [one.answer for one in t.decisions if one.action == "allow_relation"] == [True, False]
        assert found(t).codes == set()


class Anything:
    """No model, but as much of one as a question about a relation needs."""

    def __init__(self, db):
        self._meta = User._meta
        self._state = type("State", (), {"db": db})()


class TestUnknownAlias:
    code = "unknown-alias"

    def test_an_answer_that_is_not_in_databases(self, found, first):
        first(routers.Answers("nowhere"))
        with trace("t") as t:
            for _ in range(2):
                with pytest.raises(ConnectionDoesNotExist):
                    Tag.objects.first()
        assert found(t).codes == {self.code}
        message = found(t).one(self.code).message
        assert message == (
            "Answers sent db_for_read(library.Tag) and 1 more to 'nowhere', which is not in DATABASES. "
            "Answer one of auth_db, primary, replica1, replica2, archive, legacy_users, new_users, or None."
        )

    def test_no_replica_is_an_answer_for_a_write(self, found):
        asked = a_trace(events=[a_decision(1, action=Action.WRITE, hints={}, answer="nowhere")])
        assert {"primary", "replica1"} <= set(asked.databases)
        message = found(asked).one(self.code).message
        assert "primary" in message
        assert "replica1" not in message

    def test_an_instance_from_nowhere(self, found):
        note = Note(pk=1)
        note._state.db = "nowhere"
        with trace("t") as t, pytest.raises(ConnectionDoesNotExist):
            note.save()
        assert (
            found(t)
            .one(self.code)
            .message.startswith("The instance sent db_for_write(notes.Note) to 'nowhere'")
        )

    def test_not_one_that_is(self, found, first):
        first(routers.Answers("archive"))
        with trace("t") as t:
            Tag.objects.first()
        assert found(t).codes == set()

    def test_not_one_that_the_code_names(self, found):
        with trace("t") as t, pytest.raises(ConnectionDoesNotExist):
            Tag.objects.using("nowhere").first()
        assert found(t).codes == set()

    def test_not_an_answer_that_is_no_string(self, found, first):
        first(routers.Answers(routers.Shard()))
        with trace("t") as t:
            assert isinstance(router.db_for_read(Tag), routers.Shard)
        assert t.decisions[0].answer == TypeRef(type="tests.findings.routers.Shard")
        assert found(t).codes == set()


class TestEmptyDefault:
    code = "empty-default"

    def test_nobody_claims_the_model(self, found):
        with trace("t") as t:
            for _ in range(3):
                with pytest.raises(ImproperlyConfigured):
                    Note.objects.count()
            with pytest.raises(ImproperlyConfigured):
                Note(text="New").save()
        assert found(t).codes == {self.code}
        assert [one.message.partition(".")[0] for one in found(t).all] == [
            "No router answered db_for_read(notes",
            "No router answered db_for_write(notes",
        ]
        assert (
            found(t)
            .all[0]
            .message.endswith(
                "db_for_read(notes.Note) and 2 more, and default is empty. "
                "Let a router answer it, or give DATABASES['default'] an engine."
            )
        )
        assert all(one.events for one in found(t).all)

    def test_not_where_the_code_or_the_instance_says_where(self, found):
        with trace("t") as t:
            note = Note.objects.using("archive").first()
            note.refresh_from_db()
        assert found(t).codes == set()

    @pytest.mark.usefixtures("working_default")
    def test_not_where_default_works(self, found):
        with trace("t") as t:
            Note.objects.count()
        assert t.decisions[0].decided_by == DecidedBy.DEFAULT
        assert found(t).codes == set()

    def test_not_where_there_is_no_default(self, found):
        fallen = a_decision(decided_by=DecidedBy.DEFAULT, answer="default")
        assert self.code not in found(a_trace(events=[fallen])).codes


class TestRouterRaised:
    code = "router-raised"

    def test_a_router_raises(self, found, first):
        first(routers.Raises("db_for_read"))
        with trace("t") as t:
            for _ in range(2):
                with pytest.raises(ZeroDivisionError) as raised:
                    Tag.objects.first()
        assert found(t).codes == {self.code}
        assert found(t).one(self.code).message == (
            f"Raises raised {recorded(raised.value)} in db_for_read(library.Tag) and 1 more. "
            "Return None where a router has no opinion."
        )

    @pytest.mark.parametrize(
        ("action", "ask", "question"),
        [
            (
                "allow_relation",
                lambda: router.allow_relation(Person(), Tag()),
                "(library.Person, library.Tag)",
            ),
            ("allow_migrate", lambda: router.allow_migrate("primary", "library"), "(primary, library)"),
        ],
    )
    def test_says_what_was_asked(self, found, first, action, ask, question):
        first(routers.Raises(action))
        with trace("t") as t, pytest.raises(ZeroDivisionError):
            ask()
        assert f"in {action}{question}." in found(t).one(self.code).message

    def test_without_its_message_where_no_values_are_shown(self, first, settings, found):
        first(routers.Raises("db_for_read"))
        with trace("t") as t, pytest.raises(ZeroDivisionError):
            Tag.objects.first()
        (redacted,) = findings.find(t.document, redacted=True)
        assert "Raises raised ZeroDivisionError in db_for_read" in redacted.message

    def test_blames_the_router_that_raised_not_the_one_that_asked_it(self, found, first):
        first(routers.AsksAgain(), routers.Raises("db_for_write"))
        with trace("t") as t, pytest.raises(ZeroDivisionError) as raised:
            Tag.objects.first()
        assert [one.decided_by for one in t.decisions] == [DecidedBy.ERROR, DecidedBy.ERROR]
        assert found(t).one(self.code).message == (
            f"Raises raised {recorded(raised.value)} in db_for_write(library.Tag). "
            "Return None where a router has no opinion."
        )

    def test_not_where_it_answers(self, found, first):
        first(routers.Raises("db_for_write"))
        with trace("t") as t:
            Tag.objects.first()
        assert found(t).codes == set()

    def test_not_where_the_query_fails(self, found):
        with trace("t") as t, pytest.raises(Tag.DoesNotExist):
            Tag.objects.get(pk=-1)
        assert found(t).codes == set()


class TestRouterQueried:
    code = "router-queried"

    def test_a_router_runs_sql_while_deciding(self, found, first):
        first(routers.Queries(times=2))
        with trace("t") as t:
            Tag.objects.first()
        assert found(t).codes == {self.code}
        assert found(t).one(self.code).message == (
            "Queries ran 2 queries on archive (notes.Note) while deciding db_for_read(library.Tag). "
            "Decide from the model and the hints alone, or keep in memory what has to be looked up."
        )
        decision, *queries = found(t).events(self.code)
        assert decision.action == "db_for_read"
        assert {query.parent_id for query in queries} == {decision.id}

    def test_each_of_several_routers(self, found, first):
        first(routers.Remembers(), routers.Queries())
        with trace("t") as t:
            Tag.objects.first()
        assert sorted(one.message.partition(" while")[0] for one in found(t).all) == [
            "Queries ran a query on archive (notes.Note)",
            "Remembers ran a query on archive (notes.Note)",
        ]

    def test_one_of_two_that_the_times_do_not_tell_apart(self, found):
        steps = [Step(router=name, outcome=Outcome.PASSED, duration_us=50.0) for name in ("a.A", "b.B")]
        decision = a_decision(1, at_us=0, duration_us=200.0, steps=steps)
        query = a_query(2, at_us=60, duration_us=30.0, parent_id=1)
        message = found(a_trace(events=[decision, query])).one(self.code).message
        assert message.startswith(
            "A router ran a query on replica1 (library.Book) while deciding db_for_read("
        )

    def test_a_decision_that_is_not_in_the_trace(self, found):
        message = found(a_trace(events=[a_query(2, parent_id=1)])).one(self.code).message
        assert message.startswith("A router ran a query on replica1 (library.Book) while deciding. Decide")

    def test_not_what_is_queried_outside_of_it(self, found, first):
        first(routers.Queries(times=0))
        with trace("t") as t:
            Note.objects.using("archive").count()
            Tag.objects.first()
            Note.objects.using("archive").count()
        assert found(t).codes == set()

    def test_not_what_a_router_keeps_in_memory(self, found, first):
        remembers = routers.Remembers()
        first(remembers)
        Tag.objects.first()
        with trace("t") as t:
            Tag.objects.first()
        assert remembers.known is not None
        assert found(t).codes == set()


class TestRandomRoute:
    code = "random-route"

    def test_the_same_question_gets_different_answers(self, found, first):
        first(routers.Alternates("primary", "archive", "archive"))
        with trace("t") as t:
            for _ in range(3):
                list(Tag.objects.all())
        assert self.code in found(t).codes
        assert found(t).one(self.code).message == (
            "The same question, db_for_read(library.Tag), got different answers: primary (1), archive (2). "
            "Answer from the model and the hints alone; if these are replicas, declare them in REPLICAS."
        )
        assert len(found(t).events(self.code)) == 3

    def test_about_the_same_instance(self, found, first):
        first(routers.Alternates("primary", "archive"))
        book = Book.objects.using("primary").first()
        with trace("t") as t:
            for _ in range(2):
                list(book.tags.all())
        assert self.code in found(t).codes

    def test_about_what_may_be_related(self, found, first):
        first(routers.Changes())
        book, person = Book.objects.using("primary").first(), Person.objects.using("primary").first()
        with trace("t") as t:
            for _ in range(2):
                with contextlib.suppress(ValueError):
                    book.author = person
        assert "True (1), False (1)" in found(t).one(self.code).message

    def test_it_is_the_same_question_whoever_gave_the_instance_its_alias(self, found):
        def asked(number, answer, origin, pk="1", **hints):
            instance = InstanceRef(model="a.Book", pk=pk, state_db="primary", adding=False, origin_id=origin)
            return a_decision(number, answer=answer, hints={"instance": instance} | hints)

        another = asked(2, "primary", 1, pk="2")
        same = [another, asked(3, "primary", 1, shelf=1), asked(4, "archive", 2, shelf=1)]
        assert self.code in found(a_trace(events=same)).codes
        other = [asked(3, "primary", 1, shelf=1), asked(4, "archive", 1, shelf=2)]
        masked = [asked(3, "primary", 1, pk="***"), asked(4, "archive", 1, pk="***")]
        assert self.code not in found(a_trace(events=other)).codes
        assert self.code not in found(a_trace(events=masked)).codes

    def test_names_fifty_decisions_divided_among_the_answers(self, found):
        def asked(answers, times):
            numbers = range(1, len(answers) * times + 1)
            events = [a_decision(number, answer=answers[number % len(answers)]) for number in numbers]
            return [one.answer for one in found(a_trace(events=events)).events(self.code)]

        assert len(asked(["a", "b", "c"], 30)) == 3 * 16
        assert len(set(asked([f"db{number}" for number in range(60)], 2))) == 50

    def test_not_within_a_replica_group(self, found, first):
        first(routers.Alternates("replica1", "replica2", "primary"))
        with trace("t") as t:
            for _ in range(3):
                list(Tag.objects.all())
        assert len({query.alias for query in t.queries}) == 3
        assert self.code not in found(t).codes

    def test_a_write_is_divided_among_no_group(self, found):
        asked = [
            a_decision(number, action=Action.WRITE, hints={}, answer=answer)
            for number, answer in enumerate(("primary", "replica1"), 1)
        ]
        assert found(a_trace(events=asked)).one(self.code).message == (
            "The same question, db_for_write(library.Book), got different answers: primary (1), replica1 "
            "(1). Answer from the model and the hints alone."
        )

    def test_not_different_questions(self, found, first):
        first(routers.Alternates("primary", "archive"))
        with trace("t") as t:
            list(Tag.objects.all())
            list(Person.objects.all())
            router.db_for_read(Tag, shelf=1)
            router.db_for_write(Tag)
            router.db_for_read(Tag, shelf=2)
        assert len({one.answer for one in t.decisions}) == 2
        assert found(t).codes == set()

    def test_not_questions_about_objects_that_the_record_cannot_tell_apart(self, found, first):
        first(routers.Alternates("primary", "archive"))
        with trace("t") as t:
            for _ in range(2):
                router.db_for_write(Tag, instance=Tag())
                router.db_for_write(Person, shard=routers.Shard())
                router.db_for_write(Person, shard=routers.Shard())
                router.db_for_write(Tag, instance=Tag())
                router.db_for_write(Tag, instance=Tag())
        assert len({(one.model, one.answer) for one in t.decisions}) == 4
        assert found(t).codes == set()

    def test_not_where_a_router_failed_once(self, found, first):
        first(routers.Alternates("primary", ZeroDivisionError()))
        with trace("t") as t:
            list(Tag.objects.all())
            with pytest.raises(ZeroDivisionError):
                list(Tag.objects.all())
        assert found(t).codes == {"router-raised"}

    def test_not_where_an_answer_is_no_string(self, found, first):
        first(routers.Alternates("primary", routers.Shard()))
        with trace("t") as t:
            router.db_for_read(Tag)
            router.db_for_read(Tag)
        assert len(t.decisions) == 2
        assert found(t).codes == set()


def test_a_chain_of_replicas_in_a_document_may_have_no_end(found):
    def database(replica_of):
        return Database(vendor="sqlite", engine="", replica_of=replica_of)

    write = a_query(1, "a", writes=True, sql="UPDATE x", operation="UPDATE")
    round_and_round = {"a": database("b"), "b": database("a")}
    assert found(a_trace(events=[write], databases=round_and_round)).codes == set()
    one_after_the_other = {"a": database("b"), "b": database("c"), "c": database(None)}
    found_here = found(a_trace(events=[write], databases=one_after_the_other))
    assert "a, a replica of c" in found_here.one("write-to-replica").message


def test_long_keys_and_errors_are_cut(found):
    long = InstanceRef(model="a.B", pk="x" * 500, state_db="archive", adding=False)
    refused = a_decision(
        action="allow_relation", decided_by=DecidedBy.ROUTER, answer=False, args={"obj1": long, "obj2": long}
    )
    step = Step(router="r.R", outcome=Outcome.RAISED, error="ValueError: " + "x" * 500)
    raised = a_decision(2, decided_by=DecidedBy.ERROR, answer=None, steps=[step])
    refused = msgspec.structs.replace(refused, steps=[])
    assert all(len(one.message) < 400 for one in found(a_trace(events=[refused, raised])).all)
