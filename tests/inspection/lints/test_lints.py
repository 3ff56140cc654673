"""Every static finding: that it appears, and the near misses in which it must not."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connections, router

from dbroute_panel.inspection.lints import LINTS, registry, run_lints
from dbroute_panel.inspection.map import build_map
from dbroute_panel.recording import recorder
from dbroute_panel.records import Level
from tests.inspection.lints import routers
from tests.inspection.lints.routers import Routes
from tools.benchmarks.counting import count_calls

pytestmark = pytest.mark.usefixtures("site")

LIBRARY = ["library.Book", "library.Book_tags", "library.Person", "library.Review", "library.Tag"]
HOME = "archive"  # where everything else lives, so that a test sees its own model alone


def found(code):
    """Subject to messages of the findings with this code."""
    subjects: dict[str, list[str]] = {}
    for finding in run_lints():
        if finding.code == code:
            assert finding.level is LINTS[code].level
            subjects.setdefault(finding.subject, []).append(finding.message)
    return subjects


@pytest.fixture(autouse=True)
def _none_fails(monkeypatch):
    """A lint that fails finds nothing either, which is no proof that there is nothing to find."""
    complaints: set[str] = set()
    monkeypatch.setattr(recorder, "_complaints", complaints)
    yield
    assert complaints == set()


@pytest.fixture
def route(settings):
    """Use these routers, in order."""

    def use(*instances):
        settings.DATABASE_ROUTERS = list(instances)

    return use


class TestRouteToUnknownAlias:
    def test_a_model_written_to_an_alias_that_is_not_configured(self, route):
        route(Routes(read={"*": HOME}, write={"notes.Note": "nowhere", "*": HOME}))
        messages = found("route-to-unknown-alias")
        assert list(messages) == ["notes.Note"]
        assert messages["notes.Note"] == [
            (
                "notes.Note is written to 'nowhere', which is not in DATABASES. Configure that alias, "
                "or correct the router's answer."
            ),
        ]

    def test_a_model_read_there_is_told_apart(self, route):
        route(Routes(read={"notes.Note": "nowhere", "*": HOME}, write={"*": HOME}))
        assert "read from" in found("route-to-unknown-alias")["notes.Note"][0]

    def test_not_for_the_empty_default_which_is_configured(self, route):
        route(Routes())
        assert found("route-to-unknown-alias") == {}

    def test_not_for_the_site_as_it_is(self):
        assert found("route-to-unknown-alias") == {}


class TestTableOnSeveral:
    code = "table-on-several"
    everywhere = {"*": ["primary", "archive", "replica1"]}

    def test_tables_that_a_router_lets_be_made_on_two_primaries_and_that_are_used_on_one(self, route):
        route(Routes(read={"*": HOME}, migrate={"notes": ["primary", "archive"], "*": [HOME]}))
        assert found(self.code) == {
            "tests.inspection.lints.routers.Routes": [
                (
                    "allow_migrate lets the table of notes.Note be made on archive and primary, which are no "
                    "replicas of one primary, but all routers read and write on archive. Unless code "
                    "names the others with using(), answer True on archive alone."
                )
            ]
        }

    def test_many_are_one_finding(self, route):
        route(Routes(read={"*": "replica1"}, write={"*": "primary"}, migrate=self.everywhere))
        [[message]] = found(self.code).values()
        assert " and " in message
        assert "more models be made on archive and primary, " in message
        assert "read and write on primary." in message

    def test_not_where_no_router_has_an_opinion(self, route):
        route(Routes(read={"*": HOME}))
        assert found(self.code) == {}

    def test_not_on_a_primary_and_its_replicas(self, route):
        route(Routes(read={"*": "primary"}, migrate={"*": ["primary", "replica1", "replica2"]}))
        assert found(self.code) == {}

    def test_not_what_is_used_on_several(self, route):
        route(Routes(read={"*": "archive"}, write={"*": "primary"}, migrate=self.everywhere))
        assert found(self.code) == {}

    def test_not_what_is_used_on_a_database_without_the_table(self, route):
        route(Routes(read={"*": "auth_db"}, migrate={"*": ["primary", "archive"]}))
        assert found(self.code) == {}

    def test_not_content_types_which_have_their_own_finding(self, route):
        route(Routes(read={"*": HOME}, migrate={"contenttypes": ["primary", "archive"], "*": [HOME]}))
        assert found(self.code) == {}

    def test_the_site_uses_two_databases_by_name(self):
        assert {
            subject: message.partition(" be made on ")[2].partition(",")[0]
            for subject, [message] in found(self.code).items()
        } == {
            "example_site.routers.PrimaryReplicaRouter": "archive and primary",
            "example_site.routers.UserRouter": "legacy_users and new_users",
        }


class TestReplicaMigratable:
    code = "replica-migratable"

    def test_a_replica_on_which_tables_may_be_made(self, route):
        route(Routes(read={"*": HOME}, migrate={"notes": ["primary", "replica1"], "*": ["primary"]}))
        assert found(self.code) == {
            "replica1": [
                (
                    "allow_migrate lets the table of notes.Note be made on replica1, a replica of primary: "
                    "migrate --database=replica1 would write there. Answer False for replica1; replication "
                    "brings the tables."
                )
            ]
        }

    def test_where_no_router_has_an_opinion_too(self, route):
        route(Routes(read={"*": HOME}))
        assert list(found(self.code)) == ["replica1", "replica2"]

    def test_not_where_the_primary_alone_has_them(self, route):
        route(Routes(read={"*": "replica1"}, write={"*": "primary"}, migrate={"*": ["primary"]}))
        assert found(self.code) == {}

    def test_not_for_another_database(self, route, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {}}
        route(Routes(read={"*": HOME}))
        assert found(self.code) == {}

    def test_not_where_asking_raised(self, route):
        class Refuses(Routes):
            def allow_migrate(self, db, app_label, model_name=None, **hints):
                raise ValueError("which tenant?")

        route(Refuses(read={"*": HOME}))
        assert found(self.code) == {}

    def test_not_for_an_alias_that_is_no_database(self, route, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {"default": "primary"}}
        route(Routes(read={"*": HOME}))
        assert found(self.code) == {}


class TestRouteWithoutTable:
    def test_a_model_read_where_its_table_is_not(self, route):
        route(Routes(read={"*": HOME}, migrate={"notes": ["primary"], "*": [HOME]}))
        messages = found("route-without-table")
        assert list(messages) == ["notes.Note"]
        assert messages["notes.Note"] == [
            (
                "notes.Note goes to archive, but allow_migrate says that its table is not made there. "
                "Allow it on archive, or route the model to a database that has the table."
            ),
        ]

    def test_each_model_for_itself(self, route):
        unknown = Routes(read={"users": "nowhere"}, migrate={"*": []})
        route(unknown, Routes(read={"library": HOME, "notes": HOME}))
        assert list(found("route-without-table")) == [*LIBRARY, "notes.Note"]

    def test_not_on_a_replica_of_the_database_that_has_it(self, route):
        route(Routes(read={"*": "replica1"}, write={"*": "primary"}, migrate={"*": ["primary"]}))
        assert found("route-without-table") == {}

    def test_not_where_nobody_minds(self, route):
        route(Routes(read={"*": HOME}))
        assert found("route-without-table") == {}

    def test_not_for_the_empty_default_which_has_its_own_finding(self, route):
        route(Routes(migrate={"*": ["primary"]}))
        assert found("route-without-table") == {}

    def test_not_for_a_model_whose_table_django_does_not_make(self, route, monkeypatch):
        from example_site.notes.models import Note

        monkeypatch.setattr(Note._meta, "managed", False)
        route(Routes(read={"*": HOME}, migrate={"notes": ["primary"], "*": [HOME]}))
        assert found("route-without-table") == {}

    def test_not_where_asking_allow_migrate_raised(self, route):
        class Refuses(Routes):
            def allow_migrate(self, db, app_label, model_name=None, **hints):
                raise ValueError("which tenant?")

        route(Refuses(read={"*": HOME}))
        assert found("route-without-table") == {}
        assert found("router-raised")


class TestReplicaWriteByFallback:
    def test_reads_go_to_a_replica_and_nobody_answers_for_writes(self, route):
        route(routers.ReadsOnly(), Routes(read={"notes": HOME}))
        messages = found("replica-write-by-fallback")
        assert list(messages) == LIBRARY
        assert messages["library.Book"] == [
            (
                "A library.Book read from the replica replica1 would be saved there. Answer "
                "db_for_write with primary."
            ),
        ]

    def test_not_where_a_router_answers_db_for_write(self, route):
        route(routers.ReadsOnly(), Routes(write={"*": "primary"}))
        assert found("replica-write-by-fallback") == {}

    def test_not_where_the_alias_is_no_replica(self, route, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {}}
        route(routers.ReadsOnly())
        assert found("replica-write-by-fallback") == {}

    def test_not_for_the_site_as_it_is(self):
        assert found("replica-write-by-fallback") == {}


class TestRelationRefusedByDefault:
    def test_a_primary_and_its_replica_are_different_databases_to_django(self, route):
        route(Routes(read={"library": "replica1", "*": HOME}, write={"library": "primary", "*": HOME}))
        messages = found("relation-refused-by-default")
        assert list(messages) == ["library.Book", "library.Book_tags"]
        assert messages["library.Book"] == [
            (
                "library.Book.author = a library.Person read from replica1 is refused for an object of "
                "primary. Let allow_relation return True within one replica group."
            ),
        ]

    def test_not_where_a_router_allows_it(self, route):
        route(Routes(read={"*": "replica1"}, write={"*": "primary"}, relation=True))
        assert found("relation-refused-by-default") == {}

    def test_not_where_both_ends_come_from_one_database(self, route):
        route(Routes(read={"*": "primary"}))
        assert found("relation-refused-by-default") == {}

    @pytest.mark.parametrize("write", [None, {"*": "primary"}])
    def test_not_across_databases_where_a_refusal_is_right(self, route, write):
        """Also where only the read that finds the other object goes elsewhere."""
        route(Routes(read={"library.Person": HOME, "*": "primary"}, write=write, relation=False))
        assert "library.Book" not in found("relation-refused-by-default")


class TestRelationAcrossDatabases:
    def test_a_foreign_key_from_one_primary_to_another(self, route):
        route(Routes(read={"library.Person": "auth_db", "*": HOME}))
        messages = found("relation-across-databases")
        assert list(messages) == ["library.Book"]
        assert messages["library.Book"] == [
            (
                "library.Book.author points from archive to library.Person on auth_db: joins, cascades "
                "and constraints do not cross databases. Keep both on one database, or store the key "
                "in a plain field."
            ),
        ]

    def test_not_between_a_primary_and_its_replica(self, route):
        route(Routes(read={"*": "replica1"}, write={"library.Person": "replica1", "*": "primary"}))
        assert found("relation-across-databases") == {}

    def test_not_where_both_are_written_to_one_database_and_read_from_others(self, route):
        route(Routes(read={"library.Person": "auth_db", "*": HOME}, write={"*": "primary"}))
        assert found("relation-across-databases") == {}

    def test_not_to_a_model_that_falls_to_the_empty_default(self, route):
        route(Routes(read={"library.Book": HOME}))
        assert "library.Book" not in found("relation-across-databases")

    def test_the_site_as_it_is_has_the_relations_that_its_scenarios_are_about(self):
        assert set(found("relation-across-databases")) == {"library.Review", "users.Loan"}


class TestManyToManySplit:
    def test_the_through_model_is_elsewhere(self, route):
        route(Routes(read={"library.Book_tags": "auth_db", "*": HOME}))
        messages = found("many-to-many-split")
        assert list(messages) == ["library.Book"]
        assert messages["library.Book"] == [
            (
                "library.Book.tags needs three tables on one database, but has library.Book on "
                "archive, library.Tag on archive, library.Book_tags on auth_db. Route all three alike."
            ),
        ]

    def test_not_where_all_three_share_a_primary(self, route):
        route(Routes(write={"library.Book_tags": "replica2", "*": "primary"}))
        assert found("many-to-many-split") == {}

    def test_not_where_an_end_falls_to_the_empty_default(self, route):
        route(Routes(read={"library.Book": HOME}))
        assert found("many-to-many-split") == {}


class TestContribSplit:
    def test_permissions_away_from_their_content_types(self, route):
        route(Routes(read={"contenttypes": "auth_db", "*": HOME}))
        messages = found("contrib-split")
        assert "auth.Permission" in messages
        assert messages["auth.Permission"] == [
            (
                "auth.Permission is on archive, contenttypes.ContentType on auth_db, but a permission "
                "points to its content type. Route both to one database."
            ),
        ]

    def test_the_admin_away_from_its_users(self, route):
        route(Routes(read={"admin": "auth_db", "*": HOME}))
        assert set(found("contrib-split")) == {"admin.LogEntry"}

    def test_not_where_they_are_on_a_primary_and_its_replica(self, route):
        route(Routes(read={"contenttypes": "replica1", "*": "primary"}))
        assert found("contrib-split") == {}

    def test_not_for_the_site_which_keeps_them_together(self):
        assert found("contrib-split") == {}


class TestContenttypesOnSeveral:
    def test_its_table_is_made_on_two_primaries(self, route):
        route(Routes(read={"*": HOME}, migrate={"contenttypes": ["auth_db", HOME], "*": [HOME]}))
        messages = found("contenttypes-on-several")
        assert list(messages) == ["contenttypes.ContentType"]
        assert messages["contenttypes.ContentType"] == [
            (
                "ContentType has a table on archive, auth_db: the same model may have another primary "
                "key on each, so that generic relations and permissions read across them are wrong. "
                "Let allow_migrate allow contenttypes on one database."
            ),
        ]

    def test_not_on_a_primary_and_its_replicas(self, route):
        route(Routes(read={"*": HOME}, migrate={"*": ["primary", "replica1", "replica2"]}))
        assert found("contenttypes-on-several") == {}

    def test_not_on_one(self):
        assert found("contenttypes-on-several") == {}

    def test_not_where_content_types_are_not_installed(self, settings, route):
        settings.INSTALLED_APPS = ["example_site.notes", "example_site.library", "dbroute_panel"]
        silenced = ["data-migration-everywhere"]  # the library's migrations do need them
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SILENCED_FINDINGS": silenced}
        route(Routes(read={"*": HOME}))
        assert found("contenttypes-on-several") == {}


class TestSessionReadFromReplica:
    ROUTES = Routes(read={"sessions": "replica1", "*": HOME}, write={"sessions": "primary", "*": HOME})

    def test_sessions_are_read_from_a_replica(self, route):
        route(self.ROUTES)
        messages = found("session-read-from-replica")
        assert list(messages) == ["sessions.Session"]
        assert messages["sessions.Session"] == [
            (
                "Sessions are read from the replica replica1: after a login it may not have the new "
                "one, and the visitor is logged out. Read sessions.Session from primary."
            ),
        ]

    def test_not_where_sessions_are_in_cookies(self, route, settings):
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
        route(self.ROUTES)
        assert found("session-read-from-replica") == {}

    def test_not_where_they_are_read_from_the_primary(self, route):
        route(Routes(read={"*": "primary"}))
        assert found("session-read-from-replica") == {}


class TestUnreachableRouter:
    def test_a_router_behind_one_that_answers_everything(self, route):
        route(routers.Everything(), routers.Plain())
        messages = found("unreachable-router")
        assert list(messages) == ["tests.inspection.lints.routers.Plain"]
        assert messages["tests.inspection.lints.routers.Plain"] == [
            f"No model ever reaches tests.inspection.lints.routers.Plain.{method}(): the routers before it "
            "answer for every model. Move it up, or let them return None for what is not theirs."
            for method in ("db_for_read", "allow_migrate")
        ]

    def test_not_where_one_model_reaches_it(self, route):
        route(Routes(read={"library": HOME, "users": HOME}), routers.Plain())
        assert found("unreachable-router") == {}

    def test_not_for_a_method_that_it_does_not_have(self, route):
        route(Routes(read={"*": HOME}), routers.Raising())  # which has db_for_write alone
        assert list(found("unreachable-router")["tests.inspection.lints.routers.Raising"]) == [
            message
            for message in found("unreachable-router")["tests.inspection.lints.routers.Raising"]
            if "db_for_write" in message
        ]

    def test_not_for_the_site_as_it_is(self):
        assert found("unreachable-router") == {}


class TestRouterSignature:
    @pytest.mark.parametrize(
        ("router", "says"),
        [
            (
                routers.NoHints(),
                (
                    ".db_for_read() takes no **hints, so that a call with a hint raises TypeError. "
                    "Add **hints to its parameters."
                ),
            ),
            (
                routers.Old(),
                (
                    " defines allow_syncdb, which Django has not called since 1.9. "
                    "Rename it to allow_migrate(db, app_label, model_name=None, **hints)."
                ),
            ),
            (
                routers.Older(),
                (
                    ".allow_migrate() takes (db, model), as before Django 1.8. "
                    "Take (db, app_label, model_name=None, **hints)."
                ),
            ),
            (
                routers.Plain,
                " is a class, so that its methods get no self. Put an instance into DATABASE_ROUTERS.",
            ),
        ],
    )
    def test_it_is_wrong(self, route, router, says):
        route(Routes(read={"*": HOME}, migrate={"*": [HOME]}), router)
        messages = found("router-signature")
        name = router.__name__ if isinstance(router, type) else type(router).__name__
        path = f"tests.inspection.lints.routers.{name}"
        assert messages == {path: [f"{path}{says}"]}

    def test_not_for_a_class_whose_methods_need_no_self(self, route):
        route(Routes(read={"*": HOME}), routers.Static)
        assert found("router-signature") == {}

    def test_not_for_a_router_with_catch_all_parameters(self, route):
        class CatchAll:
            def db_for_read(self, *args, **kwargs):
                return None

            allow_relation = allow_migrate = db_for_read

        route(Routes(read={"*": HOME}), CatchAll())
        assert found("router-signature") == {}

    def test_not_for_one_that_has_allow_migrate_beside_its_old_name(self, route):
        class Both(routers.Plain):
            allow_syncdb = routers.Old.allow_syncdb

        route(Routes(read={"*": HOME}), Both())
        assert found("router-signature") == {}

    def test_a_property_named_like_a_method_is_not_run(self, route):
        class Lazy:
            @property
            def allow_migrate(self):
                return lambda db, app_label: None  # without hints, as could only be seen by running it

        route(Routes(read={"*": HOME}), Lazy())
        assert found("router-signature") == {}

    def test_a_method_written_in_c_has_no_signature_to_judge(self, route):
        class Odd:
            db_for_read = staticmethod(min)

        route(Routes(read={"*": HOME}), Odd())
        assert found("router-signature") == {}

    def test_an_attribute_that_cannot_be_called_is_no_method(self, route):
        class Disabled:
            db_for_read = "off"
            allow_relation = None

        route(Routes(read={"*": HOME}, relation=True), Disabled())
        assert found("router-signature") == {}
        assert found("unreachable-router") == {}


class TestManagerIgnoresDb:
    def test_a_get_queryset_that_forgets_self_db(self):
        messages = found("manager-ignores-db")
        assert list(messages) == ["library.Book"]
        assert messages["library.Book"] == [
            (
                "library.Book.forgetful.db_manager(alias).all() does not use alias. In get_queryset(), "
                "call super().get_queryset(), or pass using=self._db to the queryset."
            ),
        ]

    def test_not_for_a_get_queryset_that_uses_it(self):
        assert not any("this_century" in message for message in found("manager-ignores-db")["library.Book"])

    def test_not_because_the_router_happens_to_answer_the_same_alias(self, route):
        route(Routes(read={"*": "auth_db"}))  # the first alias that is tried
        assert list(found("manager-ignores-db")) == ["library.Book"]

    def test_not_for_a_manager_that_cannot_say(self, route, monkeypatch):
        from example_site.library.managers import ForgetfulManager

        def get_queryset(self):
            raise RuntimeError("only inside a tenant")

        monkeypatch.setattr(ForgetfulManager, "get_queryset", get_queryset)
        assert found("manager-ignores-db") == {}


class TestDataMigrationEverywhere:
    def use(self, settings, folder):
        settings.MIGRATION_MODULES = {"notes": f"tests.inspection.lints.{folder}"}

    def test_run_python_without_hints_where_routers_let_it_run_on_several(self, settings, route):
        self.use(settings, "everywhere")
        route(Routes(read={"*": HOME}, migrate={"notes": ["primary", HOME]}))
        messages = found("data-migration-everywhere")
        assert list(messages) == ["notes.count_notes"]
        assert messages["notes.count_notes"] == [
            (
                "RunPython in notes.count_notes has no hints, so that it runs on primary, archive. "
                "Give it hints, and let allow_migrate decide by them."
            ),
        ]

    def test_not_with_hints(self, settings, route):
        self.use(settings, "hinted")
        route(Routes(read={"*": HOME}))
        assert "notes.count_notes" not in found("data-migration-everywhere")

    def test_not_where_it_does_nothing(self, settings, route):
        self.use(settings, "nothing")
        route(Routes(read={"*": HOME}))
        assert "notes.count_notes" not in found("data-migration-everywhere")

    def test_not_where_the_routers_let_it_run_on_one_database(self, settings, route):
        self.use(settings, "everywhere")
        route(Routes(read={"*": HOME}, migrate={"*": [HOME, "replica1"]}))
        assert found("data-migration-everywhere") == {}

    def test_not_where_asking_raises(self, settings, route):
        class Refuses(Routes):
            def allow_migrate(self, db, app_label, model_name=None, **hints):
                raise ValueError("which tenant?")

        self.use(settings, "everywhere")
        route(Refuses(read={"*": HOME}))
        assert found("data-migration-everywhere") == {}


class TestEmptyDefaultReachable:
    def test_a_model_that_no_router_claims(self):
        messages = found("empty-default-reachable")
        assert list(messages) == ["notes.Note"]
        assert messages["notes.Note"] == [
            (
                "No router claims notes.Note: it is read and written on default, which is {}. Let a "
                "router answer for it, or configure default."
            ),
        ]

    def test_it_says_which_of_the_two(self, route):
        route(Routes(read={"*": HOME}, write={"library": HOME, "users": HOME}))
        assert "is written on default" in found("empty-default-reachable")["notes.Note"][0]

    def test_not_where_every_model_is_claimed(self, route):
        route(Routes(read={"*": HOME}))
        assert found("empty-default-reachable") == {}

    def test_not_where_default_is_a_database(self, settings, monkeypatch):
        monkeypatch.setitem(connections.settings, "default", connections.settings["archive"])
        assert found("empty-default-reachable") == {}


class TestRandomRoute:
    def test_a_random_database_with_the_shares_of_its_answers(self, route):
        route(routers.OneByOne("primary", "archive"), Routes(write={"*": "primary"}))
        messages = found("random-route")
        assert list(messages) == list(build_map().models)
        assert messages["library.Book"] == [
            (
                "db_for_read gives different answers for library.Book: archive 50 %, primary 50 % of 100. If "
                "these are replicas of one primary, declare them in REPLICAS; else make the router decide by "
                "the model."
            ),
        ]
        assert LINTS["random-route"].level is Level.INFO

    def test_a_thousand_models_are_asked_about_a_hundred_times_with_little_more(self, route, thousand):
        route(routers.OneByOne("primary", "archive"), Routes(write={"*": "primary"}))
        routes = build_map()
        assert len([finding for finding in run_lints(routes) if finding.code == "random-route"]) > 1000
        asked = len(routes.models) * 100
        assert count_calls(lambda: run_lints(routes)) < 45 * asked

    @pytest.mark.parametrize("group", [("replica1", "replica2"), ("primary", "replica1", "replica2")])
    def test_not_where_reads_are_divided_among_one_declared_group(self, route, group):
        route(routers.OneByOne(*group), Routes(write={"*": "primary"}))
        assert found("random-route") == {}

    def test_where_one_of_them_is_of_another_group(self, route):
        route(routers.OneByOne("replica1", "replica2", "archive"), Routes(write={"*": "primary"}))
        assert "library.Book" in found("random-route")

    def test_where_the_group_is_not_declared(self, route, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {}}
        route(routers.OneByOne("replica1", "replica2"), Routes(write={"*": "primary"}))
        assert "declare them in REPLICAS" in found("random-route")["library.Book"][0]

    def test_writes_are_divided_among_no_group(self, route):
        class OnlyWrites:
            def __init__(self):
                self.one_by_one = routers.OneByOne("primary", "replica1")

            def db_for_write(self, model, **hints):
                return self.one_by_one.db_for_read(model, **hints)

        route(OnlyWrites(), Routes(read={"*": "replica1"}))
        (message,) = found("random-route")["library.Book"]
        assert message == (
            "db_for_write gives different answers for library.Book: primary 50 %, replica1 50 % of 100. Make "
            "the router decide by the model."
        )

    def test_not_where_the_same_alias_comes_again(self, route):
        route(routers.OneByOne("primary"), Routes(write={"*": "primary"}))
        assert found("random-route") == {}

    def test_not_because_reads_and_writes_differ(self, route):
        route(Routes(read={"*": "replica1"}, write={"*": "primary"}))
        assert found("random-route") == {}


class TestRouterRaised:
    def test_asking_raised(self, route):
        route(routers.Raising(), Routes(read={"*": HOME}))
        messages = found("router-raised")
        assert list(messages) == ["notes.Note"]
        assert messages["notes.Note"] == [
            (
                "Asking db_for_write about notes.Note raised LookupError: no tenant. A router should "
                "return None for what it has no opinion on."
            ),
        ]

    def test_one_error_is_one_finding_whatever_the_models(self, route):
        class Wrong(Routes):
            def db_for_read(self, model, **hints):
                raise LookupError("no tenant")

            db_for_write = db_for_read

        route(Wrong())
        labels = list(build_map().models)
        [(subject, (message,))] = found("router-raised").items()
        assert subject == labels[0]
        assert message == (
            f"Asking db_for_read and db_for_write about {', '.join(labels[:3])} and {len(labels) - 3} "
            "more raised LookupError: no tenant. A router should return None for what it has no opinion "
            "on."
        )

    @pytest.mark.parametrize("name", ["label", "label_lower", "object_name", "app_label", "db_table"])
    def test_an_error_that_names_the_model_is_one_too(self, route, name):
        class Wrong(Routes):
            def db_for_read(self, model, **hints):
                raise LookupError(f"no route for {getattr(model._meta, name)}")

        route(Wrong(write={"*": HOME}))
        [(subject, (message,))] = found("router-raised").items()
        first = getattr(apps.get_model(subject)._meta, name)
        told = f"raised LookupError: no route for {first}, or the same with another name. A router"
        assert told in message

    def test_each_error_is_one(self, route):
        class Wrong(Routes):
            def db_for_read(self, model, **hints):
                if model._meta.app_label == "users":
                    raise LookupError("no user")
                raise LookupError("no tenant")

        route(Wrong(write={"*": HOME}))
        assert [len(messages) for messages in found("router-raised").values()] == [1, 1]

    def test_not_where_the_router_that_raises_is_not_asked(self, route):
        route(Routes(read={"*": HOME}), routers.Raising())
        assert found("router-raised") == {}

    def test_not_for_a_method_that_is_missing(self, route):
        route(object(), Routes(read={"*": HOME}))
        assert found("router-raised") == {}


def test_a_model_that_cannot_be_made_without_arguments_says_nothing(route, monkeypatch):
    from example_site.library.models import Book

    def needs_a_tenant(self, tenant, *args, **kwargs):
        """Its objects cannot be made from nothing."""

    monkeypatch.setattr(Book, "__init__", needs_a_tenant)
    route(routers.ReadsOnly())
    messages = found("replica-write-by-fallback")
    assert "library.Person" in messages
    assert "library.Book" not in messages
    route(Routes(read={"library": "replica1", "*": HOME}, write={"library": "primary", "*": HOME}))
    messages = found("relation-refused-by-default")
    assert "library.Book" not in messages


def test_a_router_class_that_overrides_the_whole_chain_hides_its_routers(route, monkeypatch):
    from django.db import router

    monkeypatch.setattr(type(router).__mro__[1], "db_for_read", lambda self, model, **hints: HOME)
    route(routers.Everything(), routers.Plain())
    assert all(
        "db_for_read" not in message
        for messages in found("unreachable-router").values()
        for message in messages
    )


def test_a_lint_is_registered_with_its_code_and_level(monkeypatch):
    monkeypatch.setattr(registry, "LINTS", {})

    def looks(facts):
        """Looks."""

    assert registry.lint("looks", Level.INFO)(looks) is looks
    assert registry.LINTS["looks"] == registry.Lint("looks", Level.INFO, looks)


def test_the_worst_come_first(route):
    route(routers.OneByOne("primary", "archive"))
    ranks = [finding.level.rank for finding in run_lints()]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) > 1


def test_silenced_findings_are_not_reported(settings):
    everything = {finding.code for finding in run_lints()}
    # The others are looked for, wherever the silenced ones are in their order.
    for code in (next(iter(LINTS)), "manager-ignores-db"):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SILENCED_FINDINGS": [code]}
        assert {finding.code for finding in run_lints()} == everything - {code}
    assert {"empty-default-reachable", "manager-ignores-db"} <= everything


def test_a_lint_that_fails_is_logged_and_costs_only_its_own_findings(monkeypatch, caplog):
    def broken(facts):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(recorder, "_complaints", set())  # this one is meant to fail
    monkeypatch.setitem(LINTS, "random-route", LINTS["random-route"]._replace(problems=broken))
    codes = {finding.code for finding in run_lints()}
    assert "random-route" not in codes
    assert "manager-ignores-db" in codes
    assert caplog.messages == ["dbroute_panel could not look for random-route."]
    assert "a mistake of ours" in caplog.text


def test_a_map_that_was_asked_before_is_taken(route):
    routes = build_map()
    route(Routes(read={"*": HOME}))
    assert "empty-default-reachable" not in {finding.code for finding in run_lints()}
    assert "empty-default-reachable" in {finding.code for finding in run_lints(routes)}


def test_asking_for_findings_runs_no_query(django_assert_num_queries):
    run_lints()
    with ExitStack() as every_database:
        for alias in set(connections) - {"default"}:
            every_database.enter_context(django_assert_num_queries(0, connection=connections[alias]))
        run_lints()


def test_every_code_of_the_design_has_its_lint():
    assert set(LINTS) == {
        "route-to-unknown-alias",
        "route-without-table",
        "replica-write-by-fallback",
        "relation-refused-by-default",
        "relation-across-databases",
        "many-to-many-split",
        "contrib-split",
        "contenttypes-on-several",
        "session-read-from-replica",
        "unreachable-router",
        "router-signature",
        "manager-ignores-db",
        "data-migration-everywhere",
        "empty-default-reachable",
        "random-route",
        "router-raised",
        "table-on-several",
        "replica-migratable",
    }


class TestRoutersThatCannotBeMade:
    @pytest.fixture(params=["nowhere.Router", f"{routers.__name__}.Missing", f"{routers.__name__}.Unmade"])
    def path(self, request, monkeypatch):
        """``DATABASE_ROUTERS`` with a router that cannot be made, behind one that can."""
        entries = [routers.Raising(), f"{routers.__name__}.Raising", request.param]
        monkeypatch.setattr(router, "_routers", entries)
        monkeypatch.delitem(router.__dict__, "routers")
        return request.param

    def test_the_cause_is_first_and_what_comes_of_it_is_told_once(self, path):
        cause, repeated, *others = run_lints()
        assert (cause.code, cause.subject, cause.level) == ("router-signature", path, Level.ERROR)
        assert cause.message.startswith(f"The router {path} of DATABASE_ROUTERS cannot be made: ")
        assert repeated.code == "router-raised"
        assert "No router was asked" in repeated.message
        assert not {"router-signature", "router-raised", "unreachable-router"} & {one.code for one in others}

    def test_the_command_and_the_checks_begin_with_it(self, path, capsys):
        with pytest.raises(CommandError):
            call_command("dbroute", "lint")
        assert capsys.readouterr().out.startswith(f"error router-signature: {path}")
        first, *others = run_checks(tags=["dbroute"])
        assert (first.id, first.obj) == ("dbroute_panel.router-signature", path)
        assert [one.id for one in others].count("dbroute_panel.router-raised") == 1


def test_what_is_wrong_with_a_router_comes_before_what_comes_of_it(route):
    class Wrong:
        def db_for_read(self, model):
            return "nowhere"

    route(Wrong(), Routes(write={"*": HOME}))
    codes = [one.code for one in run_lints() if one.level is Level.ERROR]
    assert codes[0] == "router-signature"
    assert "route-to-unknown-alias" in codes[1:]
