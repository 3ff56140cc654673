"""What is left of SQL without its literals, by vendor; when in doubt, less."""

from __future__ import annotations

import gc
import sqlite3
from contextlib import closing

import pytest
import sqlparse
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dbroute_panel.redaction import statements, without_literals
from tests.redaction.positions import ELSEWHERE, POSITIONS, TABLES
from tests.waiting import no_trap

pytestmark = pytest.mark.unmeasured

VENDORS = ["sqlite", "postgresql", "mysql", "oracle", "microsoft", ""]


@pytest.mark.parametrize(
    ("vendor", "sql", "left"),
    [
        ("sqlite", "SELECT 'it''s', 1, 1.5e-3, .5, 0xFF, x'AB'", "SELECT ?, ?, ?-?, ?, ?, x?"),
        ("sqlite", 'SELECT "t"."n" FROM "t" WHERE "t"."id" IN (1, 2, %s)', None),
        ("postgresql", "SELECT N'a', U&'b', B'101', X'1F', E'c'", "SELECT N?, U&?, B?, X?, E?"),
        ("postgresql", "SELECT $$it's$$, $a$ $$ 'x' $a$, $1", "SELECT ?, ?, ?"),
        (
            "postgresql",
            'SELECT ("t"."data" #> %s), a::int, x[1:2]',
            'SELECT ("t"."data" #> %s), a::int, x[??]',
        ),
        ("mysql", "SELECT `t`.`n`, \"secret\", _utf8mb4'a', b'01'", "SELECT `t`.`n`, ?, _utf8mb4?, b?"),
        ("oracle", "SELECT q'[it's]', nq'{x}', Q'!y!' FROM DUAL", "SELECT ?, ?, ? FROM DUAL"),
        (
            "sqlite",
            'UPDATE "t" SET "a" = %s, "b" = 5 WHERE "t"."c" = "x"',
            'UPDATE "t" SET "a" = %s, "b" = ? WHERE "t"."c" = ?',
        ),
        ("sqlite", 'INSERT INTO "t" ("a", "b") VALUES ("x", 2)', 'INSERT INTO "t" ("a", "b") VALUES (?, ?)'),
        ("sqlite", 'SELECT 1 FROM "t" WHERE "a" IN ("x", "y")', 'SELECT ? FROM "t" WHERE ? IN (?, ?)'),
        ("sqlite", 'CREATE INDEX "i" ON "t" ("a", "b")', 'CREATE INDEX "i" ON "t" ("a", "b")'),
        ("sqlite", "SELECT 1 -- secret\n+ 2 /* secret */ + 3", "SELECT ?  \n+ ?   + ?"),
        ("postgresql", "SELECT a#5, b@6, c$7", "SELECT a#?, b?, c$7"),
        ("mysql", "SELECT %(name)s, %s, 5 %% 2", "SELECT %(name)s, %s, ? %% ?"),
        ("", "(SELECT 1) UNION (SELECT 'a')", "(SELECT ?) UNION (SELECT ?)"),
    ],
)
def test_literals_are_marks_and_names_stay(vendor, sql, left):
    expected = left or 'SELECT "t"."n" FROM "t" WHERE "t"."id" IN (?, ?, %s)'
    assert without_literals(sql, vendor) == expected


