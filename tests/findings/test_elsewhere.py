from __future__ import annotations

import msgspec
import pytest
from django.apps import apps
from django.db import IntegrityError, connections, migrations, router
from django.db.migrations.state import ProjectState
from django.db.models import UniqueConstraint
from django.db.models.functions import Lower

from dbroute_panel import findings, trace
from dbroute_panel.records import Action, Database
from dbroute_panel.redaction import redact_trace
from example_site import replication
from example_site.library.models import Tag
from example_site.notes.models import Note
from tests.traces import a_decision, a_query, a_trace

pytestmark = pytest.mark.usefixtures("site")

INSERT = 'INSERT INTO "shop_coupon" ("code") VALUES (%s)'
LOOK = 'SELECT 1 AS "a" FROM "shop_coupon" WHERE "shop_coupon"."code" = %s LIMIT 1'


def look(id=1, alias="replica1", **changes):
    fields = {"sql": LOOK, "params": ("A",), "rowcount": None, "model": "shop.Coupon", "decision_id": None}
    return a_query(id, alias, **fields | changes)


def refused(id=9, **changes):
    fields = {
        "sql": INSERT,
        "params": ("A",),
        "operation": "INSERT",
        "writes": True,
        "model": "shop.Coupon",
        "error": "IntegrityError: taken",
        "error_code": 2067,
        "decision_id": None,
    }
    return a_query(id, "primary", **fields | changes)


