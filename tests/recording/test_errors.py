"""The database's own code of an error, from the driver's exception behind Django's."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connections

from dbroute_panel import trace
from dbroute_panel.recording.errors import find_error_code
from dbroute_panel.records import dumps, loads
from example_site.library.models import Book, Person, Tag
from tests.traces import a_query, a_trace


def failing(raised, action):
    with trace("t", keep=False) as t, pytest.raises(raised):
        action()
    return t.queries[-1]


def test_of_sqlite(site):
    person = Person.objects.using("primary").first()
    readonly = failing(OperationalError, lambda: Tag.objects.using("replica1").create(name="brass"))
    assert (readonly.error_code, readonly.error) == (
        8,
        "OperationalError: attempt to write a readonly database",
    )
    taken = failing(IntegrityError, lambda: Person(pk=person.pk).save(using="primary", force_insert=True))
    assert taken.error_code == 1555
    null = failing(IntegrityError, lambda: Book.objects.using("primary").create(title=None, author=person))
    assert null.error_code == 1299

    def misspelt():
        with connections["primary"].cursor() as cursor:
            cursor.execute("SELEC 1")

    assert failing(OperationalError, misspelt).error_code == 1


def test_a_query_that_succeeds_has_none(site):
    with trace("t", keep=False) as t:
        Tag.objects.first()
    assert t.queries[0].error_code is None


def test_it_is_kept_where_the_message_is_not(site, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": False}
    query = failing(OperationalError, lambda: Tag.objects.using("replica1").create(name="brass"))
    assert (query.error, query.error_code) == ("OperationalError", 8)


def wrapped(cause, of=DatabaseError):
    """As ``django/db/utils.py`` wraps it."""
    error = of(*cause.args)
    error.__cause__ = cause
    return error


def with_attribute(*args, **attributes):
    cause = Exception(*args or ["message"])
    vars(cause).update(attributes)
    return wrapped(cause)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (with_attribute(sqlstate="25006"), "25006"),
        (with_attribute(sqlstate=None, pgcode="23505"), "23505"),
        (with_attribute(sqlite_errorcode=776), 776),
        (with_attribute(1792, "Cannot execute", sqlstate="25006"), 1792),
        (wrapped(Exception(1290, "The MySQL server is running")), 1290),
        (wrapped(Exception("42000", "[Microsoft]...")), "42000"),
        (wrapped(Exception(type("Oracle", (), {"code": 16000})())), 16000),
    ],
)
def test_where_drivers_keep_it(error, code):
    assert find_error_code(error) == code


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "error",
    [
        DatabaseError("25006"),  # made by the project, without a cause
        wrapped(Exception(1290), of=ValueError),
        wrapped(Exception()),
        wrapped(Exception("a secret")),
        wrapped(Exception("25006 and more")),
        wrapped(Exception(-1)),
        wrapped(Exception(2**31)),
        wrapped(Exception(True)),
        with_attribute(sqlstate=Text("25006")),
        with_attribute(sqlstate="abcde"),
    ],
)
def test_what_is_no_code(error):
    assert find_error_code(error) is None


def test_a_document_has_it_and_one_without_it_can_still_be_read():
    document = a_trace(events=[a_query(1, error="E", error_code="25006")])
    assert loads(dumps(document)).events[0].error_code == "25006"
    old = dumps(document).replace(b',"error_code":"25006"', b"")
    assert b"error_code" not in old
    assert loads(old).events[0].error_code is None
