"""The replicas are real: read-only files of their own that show what their lag allows."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from django.db import DatabaseError, connections, transaction

from example_site import replication
from example_site.library.models import Person, Tag
from example_site.replication import set_lag
from tests.errors import sqlite_code
from tests.waiting import PATIENCE_SECONDS


def names(alias):
    return set(Tag.objects.using(alias).values_list("name", flat=True))


@pytest.mark.parametrize("alias", ["replica1", "replica2"])
def test_a_write_on_a_replica_is_refused_by_sqlite(site, alias):
    with pytest.raises(DatabaseError) as raised:
        Tag.objects.using(alias).create(name="new")
    assert sqlite_code(raised.value) == sqlite3.SQLITE_READONLY
    assert "new" not in names("primary")


@pytest.mark.parametrize("alias", ["replica1", "replica2"])
def test_without_a_lag_a_reader_never_sees_a_difference(site, alias):
    for number in range(20):
        Tag.objects.create(name=f"tag {number}")
        assert f"tag {number}" in names(alias)
    Tag.objects.using("primary").all().delete()
    assert names(alias) == set()


def test_without_a_lag_a_cursor_that_is_kept_sees_what_was_committed_meanwhile(site):
    count = "SELECT count(*) FROM library_tag"
    with connections["replica1"].cursor() as cursor:
        before = cursor.execute(count).fetchone()[0]
        Tag.objects.create(name="new")
        assert cursor.execute(count).fetchone()[0] == before + 1


def test_a_replica_shows_nothing_that_is_not_committed(site):
    with transaction.atomic(using="primary"):
        Tag.objects.create(name="new")
        assert "new" in names("primary")
        assert "new" not in names("replica1")
    assert "new" in names("replica1")


def test_what_another_process_commits_arrives_too(site):
    assert "elsewhere" not in names("replica1")
    sql = "INSERT INTO library_tag (name) VALUES ('elsewhere')"
    script = f"import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute({sql!r}); c.commit()"
    subprocess.run([sys.executable, "-c", script, site / "primary.sqlite3"], check=True)
    assert "elsewhere" in names("replica1")


def test_a_transaction_on_a_replica_keeps_its_snapshot(site):
    with transaction.atomic(using="replica1"):
        before = names("replica1")
        Tag.objects.create(name="new")
        assert names("replica1") == before
    assert "new" in names("replica1")


def test_until_replicate_is_called_the_old_rows_are_read(site):
    set_lag(None)
    person = Person.objects.using("primary").first()
    Person.objects.using("primary").filter(pk=person.pk).update(name="Somebody Else")
    assert Person.objects.using("replica1").get(pk=person.pk).name == person.name
    assert replication.behind("replica1")
    replication.replicate()
    assert Person.objects.using("replica1").get(pk=person.pk).name == "Somebody Else"
    assert Person.objects.using("replica2").get(pk=person.pk).name == "Somebody Else"
    assert not replication.behind("replica1")


def test_a_commit_shows_up_when_the_lag_has_passed(site):
    names("replica1")
    set_lag(0.4)
    start = time.time()
    Tag.objects.create(name="new")
    # That it was not there before is what the time at the end says, on a busy machine as well.
    while "new" not in names("replica1"):
        assert time.time() - start < PATIENCE_SECONDS
        time.sleep(0.02)
    assert time.time() - start >= 0.39


def test_a_commit_that_nobody_looked_at_meanwhile_is_old_enough_at_once(site):
    set_lag(0.3)
    Tag.objects.create(name="new")
    time.sleep(0.35)
    assert "new" in names("replica1")


def test_commits_one_after_the_other_do_not_put_off_the_first(site):
    names("replica1")
    set_lag(0.4)
    Tag.objects.create(name="first")
    start = time.time()
    while "first" not in names("replica1"):
        assert time.time() - start < PATIENCE_SECONDS
        Tag.objects.create(name="and another")
        time.sleep(0.02)


def test_the_lag_is_remembered_for_every_process(site):
    assert replication.lag() == 0
    set_lag(2.5)
    assert replication.lag() == 2.5
    set_lag(None)
    assert replication.lag() is None


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_a_lag_that_is_none_is_refused(site, seconds):
    with pytest.raises(ValueError, match="seconds"):
        set_lag(seconds)
    assert replication.lag() == 0


def test_readers_and_writers_in_many_threads_never_see_an_old_row(site):
    failures = []

    def work(number):
        try:
            for i in range(10):
                name = f"{number}-{i}"
                Tag.objects.create(name=name)
                if name not in names(f"replica{1 + number % 2}"):
                    failures.append(name)
        except Exception as error:  # noqa: BLE001
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_without_databases_the_error_says_which_replica(site):
    for file in site.glob("*.sqlite3*"):
        file.unlink()
    replication.forget()
    with pytest.raises(DatabaseError, match="replica1 cannot follow its primary"):
        names("replica1")
