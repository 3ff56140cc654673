from __future__ import annotations

import contextlib

import msgspec
import pytest
from django.db import OperationalError, connections, router, transaction

from dbroute_panel import trace
from dbroute_panel.records import Database, Operation, RouteKind, Transaction
from example_site import replication
from example_site.library.models import Book, Person, Tag
from example_site.users.models import User
from tests.errors import recorded
from tests.traces import a_query, a_trace

pytestmark = pytest.mark.usefixtures("site")


class Undo(Exception):
    pass


@pytest.fixture
def adams():
    return Person.objects.using("primary").get(name="Douglas Adams")


@pytest.fixture
def no_replicas(settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {}}


class TestStaleRead:
    code = "stale-read"

    def test_a_row_is_written_and_read_again_from_a_replica(self, found, adams):
        replication.set_lag(None)
        with trace("t") as t:
            adams.name = "Douglas Noel Adams"
            adams.save()
            again = Person.objects.get(pk=adams.pk)

        assert again.name == "Douglas Adams"  # it really is stale
        assert found(t).codes == {self.code}
        replica = t.queries[1].alias
        assert found(t).one(self.code).message == (
            f"library.Person was possibly read stale from {replica}, after library.Person #{adams.pk} was "
            "written on primary. Read it with using('primary'), or let db_for_read answer primary after a "
            "write."
        )
        assert [query.operation for query in found(t).events(self.code)] == ["UPDATE", "SELECT"]

    def test_what_was_fetched_with_its_peers_is_no_matter_of_the_routers(self, found):
        """Since Django 6.1: a deferred field is read where its objects are from, and no router is asked."""
        sql = 'UPDATE "library_book" SET "title" = %s'
        write = a_query(1, "primary", sql=sql, operation="UPDATE", writes=True)
        peers = a_query(2, "replica1", at_us=900, route=RouteKind.PEERS)
        told = found(a_trace(events=[write, peers])).one(self.code).message
        assert told.endswith("was written on primary. Read it with using('primary').")
        routed = msgspec.structs.replace(peers, route=RouteKind.ROUTER)
        told = found(a_trace(events=[write, routed])).one(self.code).message
        assert told.endswith("or let db_for_read answer primary after a write.")

    def test_the_same_table_in_the_query_of_another_model(self, found, adams):
        with trace("t") as t:
            adams.save()
            list(Book.objects.select_related("author"))
        assert "library.Book was possibly read stale" in found(t).one(self.code).message

    def test_the_same_table_with_raw_cursors(self, found):
        with trace("t") as t:
            with connections["primary"].cursor() as cursor:
                cursor.execute("insert into `library_tag` (name) values ('brass')")
            with connections["replica1"].cursor() as cursor:
                cursor.execute("select 1 from main.library_tag -- library_person")
        message = found(t).one(self.code).message
        assert 'the table "library_tag" was possibly read stale from replica1' in message

    def test_many_reads_are_one_finding(self, found, adams):
        with trace("t") as t:
            adams.save()
            for alias in ("replica1", "replica2", "replica1"):
                list(Person.objects.using(alias))
        message = found(t).one(self.code).message
        assert "library.Person (3 queries) was possibly read stale from replica1 and replica2" in message

    def test_also_while_the_transaction_is_open_and_rolled_back_later(self, found):
        with trace("t") as t, contextlib.suppress(Undo), transaction.atomic(using="primary"):
            Tag.objects.create(name="brass")
            list(Tag.objects.all())
            raise Undo
        assert found(t).codes == {self.code, "replica-read-in-atomic"}

    def test_by_the_model_where_the_sql_names_no_table_that_we_can_read(self, found):
        write = a_query(1, "primary", writes=True, operation="UPDATE", sql="UPDATE ...", at_us=0)
        read = a_query(2, "replica1", sql="TABLE library_book", at_us=1000)
        assert self.code in found(a_trace(events=[write, read])).codes

    def test_not_a_read_before_the_write(self, found, adams):
        with trace("t") as t:
            Person.objects.get(pk=adams.pk)
            adams.save()
        assert found(t).codes == set()

    def test_not_a_read_of_another_table(self, found, adams):
        with trace("t") as t:
            adams.save()
            list(Tag.objects.all())
        assert found(t).codes == set()

    def test_not_a_read_on_the_primary(self, found, adams):
        with trace("t") as t:
            adams.save()
            Person.objects.using("primary").get(pk=adams.pk)
        assert found(t).codes == set()

    def test_not_after_a_write_on_another_database_that_has_the_table(self, found):
        with trace("t") as t:
            Person.objects.using("archive").first().save(using="archive")
            list(Person.objects.all())
        assert found(t).codes == set()

    @pytest.mark.usefixtures("no_replicas")
    def test_not_without_a_declared_group(self, found, adams):
        with trace("t") as t:
            adams.save()
            Person.objects.get(pk=adams.pk)
        assert found(t).codes == set()

    def test_not_after_a_write_that_changed_nothing(self, found):
        with trace("t") as t:
            Person.objects.filter(name="Nobody").update(name="Somebody")
            list(Person.objects.all())
        assert found(t).codes == set()

    def test_not_after_a_write_that_was_rolled_back(self, found, adams):
        with trace("t") as t:
            with contextlib.suppress(Undo), transaction.atomic(using="primary"):
                adams.save()
                raise Undo
            list(Person.objects.all())
        assert found(t).codes == set()

    def test_not_after_a_write_whose_savepoint_was_rolled_back(self, found, adams):
        with trace("t") as t:
            with transaction.atomic(using="primary"):
                with contextlib.suppress(Undo), transaction.atomic(using="primary"):
                    adams.save()
                    raise Undo
                Tag.objects.create(name="brass")
            list(Person.objects.all())
        assert found(t).codes == set()

    def test_not_where_that_savepoint_had_one_of_its_own(self, found, adams):
        with trace("t") as t:
            block = transaction.atomic(using="primary")
            with block, contextlib.suppress(Undo), transaction.atomic(using="primary"):
                adams.save()
                with transaction.atomic(using="primary"):
                    Tag.objects.create(name="brass")
                raise Undo
            list(Person.objects.all())
        assert found(t).codes == set()

    def test_not_between_the_end_of_a_savepoint_and_that_of_its_transaction(self, found, adams):
        with trace("t") as t, contextlib.suppress(Undo), transaction.atomic(using="primary"):
            with contextlib.suppress(Undo), transaction.atomic(using="primary"):
                adams.save()
                raise Undo
            list(Person.objects.all())
            raise Undo
        assert found(t).codes == {"replica-read-in-atomic"}

    def test_but_after_one_before_it(self, found, adams):
        with trace("t") as t:
            with transaction.atomic(using="primary"):
                adams.save()
                with contextlib.suppress(Undo), transaction.atomic(using="primary"):
                    Person.objects.create(name="Fred")
                    raise Undo
            list(Person.objects.all())
        (write, _) = found(t).events(self.code)
        assert write.operation == "UPDATE"

    def test_not_after_a_savepoint_of_a_transaction_from_before_the_trace(self, found, adams):
        with transaction.atomic(using="primary"), trace("t") as t:
            with contextlib.suppress(Undo), transaction.atomic(using="primary"):
                adams.save()
                raise Undo
            list(Person.objects.all())
        assert found(t).codes == set()

    def test_not_after_a_savepoint_from_before_the_trace_was_rolled_back(self, found, adams):
        with contextlib.ExitStack() as stack:
            stack.enter_context(transaction.atomic(using="primary"))
            before = stack.enter_context(contextlib.ExitStack())
            before.enter_context(transaction.atomic(using="primary"))
            t = stack.enter_context(trace("t"))
            adams.save()
            transaction.set_rollback(True, using="primary")
            before.close()
            list(Person.objects.all())
        assert [one.operation for one in t.transactions] == ["savepoint_rollback", "savepoint_commit"]
        assert found(t).codes == set()

    def test_not_a_read_that_began_before_the_write_had_ended(self, found):
        write = a_query(1, "primary", writes=True, operation="UPDATE", sql="UPDATE library_book", at_us=0)
        read = a_query(2, "replica1", at_us=200)
        assert found(a_trace(events=[write, read])).codes == set()

    def test_not_the_table_of_the_migrations(self, found):
        sql = "INSERT INTO django_migrations"
        changes = {"model": "migrations.Migration", "route": RouteKind.EXPLICIT}
        write = a_query(1, "primary", writes=True, operation="INSERT", sql=sql, at_us=0, **changes)
        read = a_query(2, "replica1", sql="SELECT * FROM django_migrations", at_us=1000, **changes)
        assert found(a_trace(events=[write, read])).codes == set()

    def test_names_no_router_where_none_was_asked(self, found, adams):
        with trace("t") as t:
            adams.save()
            Person.objects.using("replica1").get(pk=adams.pk)
        assert found(t).one(self.code).message.endswith("Read it with using('primary').")


