"""A transaction is on one database: what the others do does not wait for it."""

from __future__ import annotations

from django.db import transaction

from example_site.library.models import Person, Tag
from example_site.scenarios.registry import scenario

TAGS = ["brass", "copper"]


def without_copper_and_quentin():
    Tag.objects.using("primary").filter(name__in=TAGS).delete()
    Person.objects.using("archive").filter(name="Quentin").delete()


@scenario(
    26,
    "A block of atomic() on another database",
    shows="A rollback that undoes nothing, and of two nested blocks one that is kept without the other.",
    findings={"write-outside-atomic", "partial-commit"},
    prepare=without_copper_and_quentin,
)
def other_transactions():
    try:
        with transaction.atomic(using="auth_db"):
            Tag.objects.create(name="brass")
            raise LookupError
    except LookupError:
        left = Tag.objects.using("primary").filter(name="brass").count()
        yield f"Rolled back on auth_db; of the tags written on primary meanwhile, {left} is still there"

    with transaction.atomic(using="archive"):
        Person.objects.using("archive").create(name="Quentin")
        try:
            with transaction.atomic(using="primary"):
                Tag.objects.create(name="copper")
                raise LookupError
        except LookupError:
            yield "The inner block, on primary, is rolled back; the outer one, on archive, goes on"
    people = Person.objects.using("archive").filter(name="Quentin").count()
    tags = Tag.objects.using("primary").filter(name="copper").count()
    yield f"On archive there is {people} person more, on primary there are {tags} tags more"
