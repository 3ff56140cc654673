"""The lag of the front page, where the replicas are PostgreSQL's own."""

from __future__ import annotations

import html
import re
import time

import pytest
from django.test import Client

from example_site import replication
from example_site.library.models import Tag
from tests.services.test_servers import connect
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("site")


@pytest.fixture
def tag():
    """A tag on the primary, and on the replicas as far as these have it."""
    tag = Tag.objects.using("primary").create(name="tin")
    yield tag
    tag.delete()


def name(alias, tag):
    return Tag.objects.using(alias).get(pk=tag.pk).name


def delay(postgres, alias):
    with connect(postgres[alias]) as connection:
        return connection.execute("SHOW recovery_min_apply_delay").fetchone()[0]


@pytest.mark.parametrize("alias", ["replica1", "replica2"])
def test_without_a_lag_a_reader_never_sees_a_difference(tag, alias):
    for number in range(50):
        tag.name = f"tin {number}"
        tag.save(using="primary")
        assert name(alias, tag) == tag.name
    assert not replication.behind(alias)


def test_until_replicate_is_called_the_old_rows_are_read(tag, postgres):
    replication.set_lag(None)
    assert replication.lag() is None
    assert delay(postgres, "replica1") == "1d"
    tag.name = "zinc"
    tag.save(using="primary")
    assert {alias: name(alias, tag) for alias in postgres} == {
        "primary": "zinc",
        "replica1": "tin",
        "replica2": "tin",
    }
    assert replication.behind("replica1")
    replication.replicate()
    assert {name(alias, tag) for alias in postgres} == {"zinc"}
    assert not replication.behind("replica1")
    # The lag is what it was.
    assert replication.lag() is None


def test_a_commit_shows_up_when_the_lag_has_passed(tag, postgres):
    replication.set_lag(0.7)
    assert replication.lag() == 0.7
    assert delay(postgres, "replica2") == "700ms"
    start = time.monotonic()
    tag.name = "zinc"
    tag.save(using="primary")
    # That it was not there before is what the time at the end says, on a busy machine as well.
    while name("replica1", tag) == "tin":
        assert time.monotonic() - start < PATIENCE_SECONDS
        time.sleep(0.02)
    assert time.monotonic() - start >= 0.69


def test_no_lag_brings_what_was_held_back(tag):
    replication.set_lag(None)
    tag.name = "zinc"
    tag.save(using="primary")
    replication.set_lag(0)
    assert (name("replica1", tag), name("replica2", tag)) == ("zinc", "zinc")


def text_of(response):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", response.content.decode())))


def test_the_front_page_says_what_the_databases_are_and_sets_the_lag(tag, store, postgres):
    client = Client(REMOTE_ADDR="192.0.2.1", SERVER_NAME="localhost")
    page = text_of(client.get("/"))
    assert "primary PostgreSQL" in page
    assert "replica1 PostgreSQL, replica of primary" in page
    assert "legacy_users MariaDB" in page
    assert "archive SQLite" in page
    assert "recovery_min_apply_delay" in page
    page = text_of(client.post("/replication/", {"lag": "until replicate"}, follow=True))
    assert delay(postgres, "replica1") == "1d"
    tag.name = "zinc"
    tag.save(using="primary")
    assert "replica1 and replica2 are behind the primary." in text_of(client.get("/"))
    assert "Both hold what the primary holds." in text_of(
        client.post("/replication/", {"now": "1"}, follow=True)
    )
    client.post("/replication/", {"lag": "2"})
    assert delay(postgres, "replica1") == "2s"
