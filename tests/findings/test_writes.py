from __future__ import annotations

import contextlib

import msgspec
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User as Account
from django.db import IntegrityError, OperationalError, connections, router, transaction
from django.db.models.signals import post_delete, post_save

from dbroute_panel import findings, trace
from dbroute_panel.records import Action, DecidedBy, InstanceRef, Operation, Query, RouteKind, Transaction
from example_site.library.models import Book, Person, Review, Tag
from example_site.notes.models import Note
from example_site.routers import PassingRouter
from example_site.users.models import Card, User
from tests.traces import a_decision, a_hook, a_query, a_trace, a_transaction

pytestmark = pytest.mark.usefixtures("site")


class Undo(Exception):
    pass


def print_nothing():
    """What is given to on_commit()."""


class TestWriteOutsideAtomic:
    code = "write-outside-atomic"

    def test_a_write_in_autocommit_inside_a_block_on_another_database(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"):
            Person.objects.create(name="Fred")

        assert found(t).codes == {self.code}
        begin, insert = found(t).events(self.code)
        assert (begin.operation, begin.alias) == (Operation.BEGIN, "auth_db")
        assert (insert.operation, insert.alias) == ("INSERT", "primary")
        message = found(t).one(self.code).message
        assert message == (
            "library.Person was written on primary in autocommit while a transaction was open on auth_db: "
            "rolling that back does not undo it. Put it into atomic(using='primary'), or open that block on "
            "primary."
        )

    def test_names_the_object_that_was_saved_and_counts_more(self, found):
        person = Person.objects.using("primary").get(name="Douglas Adams")
        with trace("one") as one, transaction.atomic(using="auth_db"):
            person.save()
        with trace("two") as two, transaction.atomic(using="auth_db"):
            person.save()
            Person.objects.create(name="Fred")

        assert f"library.Person #{person.pk} was written" in found(one).one(self.code).message
        assert "library.Person (2 queries) was written" in found(two).one(self.code).message

    def test_a_raw_cursor_is_called_by_its_table(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"), connections["primary"].cursor() as cursor:
            cursor.execute("update library_person set name = name")

        assert 'the table "library_person" was written' in found(t).one(self.code).message

    def test_not_inside_a_block_on_both(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"), transaction.atomic(using="primary"):
            Person.objects.create(name="Fred")
        assert self.code not in found(t).codes

    def test_not_before_or_after_the_block(self, found):
        with trace("t") as t:
            Person.objects.create(name="Fred")
            with transaction.atomic(using="auth_db"):
                Account.objects.get(username="fred").save()
            Person.objects.create(name="Wilma")
        assert self.code not in found(t).codes

    def test_not_a_read(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"):
            list(Person.objects.using("primary"))
        assert found(t).codes == set()

    def test_not_a_write_that_changed_nothing(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"):
            Person.objects.filter(name="Nobody").update(name="Somebody")
            with pytest.raises(IntegrityError):
                Person(pk=1, name="Twice").save(using="primary", force_insert=True)
        assert self.code not in found(t).codes

    def test_not_where_the_block_began_before_the_trace(self, found):
        with transaction.atomic(using="auth_db"), trace("t") as t:
            Person.objects.create(name="Fred")
        assert self.code not in found(t).codes

    def test_not_the_log_of_the_admin(self, found):
        fred = Account.objects.get(username="fred")
        with trace("t") as t, transaction.atomic(using="primary"):
            LogEntry.objects.create(user=fred, object_repr="x", action_flag=1)
        assert self.code not in found(t).codes

    def test_a_lock_in_autocommit(self, found):
        locked = 'SELECT * FROM "library_book" FOR NO KEY UPDATE'
        assert self.code in found(self.by_hand(locked)).codes
        message = found(self.by_hand(locked)).one(self.code).message
        assert "locked on primary" in message
        assert ": the lock ended with the statement. Put" in message

    ONE_CALL = {
        "bulk_create()": lambda book, tag: Tag.objects.bulk_create([Tag(name="a")]),
        "bulk_update()": lambda book, tag: Book.objects.bulk_update([book], ["title"]),
        "get_or_create()": lambda book, tag: Tag.objects.get_or_create(name="a"),
        "update_or_create()": lambda book, tag: Tag.objects.update_or_create(name="a"),
        "delete()": lambda book, tag: book.delete(),
        "queryset.delete()": lambda book, tag: Book.objects.using("primary").filter(pk=book.pk).delete(),
        "add()": lambda book, tag: book.tags.add(tag),
        "set()": lambda book, tag: book.tags.set([tag]),
        "clear()": lambda book, tag: book.tags.clear(),
        "reverse set()": lambda book, tag: tag.books.set([book]),
        "generic clear()": lambda book, tag: book.reviews.clear(),
    }

    @pytest.mark.parametrize("call", ONE_CALL.values(), ids=ONE_CALL)
    def test_what_the_orm_writes_in_a_transaction_of_its_own(self, found, call):
        book = Book.objects.using("primary").get(title="Kindred")
        tag = Tag.objects.using("primary").create(name="myth")
        book.tags.add(Tag.objects.using("primary").create(name="other"))
        Review.objects.using("primary").create(text="a", about=book)
        with trace("t") as t, contextlib.suppress(Undo), transaction.atomic(using="auth_db"):
            call(book, tag)
            raise Undo
        assert self.code in found(t).codes

    def test_what_the_orm_writes_is_said_to_be_committed(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"):
            Tag.objects.get_or_create(name="a")
        assert found(t).one(self.code).message == (
            "library.Tag was written on primary, in a transaction that the ORM opened and committed by "
            "itself while another was open on auth_db: rolling that back does not undo it. Put it into "
            "atomic(using='primary'), or open that block on primary."
        )

    def test_not_what_the_orm_took_back_itself(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"), contextlib.suppress(IntegrityError):
            Tag.objects.bulk_create([Tag(pk=4711, name="a"), Tag(pk=4711, name="b")])
        assert found(t).codes == set()

    def test_not_what_the_orm_writes_inside_of_a_block_of_the_code_s_own(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"), transaction.atomic(using="primary"):
            Tag.objects.bulk_create([Tag(name="a")])
        assert self.code not in found(t).codes

    def test_not_what_the_orm_writes_with_no_other_block_open(self, found):
        with trace("t") as t:
            Tag.objects.bulk_create([Tag(name="a")])
            with transaction.atomic(using="auth_db"):
                """Over before the next."""
            Tag.objects.bulk_create([Tag(name="b")])
        assert found(t).codes == set()

    def test_not_where_the_orm_opened_both(self, found):
        def written(sender, **kwargs):
            Account.objects.get_or_create(username="fred2")

        post_delete.connect(written, sender=Tag)
        try:
            Tag.objects.using("primary").create(name="a")
            with trace("t") as t:
                Tag.objects.using("primary").filter(name="a").delete()
        finally:
            post_delete.disconnect(written, sender=Tag)
        assert [event.by_orm for event in t.transactions if event.operation == "begin"] == [True, True]
        assert self.code not in found(t).codes

    def test_not_what_only_looks_like_a_lock(self, found):
        assert found(self.by_hand("SELECT 'for update' FROM library_book -- FOR UPDATE")).codes == set()

    def test_not_where_queries_overlapped_so_that_several_threads_ran(self, found):
        alone = self.by_hand("UPDATE library_book SET year = 1", a_query(3, "archive", at_us=900))
        together = self.by_hand("UPDATE library_book SET year = 1", a_query(3, "archive", at_us=210))
        assert self.code in found(alone).codes
        assert self.code not in found(together).codes

    def by_hand(self, sql: str, *more: Query):
        begin = Transaction(
            id=1, alias="replica1", at_us=0, operation=Operation.BEGIN, transaction_number=1, callsite=None
        )
        writes = sql.startswith("UPDATE")
        query = a_query(
            2, "primary", sql=sql, writes=writes, operation=sql[:6], route=RouteKind.CURSOR, at_us=200
        )
        return a_trace(events=[begin, query, *more])


class TestOnCommitElsewhere:
    code = "on-commit-elsewhere"

    def given(self, using="primary"):
        transaction.on_commit(print_nothing, using=using)

    def test_a_function_that_does_not_wait_for_what_is_written_afterwards(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"):
            self.given()
            Account.objects.update(first_name="x")
        assert found(t).codes == {self.code}
        begin, hook, commit = found(t).events(self.code)
        assert (begin.operation, hook.alias, commit.operation) == ("begin", "primary", "commit")
        assert found(t).one(self.code).message == (
            "tests.findings.test_writes.print_nothing was given to on_commit() of primary, where no "
            "transaction was open, so that it does not wait for the one that was open on auth_db, which went "
            "on to write. Say on_commit(..., using='auth_db'), or open the block on primary."
        )

    def test_a_function_that_runs_although_all_is_rolled_back(self, found):
        with trace("t") as t, contextlib.suppress(Undo), transaction.atomic(using="auth_db"):
            Account.objects.update(first_name="x")
            self.given()
            raise Undo
        assert found(t).codes == {self.code}
        assert "which was rolled back." in found(t).one(self.code).message

    def test_often_is_one_finding(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"):
            for _ in range(3):
                self.given()
            Account.objects.update(first_name="x")
        assert len(found(t).events(self.code)) == 5

    def test_a_function_in_a_signal_of_what_the_orm_writes_in_its_own_transaction(self, found):
        def deleted(sender, **kwargs):
            self.given("auth_db")

        post_delete.connect(deleted, sender=Tag)
        try:
            Tag.objects.using("primary").create(name="a").books.add(Book.objects.using("primary").first())
            with trace("t") as t:
                Tag.objects.using("primary").filter(name="a").delete()
        finally:
            post_delete.disconnect(deleted, sender=Tag)
        assert [hook.atomic for hook in t.commit_hooks] == [False]
        assert t.transactions[0].by_orm
        assert found(t).codes == set()  # all was written before

    def test_not_where_it_waits(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"), transaction.atomic(using="primary"):
            self.given()
            self.given("auth_db")
            Account.objects.update(first_name="x")
        assert found(t).codes == set()

    def test_not_where_nothing_is_written_afterwards(self, found):
        with trace("t") as t, transaction.atomic(using="auth_db"):
            Account.objects.update(first_name="x")
            self.given()
        assert found(t).codes == set()

    def test_not_where_no_transaction_is_open(self, found):
        with trace("t") as t:
            with transaction.atomic(using="auth_db"):
                Account.objects.update(first_name="x")
            self.given()
            Account.objects.update(first_name="y")
        assert found(t).codes == set()

    def test_not_where_queries_overlapped(self, found):
        hook = a_hook(2, outcome="ran_at_once", atomic=False, transaction_number=None)
        begin, write = a_transaction(1, "auth_db"), {"writes": True, "atomic": True, "transaction_number": 1}
        update = a_query(3, "auth_db", operation="UPDATE", **write)
        assert found(a_trace(events=[begin, hook, update])).codes == {self.code}
        other = a_query(4, "auth_db", at_us=310, operation="UPDATE", sql="UPDATE b SET c=1", **write)
        assert found(a_trace(events=[begin, hook, update, other])).codes == set()


class TestWriteByFallback:
    code = "write-by-fallback"

    def test_a_write_where_the_instance_came_from(self, found):
        note = Note.objects.using("archive").first()
        with trace("t") as t:
            note.save()

        assert found(t).codes == {self.code}
        decision, update = found(t).events(self.code)
        assert decision.action == "db_for_write"
        assert update.operation == "UPDATE"
        assert found(t).one(self.code).message == (
            f"notes.Note #{note.pk} was written on archive only because its instance was bound to it: no "
            "router answered db_for_write. Let a router answer it for notes.Note."
        )

    @pytest.mark.usefixtures("working_default")
    def test_a_write_to_default_of_a_model_that_a_router_claims_otherwise(self, found, settings):
        settings.DATABASE_ROUTERS = [OnlyReads()]
        with trace("t") as t:
            Person.objects.get(name="Octavia E. Butler")
            Person.objects.create(name="Fred")
        assert found(t).codes == {self.code}
        assert "on default only because it is Django's last resort" in found(t).one(self.code).message

    @pytest.mark.usefixtures("working_default")
    def test_not_a_write_to_a_default_that_works_of_a_model_that_no_router_claims(self, found, settings):
        for routers in ([PassingRouter()], [OnlyReads(), PassingRouter()]):
            settings.DATABASE_ROUTERS = routers
            with trace("t") as t:
                Note.objects.create(text="New").save()
            assert [query.route for query in t.queries] == [RouteKind.DEFAULT, RouteKind.INSTANCE]
            assert found(t).codes == set()

    @pytest.mark.usefixtures("working_default")
    def test_not_without_routers(self, found, settings):
        settings.DATABASE_ROUTERS = []
        note = Note.objects.using("archive").first()
        with trace("t") as t:
            note.save()
        assert t.queries[0].route == RouteKind.INSTANCE
        assert found(t).codes == set()

    @pytest.mark.usefixtures("working_default")
    def test_not_about_a_model_that_nobody_was_asked_about(self, found, settings):
        """A receiver that passes ``using`` on, as django-simple-history has one (its issue 980)."""
        settings.DATABASE_ROUTERS = [OnlyReads()]

        def write_a_person(instance, using, **kwargs):
            Person(name="Fred").save(using=using)

        with trace("t") as t:
            Person.objects.count()
            post_save.connect(write_a_person, sender=Note)
            try:
                Note.objects.create(text="New")
            finally:
                post_save.disconnect(write_a_person, sender=Note)
        assert [query.alias for query in t.queries] == ["default"] * 3
        assert [query.route for query in t.queries[1:]] == [RouteKind.DEFAULT] * 2
        assert found(t).codes == set()

    def test_what_is_deleted_along_is_told_with_the_model_that_was_asked_about(self, found, settings):
        settings.DATABASE_ROUTERS = [PassingRouter()]
        user = User.objects.using("new_users").create(username="zoe")
        user.cards.create(number="1")
        with trace("t") as t:
            user.delete()
        writes = [query for query in t.queries if query.writes]
        assert {query.model for query in writes} == {"users.Card", "users.Loan", "users.User"}
        assert found(t).one(self.code).message == (
            "users.User was written on new_users only because its instance was bound to it: no router "
            "answered db_for_write. Let a router answer it for users.User."
        )
        decision, delete = found(t).events(self.code)
        assert (decision.model, delete.model) == ("users.User", "users.User")

    def test_what_alone_is_written_names_the_question(self, found, settings):
        """A many-to-many manager asks about the object that it is of, and creates another one there."""
        settings.DATABASE_ROUTERS = [PassingRouter()]
        book = Book.objects.using("archive").first()
        with trace("t") as t:
            book.tags.create(name="brass")
        first, through = (one for one in found(t).all if one.code == self.code)
        assert first.message == (
            "library.Tag was written on archive, the alias of db_for_write(library.Book), only because its "
            "instance was bound to it: no router answered db_for_write. Let a router answer it for "
            "library.Book."
        )
        assert "Let a router answer it for library.Book_tags." in through.message

    def test_a_saved_object_is_one_write_whatever_tables_it_has(self, found):
        ref = InstanceRef(model="library.Novel", pk="1", state_db="archive", adding=False)
        asked = a_decision(
            1,
            action=Action.WRITE,
            model="library.Novel",
            hints={"instance": ref},
            decided_by=DecidedBy.INSTANCE,
            answer="archive",
        )
        writes = [
            a_query(
                number,
                "archive",
                model=model,
                instance=ref,
                route=RouteKind.INSTANCE,
                decision_id=1,
                writes=True,
            )
            for number, model in ((2, "library.Book"), (3, "library.Novel"))
        ]
        message = found(a_trace(events=[asked, *writes])).one(self.code).message
        assert message.startswith(
            "library.Novel #1 (2 queries) was written on archive only because its instance"
        )
        assert message.endswith("Let a router answer it for library.Novel.")

    def test_not_where_a_router_answered(self, found):
        person = Person.objects.using("archive").first()
        with trace("t") as t:
            person.save()
        assert self.code not in found(t).codes

    def test_not_a_write_that_the_code_sent_there_nor_a_read(self, found):
        book = Book.objects.using("archive").get(title="Kindred")
        with trace("t") as t:
            note = book.notes.get()
            note.save(using="archive")
        assert [query.route for query in t.queries] == [RouteKind.INSTANCE, RouteKind.EXPLICIT]
        assert found(t).codes == set()


class OnlyReads:
    def db_for_read(self, model, **hints):
        return "default" if model is Person else None


class TestWriteOnReadRoute:
    code = "write-on-read-route"

    def test_update_through_a_generic_relation(self, found):
        book = Book.objects.using("primary").get(title="Small Gods")
        with trace("t") as t, pytest.raises(OperationalError):
            book.reviews.update(text="The turtle still moves.")

        assert found(t).codes == {self.code, "write-to-replica"}
        decision, update = found(t).events(self.code)
        assert decision.action == "db_for_read"
        assert update.alias == decision.answer
        (write,) = (query for query in t.queries if query.writes)
        assert found(t).one(self.code).message == (
            f"library.Review was written on {write.alias}, which db_for_read chose. "
            "Name the database in the code: using(router.db_for_write(...))."
        )

    def test_an_alias_that_the_code_passes_on(self, found):
        with trace("t") as t:
            User.objects.using(router.db_for_read(User)).filter(username="ada").update(
                email="ada@example.org"
            )
        assert found(t).codes == {self.code}

    def test_names_the_model_that_was_asked_about(self, found):
        user = User.objects.get(username="ada")
        with trace("t") as t:
            user = User.objects.get(username="ada")
            Card(user=user, number="7").save(using=user._state.db)
        assert found(t).one(self.code).message == (
            "users.Card was written on legacy_users, which db_for_read chose for users.User: no router "
            "was asked about users.Card. Name the database in the code: "
            "using(router.db_for_write(users.Card))."
        )

    def test_not_where_db_for_write_was_asked(self, found):
        with trace("t") as t:
            User.objects.filter(username="ada").update(email="ada@example.org")
        assert t.queries[0].decision_id
        assert found(t).codes == set()

    def test_not_a_read_on_a_read_route_nor_a_write_that_the_code_sent_there(self, found):
        with trace("t") as t:
            ada = User.objects.get(username="ada")
            ada.save(using="legacy_users")
        assert found(t).codes == set()


class TestPkOverwrite:
    code = "pk-overwrite"

    @pytest.fixture
    def fred(self):
        fred = Person(name="Fred")
        fred.save(using="primary")
        return fred

    @pytest.fixture
    def wilma(self, fred):
        return Person.objects.using("archive").create(pk=fred.pk, name="Wilma")

    def test_a_row_with_the_same_key_is_overwritten(self, found, fred, wilma):
        with trace("t") as t:
            fred.save(using="archive")
        wilma.refresh_from_db(using="archive")

        assert wilma.name == "Fred"
        assert found(t).codes == {self.code}
        assert found(t).one(self.code).message == (
            f"library.Person #{fred.pk} from primary was saved on archive with its primary key and overwrote "
            "the row that had this key there. To add it as a new row, set pk = None before; to keep the key "
            "and never overwrite, save(force_insert=True)."
        )
        assert [query.operation for query in found(t).events(self.code)] == ["UPDATE"]

    def test_without_its_key_in_a_redacted_message(self, fred, wilma):
        with trace("t") as t:
            fred.save(using="archive")
        (redacted,) = findings.find(t.document, redacted=True)
        assert redacted.message.startswith("library.Person from primary was saved on archive")

    def test_where_the_alias_is_an_answer_about_another_model(self, found, fred, wilma):
        """As a receiver of ``post_save`` passes ``using`` on: the code named the database."""
        note = Note.objects.using("archive").first()
        with trace("t") as t:
            fred.save(using=router.db_for_write(Note, instance=note))
        assert t.queries[0].route == RouteKind.INSTANCE
        assert "was saved on archive with its primary key" in found(t).one(self.code).message

    def test_not_without_its_key(self, found, fred, wilma):
        fred.pk = None
        with trace("t") as t:
            fred.save(using="archive")
        assert found(t).codes == set()

    def test_not_with_force_insert(self, found, fred, wilma):
        with trace("t") as t, pytest.raises(IntegrityError):
            fred.save(using="archive", force_insert=True)
        assert found(t).codes == set()

    def test_not_where_no_row_has_the_key(self, found, fred):
        with trace("t") as t:
            fred.save(using="archive")
        assert [query.operation for query in t.queries] == ["UPDATE", "INSERT"]
        assert found(t).codes == set()

    @pytest.mark.parametrize("replicas", [{"replica1": "primary", "replica2": "primary"}, {}])
    def test_not_an_object_from_a_replica_that_a_router_sends_to_the_primary(self, found, settings, replicas):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": replicas}
        with trace("t") as t:
            person = Person.objects.get(name="Douglas Adams")
            person.save()
        assert t.queries[1].instance.state_db.startswith("replica")
        assert found(t).codes == set()

    def test_not_an_object_from_a_replica_that_the_code_sends_to_the_primary(self, found):
        person = Person.objects.using("replica1").get(name="Douglas Adams")
        with trace("t") as t:
            person.save(using="primary")
        assert found(t).codes == set()

    def test_not_a_new_object_with_a_key(self, found, wilma):
        with trace("t") as t:
            Person(pk=wilma.pk, name="Betty").save(using="archive")
        assert found(t).codes == set()

    def test_not_a_new_object_that_a_relation_bound_to_another_database(self, found):
        author = Person.objects.using("primary").first()
        archived = Book.objects.using("archive").first()
        book = Book(pk=archived.pk, title="New", author=author)
        with trace("t") as t:
            book.save(using="archive")
        assert t.queries[0].instance.state_db == "primary"
        assert t.queries[0].rowcount == 1
        assert found(t).codes == set()

    def test_not_where_the_driver_does_not_say_how_many_rows_there_were(self, found):
        ref = InstanceRef(model="library.Person", pk="1", state_db="primary", adding=False)
        update = a_query(
            1,
            "archive",
            writes=True,
            operation="UPDATE",
            route=RouteKind.EXPLICIT,
            instance=ref,
            sql="UPDATE library_person",
        )
        assert found(a_trace(events=[update])).codes == {self.code}
        unknown = msgspec.structs.replace(update, rowcount=None)
        assert found(a_trace(events=[unknown])).codes == set()

    def test_not_an_object_that_stays_where_it_is(self, found, fred):
        with trace("t") as t:
            fred.save(using="primary")
        assert found(t).codes == set()


class TestSeveralDatabasesWritten:
    code = "several-databases-written"

    def test_writes_on_two_primaries(self, found):
        with trace("t") as t:
            for name in ("brass", "copper"):
                Tag.objects.create(name=name)
            User.objects.create(username="margaret")

        assert found(t).codes == {self.code}
        assert found(t).one(self.code).message == (
            "2 databases were written: primary (2), legacy_users (1); no transaction spans them. Write last "
            "where a failure is most likely, and make the rest repeatable."
        )
        assert [query.alias for query in found(t).events(self.code)] == ["primary", "primary", "legacy_users"]

    def test_names_fifty_writes_divided_among_the_databases(self, found):
        def written(aliases, times):
            writes = {"writes": True, "operation": "INSERT", "sql": "INSERT INTO library_tag VALUES (1)"}
            numbers = range(1, len(aliases) * times + 1)
            events = [a_query(number, aliases[number % len(aliases)], **writes) for number in numbers]
            return [query.alias for query in found(a_trace(events=events, databases={})).events(self.code)]

        assert len(written(["a", "b", "c"], 30)) == 3 * 16
        assert len(set(written([f"db{number}" for number in range(60)], 2))) == 50

    def test_shows_all_of_them_however_many_writes_there_were(self, found):
        with trace("t") as t:
            for number in range(60):
                Tag.objects.create(name=f"tag {number}")
            User.objects.create(username="margaret")
        assert {query.alias for query in found(t).events(self.code)} == {"primary", "legacy_users"}
        assert "primary (60)" in found(t).one(self.code).message

    def test_not_two_writes_on_one_and_a_read_on_another(self, found):
        with trace("t") as t:
            Tag.objects.create(name="brass")
            Tag.objects.create(name="copper")
            User.objects.get(username="ada")
        assert found(t).codes == set()

    def test_not_a_write_that_found_no_row(self, found):
        with trace("t") as t:
            Tag.objects.create(name="brass")
            User.objects.filter(username="nobody").update(username="somebody")
        assert [query.alias for query in t.queries] == ["primary", "legacy_users"]
        assert found(t).codes == set()

    def test_not_within_a_replica_group(self, found, settings):
        replicas = settings.DBROUTE_PANEL["REPLICAS"] | {"archive": "primary"}
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": replicas}
        with trace("t") as t:
            Tag.objects.create(name="brass")
            Tag.objects.using("archive").create(name="brass")
        assert self.code not in found(t).codes

    def test_not_what_django_keeps_for_itself(self, found, client):
        account = Account.objects.get(username="fred")
        with trace("t") as t:
            client.force_login(account)  # a session, on auth_db
            Tag.objects.create(name="brass")
            LogEntry.objects.create(user=account, object_repr="brass", action_flag=1)
        written = [query.model for query in t.queries if query.writes]
        assert {"sessions.Session", "library.Tag", "admin.LogEntry"} <= set(written)
        assert self.code in found(t).codes  # the account's last_login
        with trace("t") as t:
            client.session.create()
            Tag.objects.create(name="brass")
        assert self.code not in found(t).codes


class TestPartialCommit:
    code = "partial-commit"

    def test_the_inner_block_is_rolled_back(self, found):
        with trace("t") as t, transaction.atomic(using="primary"):
            Tag.objects.create(name="brass")
            with contextlib.suppress(Undo), transaction.atomic(using="legacy_users"):
                User.objects.create(username="margaret")
                raise Undo

        assert found(t).codes == {self.code, "several-databases-written"}
        assert found(t).one(self.code).message == (
            "The transaction on primary (library.Tag) was committed, the one on legacy_users (users.User) "
            "that was open at the same time was rolled back: half of the work is lost. Let an exception "
            "leave both blocks, and expect that the second commit can still fail."
        )
        assert len(found(t).events(self.code)) == 6

    def test_the_outer_block_is_rolled_back(self, found):
        with trace("t") as t, contextlib.suppress(Undo), transaction.atomic(using="primary"):
            Tag.objects.create(name="brass")
            with transaction.atomic(using="legacy_users"):
                User.objects.create(username="margaret")
            raise Undo
        message = found(t).one(self.code).message
        assert message.startswith("The transaction on legacy_users (users.User) was committed")

    def test_many_times_is_one_finding(self, found):
        with trace("t") as t, transaction.atomic(using="primary"):
            Tag.objects.create(name="brass")
            for name in ("margaret", "dorothy", "mary"):
                with contextlib.suppress(Undo), transaction.atomic(using="legacy_users"):
                    User.objects.create(username=name)
                    raise Undo
        assert "was rolled back (3 times)" in found(t).one(self.code).message

    def test_not_one_block_after_the_other(self, found):
        with trace("t") as t:
            with contextlib.suppress(Undo), transaction.atomic(using="legacy_users"):
                User.objects.create(username="margaret")
                raise Undo
            with transaction.atomic(using="primary"):
                Tag.objects.create(name="brass")
        assert self.code not in found(t).codes

    @pytest.mark.parametrize("error", [Undo, None])
    def test_not_where_both_end_the_same_way(self, found, error):
        with (
            trace("t") as t,
            contextlib.suppress(Undo),
            transaction.atomic(using="primary"),
            transaction.atomic(using="legacy_users"),
        ):
            Tag.objects.create(name="brass")
            User.objects.create(username="margaret")
            if error:
                raise error
        assert self.code not in found(t).codes

    def test_not_where_one_of_them_wrote_nothing(self, found):
        with trace("t") as t, transaction.atomic(using="primary"):
            with contextlib.suppress(Undo), transaction.atomic(using="legacy_users"):
                User.objects.create(username="margaret")
                raise Undo
            with contextlib.suppress(Undo), transaction.atomic(using="archive"):
                list(Tag.objects.using("archive"))
                raise Undo
        assert self.code not in found(t).codes

    def test_not_where_the_committed_one_had_taken_its_writes_back(self, found):
        with trace("t") as t, transaction.atomic(using="primary"):
            with contextlib.suppress(Undo), transaction.atomic(using="primary"):
                Tag.objects.create(name="brass")
                raise Undo
            with transaction.atomic(using="primary"):
                pass
            with contextlib.suppress(Undo), transaction.atomic(using="legacy_users"):
                User.objects.create(username="margaret")
                raise Undo
        assert [one.operation for one in t.transactions].count(Operation.SAVEPOINT_ROLLBACK) == 1
        assert self.code not in found(t).codes

    def test_not_a_savepoint_that_is_rolled_back(self, found):
        with trace("t") as t, transaction.atomic(using="primary"), transaction.atomic(using="legacy_users"):
            Tag.objects.create(name="brass")
            User.objects.create(username="margaret")
            with contextlib.suppress(Undo), transaction.atomic(using="legacy_users"):
                User.objects.create(username="dorothy")
                raise Undo
        assert self.code not in found(t).codes

    def test_not_where_one_of_the_blocks_began_before_the_trace(self, found):
        with contextlib.ExitStack() as stack:
            before = stack.enter_context(contextlib.ExitStack())
            before.enter_context(transaction.atomic(using="primary"))
            t = stack.enter_context(trace("t"))
            Tag.objects.create(name="brass")
            with contextlib.suppress(Undo), transaction.atomic(using="legacy_users"):
                User.objects.create(username="margaret")
                raise Undo
            before.close()
        assert [one.operation for one in t.transactions] == ["begin", "rollback", "commit"]
        assert self.code not in found(t).codes

    def test_not_where_the_blocks_began_before_the_trace(self, found):
        with transaction.atomic(using="primary"):
            Tag.objects.create(name="brass")
            with contextlib.suppress(Undo), transaction.atomic(using="legacy_users"), trace("t") as t:
                with transaction.atomic(using="primary"):
                    Tag.objects.create(name="copper")
                with contextlib.suppress(Undo), transaction.atomic(using="legacy_users"):
                    User.objects.create(username="margaret")
                    raise Undo
                raise Undo
        assert self.code not in found(t).codes
