from __future__ import annotations

import pytest

from dbroute_panel.recording.statements import Statement, read
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
    assert read(sql) == Statement(operation, writes)


def test_a_long_statement_is_read_but_not_remembered():
    from dbroute_panel.recording import statements

    before = statements._remembered.cache_info().currsize
    long = "INSERT INTO t VALUES " + ", ".join(["(1)"] * 5000)
    assert read(long) == Statement("INSERT", True)
    assert statements._remembered.cache_info().currsize == before


@pytest.mark.parametrize("part", [" \t", "( ", "/* */", "'", "''", '"', "--\n"])
def test_no_statement_takes_long_to_read(part):
    with no_trap():
        read(part * 100_000)
        read("WITH " + part * 100_000)