class TestReplicaReadInAtomic:
    code = "replica-read-in-atomic"

    def test_a_read_inside_a_block_on_the_primary(self, found, adams):
        with trace("t") as t, transaction.atomic(using="primary"):
            Person.objects.get(pk=adams.pk)
            Tag.objects.create(name="brass")

        assert found(t).codes == {self.code}
        begin, read = found(t).events(self.code)
        assert (begin.operation, begin.alias) == (Operation.BEGIN, "primary")
        assert found(t).one(self.code).message == (
            f"library.Person was read from {read.alias} while a transaction was open on primary: what that "
            "writes cannot be seen there. Read with using('primary') inside the block, or let db_for_read "
            "answer primary while connections['primary'].in_atomic_block."
        )

    def test_many_reads_are_one_finding(self, found):
        with trace("t") as t, transaction.atomic(using="primary"):
            for _ in range(3):
                list(Person.objects.using("replica1"))
            Tag.objects.create(name="brass")
        message = found(t).one(self.code).message
        assert "library.Person (3 queries) was read from replica1" in message
        assert message.endswith("Read with using('primary') inside the block.")  # no router was asked

    @pytest.mark.parametrize(
        ("write", "codes"),
        [
            ("", set()),
            ("Tag.objects.filter(name='none of this name').update(name='brass')", set()),
            ("Tag.objects.create(name='brass')", {code}),
        ],
    )
    def test_only_of_a_transaction_that_wrote_something_by_its_end(self, found, adams, write, codes):
        """As the one that ATOMIC_REQUESTS opens for a page that only reads."""
        with trace("t") as t, transaction.atomic(using="primary"):
            Person.objects.get(pk=adams.pk)
            exec(write)
        assert found(t).codes == codes

    def test_of_a_transaction_that_is_not_over_when_the_trace_is(self, found, adams):
        with transaction.atomic(using="archive"):
            with trace("t") as t:
                block = transaction.atomic(using="primary")
                block.__enter__()
                Person.objects.get(pk=adams.pk)
            block.__exit__(None, None, None)
        assert found(t).codes == {self.code}

    def test_what_django_writes_beside_the_user_s_data_is_nobody_s_business_but_its_own(self, found):
        begin, end = (
            Transaction(
                id=number, alias="primary", at_us=0, operation=operation, transaction_number=1, callsite=None
            )
            for number, operation in ((1, Operation.BEGIN), (9, Operation.COMMIT))
        )
        session = a_query(
            2,
            "primary",
            model="sessions.Session",
            sql="UPDATE django_session SET session_data = %s",
            operation="UPDATE",
            writes=True,
            atomic=True,
            transaction_number=1,
        )
        book = a_query(3, "replica1", at_us=900)
        sessions = {"model": "sessions.Session", "sql": "SELECT * FROM django_session"}
        itself = a_query(3, "replica1", at_us=900, **sessions)
        assert found(a_trace(events=[begin, session, book, end])).codes == set()
        assert self.code in found(a_trace(events=[begin, session, itself, end])).codes

    def test_not_outside_of_the_block(self, found, adams):
        with trace("t") as t:
            list(Tag.objects.filter(name="comedy"))
            with transaction.atomic(using="primary"):
                adams.save()
            list(Tag.objects.filter(name="space"))
        assert found(t).codes == set()

    def test_not_from_the_primary_or_from_elsewhere(self, found):
        with trace("t") as t, transaction.atomic(using="primary"):
            list(Person.objects.using("primary"))
            list(User.objects.all())
        assert found(t).codes == set()

    def test_not_inside_a_block_on_another_database(self, found):
        with trace("t") as t, transaction.atomic(using="archive"):
            list(Person.objects.all())
        assert found(t).codes == set()

    @pytest.mark.usefixtures("no_replicas")
    def test_not_without_a_declared_group(self, found):
        with trace("t") as t, transaction.atomic(using="primary"):
            list(Person.objects.all())
        assert found(t).codes == set()

    def test_not_where_the_block_began_before_the_trace(self, found):
        block, savepoint = transaction.atomic(using="primary"), transaction.atomic(using="primary")
        with block, trace("t") as t, savepoint:
            list(Person.objects.all())
        assert found(t).codes == set()

    @pytest.mark.parametrize(
        ("inside", "codes"),
        [
            ("list(Tag.objects.all())", set()),
            ("(list(Tag.objects.all()), Tag.objects.create(name='brass'))", set()),
            (
                "(Tag.objects.create(name='brass'), list(Tag.objects.all()))",
                {"replica-read-in-atomic", "stale-read"},
            ),
        ],
    )
    def test_only_of_what_was_written_where_one_line_opened_the_block_and_read(self, found, inside, codes):
        # As a form of the admin does. Reads after a write are seen by nobody's intention.
        with trace("t") as t:
            exec(f"with transaction.atomic(using='primary'): {inside}")
        assert len(t.transactions) == 2
        assert found(t).codes == codes

    def test_not_where_queries_overlapped_so_that_several_threads_ran(self, found):
        begin = Transaction(
            id=1, alias="primary", at_us=0, operation=Operation.BEGIN, transaction_number=1, callsite=None
        )
        read = a_query(2, "replica1", at_us=200)
        alone, together = a_query(3, "archive", sql="SELECT 1", at_us=900), a_query(3, "archive", at_us=210)
        assert found(a_trace(events=[begin, read, alone])).codes == {self.code}
        assert self.code not in found(a_trace(events=[begin, read, together])).codes


