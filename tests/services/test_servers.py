"""The servers that the other tests of this folder run on."""

from __future__ import annotations

import psycopg
import pytest


def connect(entry):
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    return psycopg.connect(**{name: entry[key] for name, key in names.items()}, autocommit=True)


@pytest.mark.parametrize("alias", ["replica1", "replica2"])
def test_a_replica_streams_from_the_primary_and_can_only_be_read(postgres, alias):
    with connect(postgres["primary"]) as primary, connect(postgres[alias]) as replica:
        assert primary.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
        assert replica.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
        primary.execute("CREATE TABLE streamed AS SELECT 1 AS number")
        try:
            # Without a lag, a commit waits until the replicas show it.
            assert replica.execute("SELECT number FROM streamed").fetchone() == (1,)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                replica.execute("INSERT INTO streamed VALUES (2)")
        finally:
            primary.execute("DROP TABLE streamed")
