from __future__ import annotations

import msgspec
import pytest
from django.apps import apps
from django.db import IntegrityError, connections, migrations, router
from django.db.migrations.state import ProjectState

from dbroute_panel import findings, trace
from dbroute_panel.records import Action, Database
from dbroute_panel.redaction import redacted
from example_site import replication
from example_site.library.models import Tag
from example_site.notes.models import Note
from tests.traces import a_decision, a_query, a_trace

pytestmark = pytest.mark.usefixtures("site")

INSERT = 'INSERT INTO "shop_coupon" ("code") VALUES (%s)'
LOOK = 'SELECT 1 AS "a" FROM "shop_coupon" WHERE "shop_coupon"."code" = %s LIMIT 1'


def look(id=1, alias="replica1", **changes):
    fields = {"sql": LOOK, "params": ("A",), "rowcount": None, "model": "shop.Coupon", "decision": None}
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
        "decision": None,
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
            look(within=3),
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

    def test_its_message_stays_in_a_redacted_trace(self, found):
        sqlite = Database(vendor="sqlite", engine="", replica_of=None)
        databases = {"primary": sqlite, "replica1": sqlite}
        whole = a_trace(events=[look(), refused(), look(10, "archive", params=("B",))], databases=databases)
        whole = msgspec.structs.replace(whole, findings=findings.find(whole))
        (left,) = [one for one in redacted(whole).findings if one.code == self.code]
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

    def test_only_the_last_question_counts(self, found):
        asked = [
            a_decision(id, action=Action.MIGRATE, answer=True, hints={}, args={"db": db})
            for id, db in ((1, "archive"), (2, "primary"))
        ]
        write = a_query(
            3, "archive", writes=True, operation="INSERT", model="notes.Note", historical=True, decision=None
        )
        assert self.code in found(a_trace(events=[*asked, write])).codes
        assert self.code not in found(a_trace(events=[*asked[::-1][1:], write])).codes
        assert self.code not in found(a_trace(events=[write])).codes
        unknown = msgspec.structs.replace(asked[1], args=None)
        assert self.code not in found(a_trace(events=[unknown, write])).codes
