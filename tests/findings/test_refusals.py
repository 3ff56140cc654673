"""What Django refuses because of the databases; and the lock among them, which is a write-outside-atomic."""

from __future__ import annotations

from contextlib import contextmanager, suppress

import pytest
from django.db import connections, transaction
from django.db.transaction import TransactionManagementError

from dbroute_panel import findings, trace
from dbroute_panel.recording.traces import is_kept
from dbroute_panel.records import Callsite, Operation
from dbroute_panel.redaction import redact_trace
from example_site.library.models import Book, Person
from tests.recording.test_refusals import Everywhere, lock
from tests.traces import a_trace, a_transaction, an_exception

pytestmark = pytest.mark.usefixtures("site")


@pytest.fixture(autouse=True)
def everywhere(routers):
    routers(Everywhere)


@pytest.fixture
def locking(monkeypatch):
    connections["primary"].ensure_connection()
    monkeypatch.setattr(connections["primary"].features, "has_select_for_update", True)


def refused():
    return suppress(TransactionManagementError)


@contextmanager
def refusing():
    """A trace of a block on ``auth_db`` in which Django refuses something."""
    with trace("t", keep=False) as t, refused(), transaction.atomic(using="auth_db"):
        yield t


class TestLocks:
    code = "write-outside-atomic"

    def test_a_lock_that_django_refuses_while_a_block_is_open_elsewhere(self, found, locking):
        with refusing() as t:
            lock()
        assert found(t).codes == {self.code}
        begin, error = found(t).events(self.code)
        assert (begin.operation, begin.alias) == (Operation.BEGIN, "auth_db")
        assert error.using == "primary"
        assert found(t).one(self.code).message == (
            "library.Book was to be locked on primary with select_for_update(), but it was on auth_db that a "
            "transaction was open: Django raised TransactionManagementError. Put it into "
            "atomic(using='primary'), or open that block on primary."
        )

    def test_also_where_the_code_catches_it_inside_of_the_block(self, found, locking):
        with trace("t", keep=False) as t, transaction.atomic(using="auth_db"), refused():
            lock()
        assert found(t).codes == {self.code}

    def test_often_is_one_finding(self, found, locking):
        with trace("t", keep=False) as t, transaction.atomic(using="auth_db"):
            for _ in range(3):
                with suppress(TransactionManagementError):
                    lock()
        assert len(found(t).events(self.code)) == 4

    def test_not_without_a_block_on_another_database(self, found, locking):
        with trace("t", keep=False) as t, suppress(TransactionManagementError):
            with transaction.atomic(using="auth_db"):
                """Over before the lock."""
            lock()
        assert found(t).codes == set()

    def test_not_where_only_the_orm_opened_a_transaction(self, found, locking):
        by_orm = a_transaction(1, "auth_db", by_orm=True)
        event = an_exception(2, alias=None, transaction_number=None, using="primary", model="library.Book")
        assert found(a_trace(events=[by_orm, event])).codes == set()
        assert found(a_trace(events=[a_transaction(1, "auth_db"), event])).codes == {self.code}

    def test_not_another_error_of_transactions(self, found):
        with refusing() as t:
            connections["auth_db"].set_autocommit(True)
        assert found(t).codes == set()
        assert len(t.document.exceptions) == 1


class TestAdd:
    code = "add-across-databases"

    @pytest.fixture
    def added(self):
        author = Person.objects.using("primary").create(name="Octavia Butler")
        book = Book.objects.using("archive").first()
        with trace("t", keep=False) as t, suppress(ValueError):
            author.books.add(book)
        return t

    def test_an_object_of_another_database(self, found, added):
        assert found(added).codes == {self.code}
        assert found(added).one(self.code).message == (
            "library.Book is in archive, and was to be added to a relation of an object whose related "
            "objects are written on primary: Django raised ValueError. Get both from one database; with "
            "bulk=False it would be saved on primary, too."
        )
        assert [event.other for event in found(added).events(self.code)] == ["archive"]

    def test_such_a_trace_is_kept_and_fails_a_test(self, added, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"KEEP": "findings"}
        assert is_kept(added.document)

    def test_redacted_it_says_the_same(self, found, added):
        shown = redact_trace(added.document)
        assert [one.message for one in shown.findings] == [one.message for one in added.document.findings]
        assert found(shown).codes == {self.code}

    def test_not_of_an_object_that_is_not_saved_anywhere(self, found):
        author = Person.objects.using("primary").create(name="Octavia Butler")
        with suppress(ValueError), trace("t", keep=False) as t:
            author.books.add(Book(title="Kindred"))
        assert found(t).codes == set()
        assert len(t.document.exceptions) == 1

    def test_not_of_a_function_of_the_same_name_elsewhere(self, found):
        site = Callsite(file="library/models.py", line=3, function="add")
        event = an_exception(1, error="ValueError: no", raised_at=site, alias=None, transaction_number=None)
        assert found(a_trace(events=[event])).codes == set()


class TestSubquery:
    code = "subquery-across-databases"

    def test_a_subquery_that_names_another_database(self, found):
        with trace("t", keep=False) as t, suppress(ValueError):
            list(Book.objects.filter(author__in=Person.objects.using("archive").values("pk")))
        assert found(t).codes == {self.code}
        assert found(t).one(self.code).message == (
            "A query on primary had a subquery of library.Person that names archive: Django raised "
            "ValueError. Name one database for both, or evaluate the inner query first, with list()."
        )

    def test_not_one_of_the_same_database(self, found):
        with trace("t", keep=False) as t:
            list(Book.objects.filter(author__in=Person.objects.using("primary").values("pk")))
        assert found(t).codes == set()

    def test_silenced_it_is_not_found(self, found, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SILENCED_FINDINGS": [self.code]}
        with trace("t", keep=False) as t, suppress(ValueError):
            list(Book.objects.filter(author__in=Person.objects.using("archive").values("pk")))
        assert findings.find(t.document) == []
