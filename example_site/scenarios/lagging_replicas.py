"""Replicas that lag behind: what was written is not there yet."""

from __future__ import annotations

import re

from django.urls import reverse

from example_site import replication
from example_site.library.models import Book
from example_site.scenarios.registry import scenario

OLD, NEW = "Going Postal", "Going Postal (second edition)"


def heading(page):
    return re.search("<h1>(.*?)</h1>", page.content.decode())[1]


def with_the_old_title():
    Book.objects.using("primary").filter(title=NEW).update(title=OLD)
    replication.replicate()


@scenario(
    25,
    "Written, then read from a replica that lags",
    shows="A page saves a title on the primary and then shows the book: from a replica, with the old title.",
    findings={"stale-read"},
    prepare=with_the_old_title,
)
def stale_page(client):
    book = Book.objects.using("primary").get(title=OLD)
    with replication.lagging(None):
        page = client.post(reverse("book-title", args=[book.pk]), {"title": NEW})
        book.refresh_from_db(using="primary")
        yield f"On primary, the book is “{book.title}” now"
        yield f"The page that saved it shows “{heading(page)}”"

        replication.replicate()
        page = client.get(reverse("book", args=[book.pk]))
        yield f"The next page, when the replicas have caught up: “{heading(page)}”"
