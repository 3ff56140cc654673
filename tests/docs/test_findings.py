"""
The examples of the pages about findings are run on the example site: they do what the page says.

These pages are shown in the admin too, and have no comments in them: what an example takes for granted is
here. A router that an example defines is in force for the rest of it.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.contrib.auth.models import User as Account
from django.db import migrations, models
from django.test.utils import isolate_apps

from dbroute_panel import trace
from dbroute_panel.conf import all_mistakes
from dbroute_panel.findings import REGISTRY
from example_site import replication
from example_site.library.models import Book, Person, Review, Tag
from example_site.notes.models import Note
from example_site.scenarios.moving import without_the_neighbours
from example_site.users.models import Loan, User
from tests.docs.pages import PAGES, blocks

Names = dict[str, Any]
BLOCKS = [block for page in PAGES if page.startswith("findings/") for block in blocks(page)]
ROUTING_METHODS = {"db_for_read", "db_for_write", "allow_relation", "allow_migrate"}


def a_book(names: Names) -> None:
    """One that has a review, from the primary."""
    names["book"] = Book.objects.using("primary").get(title="Small Gods")


def a_book_and_a_loan(names: Names) -> None:
    a_book(names)
    reader = User.objects.using("legacy_users").first()
    names["loan"] = Loan(user=reader, book_id=names["book"].pk)


def a_book_that_is_not_valid(names: Names) -> None:
    """Without a title, which ``full_clean()`` notices and ``save()`` does not."""
    a_book_and_a_loan(names)
    names["book"].title = ""


def a_taken_key(names: Names) -> None:
    without_the_neighbours()
    key = Person.objects.using("primary").create(name="Betty").pk
    Person.objects.using("archive").create(pk=key + 1, name="Wilma")


def more_books(names: Names) -> None:
    """So many that, however they fall to two replicas, one of these is asked ten times."""
    author = Person.objects.using("primary").first()
    for number in range(12):
        Book.objects.using("primary").create(title=f"Volume {number}", author=author)
    names["keys"] = [1, 2]
    names["print"] = lambda *words: None


def an_account(names: Names) -> None:
    names["account"] = Account.objects.get(username="fred")


def some_functions(names: Names) -> None:
    a_book_and_a_loan(names)
    for name in ("render_title", "render_author", "notify_readers"):
        names[name] = lambda *objects: None
    names["fill_in_slugs"] = migrations.RunPython.noop
    names["BookQuerySet"] = models.QuerySet


def the_same_book_on_both(names: Names) -> None:
    Book.objects.using("archive").get_or_create(
        pk=1, defaults={"title": "Dune", "author": Person.objects.using("archive").first()}
    )
    some_functions(names)


def a_tag_that_is_on_no_replica_yet(names: Names) -> None:
    replication.set_lag(None)
    Tag.objects.using("primary").create(pk=4711, name="copper")


BEFORE: dict[str, Callable[[Names], None]] = {
    "checked-elsewhere": a_tag_that_is_on_no_replica_yet,
    "checked-elsewhere 2": a_tag_that_is_on_no_replica_yet,
    "data-migration-everywhere": some_functions,
    "data-migration-everywhere 2": some_functions,
    "manager-ignores-db": some_functions,
    "on-commit-elsewhere": some_functions,
    "on-commit-elsewhere 2": some_functions,
    "partial-commit": a_book_that_is_not_valid,
    "partial-commit 2": a_book_and_a_loan,
    "pk-overwrite": a_taken_key,
    "repeated-query": more_books,
    "repeated-query 2": more_books,
    "same-query-elsewhere": the_same_book_on_both,
    "same-query-elsewhere 2": some_functions,
    "several-databases-written": a_book_and_a_loan,
    "several-databases-written 2": some_functions,
    "stale-read": a_book,
    "stale-read 2": a_book,
    "write-on-read-route": a_book,
    "write-on-read-route 2": a_book,
    "write-outside-atomic": an_account,
    "write-outside-atomic 2": an_account,
}
RAISED = {
    "checked-elsewhere": "IntegrityError",
    "empty-default": "ImproperlyConfigured",
    "partial-commit": "ValidationError",
    "pk-overwrite 2": "IntegrityError",  # the second way insists on the key that the first has just taken
    "relation-refused": "ValueError",
    "relation-refused-by-default": "ValueError",
    "replica-read-in-atomic": "DoesNotExist",
    "replica-write-by-fallback": "OperationalError",  # a replica is opened read-only
    "write-by-fallback": "OperationalError",
    "write-on-read-route": "OperationalError",
    "add-across-databases": "ValueError",
    "subquery-across-databases": "ValueError",
    "write-outside-atomic": "ValueError",
    "write-to-replica": "OperationalError",
}
ROUTERS = {
    "add-across-databases": ["tests.docs.test_findings.AllRelations", *site_settings.DATABASE_ROUTERS],
    "relation-refused-by-default": ["tests.docs.test_findings.WithoutRelations"],
}
SHOWN_BY_THE_EXAMPLE = {
    "checked-elsewhere",
    "empty-default",
    "on-commit-elsewhere",
    "partial-commit",
    "pk-overwrite",
    "relation-refused",
    "repeated-query",
    "replica-read-in-atomic",
    "same-query-elsewhere",
    "add-across-databases",
    "subquery-across-databases",
    "several-databases-written",
    "stale-read",
    "write-by-fallback",
    "write-on-read-route",
    "write-outside-atomic",
    "write-to-replica",
}
"""The other examples define a router, and ask nothing of it."""


class AllRelations:
    def allow_relation(self, obj1, obj2, **hints):
        return True


class WithoutRelations:
    def db_for_read(self, model, **hints):
        return "replica1"


def name_of(block) -> str:
    """The code, and which of the page's blocks it is unless it is the first."""
    on_page = [other for other in BLOCKS if other.page == block.page]
    number = on_page.index(block) + 1
    return block.page.removeprefix("findings/").removesuffix(".md") + (f" {number}" if number > 1 else "")


