from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbroute_panel.exports.statement import LONGEST, read


@pytest.mark.parametrize(
    ("sql", "summary"),
    [
        ("", ""),
        ("SELECT 1", "SELECT"),
        ('SELECT "library_book"."id" FROM "library_book" WHERE "id" = %s', "SELECT library_book"),
        (
            'SELECT COUNT(*) FROM "a" INNER JOIN "b" ON ("a"."x" = "b"."id") LEFT OUTER JOIN `c` t ON (1)',
            "SELECT a b c",
        ),
        ("select * from a x, b AS y, c where x.id in (1, 2) order by x, z", "SELECT a b c"),
        ("SELECT * FROM songs LIMIT 5, 10", "SELECT songs"),
        ('SELECT * FROM (SELECT * FROM "songs") U0', "SELECT SELECT songs"),
        ('(SELECT a FROM t) UNION (SELECT b FROM u)', "SELECT t SELECT u"),
        ('SELECT EXTRACT(YEAR FROM "t"."day"), TRIM(x FROM y) FROM "t"', "SELECT t"),
        ("SELECT a IS DISTINCT FROM b FROM t", "SELECT t"),
        ("SELECT 'FROM secret' FROM t -- FROM u\n/* FROM v */ WHERE x = $q$ FROM w $q$", "SELECT t"),
        ("SELECT * FROM generate_series(1, 3) JOIN t ON (true)", "SELECT t"),
        ('SELECT * FROM "t" FOR UPDATE OF "t" NOWAIT', "SELECT t"),
        ("SELECT * FROM ONLY public . t", "SELECT public.t"),
        ("SELECT REPLACE(x, %s, %(y)s)::text, (REPLACE(x, 1, 1e5)) FROM t", "SELECT t"),
        ("SELECT [x] FROM [dbo].[t]", "SELECT dbo.t"),
        ('INSERT INTO "t" ("a", "b") VALUES (%s, %s), (%s, %s) RETURNING "t"."id"', "INSERT t"),
        ("INSERT INTO t SELECT a FROM u", "INSERT t SELECT u"),
        ("INSERT OR IGNORE INTO t (a) VALUES (1)", "INSERT t"),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", "INSERT t"),
        ("INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = 2", "INSERT t"),
        ("REPLACE INTO t (a) VALUES (1)", "REPLACE t"),
        ("UPDATE t SET a = (SELECT MAX(b) FROM u), c = d", "UPDATE t SELECT u"),
        ("DELETE FROM t WHERE id IN (SELECT id FROM u)", "DELETE t SELECT u"),
        ("MERGE INTO t USING u ON (1) WHEN MATCHED THEN UPDATE SET a = 1", "MERGE t"),
        ("WITH a AS (SELECT 1 FROM x), b (n) AS NOT MATERIALIZED (SELECT n FROM a) SELECT * FROM a, b, c",
         "SELECT x SELECT SELECT c"),
        ("WITH gone AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM gone",
         "DELETE t INSERT u SELECT"),
        ("WITH gone AS (SELECT 1) UPDATE t SET a = 1", "SELECT UPDATE t"),
        ('CREATE TABLE IF NOT EXISTS "t" ("id" integer REFERENCES "u" ("id"))', "CREATE TABLE t"),
        ('CREATE UNIQUE INDEX "i" ON "t" ("a")', "CREATE INDEX t"),
        ("ALTER TABLE t ADD COLUMN a integer", "ALTER TABLE t"),
        ("DROP TABLE t", "DROP TABLE t"),
        ("TRUNCATE TABLE a, b", "TRUNCATE a b"),
        ("EXPLAIN SELECT * FROM t", "EXPLAIN SELECT t"),
        ("PRAGMA foreign_keys = ON", "PRAGMA"),
        ("SET search_path TO x", "SET"),
        ("CALL nightly(%s, %s)", "CALL nightly"),
        ("DELETE FROM a; INSERT INTO b VALUES (1)", "DELETE a INSERT b"),
        ("SELECT * FROM t t1 JOIN t t2 ON (1)", "SELECT t"),
        (") SELECT * FROM t", "SELECT t"),
    ],
)  # fmt: skip
def test_the_operations_and_their_tables_in_order(sql, summary):
    assert read(sql).summary == summary


def test_the_table_is_known_where_one_is_named():
    assert read('UPDATE "t" SET a = 1').table == "t"
    assert read("SELECT * FROM t JOIN t x ON (1)").table == "t"
    assert read("SELECT * FROM t JOIN u ON (1)").table is None
    assert read("SELECT 1").table is None
    assert read("CALL nightly(%s)")[1:] == ((), "nightly")


def test_a_long_summary_is_cut_between_two_words():
    summary = read("SELECT * FROM " + ", ".join(f"table_{n}" for n in range(1000))).summary
    assert LONGEST - 12 < len(summary) <= LONGEST
    assert summary.split()[-1].startswith("table_")
    assert summary.split() == ["SELECT", *(f"table_{n}" for n in range(len(summary.split()) - 1))]
    assert read("SELECT * FROM " + "x" * 300).summary == "SELECT"
    assert len(read("x" * 300).summary) == LONGEST


WORDS = (
    """SELECT INSERT UPDATE DELETE FROM INTO WITH AS ON CREATE TABLE CALL ( ) , ; ' " [ ] a b.c $x$ %s 1"""
)


@given(st.lists(st.sampled_from(WORDS.split())))
def test_whatever_a_statement_is_it_has_a_summary(words):
    summary, tables, _ = read(" ".join(words))
    assert len(summary) <= LONGEST
    assert all(table not in ("(", ")", ",", ";") for table in tables)


@given(st.text())
def test_no_literal_gets_into_a_summary(secret):
    quoted = secret.replace("'", "''")
    assert read(f"SELECT '{quoted}' FROM t").summary == "SELECT t"
