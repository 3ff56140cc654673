"""``DatabaseStore`` on a PostgreSQL primary with streaming replicas, and beside a pool of its connections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections

from dbroute_panel.stores import DatabaseStore, StoreError
from tests.stores import databases
from tests.stores.test_database import ids
from tests.traces import a_trace
from tests.waiting import until


@pytest.fixture(scope="module", autouse=True)
def _installed() -> Iterator[None]:
    with databases.installed():
        yield


@pytest.fixture
def written(postgres, django_db_blocker) -> Iterator[str]:
    """An alias of the primary, with the tables: its only pool has one connection."""
    options = {"pool": {"min_size": 1, "max_size": 1, "timeout": 2}}
    with (
        django_db_blocker.unblock(),
        databases.database("written", **postgres["primary"], OPTIONS=options) as alias,
    ):
        databases.migrate(alias)
        yield alias
        databases.migrate(alias, "zero")
        connections[alias].close_pool()


@pytest.fixture
def store(written) -> Iterator[DatabaseStore]:
    store = DatabaseStore(alias=written)
    yield store
    store.close()


@pytest.fixture
def replica(written, postgres) -> Iterator[str]:
    with databases.database("copy", **postgres["replica1"]) as alias:
        yield alias


def traces_on(alias: str) -> int:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM dbroute_panel_store_trace")
        return cursor.fetchone()[0]


def test_what_was_saved_is_there_at_once_whatever_its_replicas_have(store, written, replica, settings):
    settings.DBROUTE_PANEL = {"REPLICAS": {replica: written}}
    for number in range(20):
        store.save(a_trace(number))
        assert store.get(a_trace(number).id) is not None
    assert connections[replica].connection is None
    until(lambda: traces_on(replica) == 20)  # it is a real one, and follows


def test_a_replica_that_nobody_declared_cannot_be_written(written, replica):
    store = DatabaseStore(alias=replica)
    for saying in (lambda: store.save(a_trace(1)), store.clear):
        with pytest.raises(StoreError) as raised:
            saying()
        assert raised.value.__cause__.__cause__.sqlstate == "25006"  # read_only_sql_transaction
    assert f"The database {replica!r} cannot be used: " in store.problem()
    store.close()


def test_it_takes_no_connection_of_the_users_pool(store, written):
    with connections[written].cursor():  # the only one that the pool has
        store.save(a_trace(1))
        assert ids(store.summaries()) == [1]
    assert traces_on(written) == 1