@pytest.mark.parametrize(
    ("vendor", "sql"),
    [
        ("postgresql", r"SELECT E'it\'s secret'"),
        ("mysql", r"SELECT 'it\'s secret'"),
        ("", r"SELECT 'it\'s secret'"),
        ("mysql", "SELECT 1 # secret"),
        ("mysql", "SELECT a#secret"),
        ("mysql", "SELECT 1--'\n secret'"),
        ("mysql", "SELECT /*! 'secret' */ 1"),
        ("mysql", "SELECT /*!50000 '*/ secret' */ 1"),
        ("postgresql", "SELECT /* /* */ 'secret */ ' */ 1"),
        ("sqlite", "SELECT 1 -- it's\r secret"),
        ("sqlite", "SELECT [it's], 'secret'"),
        ("", "SELECT $x$secret$x$"),
        ("postgresql", "SELECT $x$ secret"),
        ("postgresql", "SELECT 'secret"),
        ("postgresql", 'SELECT "secret'),
        ("oracle", "SELECT q'[secret"),
        ("postgresql", "SELECT q'[secret]'"),
        ("postgresql", "SELECT ` '`', 'secret'"),
        ("oracle", "ALTER USER bob IDENTIFIED BY secret"),
        ("postgresql", "CREATE ROLE bob PASSWORD secret"),
        ("oracle", "CREATE TABLE x IDENTIFIED BY secret"),
        ("mysql", "SET PASSWORD = secret"),
        ("sqlite", "PRAGMA key=secret"),
        ("sqlite", "EXPLAIN PRAGMA key=secret"),
        ("postgresql", "EXPLAIN ANALYZE ALTER USER bob PASSWORD secret"),
        ("sqlite", "EXPLAIN VACUUM INTO secret"),
        ("sqlite", 'PRAGMA key = "secret"'),
        ("sqlite", 'ATTACH DATABASE "secret" AS x'),
        ("postgresql", "DO $$ BEGIN secret END $$"),
        ("postgresql", "SELECT 1; ALTER USER bob PASSWORD secret"),
        ("sqlite", "SELECT 1 /* secret"),
        ("postgresql", "COPY t FROM STDIN; secret"),
    ],
)
def test_where_nobody_can_tell_the_rest_is_left_out(vendor, sql):
    left = without_literals(sql, vendor)
    assert "secret" not in left
    assert left.endswith("***")


def test_a_statement_that_ends_with_its_semicolon_is_whole():
    assert without_literals("SELECT 1; ", "sqlite") == "SELECT ?; "
    assert without_literals("", "sqlite") == ""


names = st.from_regex(r"[a-z_][a-z_0-9]{0,8}", fullmatch=True)
texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)


@given(texts, st.sampled_from(VENDORS), names)
@settings(max_examples=300)
def test_a_text_is_never_seen_whatever_is_in_it(text, vendor, name):
    quoted = text.replace("'", "''")
    sql = f"SELECT {name} FROM {name} WHERE {name} = 'zzqq{quoted}zzqq' AND {name} = 5"
    left = without_literals(sql, vendor)
    assert "zzqq" not in left
    if "\\" not in text:
        assert left == f"SELECT {name} FROM {name} WHERE {name} = ? AND {name} = ?"


@given(texts, st.sampled_from(VENDORS))
@settings(max_examples=300)
def test_no_text_of_sqlparse_s_is_seen_either(text, vendor):
    """Whatever the statement is: what another parser takes for a literal is gone. It knows no $ in names."""
    assume("$" not in text)
    sql = f"SELECT a, 'zzqq', {text}"
    left = without_literals(sql, vendor)
    assert "zzqq" not in left
    for token in sqlparse.parse(left)[0].flatten() if left else ():
        assert token.ttype not in (sqlparse.tokens.String.Single, sqlparse.tokens.Number.Integer)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM b WHERE c = 'O'Brien secret'",
        "SELECT a FROM b WHERE c = 'O' Brien secret'",
        "SELECT a FROM b WHERE c = 'O' Brien secret' AND d = '1",
        "SELECT a FROM b WHERE it's secret'",
        "SELECT a FROM b WHERE c = 'O'Brien secret 'd'",
        "SELECT a FROM b WHERE c = '''O' secret'",
    ],
)
@pytest.mark.parametrize("vendor", VENDORS)
def test_quotes_that_are_wrong_show_nothing_behind_the_first(vendor, sql):
    assert "secret" not in without_literals(sql, vendor)


def test_of_a_statement_that_failed_nothing_behind_the_first_string_is_shown():
    sql = "SELECT a FROM b WHERE n = 1 AND c = 'O' Brien 'secret' secret"
    assert without_literals(sql, "sqlite", failed=True) == "SELECT a FROM b WHERE n = ? AND c = ***"
    assert without_literals('SELECT "a"."b" = "O"Brien', "sqlite", failed=True) == 'SELECT "a"."b" = ***'
    assert without_literals("SELECT $$O$$ Brien", "postgresql", failed=True) == "SELECT ***"


