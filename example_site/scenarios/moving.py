"""Moving an object to another database, and what can be lost on the way."""

from __future__ import annotations

from django.db import IntegrityError

from example_site.library.models import Person
from example_site.scenarios.registry import scenario

NAMES = ["Fred", "Wilma", "Barney", "Betty"]


def without_the_neighbours():
    # A key that the archive has given to somebody already, the primary must not give to Fred or Betty.
    latest = Person.objects.using("archive").create(name="Wilma").pk
    while Person.objects.using("primary").create(name="Fred").pk < latest:
        pass
    for alias in ("primary", "archive"):
        Person.objects.using(alias).filter(name__in=NAMES).delete()


@scenario(
    16,
    "Moving an object",
    shows="Saved elsewhere with its key, an object overwrites whoever has that key. Two ways that do not.",
    findings={"pk-overwrite"},
    prepare=without_the_neighbours,
)
def moving():
    fred, barney, betty = (Person(name=name) for name in ("Fred", "Barney", "Betty"))
    for person in (fred, barney, betty):
        person.save(using="primary")
    wilma = Person(pk=fred.pk, name="Wilma")
    wilma.save(using="archive", force_insert=True)
    yield f"On primary, key {fred.pk} is Fred; on archive, it is Wilma"

    fred.save(using="archive")
    wilma.refresh_from_db(using="archive")
    yield f"Fred saved on archive with his key: now it is {wilma} there, and Wilma is lost"

    barney.pk = None
    barney.save(using="archive")
    yield f"Barney saved on archive without a key: he gets a new one, {barney.pk}"

    try:
        fred.save(using="archive", force_insert=True)
    except IntegrityError as error:
        yield f"Fred with force_insert=True, where his key is taken: IntegrityError: {error}"

    betty.save(using="archive", force_insert=True)
    yield f"Betty with force_insert=True, where her key is free: {betty.pk}, as on primary"