class TestWriteToReplica:
    code = "write-to-replica"

    def test_a_write_that_the_replica_refuses(self, found):
        with trace("t") as t, pytest.raises(OperationalError) as raised:
            Tag.objects.using("replica1").create(name="brass")

        assert found(t).codes == {self.code}
        assert found(t).one(self.code).message == (
            "A write of library.Tag went to replica1, a replica of primary, and failed "
            f"({recorded(raised.value)}). Write primary where the code says replica1."
        )

    def test_a_write_that_succeeds(self, found, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {"archive": "primary"}}
        with trace("t") as t:
            Tag.objects.using("archive").create(name="brass")
            Tag.objects.using("archive").create(name="copper")
        message = found(t).one(self.code).message
        assert message == (
            "library.Tag (2 queries) was written on archive, a replica of primary. Write primary where the "
            "code says archive."
        )
        assert found(t).events(self.code) == t.queries

    def test_names_the_router_where_one_was_asked(self, found, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {"primary": "archive"}}
        with trace("t") as t:
            Tag.objects.create(name="brass")
        assert (
            found(t)
            .one(self.code)
            .message.endswith(
                "Let db_for_write answer archive, or write archive where the code says primary."
            )
        )

    def test_names_the_question_whose_answer_was_passed_on(self, found, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {"primary": "archive"}}
        with trace("t") as t:
            Tag.objects.using(router.db_for_write(Person)).create(name="brass")
        assert found(t).one(self.code).message == (
            "library.Tag was written on primary, a replica of archive. It is the alias of "
            "db_for_write(library.Person), and no router was asked about library.Tag: name archive where "
            "that is passed on."
        )

    def test_on_a_replica_of_a_replica(self, found, settings):
        replicas = {"replica1": "replica2", "replica2": "primary"}
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": replicas}
        with trace("t") as t, pytest.raises(OperationalError):
            Tag.objects.using("replica1").create(name="brass")
        assert "replica1, a replica of primary" in found(t).one(self.code).message

    def test_not_on_the_primary_nor_a_read_of_the_replica(self, found):
        with trace("t") as t:
            list(Tag.objects.using("replica1"))
            Tag.objects.create(name="brass")
        assert found(t).codes == set()

    @pytest.mark.usefixtures("no_replicas")
    def test_not_a_write_that_ran_without_a_declared_group(self, found):
        with trace("t") as t:
            Tag.objects.using("archive").create(name="brass")
        assert found(t).codes == set()

    @pytest.mark.usefixtures("no_replicas")
    def test_what_a_read_only_database_refused_without_a_declared_group(self, found):
        with trace("t") as t, pytest.raises(OperationalError):
            Tag.objects.using("replica1").create(name="brass")
        assert found(t).one(self.code).message == (
            "A write of library.Tag was refused by replica1, which is read-only (OperationalError: attempt "
            "to write a readonly database). Name in the code the database that takes writes. If "
            "replica1 is a replica of it, say so in DBROUTE_PANEL['REPLICAS']."
        )

    @pytest.mark.usefixtures("no_replicas")
    def test_a_statement_that_is_no_write_by_its_words(self, found):
        with trace("t") as t, pytest.raises(OperationalError), connections["replica1"].cursor() as cursor:
            cursor.execute("REINDEX")
        assert found(t).one(self.code).message.startswith("REINDEX (raw SQL) was refused by replica1")

    def test_a_lock_counts(self, found):
        lock = a_query(1, "replica1", sql='SELECT 1 FROM "library_book" FOR UPDATE', model="library.Book")
        refused = msgspec.structs.replace(lock, error="InternalError: cannot execute", error_code="25006")
        assert found(a_trace(events=[lock])).one(self.code).message == (
            "library.Book was locked on replica1, a replica of primary: on primary, where it is written, "
            "that locks nothing. Let db_for_write answer primary, or write primary where the code says "
            "replica1."
        )
        assert (
            found(a_trace(events=[refused]))
            .one(self.code)
            .message.startswith(
                "A lock of library.Book went to replica1, a replica of primary, and failed (InternalError:"
            )
        )
        elsewhere = msgspec.structs.replace(lock, alias="primary")
        assert found(a_trace(events=[elsewhere])).codes == set()

    @pytest.mark.parametrize(
        ("vendor", "code", "sql", "is_found"),
        [
            ("postgresql", "25006", "REFRESH MATERIALIZED VIEW v", True),
            ("cockroachdb", "25006", "CALL p()", True),
            ("postgresql", "25P02", "SELECT 1", False),
            ("mysql", 1290, "CALL p()", True),
            ("mysql", 1792, "SELECT nextval(s)", True),
            ("mysql", 1836, "OPTIMIZE TABLE t", True),
            ("mysql", 1290, "SELECT 1 INTO OUTFILE '/x'", False),  # --secure-file-priv
            ("mysql", 1290, "GRANT ALL ON *.* TO me", False),  # --skip-grant-tables
            ("mysql", 1064, "SELEC", False),
            ("mysql", 8, "CALL p()", False),
            ("sqlite", 8, "REINDEX", True),
            ("sqlite", 776, "VACUUM", True),
            ("sqlite", 1290, "VACUUM", False),
            ("sqlite", 1, "SELEC", False),
            ("oracle", 16000, "CALL p()", True),
            ("other", 8, "CALL p()", False),
            ("postgresql", None, "CALL p()", False),
        ],
    )
    def test_the_databases_own_code_tells(self, found, vendor, code, sql, is_found):
        databases = {"standby": Database(vendor=vendor, engine="", replica_of=None)}
        query = a_query(1, "standby", sql=sql, model=None, error="OperationalError: x", error_code=code)
        query = msgspec.structs.replace(query, operation=sql.partition(" ")[0])
        assert (self.code in found(a_trace(events=[query], databases=databases)).codes) is is_found

    def test_a_database_that_the_trace_does_not_know(self, found):
        query = a_query(1, "gone", error="OperationalError: x", error_code=8)
        assert found(a_trace(events=[query], databases={})).codes == set()