@pytest.mark.parametrize("vendor", ["sqlite", "microsoft", ""])
@pytest.mark.parametrize("sql", [*POSITIONS, *ELSEWHERE])
def test_a_text_in_double_quotes_is_no_name_where_an_expression_may_be(sql, vendor):
    assert "secret" not in without_literals(sql.replace("{}", '"secret"'), vendor)


@pytest.fixture
def database():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(TABLES)
        yield connection


@pytest.mark.parametrize("sql", POSITIONS)
def test_sqlite_takes_it_for_a_text_there(sql, database):
    """Else the test above and the property test would be about nothing."""
    explained = sql if sql.startswith("EXPLAIN") else f"EXPLAIN {sql}"
    try:
        database.execute(explained.replace("{}", "'secret'"))
    except sqlite3.OperationalError as error:
        if sqlite3.sqlite_version_info < (3, 39):
            pytest.skip(f"this SQLite is older than the notation: {error}")
        raise
    try:
        database.execute(explained.replace("{}", '"secret"'))
    except sqlite3.OperationalError as error:
        if "DQS=0" in {option for (option,) in database.execute("PRAGMA compile_options")}:
            pytest.skip(f"this SQLite was built without strings in double quotes: {error}")
        raise


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT DISTINCT "t"."a" FROM "t" JOIN "u" AS "x" ON ("t"."a" = "x"."b")',
        'SELECT COUNT(*) FROM (SELECT "t"."a" AS "c" FROM "t") AS "s"',
        'INSERT INTO "t" ("a", "b") SELECT "x"."a" FROM "x"',
        'INSERT INTO "main"."t" ("a", "b") VALUES (%s, %s), (%s, %s)',
        'UPDATE "t" SET "a" = %s, "b" = CASE WHEN "t"."a" = %s THEN %s END WHERE "t"."id" IN (%s, %s)',
        'CREATE TABLE IF NOT EXISTS "t" ("a" integer NOT NULL REFERENCES "x" ("id") DEFERRABLE, "b" text)',
        'CREATE UNIQUE INDEX IF NOT EXISTS "i" ON "t" ("a" DESC, "b" COLLATE "n")',
        'ALTER TABLE "t" RENAME COLUMN "a" TO "b"',
        'DROP TABLE IF EXISTS "t"',
        'WITH RECURSIVE "x" ("a", "b") AS (SELECT %s, %s) SELECT "x"."a" FROM "x"',
        'DELETE FROM "t" WHERE "t"."a" IS NOT DISTINCT FROM %s',
        'EXPLAIN QUERY PLAN SELECT "t"."a" FROM "t"',
    ],
)
@pytest.mark.parametrize("vendor", ["sqlite", "microsoft"])
def test_names_in_double_quotes_stay(sql, vendor):
    assert without_literals(sql, vendor) == sql


def test_no_statement_stays_in_memory_with_its_literals():
    for number in range(statements.MAX_REMEMBERED + 100):
        without_literals(f"SELECT 'planted{number}'", "sqlite")
    gc.collect()
    remembered = repr(statements._cache)
    assert len(statements._cache) == statements.MAX_REMEMBERED
    assert "planted" not in remembered


def test_a_long_statement_is_not_remembered():
    statements._cache.clear()
    assert without_literals("SELECT a" + " " * statements.MAX_REMEMBERED_CHARACTERS).startswith("SELECT a")
    assert not statements._cache
    assert without_literals("SELECT \ud800 'a'") == without_literals("SELECT \ud800 'a'")
    assert len(statements._cache) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM t WHERE a IN (" + ", ".join(["%s"] * 60_000) + ")",
        "INSERT INTO t VALUES " + ", ".join(["(%s, 1, 'a')"] * 20_000),
        "SELECT " + "[" * 240_000,
        "SELECT " + "(" * 240_000,
        "SELECT " + '"a"' * 80_000,
        "SELECT " + "$a " * 80_000,
        "SELECT " + " " * 240_000 + '"a"' + " " * 240_000,
    ],
    ids=["placeholders", "rows", "brackets", "parentheses", "names", "dollars", "spaces"],
)
@pytest.mark.parametrize("vendor", ["sqlite", "postgresql", ""])
def test_the_work_grows_with_the_length_and_no_faster(sql, vendor):
    """It takes a few tenths of a second; where it grows with the square, some minutes."""
    with no_trap():
        without_literals(sql, vendor)
