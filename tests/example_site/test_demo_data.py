"""What a newcomer finds after ``make demo``."""

from __future__ import annotations

import sqlite3

import pytest
from django.contrib.auth.models import User as Account
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections

from example_site.library.models import Book, Review
from example_site.notes.models import Note
from example_site.users.models import User
from tests.errors import sqlite_code

TABLES = {
    "auth_db": {"auth_user", "django_admin_log", "django_content_type", "django_session"},
    "primary": {"library_book", "library_person", "django_content_type"},
    "archive": {"library_book", "library_person", "django_content_type", "notes_note"},
    "legacy_users": {"users_user", "users_card", "users_loan"},
    "new_users": {"users_user", "users_card", "users_loan"},
}
ALL = set().union(*TABLES.values())


@pytest.mark.parametrize("alias", TABLES)
def test_every_table_is_where_the_routers_say_and_nowhere_else(site, alias):
    assert set(connections[alias].introspection.table_names()) & ALL == TABLES[alias]


def test_the_replicas_hold_what_the_primary_holds(site):
    primary = list(Book.objects.using("primary").values())
    assert primary == list(Book.objects.using("replica1").values())
    assert primary == list(Book.objects.using("replica2").values())
    assert len(primary) == 8


def test_a_content_type_has_the_same_key_wherever_it_is(site):
    on_auth_db = set(ContentType.objects.values_list("pk", "app_label", "model"))
    assert on_auth_db == set(ContentType.objects.using("primary").values_list("pk", "app_label", "model"))
    assert on_auth_db == set(ContentType.objects.using("archive").values_list("pk", "app_label", "model"))


def test_the_login_that_is_printed_works(site, client):
    assert client.login(username="admin", password="admin")
    assert client.get("/admin/").status_code == 200


def test_running_it_again_changes_nothing(site, capsys):
    def rows():
        return [
            list(queryset.order_by("pk").values())
            for queryset in (
                Account.objects.all(),
                Book.objects.using("primary"),
                Book.tags.through.objects.using("primary"),
                Review.objects.using("primary"),
                Note.objects.using("archive"),
                User.objects.using("legacy_users"),
                User.objects.using("new_users"),
            )
        ]

    before = rows()
    call_command("setup_demo")
    assert rows() == before
    made, ready = capsys.readouterr().out.splitlines()
    assert made.startswith("Making 5 databases and 2 replicas in ")
    assert ready == "The databases are ready."


def test_a_table_on_the_wrong_database_is_an_error(site):
    with pytest.raises(DatabaseError) as raised:
        Note.objects.using("primary").count()
    assert sqlite_code(raised.value) == sqlite3.SQLITE_ERROR


@pytest.mark.parametrize("port", ["busy", "65536", "99999", "-5"])
def test_what_is_no_port_is_one_sentence_before_anything_is_made(port, capsys):
    with pytest.raises(CommandError, match=port):
        call_command("runserver", f"127.0.0.1:{port}", setup=True, use_reloader=False)
    assert capsys.readouterr().out == ""
