"""Admin sites that keep to one database."""

from __future__ import annotations

from django.contrib.auth.models import User as Account
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse

from example_site.scenarios.registry import scenario
from example_site.users.models import User

SITES = {"admin": "legacy_users", "new_users_admin": "new_users"}


def one_reader_more():
    # Django looks a content type up once a process: forget it, so that every run looks the same.
    ContentType.objects.clear_cache()
    for alias in SITES.values():
        User.objects.using(alias).filter(username="margaret").delete()
        User.objects.using(alias).create(username="margaret", email="margaret@example.com")


@scenario(
    20,
    "Two admin sites, two databases",
    shows="All stays on the database that the class names; but deleting asks the routers for related rows.",
    findings={"write-outside-atomic"},
    prepare=one_reader_more,
)
def two_admin_sites(client):
    client.force_login(Account.objects.get(username="admin"))
    for site, alias in SITES.items():
        margaret = User.objects.using(alias).get(username="margaret")
        change = reverse(f"{site}:users_user_change", args=[margaret.pk])
        delete = reverse(f"{site}:users_user_delete", args=[margaret.pk])
        card = {"cards-TOTAL_FORMS": 1, "cards-INITIAL_FORMS": 0, "cards-0-number": "M-1936"}

        client.get(reverse(f"{site}:users_user_changelist"))
        client.get(change)
        client.post(change, {"username": "margaret", "email": "hamilton@example.com", **card})
        margaret.refresh_from_db(using=alias)
        cards = [card.number for card in margaret.cards.using(alias)]
        yield f"{site}: on {alias}, margaret has the address {margaret.email} and the cards {cards}"

        client.post(delete, {"post": "yes"})
        left = User.objects.using(alias).filter(username="margaret").count()
        yield f"{site}: deleted; {left} readers named margaret are left on {alias}"
