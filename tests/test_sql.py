"""What is read of a statement: its kind, tables, locks, fingerprint and summary."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbroute_panel import sql as reader
from dbroute_panel.sql import (
    MAX_SUMMARY_CHARACTERS,
    StatementKind,
    classify,
    fingerprint,
    locks,
    reads_catalog,
    summarize,
    tables_read,
    tables_written,
)
from tests.waiting import no_trap


@pytest.mark.parametrize(
    ("sql", "operation", "writes"),
    [
        ("SELECT 1", "SELECT", False),
        ("  select * FROM t FOR UPDATE", "SELECT", False),
        ("SELECT 'DELETE' FROM t", "SELECT", False),
        ("INSERT INTO t VALUES (1)", "INSERT", True),
        ("UPDATE t SET a = 1", "UPDATE", True),
        ("delete from t", "DELETE", True),
        ("MERGE INTO t USING s ON 1 = 1", "MERGE", True),
        ("REPLACE INTO t VALUES (1)", "REPLACE", True),
        ("TRUNCATE t", "TRUNCATE", True),
        ("CREATE TABLE t (id int)", "CREATE", True),
        ("ALTER TABLE t ADD c int", "ALTER", True),
        ("DROP TABLE t", "DROP", True),
        ("PRAGMA foreign_keys", "PRAGMA", False),
        ("CALL p(%s)", "CALL", False),
        ("/* a */ -- b\n # c\n ((SELECT 1) UNION (SELECT 2))", "SELECT", False),
        ("-- only a comment", "", False),
        ("/* never closed", "", False),
        ("", "", False),
        ("42", "", False),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "WITH", False),
        ("WITH x AS (SELECT 1) DELETE FROM t", "WITH", True),
        ("WITH x AS (INSERT INTO t VALUES (1) RETURNING id) SELECT * FROM x", "WITH", True),
        ("WITH x AS (SELECT * FROM t FOR UPDATE) SELECT * FROM x", "WITH", False),
        ("WITH x AS (SELECT * FROM t FOR  NO\n KEY\tUPDATE) SELECT * FROM x", "WITH", False),
        ("WITH x AS (SELECT * FROM t FOR \n UPDATE) SELECT * FROM x", "WITH", False),
        ("WITH x AS (SELECT 'DELETE FROM t') SELECT \"update\" FROM x -- insert", "WITH", False),
        ("WITH x AS (SELECT 'it''s' AS a /* merge */) SELECT `delete` FROM x", "WITH", False),
    ],
)
def test_a_statement_is_told_by_its_first_keyword(sql, operation, writes):
    assert classify(sql) == StatementKind(operation, writes)


def test_a_long_statement_is_read_but_not_remembered():
    before = reader._classify_cached.cache_info().currsize
    long = "INSERT INTO t VALUES " + ", ".join(["(1)"] * 5000)
    assert classify(long) == StatementKind("INSERT", True)
    assert reader._classify_cached.cache_info().currsize == before


@pytest.mark.parametrize("part", [" \t", "( ", "/* */", "'", "''", '"', "--\n"])
def test_no_statement_takes_long_to_read(part):
    with no_trap():
        classify(part * 100_000)
        classify("WITH " + part * 100_000)


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ('SELECT "a"."id" FROM "a" INNER JOIN "b" ON ("a"."b_id" = "b"."id")', ("a", "b")),
        ("select * from a left outer join b on 1 = 1", ("a", "b")),
        ('SELECT * FROM "public"."a" T1 WHERE EXISTS(SELECT 1 FROM only c)', ("a", "c")),
        ("SELECT * FROM `a` JOIN [dbo].[B]", ("a", "b")),
        ("SELECT * FROM (SELECT 1 AS x FROM a) t", ("a",)),
        ("SELECT 'copied from x' FROM a -- from y\n WHERE 1 /* join z */", ("a",)),
        ("SELECT xfrom a, from_b FROM a", ("a",)),
        ("SELECT 1 FROM/* the first */a", ("a",)),
        ('SELECT "from" FROM a JOIN a', ("a",)),
        ("SELECT 1", ()),
    ],
)
def test_the_tables_that_a_query_reads(sql, tables):
    assert tables_read(sql) == tables


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ('INSERT INTO "a" ("id") SELECT "id" FROM "b"', ("a",)),
        ("insert or ignore into a values (1) on conflict do update set x = 1", ("a",)),
        ("INSERT INTO `a` VALUES (1) ON DUPLICATE KEY UPDATE `x` = 1", ("a",)),
        ("REPLACE INTO a VALUES (1)", ("a",)),
        ('UPDATE "a" SET "x" = 1 WHERE "a"."id" IN (SELECT "b"."id" FROM "b")', ("a",)),
        ("DELETE FROM a WHERE id IN (SELECT id FROM b FOR UPDATE OF c)", ("a",)),
        ("TRUNCATE TABLE a", ("a",)),
        ("truncate a", ("a",)),
        ("WITH moved AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM moved", ("a", "b")),
        ("MERGE INTO a USING b ON 1 = 1", ("a",)),
        ("CREATE TABLE a (id integer)", ()),
    ],
)
def test_the_tables_that_a_query_writes(sql, tables):
    assert tables_written(sql) == tables


@pytest.mark.parametrize(
    ("sql", "locked"),
    [
        ('SELECT * FROM "a" FOR UPDATE', True),
        ("select * from a for update of a skip locked", True),
        ("SELECT * FROM a FOR NO KEY UPDATE", True),
        ("SELECT * FROM a FOR SHARE", False),
        ("SELECT 'for update' FROM a", False),
        ("SELECT last_update FROM a", False),
    ],
)
def test_whether_a_query_locks(sql, locked):
    assert locks(sql) is locked


@pytest.mark.parametrize(
    ("sql", "text", "values"),
    [
        ('SELECT 1 FROM "t2" WHERE x = %s AND y = 1.5', 'SELECT ? FROM "t2" WHERE x = ? AND y = ?', 3),
        ("SELECT x  FROM\n t WHERE id IN (%s, %s,3)", "SELECT x FROM t WHERE id IN (?)", 3),
        ("SELECT x FROM t WHERE id in ( 'a' )", "SELECT x FROM t WHERE id IN (?)", 1),
        ("SELECT 'it''s -- 5' FROM t /* 5 */ -- 6", "SELECT ? FROM t", 1),
        ("SELECT x FROM t -- 6", "SELECT x FROM t", 0),
        ("SELECT x FROM/* 5 */t", "SELECT x FROM t", 0),
        ("SELECT x FROM t WHERE y = %(name)s", "SELECT x FROM t WHERE y = ?", 1),
        ('SELECT "a"."x1", U0."2fa" FROM t', 'SELECT "a"."x1", U0."2fa" FROM t', 0),
    ],
)
def test_what_is_left_without_the_values(sql, text, values):
    assert fingerprint(sql) == (text, values)


@pytest.mark.parametrize(
    ("sql", "catalog"),
    [
        ("SELECT name FROM sqlite_master", True),
        ("SELECT c.relname FROM pg_catalog.pg_class c", True),
        ("SELECT table_name FROM information_schema.tables", True),
        ("SELECT * FROM pragma_foreign_key_check('a')", True),
        ("SELECT table_name FROM USER_TABLES", True),
        ("SELECT * FROM auth_user", False),
        ("SELECT * FROM all_tabby_cats", False),
    ],
)
def test_whether_a_query_is_about_tables(sql, catalog):
    assert reads_catalog(sql) is catalog


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
    assert summarize(sql).text == summary


def test_the_table_is_known_where_one_is_named():
    assert summarize('UPDATE "t" SET a = 1').table == "t"
    assert summarize("SELECT * FROM t JOIN t x ON (1)").table == "t"
    assert summarize("SELECT * FROM t JOIN u ON (1)").table is None
    assert summarize("SELECT 1").table is None
    assert summarize("CALL nightly(%s)")[1:] == ((), "nightly")


def test_a_long_summary_is_cut_between_two_words():
    summary = summarize("SELECT * FROM " + ", ".join(f"table_{n}" for n in range(1000))).text
    assert MAX_SUMMARY_CHARACTERS - 12 < len(summary) <= MAX_SUMMARY_CHARACTERS
    assert summary.split()[-1].startswith("table_")
    assert summary.split() == ["SELECT", *(f"table_{n}" for n in range(len(summary.split()) - 1))]
    assert summarize("SELECT * FROM " + "x" * 300).text == "SELECT"
    assert len(summarize("x" * 300).text) == MAX_SUMMARY_CHARACTERS


WORDS = (
    """SELECT INSERT UPDATE DELETE FROM INTO WITH AS ON CREATE TABLE CALL ( ) , ; ' " [ ] a b.c $x$ %s 1"""
)


@given(st.lists(st.sampled_from(WORDS.split())))
def test_whatever_a_statement_is_it_has_a_summary(words):
    summary, tables, _ = summarize(" ".join(words))
    assert len(summary) <= MAX_SUMMARY_CHARACTERS
    assert all(table not in ("(", ")", ",", ";") for table in tables)


@given(st.text())
def test_no_literal_gets_into_a_summary(secret):
    quoted = secret.replace("'", "''")
    assert summarize(f"SELECT '{quoted}' FROM t").text == "SELECT t"
