from __future__ import annotations

from typing import ClassVar

import pytest
from django import VERSION
from django.contrib.contenttypes.models import ContentType
from django.core.cache.backends.db import DatabaseCache
from django.db import OperationalError, connections
from django.db.models.signals import post_save
from django.template import Context, Engine
from django.test import Client

from dbroute_panel import trace
from dbroute_panel.records import Action, Database, InstanceRef, RouteKind
from example_site.library.models import Book, Person, Tag
from example_site.notes.models import Note
from example_site.users.models import User
from tests.findings import routers
from tests.traces import a_decision, a_query, a_trace

pytestmark = pytest.mark.usefixtures("site")


REPLICA = "replica1 is a replica of primary."
BRING = "let replication bring the table"


class TestMissingTable:
    code = "missing-table"

    def test_a_query_fails_because_the_table_is_elsewhere(self, found):
        with trace("t") as t:
            for _ in range(2):
                with pytest.raises(OperationalError):
                    Note.objects.using("primary").count()
        assert found(t).codes == {self.code}
        assert found(t).one(self.code).message == (
            "The table notes_note is not on primary, where a query of notes.Note (2 queries) failed. "
            "Migrate it there, or name the database that has it in the code."
        )

    MISSING: ClassVar = {"error": "OperationalError: no such table: library_book", "error_code": 1}

    def remedy(self, found, *events):
        """What is said to do, where the only query among ``events`` failed."""
        trace = a_trace(events=list(events))
        return found(trace).one(self.code).message.partition(" failed. ")[2]

    @pytest.mark.parametrize("route", [RouteKind.ROUTER, RouteKind.INSTANCE, RouteKind.DEFAULT])
    def test_a_router_is_to_answer_only_where_it_was_asked(self, found, route):
        asked = a_decision(1, hints={}, answer="primary")
        own = a_query(2, "primary", **self.MISSING, decision_id=1, route=route)
        told = "Migrate it there, or let a router name the database that has it."
        assert self.remedy(found, asked, own) == told
        lost = a_query(2, "primary", **self.MISSING, decision_id=7, route=route)  # the decision was not kept
        assert self.remedy(found, lost) == told

    @pytest.mark.parametrize("route", [RouteKind.EXPLICIT, RouteKind.CURSOR, RouteKind.SCHEMA])
    def test_the_code_is_to_name_another_database_where_it_named_this_one(self, found, route):
        query = a_query(2, "primary", **self.MISSING, route=route)
        assert self.remedy(found, query) == "Migrate it there, or name the database that has it in the code."

    def test_the_origin_of_an_alias_that_was_passed_on_is_the_cause(self, found):
        asked = a_decision(1, model="library.Review", hints={}, answer="primary")
        query = a_query(2, "primary", **self.MISSING, decision_id=1)
        assert self.remedy(found, asked, query) == (
            "No router was asked about library.Book: primary is the alias of db_for_read(library.Review), "
            "which was passed on. Name the database of library.Book in the code, or have both on one "
            "database."
        )

    def test_a_receiver_that_passes_the_alias_on_is_the_cause(self, found):
        def write_a_tag(instance, using, **kwargs):
            Tag(name="reader").save(using=using)

        post_save.connect(write_a_tag, sender=User)
        try:
            with trace("t") as t, pytest.raises(OperationalError):
                User.objects.create(username="zoe")
        finally:
            post_save.disconnect(write_a_tag, sender=User)
        assert found(t).codes == {self.code}
        assert found(t).one(self.code).message == (
            "The table library_tag is not on legacy_users, where a query of library.Tag failed. No router "
            "was asked about library.Tag: legacy_users is the alias of db_for_write(users.User), which was "
            "passed on. Name the database of library.Tag in the code, or have both on one database."
        )
        decision, failed = found(t).events(self.code)
        assert (decision.model, failed.model) == ("users.User", "library.Tag")

    def test_the_rows_of_a_saved_object_follow_the_question_about_its_class(self, found):
        asked = a_decision(1, action=Action.WRITE, model="library.Novel", answer="primary", hints={})
        novel = InstanceRef(model="library.Novel", pk=None, state_db=None, adding=True)
        query = a_query(2, "primary", **self.MISSING, decision_id=1, instance=novel)
        assert self.remedy(found, asked, query) == (
            "Migrate it there, or let a router name another database for library.Novel, whose object was "
            "saved."
        )

    def test_nobody_migrates_a_replica(self, found):
        asked = a_decision(1, hints={}, answer="replica1")
        query = a_query(2, "replica1", **self.MISSING, decision_id=1)
        assert self.remedy(found, asked, query) == (
            "replica1 is a replica of primary. Migrate primary and let replication bring the table, or let a "
            "router name the database that has it."
        )

    @pytest.mark.parametrize(
        ("alias", "told"),
        [
            ("primary", "Make it with createcachetable --database primary, or"),
            ("replica1", f"{REPLICA} Make it with createcachetable --database primary and {BRING}, or"),
        ],
    )
    def test_no_migration_makes_the_table_of_the_database_cache(self, found, alias, told):
        asked = a_decision(1, model="django_cache.CacheEntry", hints={}, answer=alias)
        query = a_query(2, alias, **self.MISSING, decision_id=1, model=None)
        assert self.remedy(found, asked, query) == f"{told} let a router name the database that has it."

    @pytest.mark.parametrize("write", [False, True])
    def test_the_database_cache_itself(self, found, settings, write):
        class CacheRouter:
            def db_for_read(self, model, **hints):
                return "primary" if model._meta.app_label == "django_cache" else None

            db_for_write = db_for_read

        settings.DATABASE_ROUTERS = [CacheRouter(), *settings.DATABASE_ROUTERS]
        cache = DatabaseCache("cache_table", {})
        with trace("t") as t, pytest.raises(OperationalError):
            cache.set("key", 1) if write else cache.get("key")
        assert found(t).one(self.code).message == (
            'The table cache_table is not on primary, where a query of the table "cache_table" failed. Make '
            "it with createcachetable --database primary, or let a router name the database that has it."
        )
        assert {event.model for event in found(t).events(self.code)} == {"django_cache.CacheEntry", None}

    def test_another_raw_query_after_a_question_of_the_cache_is_none_of_its(self, found):
        asked = a_decision(1, model="django_cache.CacheEntry", hints={}, answer="archive")
        query = a_query(2, "primary", **self.MISSING, model=None, route=RouteKind.CURSOR)
        assert self.remedy(found, asked, query) == (
            "Migrate it there, or name the database that has it in the code."
        )

    def test_also_where_values_are_not_recorded_if_the_code_says_it(self, found):
        failed = a_query(1, "primary", error="ProgrammingError", error_code=1146)
        assert (
            found(self.on("mysql", failed))
            .one(self.code)
            .message.startswith("The table library_book is not on primary")
        )

    def test_not_on_sqlite_where_values_are_not_recorded(self, found, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": False}
        with trace("t") as t, pytest.raises(OperationalError):
            Note.objects.using("primary").count()
        assert (t.queries[0].error, t.queries[0].error_code) == ("OperationalError", 1)
        assert found(t).codes == set()

    def test_where_it_is_not_known_which_table(self, found):
        failed = a_query(
            1, "primary", error="DatabaseError: ORA-00942", error_code=942, sql="CALL x()", model=None
        )
        message = found(self.on("oracle", failed)).one(self.code).message
        assert message == (
            "A table is not on primary, where a query of raw SQL failed. Migrate it there, or let a router "
            "name the database that has it."
        )

    def test_not_another_error(self, found):
        with trace("t") as t, connections["primary"].cursor() as cursor:
            for sql in ("SELECT nothing FROM library_book", "SELECT 'no such table: x' FROM", "DROP VIEW x"):
                with pytest.raises(OperationalError):
                    cursor.execute(sql)
        assert found(t).codes == set()

    def test_not_on_a_database_that_is_not_in_the_trace(self, found):
        failed = a_query(1, "nowhere", **self.MISSING)
        assert found(a_trace(events=[failed])).codes == set()

    def test_not_in_an_old_document_that_has_no_codes(self, found):
        """It keeps the findings that it has: nothing looks for them once more."""
        failed = a_query(1, "primary", error=self.MISSING["error"])
        assert found(self.on("sqlite", failed)).codes == set()

    def on(self, vendor, query):
        database = Database(vendor=vendor, engine="some.engine", replica_of=None)
        return a_trace(events=[query], databases={"primary": database})


class TestRepeatedQuery:
    code = "repeated-query"

    @pytest.fixture
    def people(self):
        people = [Person(name=f"Person {number}") for number in range(10)]
        Person.objects.using("primary").bulk_create(people)
        Book.objects.using("primary").bulk_create([Book(title=p.name, author=p) for p in people])
        return people

    def read(self, people, alias="primary"):
        for person in people:
            Person.objects.using(alias).get(pk=person.pk)

    def test_the_same_line_reads_ten_times(self, found, people):
        with trace("t") as t:
            self.read(people)
        assert found(t).codes == {self.code}
        assert len(found(t).events(self.code)) == 10
        message = found(t).one(self.code).message
        line = t.queries[1].callsite.line
        assert message == (
            f"The same query of library.Person ran 10 times on primary, called from test_queries.py:{line}. "
            "Read the rows at once: select_related(), prefetch_related(), or one query with __in."
        )

    def test_each_line_and_each_query_counts_for_itself(self, found):
        few = [a_query(number, callsite=None) for number in range(1, 11)]
        own = [a_query(number, model="sessions.Session") for number in range(11, 21)]
        many = [a_query(number, sql="SELECT 1 FROM library_tag") for number in range(21, 31)]
        assert found(a_trace(events=[*few, *own, *many])).one(self.code).events == [*range(21, 31)]

    def test_not_what_has_fifty_values_already(self, found):
        def batches(values):
            sql = f"SELECT id FROM library_tag WHERE id IN ({', '.join(['%s'] * values)})"
            return a_trace(events=[a_query(number, sql=sql) for number in range(1, 11)])

        assert found(batches(49)).codes == {self.code}
        assert found(batches(50)).codes == set()

    def test_in_a_template(self, found, people, settings):
        settings.DATABASE_ROUTERS = [routers.Alternates("primary")]
        template = Engine().from_string("{% for book in books %}\n{{ book.author.name }}{% endfor %}")
        with trace("t") as t:
            template.render(Context({"books": Book.objects.using("primary")}))
        assert "template <unknown source>:2." in found(t).one(self.code).message

    def test_whatever_the_values_and_however_many_in_a_list(self, found):
        with trace("t") as t, connections["primary"].cursor() as cursor:
            for number in range(10):
                names = ", ".join(["'O''Hara', 'x'"] * (number + 1))
                cursor.execute(
                    f"SELECT id  FROM library_tag WHERE id={number} AND name IN ({names}) /* {number} */"
                )
        assert 'of the table "library_tag" ran 10 times' in found(t).one(self.code).message

    def test_not_nine_times(self, found, people):
        with trace("t") as t:
            self.read(people[:9])
        assert found(t).codes == set()

    def test_not_from_two_lines(self, found, people):
        with trace("t") as t:
            for person in people[:5]:
                Person.objects.using("primary").get(pk=person.pk)
            for person in people[:5]:
                Person.objects.using("primary").get(pk=person.pk)
        assert found(t).codes == set()

    def test_not_on_two_databases(self, found, people):
        with trace("t") as t:
            for person in people:
                alias = "replica1" if person.pk % 2 else "replica2"
                Person.objects.using(alias).get(pk=person.pk)
        assert found(t).codes == set()

    def test_not_different_queries_from_one_line(self, found, people):
        with trace("t") as t:
            for number in range(10):
                Tag.objects.using("primary").filter(**{"name": "x"} if number % 2 else {"pk": 1}).first()
        assert len(t.queries) == 10
        assert found(t).codes == set()

    def test_not_with_prefetching(self, found, people):
        with trace("t") as t:
            for book in Book.objects.using("primary").prefetch_related("author"):
                assert book.author
        assert len(t.queries) == 2
        assert found(t).codes == set()

    def test_not_what_django_reads_in_batches(self, found, settings):
        settings.DATABASE_ROUTERS = [routers.Alternates("primary")]
        people = [Person(name=str(number)) for number in range(600)]
        Person.objects.using("primary").bulk_create(people)
        Book.objects.using("primary").bulk_create([Book(title=p.name, author=p) for p in people])
        with trace("t") as t:
            books = Book.objects.using("primary").prefetch_related("author")
            for book in books.iterator(chunk_size=60):
                assert book.author
        assert len(t.queries) > 10
        assert found(t).codes == set()

    def test_not_saving_one_object_after_the_other(self, found, people):
        with trace("t") as t:
            for person in people:
                person.save()
        assert len(t.queries) == 10
        assert found(t).codes == set()

    def test_not_where_callsites_are_not_recorded(self, found, people, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"CALLSITES": False}
        with trace("t") as t:
            self.read(people)
        assert found(t).codes == set()

    def test_not_what_django_looks_up_for_itself(self, found):
        with trace("t") as t:
            for _ in range(10):
                ContentType.objects.get(app_label="library", model="book")
                connections["primary"].introspection.table_names()
        assert len(t.queries) == 20
        assert found(t).codes == set()

    def test_not_what_a_router_asks(self, found, settings):
        settings.DATABASE_ROUTERS = [routers.Queries(), *settings.DATABASE_ROUTERS]
        with trace("t") as t:
            for number in range(10):
                Tag.objects.filter(**{"pk": number} if number % 2 else {"name": number}).first()
        assert found(t).codes == {"router-queried"}


class TestSameQueryElsewhere:
    code = "same-query-elsewhere"

    def test_the_same_query_on_two_databases(self, found):
        with trace("t") as t:
            for alias in ("primary", "archive"):
                Book.objects.using(alias).get(title="Kindred")
        assert found(t).codes == {self.code}
        message = found(t).one(self.code).message
        assert message == (
            "The same query of library.Book ran on primary and archive. If one answer is enough, name the "
            "database; if they are compared, nothing is wrong."
        )

    def test_each_set_of_databases_counts_for_itself(self, found):
        asked = [("primary", "1"), ("archive", "1"), ("primary", "2"), ("auth_db", "2")]
        queries = [
            a_query(number, alias, params=[pk], decision_id=None)
            for number, (alias, pk) in enumerate(asked, 1)
        ]
        messages = [one.message.partition(". ")[0] for one in found(a_trace(events=queries)).all]
        assert messages == [
            "The same query of library.Book ran on primary and archive",
            "The same query of library.Book ran on primary and auth_db",
        ]

    def test_where_routers_chose_two_primaries(self, found):
        decided = [
            a_query(number, alias, params=["1"], decision_id=9)
            for number, alias in ((1, "primary"), (2, "archive"))
        ]
        assert found(a_trace(events=decided)).codes == {self.code}

    def test_not_where_a_named_parameter_is_masked(self, found):
        def asked(value):
            params = {"pk": "1", "token": value}
            return a_trace(
                events=[a_query(1, "primary", params=params), a_query(2, "archive", params=params)]
            )

        assert found(asked("a")).codes == {self.code}
        assert found(asked("***")).codes == set()

    def test_with_many_parameters_is_one_finding(self, found):
        with trace("t") as t:
            for title in ("Kindred", "Lavinia"):
                for alias in ("primary", "archive"):
                    Book.objects.using(alias).get(title=title)
        message = found(t).one(self.code).message
        assert "ran on primary and archive, with 2 sets of parameters." in message
        assert len(found(t).events(self.code)) == 4

    def test_a_write(self, found):
        with trace("t") as t:
            for alias in ("legacy_users", "new_users"):
                User.objects.using(alias).filter(username="ada").update(email="ada@example.org")
        assert found(t).codes == {self.code, "several-databases-written"}

    def test_raw_sql_with_named_and_without_parameters(self, found):
        with trace("t") as t:
            for alias in ("primary", "archive"):
                with connections[alias].cursor() as cursor:
                    cursor.execute("SELECT count(*) FROM library_book")
                    cursor.execute("SELECT * FROM library_book WHERE id = %(pk)s", {"pk": 1})
        assert [found.code for found in found(t).all] == [self.code, self.code]

    def test_not_on_a_primary_and_its_replica_where_the_code_names_one(self, found):
        with trace("t") as t:
            Book.objects.using("primary").get(title="Kindred")
            Book.objects.get(title="Kindred")
        assert len({query.alias for query in t.queries}) == 2
        assert found(t).codes == set()

    def test_not_where_routers_share_reads_among_replicas(self, found, settings):
        settings.DATABASE_ROUTERS = [routers.Alternates("replica1", "replica2", "primary")]
        with trace("t") as t:
            for _ in range(3):
                Book.objects.get(title="Kindred")
        assert len({query.alias for query in t.queries}) == 3
        assert found(t).codes == set()

    def test_not_with_other_parameters(self, found):
        with trace("t") as t:
            Book.objects.using("primary").get(title="Kindred")
            Book.objects.using("archive").get(title="Lavinia")
        assert found(t).codes == set()

    def test_not_twice_on_one_database(self, found):
        with trace("t") as t:
            for _ in range(2):
                Book.objects.using("primary").get(title="Kindred")
        assert found(t).codes == set()

    def test_not_where_parameters_are_not_recorded(self, found, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": False}
        with trace("t") as t:
            for alias in ("primary", "archive"):
                Book.objects.using(alias).get(title="Kindred")
        assert found(t).codes == set()

    def test_not_where_they_are_masked_or_cut_short(self, found):
        def twice(**changes):
            return a_trace(events=[a_query(1, "primary", **changes), a_query(2, "archive", **changes)])

        assert found(twice(params=["1"])).codes == {self.code}
        assert found(twice(params=["***"])).codes == set()
        assert found(twice(params=[["1"]], many=True)).codes == set()

    def test_not_what_is_about_no_rows(self, found):
        with trace("t") as t:
            for alias in ("primary", "archive"):
                with connections[alias].cursor() as cursor:
                    cursor.execute("SELECT 1")
                connections[alias].introspection.table_names()
                ContentType.objects.using(alias).first()
        assert found(t).codes == set()


@pytest.mark.urls("tests.findings.urls")
class TestDjangosErrorPage:
    """It shows the frames' variables: every queryset that is in one is read, after all is over."""

    @pytest.fixture(params=[True, False], ids=["the debug page", "the mail to the administrators"])
    def get(self, request, settings, store):
        settings.DEBUG = request.param
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SAMPLE_RATE": 1.0}
        settings.ADMINS = [("Admin", "admin@example.org")] if VERSION < (6, 0) else ["admin@example.org"]
        if VERSION >= (6, 1):  # it has no mailer of its own any more
            settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
        settings.MIDDLEWARE = [
            "dbroute_panel.middleware.TraceMiddleware",
            "tests.findings.urls.through",
        ]

        def get(path, status=500):
            response = Client(raise_request_exception=False).get(path)
            assert response.status_code == status
            kept = [*store.traces()]
            assert len(kept) < 2
            return kept[0] if kept else None

        return get

    def test_what_it_reads_is_nobody_s_loop(self, found, get):
        trace = get("/fails/")
        assert len(trace.queries) > 12
        (failure,) = trace.exceptions
        assert all(query.id > failure.id for query in trace.queries)
        assert found(trace).codes == set()

    def test_what_it_reads_is_not_stale(self, found, get):
        trace = get("/writes/")
        assert [query.operation for query in trace.queries][:2] == ["INSERT", "SELECT"]
        assert found(trace).codes == set()

    @pytest.mark.parametrize(("path", "own"), [("/fails/", set()), ("/writes/", {"stale-read"})])
    def test_nor_in_the_trace_of_a_block_or_test(self, found, get, settings, path, own):
        with trace("a test", keep=False) as t:
            assert get(path) is None  # the request is in the trace of the block
        read = [query for query in t.queries if not query.writes]
        reported = [query for query in read if query.callsite.file == "django/views/debug.py"]
        assert reported
        # The project's own page for errors, which Django does not show while DEBUG is on, reads once.
        assert len(read) - len(reported) == (not settings.DEBUG)
        assert found(t).codes == (set() if settings.DEBUG else own)

    def test_nor_where_an_exception_was_caught_and_logged(self, found, get, settings):
        if settings.DEBUG:  # then nothing is mailed, and the trace has no event
            return
        trace = get("/logs/", 200)
        assert len(trace.queries) > 10
        assert {one.callsite.file for one in trace.queries} == {"django/views/debug.py"}
        assert found(trace).codes == set()

    def test_a_loop_before_the_failure_is_one(self, found, get):
        assert found(get("/loop/")).codes == {"repeated-query"}
