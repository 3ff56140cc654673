from __future__ import annotations

import pytest

from dbroute_panel.findings.statements import locks, reads_catalog, shape, tables_read, tables_written


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
    assert shape(sql) == (text, values)


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