class TestCheckedElsewhere:
    code = "checked-elsewhere"

    def is_found(self, found, *events, vendor="sqlite"):
        databases = {
            alias: Database(vendor=vendor, engine="", replica_of=None)
            for alias in ("primary", "replica1", "archive")
        }
        return self.code in found(a_trace(events=list(events), databases=databases)).codes

    def test_a_row_is_looked_for_on_a_replica_and_inserted_on_its_primary(self, found):
        replication.set_lag(None)
        taken = Tag.objects.using("primary").create(name="brass")
        with trace("t") as t:
            assert not Tag.objects.using("replica1").filter(pk=taken.pk).exists()
            with pytest.raises(IntegrityError):
                Tag(pk=taken.pk, name="brass").save(using="primary", force_insert=True)
        assert found(t).one(self.code).message == (
            "library.Tag was looked for on replica1, and the write that followed on primary failed: a row "
            "with the same unique values is there (IntegrityError: UNIQUE constraint failed: "
            "library_tag.id). Look where you write, with using('primary'), or let db_for_read answer primary "
            "for such a check, as that of full_clean()."
        )
        assert [query.operation for query in found(t).events(self.code)] == ["SELECT", "INSERT"]

    @pytest.mark.parametrize(
        ("vendor", "code"),
        [
            ("sqlite", 2067),
            ("sqlite", 1555),
            ("postgresql", "23505"),
            ("mysql", 1062),
            ("mysql", 1586),
            ("oracle", 1),
        ],
    )
    def test_by_the_databases_own_code(self, found, vendor, code):
        assert self.is_found(found, look(), refused(error_code=code), vendor=vendor)

    @pytest.mark.parametrize(
        ("vendor", "code"),
        [("sqlite", 1299), ("sqlite", 1062), ("postgresql", "23503"), ("mysql", 1452), ("sqlite", None)],
    )
    def test_not_for_another_error(self, found, vendor, code):
        assert not self.is_found(found, look(), refused(error_code=code), vendor=vendor)

    @pytest.mark.parametrize(
        "event",
        [
            look(params=None),
            look(params={"code": "A"}),
            look(params=(1, "A")),
            look(rowcount=0),
            look(alias="archive"),
            look(sql='SELECT COUNT(*) FROM "shop_coupon" WHERE "code" = %s', rowcount=1),
        ],
    )
    def test_such_a_look_is_one(self, found, event):
        assert self.is_found(found, event, refused())

    @pytest.mark.parametrize(
        "event",
        [
            look(alias="primary"),
            look(params=("B",)),
            look(rowcount=1),
            look(id=10),
            look(sql='SELECT 1 FROM "shop_voucher" WHERE "code" = %s'),
            look(sql='SELECT "code" FROM "shop_coupon"', params=()),
            look(error="OperationalError: x"),
            look(parent_id=3),
            refused(id=1, error=None, error_code=None),
        ],
    )
    def test_such_a_query_is_none(self, found, event):
        assert not self.is_found(found, event, refused())

    def test_not_where_the_own_database_was_asked_too(self, found):
        assert not self.is_found(found, look(1), look(2, "primary"), refused())
        assert not self.is_found(found, look(1, "primary"), look(2), refused())

    def test_many_values_are_compared_one_by_one(self, found):
        many = refused(many=True, params=(("B",), ("A",)))
        assert self.is_found(found, look(), many)

    @pytest.mark.parametrize(
        ("sql", "params", "is_one"),
        [
            ('WHERE "shop_coupon"."id" = %s LIMIT 1', (1,), False),  # another row, by a small key
            ('WHERE "shop_coupon"."shop_id" = %s', ("A",), False),  # the same value in another column
            ('WHERE "shop_coupon"."code" = %s AND "shop_coupon"."shop_id" = %s', ("B", "A"), False),
            ('WHERE "shop_coupon"."code" = %s AND "shop_coupon"."shop_id" = %s', ("A", "B"), True),
            ('WHERE "shop_coupon"."code" IN (%s, %s)', ("B", "A"), True),
            ('WHERE UPPER("shop_coupon"."code"::text) = UPPER(%s)', ("a",), True),
            ('WHERE "shop_coupon"."code" LIKE %s ESCAPE \'\\\'', ("a",), True),
            ("WHERE `shop_coupon`.`code` = %s", ("***",), True),  # a masked value may be any
            ('WHERE "shop_coupon"."code" = %s', None, True),
            ('WHERE "shop_coupon"."id" = %s', None, False),
            ('WHERE LENGTH("shop_coupon"."code") > 3', (), False),
        ],
    )
    def test_one_column_has_to_have_the_same_value(self, found, sql, params, is_one):
        event = look(sql=f'SELECT 1 FROM "shop_coupon" {sql}', params=params)
        assert self.is_found(found, event, refused()) is is_one

    @pytest.mark.parametrize(
        ("sql", "params", "is_one"),
        [
            (
                'INSERT INTO "shop_coupon" ("note", "code") VALUES (%s, %s), (%s, %s)',
                ("", "B", "", "A"),
                True,
            ),
            ('INSERT INTO "shop_coupon" ("note", "code") VALUES (%s, %s)', ("A", "B"), False),
            ('INSERT INTO "shop_coupon" ("note", "code") VALUES (%s, UPPER(%s || %s))', ("", "A", "B"), True),
            (
                'INSERT INTO "shop_coupon" ("note", "code") SELECT * FROM UNNEST((%s)::text[], (%s)::text[])',
                (["", "A"], ["B", "C"]),
                False,
            ),
            (
                'INSERT INTO "shop_coupon" ("note", "code") SELECT * FROM UNNEST((%s)::text[], (%s)::text[])',
                (["", ""], ["B", "A"]),
                True,
            ),
            ('UPDATE "shop_coupon" SET "code" = %s WHERE "shop_coupon"."id" = %s', ("A", 1), True),
            ('UPDATE "shop_coupon" SET "note" = %s WHERE "shop_coupon"."code" = %s', ("x", "A"), False),
            (
                'INSERT INTO "shop_coupon" SELECT %s',
                ("A",),
                True,
            ),  # of what is not understood the values count
            ('INSERT INTO "shop_coupon" SELECT %s', ("B",), False),
        ],
    )
    def test_what_is_written_is_told_by_its_columns(self, found, sql, params, is_one):
        write = refused(sql=sql, params=params, operation=sql[:6])
        assert self.is_found(found, look(), write) is is_one

    def test_many_rows_of_which_the_record_does_not_hold_all(self, found):
        assert self.is_found(found, look(), refused(many=True, params=(("B", "C"),)))
        assert not self.is_found(found, look(), refused(many=True, params=(("B",), ("C",))))

    @pytest.mark.parametrize(
        ("column", "unique", "is_one"),
        [("id", {}, True), ("name", {}, False), ("name", {"unique_together": [("name",)]}, True)],
    )
    def test_only_columns_whose_values_are_unique_where_the_model_is_known(
        self, found, monkeypatch, column, unique, is_one
    ):
        for name, value in unique.items():
            monkeypatch.setattr(Tag._meta, name, value)
        assert self.of_tags(found, column) is is_one

    @pytest.mark.parametrize(
        "constraint", [UniqueConstraint(fields=["name"], name="x"), UniqueConstraint(Lower("name"), name="x")]
    )
    def test_columns_of_a_constraint_are_unique(self, found, monkeypatch, constraint):
        monkeypatch.setattr(Tag._meta, "constraints", [constraint])
        assert self.of_tags(found, "name")

    def of_tags(self, found, column):
        event = look(
            sql=f'SELECT 1 FROM "library_tag" WHERE "library_tag"."{column}" = %s', model="library.Tag"
        )
        write = refused(
            sql='INSERT INTO "library_tag" ("id", "name") VALUES (%s, %s)',
            params=("A", "A"),
            model="library.Tag",
        )
        return self.is_found(found, event, write)

    def test_its_message_stays_in_a_redacted_trace(self, found):
        sqlite = Database(vendor="sqlite", engine="", replica_of=None)
        databases = {"primary": sqlite, "replica1": sqlite}
        whole = a_trace(events=[look(), refused(), look(10, "archive", params=("B",))], databases=databases)
        whole = msgspec.structs.replace(whole, findings=findings.find(whole))
        (left,) = [one for one in redact_trace(whole).findings if one.code == self.code]
        assert left.message.startswith("shop.Coupon was looked for on replica1")
        assert "(IntegrityError)" in left.message


