from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib.auth.models import User as Account
from django.db import connections, models
from django.test.utils import CaptureQueriesContext, isolate_apps

from dbroute_panel.inspection.arguments import (
    AskError,
    ObjectSource,
    ObjectSpec,
    build_object,
    build_object_from,
    fetch_row,
    find_action,
    find_alias,
    find_app,
    find_model,
    list_models,
)
from dbroute_panel.recording.traces import trace
from dbroute_panel.records import Action
from example_site.library.models import Book
from example_site.notes.models import Note
from tools.benchmarks.counting import count_calls


@pytest.fixture
def own_models():
    with isolate_apps("example_site.library"):
        yield
    apps.clear_cache()


def test_every_model_of_the_project_can_be_asked_about():
    labels = [model._meta.label for model in list_models()]
    assert labels == sorted(labels)
    assert {"library.Book", "library.Book_tags", "auth.User", "sessions.Session"} <= set(labels)
    assert not any(label.startswith(("dbroute_panel.", "debug_toolbar.")) for label in labels)


@pytest.mark.parametrize("label", ["library.Book", "library.book", " LIBRARY.BOOK "])
def test_a_model_is_found_in_any_case(label):
    assert find_model(label) is Book


@pytest.mark.parametrize("label", ["library.Bock", "dbroute_panel.Trace", "", "library"])
def test_a_model_that_there_is_not(label):
    with pytest.raises(AskError, match=f"No model '{label}'. "):
        find_model(label)


def test_a_model_that_is_swapped_for_another_is_none(settings):
    assert find_model("auth.User") is Account
    settings.AUTH_USER_MODEL = "users.User"
    with pytest.raises(AskError, match=r"No model 'auth\.User'"):
        find_model("auth.User")


def test_a_model_is_found_at_once_among_a_thousand(thousand):
    """Each of a thousand questions looks for its model: the list of all is not made each time."""
    assert len(list_models()) > 1000
    assert count_calls(lambda: find_model("department39.Article24")) < 100
    assert count_calls(list_models) > 1000


def test_apps_aliases_and_questions():
    assert find_app("library") == "library"
    assert find_alias("replica1") == "replica1"
    assert find_action("allow_relation") is Action.RELATION
    for find, word, message in (
        (find_app, "libary", "No app 'libary'. Did you mean 'library'?"),
        (find_app, "debug_toolbar", "No app 'debug_toolbar'."),
        (find_alias, "replica3", "No database 'replica3'. Did you mean 'replica"),
        (find_action, "db_for_reading", "No question 'db_for_reading'. Did you mean 'db_for_read'?"),
    ):
        with pytest.raises(AskError, match=message):
            find(word)


def test_a_new_object_has_its_defaults():
    account = build_object(Account)
    assert (account.is_active, account.pk, account._state.db, account._state.adding) == (
        True,
        None,
        None,
        True,
    )
    assert ObjectSpec(ObjectSource.NEW).build(Account).is_active


def test_a_model_that_cannot_be_made_without_arguments(own_models):
    class Strict(models.Model):  # noqa: DJ008
        class Meta:
            app_label = "library"

        def __init__(self, name, *args):
            super().__init__(*args)

    with pytest.raises(AskError, match=r"library\.Strict\(\) cannot be made without arguments: "):
        build_object(Strict)


def test_an_object_that_is_said_to_come_from_an_alias_is_made_without_a_query(site):
    with trace("test", keep=False) as t:
        book = build_object_from(Book, "archive")
        assert book.title == ""
        assert book.year is None
    assert (book._state.db, book._state.adding) == ("archive", False)
    assert t.events == []
    assert ObjectSpec(ObjectSource.FROM, "archive").build(Book)._state.db == "archive"
    with pytest.raises(AskError, match="No database 'x'"):
        build_object_from(Book, "x")


def test_no_object_at_all():
    assert ObjectSpec().build(Book) is None


def test_a_row_is_read_by_one_query_on_its_alias_and_no_router_is_asked(site):
    connections["archive"].ensure_connection()
    with trace("test", keep=False) as t, CaptureQueriesContext(connections["archive"]) as queries:
        book = ObjectSpec(ObjectSource.ROW, "archive", "1").build(Book)
    assert (book.pk, book._state.db) == (1, "archive")
    assert len(queries) == 1
    assert [query.alias for query in t.queries] == ["archive"]
    assert t.decisions == []


@pytest.mark.parametrize(
    ("model", "alias", "pk", "message"),
    [
        (Book, "archive", "", r"^A real row needs its primary key\.$"),
        (Book, "archive", "4711", r"^archive has no library\.Book with the primary key '4711'\.$"),
        (Book, "archive", str(10**30), "archive has no library.Book with the primary key"),
        (Book, "archive", "x", r"^'x' cannot be a primary key of library\.Book\.$"),
        (Book, "nowhere", "1", "No database 'nowhere'"),
        (Note, "primary", "1", "^notes.Note cannot be read from primary: "),
        (Book, "default", "1", "library.Book cannot be read from default: "),
    ],
)
def test_a_row_that_cannot_be_read(site, model, alias, pk, message):
    with pytest.raises(AskError, match=message):
        fetch_row(model, alias, pk)


def test_a_row_with_a_composite_key_is_named_as_in_a_trace(site, own_models):
    class Place(models.Model):  # noqa: DJ008
        pk = models.CompositePrimaryKey("shelf", "slot")
        shelf = models.CharField(max_length=5)
        slot = models.IntegerField()

        class Meta:
            app_label = "library"

    with connections["archive"].schema_editor() as editor:
        editor.create_model(Place)
    Place.objects.using("archive").create(shelf="a", slot=3)
    assert fetch_row(Place, "archive", '["a", "3"]').slot == 3
    for wrong in ("a", '["a"]', "3", "{"):
        with pytest.raises(AskError, match=r"cannot be a primary key of library\.Place"):
            fetch_row(Place, "archive", wrong)
    with pytest.raises(AskError, match=r"has no library\.Place"):
        fetch_row(Place, "archive", '["b", "3"]')
