"""Read-only servers: what they refuse is known by their own error code, whatever the statement is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import Error, connections, transaction

from dbroute_panel import findings, trace
from example_site.library.models import Tag
from tests.stores import databases

CODE = "write-to-replica"
POSTGRESQL = [
    "INSERT INTO library_tag (name) VALUES ('brass')",
    "CALL refused_procedure()",
    "DO $$ begin delete from library_tag where id < 0; end $$",
    "SELECT nextval('refused_sequence')",
    "COPY library_tag FROM STDIN",
    "REFRESH MATERIALIZED VIEW refused_view",
    "GRANT SELECT ON library_tag TO public",
    "SELECT * INTO refused_new FROM library_tag",
    "SELECT id FROM library_tag FOR SHARE",
]
OBJECTS = {
    "procedure refused_procedure()": " language sql as $$ insert into library_tag (name) values ('x') $$",
    "sequence refused_sequence": "",
    "materialized view refused_view": " as select count(*) from library_tag",
}


def run(alias: str, *statements: str) -> None:
    with connections[alias].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def standby(site, postgres) -> Iterator[str]:
    """A replica that nobody declared."""
    run("primary", *(f"create {what}{how}" for what, how in OBJECTS.items()))
    with databases.database("standby", **postgres["replica1"]) as alias:
        yield alias
    run("primary", *(f"drop {what}" for what in OBJECTS))


def refused(action: Any) -> tuple[Any, list[Any]]:
    """The last query of what fails, and the findings of its trace."""
    with trace("t", keep=False) as t, pytest.raises(Error):
        action()
    return t.queries[-1], [found for found in findings.find(t.document) if found.code == CODE]


@pytest.mark.parametrize("sql", POSTGRESQL)
def test_postgresql_refuses_more_than_writes(standby, sql):
    for alias, words in (
        (standby, "was refused by standby"),
        ("replica1", "a replica of primary, and failed"),
    ):
        query, [found] = refused(lambda alias=alias: run(alias, sql))
        assert (query.error_code, found.events) == ("25006", [query.id])
        assert words in found.message


def test_a_lock_on_a_replica(site):
    def lock():
        with transaction.atomic(using="replica1"):
            Tag.objects.using("replica1").select_for_update().first()

    query, [found] = refused(lock)
    assert query.error_code == "25006"
    assert found.message.startswith(
        "A lock of library.Tag went to replica1, a replica of primary, and failed"
    )


def test_another_error_of_a_replica_is_none_of_these(standby):
    query, found = refused(lambda: run(standby, "SELECT * FROM refused_nowhere"))
    assert (query.error_code, found) == ("42P01", [])


@pytest.fixture
def reader(mariadb, django_db_blocker) -> Iterator[str]:
    """A connection to MariaDB whose transactions are read-only."""
    options = {"init_command": "SET SESSION TRANSACTION READ ONLY"}
    with (
        django_db_blocker.unblock(),
        databases.database("reader", **mariadb, OPTIONS=options) as alias,
        databases.database("writer", **mariadb) as writer,
    ):
        run(writer, "DROP TABLE IF EXISTS refused_table", "CREATE TABLE refused_table (id int)")
        yield alias
        run(writer, "DROP TABLE refused_table")


@pytest.mark.parametrize("sql", ["INSERT INTO refused_table VALUES (1)", "OPTIMIZE TABLE refused_table"])
def test_mariadb_refuses_in_a_read_only_transaction(reader, sql):
    query, [found] = refused(lambda: run(reader, sql))
    assert query.error_code == 1792
    assert "was refused by reader, which is read-only" in found.message