def fill(historical, schema_editor):
    historical.get_model("notes", "Note").objects.create(text="moved")


def fill_here(historical, schema_editor):
    historical.get_model("notes", "Note").objects.using(schema_editor.connection.alias).create(text="moved")


def migrate(code, alias):
    """Run ``code`` as the migration of ``notes`` on ``alias``."""

    class Migration(migrations.Migration):
        operations = [migrations.RunPython(code, migrations.RunPython.noop)]

    state = ProjectState.from_apps(apps)
    with connections[alias].schema_editor() as editor:
        Migration("0002_fill", "notes").apply(state, editor)


class Anywhere:
    """Notes live on the archive; whatever migration may run anywhere."""

    def db_for_read(self, model, **hints):
        return "archive"

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return True


class TestMigrationElsewhere:
    code = "migration-elsewhere"

    def test_a_historical_model_is_written_where_its_router_says(self, found, settings):
        settings.DATABASE_ROUTERS = [Anywhere()]
        with trace("t") as t:
            migrate(fill, "primary")
        [write] = [query for query in t.queries if query.historical]
        assert (write.model, write.alias) == ("notes.Note", "archive")
        assert found(t).one(self.code).message == (
            "A migration of primary wrote notes.Note on archive: once for each database that is migrated, "
            "and none of it on primary. Write with using(schema_editor.connection.alias)."
        )

    def test_not_where_it_is_migrated(self, found, settings):
        settings.DATABASE_ROUTERS = [Anywhere()]
        with trace("t") as t:
            migrate(fill, "archive")
            migrate(fill_here, "archive")
        assert [query.historical for query in t.queries if query.writes] == [True, True]
        assert self.code not in found(t).codes

    def test_not_the_projects_own_models(self, found, settings):
        settings.DATABASE_ROUTERS = [Anywhere()]
        with trace("t") as t:
            router.allow_migrate("primary", "notes")
            Note.objects.create(text="moved")
        assert [query.historical for query in t.queries] == [False]
        assert self.code not in found(t).codes

    def test_both_in_one_trace_are_told_apart(self, settings):
        settings.DATABASE_ROUTERS = [Anywhere()]
        with trace("t") as t:
            Note.objects.create(text="own")
            migrate(fill, "archive")
            Note.objects.create(text="own")
        assert [query.historical for query in t.queries if query.writes] == [False, True, False]
        assert {query.model for query in t.queries if query.writes} == {"notes.Note"}

    def test_not_what_the_migration_asked_itself(self, found, settings):
        settings.DATABASE_ROUTERS = [Anywhere()]

        def ask_and_fill(historical, schema_editor):
            assert router.allow_migrate("archive", "notes")
            fill(historical, schema_editor)
            router.allow_migrate("primary", "notes")
            historical.get_model("notes", "Note").objects.create(text="again")

        for alias, expected in (("primary", 1), ("archive", 0)):
            with trace("t") as t:
                migrate(ask_and_fill, alias)
            queries = [found(t).events(self.code)] if self.code in found(t).codes else []
            assert len(queries) == expected

    def test_not_what_a_router_asked(self, found):
        django, asked = (
            a_decision(id, action=Action.MIGRATE, answer=True, hints={}, args={"db": db}, callsite=None)
            for id, db in ((1, "archive"), (3, "primary"))
        )
        asked = msgspec.structs.replace(asked, parent_id=2)
        write = a_query(
            4,
            "archive",
            writes=True,
            operation="INSERT",
            model="notes.Note",
            historical=True,
            decision_id=None,
        )
        assert self.code not in found(a_trace(events=[django, a_decision(2), asked, write])).codes

    def test_only_the_last_question_counts(self, found):
        asked = [
            a_decision(id, action=Action.MIGRATE, answer=True, hints={}, args={"db": db}, callsite=None)
            for id, db in ((1, "archive"), (2, "primary"))
        ]
        write = a_query(
            3,
            "archive",
            writes=True,
            operation="INSERT",
            model="notes.Note",
            historical=True,
            decision_id=None,
        )
        assert self.code in found(a_trace(events=[*asked, write])).codes
        assert self.code not in found(a_trace(events=[*asked[::-1][1:], write])).codes
        assert self.code not in found(a_trace(events=[write])).codes
        unknown = msgspec.structs.replace(asked[1], args=None)
        assert self.code not in found(a_trace(events=[unknown, write])).codes
