"""A table that is missing is known by the error's code, and its name is one of the statement's."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connections

from dbroute_panel import trace
from dbroute_panel.findings.errors import find_missing_table, find_qualifier
from dbroute_panel.records import Database
from tests.traces import a_query

BOOKS = 'SELECT "library_book"."id" FROM "library_book"'
JOINED = 'SELECT 1 FROM "library_book" INNER JOIN "library_author" ON (1 = 1)'


def on(vendor, error, code, sql=BOOKS, **changes):
    databases = {"primary": Database(vendor=vendor, engine="some.engine", replica_of=None)}
    said = f"ProgrammingError: {error}" if error else "ProgrammingError"
    query = a_query(1, "primary", error=said, error_code=code, sql=sql, **changes)
    return find_missing_table(query, databases)


def mysql(words):
    return on("mysql", f'(1146, "{words}")', 1146)


class TestTheCode:
    @pytest.mark.parametrize(
        ("vendor", "code", "error"),
        [
            ("postgresql", "42P01", 'relation "library_book" does not exist'),
            ("postgresql", "42P01", "Relation »library_book« existiert nicht"),
            ("postgresql", "42P01", 'リレーション"library_book"は存在しません'),
            ("mysql", 1146, "(1146, \"Table 'shop.library_book' doesn't exist\")"),
            ("mysql", 1146, "(1146, \"Tabelle 'shop.library_book' existiert nicht\")"),
            ("oracle", 942, "ORA-00942: table or view does not exist"),
            ("oracle", 942, "ORA-00942: Tabelle oder View nicht vorhanden"),
            ("oracle", 942, 'ORA-00942: table or view "SHOP"."library_book" does not exist'),
            ("sqlite", 1, "no such table: main.library_book"),
            ("microsoft", "42S02", "('42S02', \"[42S02] [Microsoft] Invalid object name 'library_book'.\")"),
            ("mysql", 1146, ""),
            ("oracle", 942, ""),
        ],
    )
    def test_says_it_on_every_backend_in_every_language(self, vendor, code, error):
        assert on(vendor, error, code) == "library_book"

    @pytest.mark.parametrize(
        ("vendor", "code", "error"),
        [
            ("postgresql", "42703", 'column "library_book" does not exist'),
            ("postgresql", "42P07", 'relation "library_book" already exists'),
            ("postgresql", "22P02", 'invalid input: relation "library_book" does not exist'),
            ("postgresql", None, 'relation "library_book" does not exist'),
            ("postgresql", 1146, 'relation "library_book" does not exist'),
            ("mysql", 1054, "(1054, \"Unknown column 'x' in 'field list'\")"),
            ("mysql", 942, ""),
            ("oracle", 904, "ORA-00904: invalid identifier"),
            ("sqlite", 1, 'relation "library_book" does not exist'),
            ("sqlite", 1, ""),
            ("sqlite", 8, "no such table: library_book"),
            ("sqlite", None, "no such table: library_book"),
            ("another", 1, "no such table: library_book"),
        ],
    )
    def test_says_something_else(self, vendor, code, error):
        assert on(vendor, error, code) is None

    def test_nothing_that_is_dropped_on_postgresql_but_a_table(self):
        assert on("postgresql", 'view "x" does not exist', "42P01", sql="DROP VIEW x") is None
        assert on("postgresql", 'table "x" does not exist', "42P01", sql="DROP TABLE x") == "x"

    def test_is_not_enough_on_postgresql(self):
        assert (
            on("postgresql", "", "42P01") is None
        )  # which has it for a column's table in the statement, too


class TestTheName:
    def test_is_the_one_that_the_error_names(self):
        said = 'relation "library_author" does not exist\nLINE 1: SELECT 1 FROM "library_book" ...'
        assert on("postgresql", said, "42P01", sql=JOINED) == "library_author"

    def test_is_a_whole_word(self):
        sql = 'SELECT 1 FROM "book" JOIN "book_author" ON (1 = 1) JOIN "library_book" ON (1 = 1)'
        assert on("postgresql", 'relation "book_author" does not exist', "42P01", sql=sql) == "book_author"

    def test_is_none_of_the_schema_or_the_database(self):
        sql = "SELECT 1 FROM `shop` JOIN `item` ON (1 = 1)"
        assert on("mysql", "(1146, \"Table 'shop.item' doesn't exist\")", 1146, sql=sql) == "item"
        assert on("mysql", "(1146, \"Table 'item.shop' doesn't exist\")", 1146, sql=sql) == "shop"
        assert on("postgresql", 'relation "shop.item" does not exist', "42P01", sql=sql) == "item"

    @pytest.mark.parametrize(
        "sql",
        [
            "INSERT INTO library_book VALUES (1)",
            "UPDATE library_book SET a = 1",
            "DELETE FROM library_book",
            "ALTER TABLE library_book ADD b int",
            "ALTER TABLE library_loan ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES library_book (id)",
            'CREATE INDEX "an_index" ON "library_book" ("a")',
            "TRUNCATE TABLE library_book",
        ],
    )
    def test_is_in_every_kind_of_statement(self, sql):
        assert on("postgresql", 'relation "library_book" does not exist', "42P01", sql=sql) == "library_book"

    def test_is_not_known_where_several_are_named(self):
        sql = 'SELECT 1 FROM "relation" JOIN "library_book" ON (1 = 1)'
        assert on("postgresql", 'relation "library_book" does not exist', "42P01", sql=sql) == ""

    def test_is_not_known_where_another_table_is_named(self):
        """A trigger's, or a function's."""
        assert mysql("Table 'shop.log' doesn't exist") == ""
        assert on("postgresql", 'relation "log" does not exist', "42P01") == ""

    @pytest.mark.parametrize("vendor", ["mysql", "oracle"])
    def test_is_not_known_of_several_where_none_is_named(self, vendor):
        assert on(vendor, "", {"mysql": 1146, "oracle": 942}[vendor], sql=JOINED) == ""
        assert on("oracle", "ORA-00942: no", 942, sql=JOINED) == ""

    def test_is_not_known_without_a_message_where_a_trigger_may_have_failed(self):
        sql = "INSERT INTO library_book VALUES (1)"
        assert on("mysql", "", 1146, sql=sql, writes=True) == ""
        assert on("oracle", "ORA-00942: no", 942, sql=sql, writes=True) == "library_book"


class TestSQLite:
    """The one backend whose words are read: each is asked for here, so that it is noticed if they change."""

    @pytest.fixture(autouse=True)
    def _site(self, site):
        with connections["primary"].cursor() as cursor:
            cursor.execute("ATTACH ':memory:' AS beside")
            cursor.execute("CREATE TEMP VIEW a_view AS SELECT * FROM main.behind_a_view")
            yield
            cursor.execute("DROP VIEW temp.a_view")
            cursor.execute("DETACH beside")

    @pytest.mark.parametrize(
        ("sql", "table"),
        [
            ("SELECT * FROM nowhere", "nowhere"),
            ("SELECT * FROM library_book JOIN Nowhere", "Nowhere"),
            ("SELECT * FROM main.nowhere", "nowhere"),
            ("SELECT * FROM beside.nowhere", "beside.nowhere"),
            ("SELECT * FROM a_view", "behind_a_view"),
            ('SELECT * FROM "no ""such"" table: it\'s"', 'no "such" table: it\'s'),
            ("SELECT * FROM `größer; als`", "größer; als"),
            ('SELECT * FROM "one\nline"', "one\nline"),
            ("INSERT INTO nowhere VALUES (1)", "nowhere"),
            ("UPDATE nowhere SET a = 1", "nowhere"),
            ("DELETE FROM nowhere", "nowhere"),
            ("DROP TABLE nowhere", "nowhere"),
            ("ALTER TABLE nowhere ADD b int", "nowhere"),
            ("CREATE INDEX i ON nowhere (a)", "nowhere"),
        ],
    )
    def test_says_which_table_is_missing(self, sql, table):
        assert self.of(sql) == table

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT nothing FROM library_book",
            "SELECT nowhere.a FROM library_book",
            "SELECT 'no such table: x' FROM",
            "SELEC no such table: x",
            "DROP VIEW nowhere",
            "SELECT nowhere()",
        ],
    )
    def test_says_something_else(self, sql):
        assert self.of(sql) is None

    def of(self, sql):
        with trace("t") as t, connections["primary"].cursor() as cursor, pytest.raises(OperationalError):
            cursor.execute(sql)
        assert t.queries[0].error_code == 1
        return find_missing_table(t.queries[0], t.document.databases)


class TestTheMarkOfPostgreSQL:
    """The texts are PostgreSQL 15's; ``tests/services/test_missing_tables.py`` has them made."""

    @pytest.mark.parametrize(
        ("line", "qualifier"),
        [
            ("LINE 1: ^nowhere.x FROM library_book", "nowhere"),
            ('LINE 1: SELECT ^"no where" . "x" FROM library_book', "no where"),
            ("LINE 1: SELECT 1 FROM ^public.nowhere", "public"),
            ("ZEILE 1: SELECT * FROM ^nowhere n", None),
            ("LINE 2:     ^nowhere", None),
            ('LINE 1: ..._book"."title" FROM ^"library_b...', None),
            ('LINE 1: ...ook"."title" FROM b, ^"library_b...', ""),
            ('LINE 1: SELECT ^"library_b...', ""),
            ("LINE 1: SELECT ^library_bo...", ""),
            ('LINE 1: SELECT ^"nowhere"....', "nowhere"),
            ("LINE 1: SELECT nextval(^'nowhere')", None),
        ],
    )
    def test_stands_at_a_name(self, line, qualifier):
        shown = line.replace("^", "")
        mark = " " * line.index("^") + "^"
        assert find_qualifier(f"something happened\n{shown}\n{mark}\nHINT:  x") == qualifier

    @pytest.mark.parametrize("message", ["", "something happened", "something happened\nLINE 1: ..."])
    def test_is_not_always_there(self, message):
        assert find_qualifier(message) is None

    @pytest.mark.parametrize(
        ("first", "line", "table"),
        [
            (
                'missing FROM-clause entry for table "nowhere"',
                "LINE 1: SELECT ^nowhere.x FROM library_book",
                None,
            ),
            (
                "ungültiger Verweis auf Tabelle »library_book«",
                "ZEILE 1: SELECT ^library_book.x FROM a b",
                None,
            ),
            ("ungültiger Verweis auf Tabelle »library_book«", "ZEILE 1: SELECT ^library_bo...", None),
            (
                'relation "public.library_book" does not exist',
                "LINE 1: FROM ^public.library_book",
                "library_book",
            ),
            ('relation "library_book" does not exist', "LINE 1: ... FROM ^library_bo...", "library_book"),
        ],
    )
    def test_tells_a_table_from_a_column(self, first, line, table):
        mark = " " * line.index("^") + "^"
        assert on("postgresql", f"{first}\n{line.replace('^', '')}\n{mark}", "42P01") == table
