"""What real servers say where a table is missing, and what they say with the same code of something else."""

from __future__ import annotations

import pytest
from django.db import Error, connections

from dbroute_panel import trace
from dbroute_panel.findings.errors import find_missing_table
from tests.stores import databases

LONG = ", ".join(f"b.title AS title_{n}" for n in range(20))
TEXTS = ", ".join(f"'{n}'" for n in range(20))


def missing(alias, sql):
    with trace("t", keep=False) as t, connections[alias].cursor() as cursor, pytest.raises(Error):
        cursor.execute(sql)
    return t.queries[-1].error_code, find_missing_table(t.queries[-1], t.document.databases)


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ("SELECT * FROM nowhere_at_all", "nowhere_at_all"),
        ('SELECT * FROM "Nowhere at all" AS a', "Nowhere at all"),
        ("SELECT * FROM public.nowhere_at_all", "nowhere_at_all"),
        (
            f"SELECT {LONG} FROM library_book b JOIN nowhere_at_all ON b.id = 1 AND b.title IN ({TEXTS})",
            "nowhere_at_all",
        ),
        (f"SELECT {LONG}\nFROM library_book b\nJOIN\n  nowhere_at_all\n  ON b.id = 1", "nowhere_at_all"),
        ("INSERT INTO nowhere_at_all VALUES (1)", "nowhere_at_all"),
        ("ALTER TABLE nowhere_at_all ADD b int", "nowhere_at_all"),
        ("DROP TABLE nowhere_at_all", "nowhere_at_all"),
        ("CREATE TABLE a_new_one (a int REFERENCES nowhere_at_all)", "nowhere_at_all"),
        ("CREATE INDEX an_index ON nowhere_at_all (a)", "nowhere_at_all"),
        ("SELECT query_to_xml('SELECT * FROM nowhere_at_all', true, true, '') FROM library_book", ""),
        ("SELECT nowhere_at_all.x FROM library_book", None),
        ("SELECT library_book.title FROM library_book b", None),
        (f"SELECT {LONG}, library_book.title AS own, {LONG} FROM library_book b", None),
        (
            "UPDATE library_book SET title = '' FROM library_tag a JOIN library_tag b ON library_book.id = 1",
            None,
        ),
        ("DROP VIEW nowhere_at_all", None),
    ],
)
def test_postgresql(site, sql, table):
    assert missing("primary", sql) == ("42P01", table)


@pytest.mark.parametrize("language", ["en_US", "de_DE", "fr_FR", "ja_JP"])
def test_mariadb_in_every_language(site, mariadb, language):
    options = {"init_command": f"SET SESSION lc_messages = '{language}'"}
    with databases.database("in_words", **mariadb, OPTIONS=options) as alias:
        assert missing(alias, "SELECT * FROM nowhere_at_all") == (1146, "nowhere_at_all")
        assert missing(alias, "SELECT nowhere.x FROM users_user") == (1054, None)