def run(block, names: Names, settings) -> None:
    """Statement by statement, so that a router that is defined can be put in force."""
    for statement in ast.parse(block.text).body:
        exec(compile(ast.Module([statement], []), block.place, "exec"), names)
        if isinstance(statement, ast.ClassDef) and ROUTING_METHODS & set(vars(names[statement.name])):
            settings.DATABASE_ROUTERS = [names[statement.name]()]


@pytest.mark.parametrize("block", BLOCKS, ids=name_of)
def test_an_example_does_what_its_page_says(block, site, store, settings, caplog):
    name = name_of(block)
    code = name.partition(" ")[0]
    names: Names = {
        "__name__": "example_site.library.documented",
        **{model.__name__: model for model in (Book, Note, Person, Review, Tag)},
        "migrations": migrations,
        "models": models,
    }
    BEFORE.get(name, lambda names: None)(names)
    if name == "pk-overwrite 2":
        names["fred"] = Person.objects.using("primary").create(name="Fred")
    settings.DATABASE_ROUTERS = ROUTERS.get(name, settings.DATABASE_ROUTERS)
    raised = None
    with isolate_apps("example_site.library"), trace(name, keep=False) as t:
        try:
            run(block, names, settings)
        except Exception as error:  # noqa: BLE001 - compared below
            raised = type(error).__name__
    assert raised == RAISED.get(name)
    found = {finding.code for finding in t.findings}
    assert (code in found) is (name in SHOWN_BY_THE_EXAMPLE), found
    assert list(all_mistakes(names.get("DBROUTE_PANEL", {}))) == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_what_is_prepared_belongs_to_an_example():
    names = {name_of(block) for block in BLOCKS}
    assert set(BEFORE) | set(RAISED) | set(ROUTERS) | SHOWN_BY_THE_EXAMPLE <= names
    assert set(REGISTRY) >= SHOWN_BY_THE_EXAMPLE
