"""The routers page: the chain, what traces say of it, and databases without their secrets."""

from __future__ import annotations

import html
import re
import types

import pytest
from django.contrib.auth.models import Permission, User
from django.db import router
from django.test import Client

from dbroute_panel import trace
from dbroute_panel.presentation import RouterStats, ShortNames, highlight_source
from dbroute_panel.records import Action, DecidedBy, Outcome, Step
from dbroute_panel.views import routers as page
from dbroute_panel.views.databases import MASK, mask_credentials, public_settings
from example_site.library.models import Book
from example_site.routers import AuthRouter, EverythingRouter, PrimaryReplicaRouter
from example_site.users.models import User as Reader
from tests.traces import a_decision, a_trace
from tests.views.test_trace import text, url

SECRETS = ("s3cret", "bob", "t0ken")


class Loud:
    """Fails the test when anything of it is run."""

    def __getattribute__(self, name):
        if name in ("__class__", "__dict__"):
            return object.__getattribute__(self, name)
        raise AssertionError(f"{name} was looked up")

    def db_for_read(self, model, **hints):
        raise AssertionError("asked")


class ByGetattr:
    def __getattr__(self, name):
        raise AssertionError(f"{name} was looked up")


class TestChain:
    def test_the_routers_in_order_with_file_line_and_source(self, admin):
        shown = text(admin.get(url("routers")))
        places = [shown.index(f"{n}. {name} example_site.routers.{name}") for n, name in enumerate(NAMES, 1)]
        assert places == sorted(places)
        assert re.search(r"example_site\.routers\.AuthRouter example_site/routers\.py:8 ", shown)
        assert "If no router answers: db_for_read and db_for_write take the database of the hint" in shown

    def test_the_source_is_highlighted_and_complete(self, admin):
        body = admin.get(url("routers")).content.decode()
        source = re.search(r"<pre[^>]*><code>(.*?)</code></pre>", body, re.DOTALL)[1]
        keyword, name = '<span class="dbroute-hl-keyword">class </span>', '<span class="dbroute-hl-name">'
        assert f"{keyword}{name}AuthRouter</span>" in source
        plain = html.unescape(re.sub(r"<[^>]+>", "", source))
        assert plain.startswith("class AuthRouter:\n")
        assert plain.endswith('return db == "auth_db"\n        return None\n')

    def test_inherited_methods_bring_the_source_of_their_class(self):
        shown = page.describe_router(EverythingRouter(), ShortNames([]), RouterStats())
        assert [source.name for source in shown.sources] == ["EverythingRouter", "PrimaryReplicaRouter"]
        read, relation = (
            method for method in shown.methods if method.action in (Action.READ, Action.RELATION)
        )
        assert read.source.function == "EverythingRouter.db_for_read"
        assert relation.source.function == "PrimaryReplicaRouter.allow_relation"

    def test_no_router_is_asked_and_nothing_of_it_is_run(self, site, store, client, settings):
        client.force_login(User.objects.get(username="admin"))
        shown = page.describe_router(Loud(), ShortNames([]), RouterStats())
        assert [method.has for method in shown.methods] == [True, False, False, False]
        by_getattr = page.describe_router(ByGetattr(), ShortNames([]), RouterStats())
        assert [method.has for method in by_getattr.methods] == [None] * 4

    def test_modules_classes_and_what_has_no_source(self):
        module = types.ModuleType("made_up")
        module.db_for_read = lambda model, **hints: None
        assert page.describe_router(module, ShortNames([]), RouterStats()).sources == ()
        made = type("Made", (), {"allow_migrate": lambda self, db, app_label, **hints: True})
        shown = page.describe_router(made(), ShortNames([]), RouterStats())
        assert shown.methods[3].has
        assert (
            page.describe_router(AuthRouter, ShortNames([]), RouterStats()).path
            == "example_site.routers.AuthRouter"
        )
        from tests.inspection import routers as real_module

        assert (
            page.describe_router(real_module, ShortNames([]), RouterStats())
            .sources[0]
            .place.endswith("routers.py:1")
        )

    def test_without_routers_it_says_what_django_does(self, admin, monkeypatch):
        response = admin.get(url("routers"))
        monkeypatch.setitem(response.context_data, "chain", [])
        response._is_rendered = False
        assert "No routers are configured" in text(response.render())


class TestExperience:
    def test_the_numbers_are_those_of_the_traces(self, admin):
        with trace("reading"):
            for _ in range(3):
                Book.objects.first()
            Reader.objects.first()
        body = admin.get(url("routers")).content.decode()
        numbers = {}
        for name, table in zip(NAMES, re.findall(r"<tbody>.*?</tbody>", body, re.DOTALL), strict=True):
            # db_for_read's: its numbers, and what it answered for in a row of its own below
            cells = [
                " ".join(re.sub(r"<[^>]+>", " ", cell).split())
                for cell in re.findall(r"<td\b.*?</td>", table.partition("db_for_write")[0], re.DOTALL)
            ]
            numbers[name] = (*cells[:4], *cells[5:])
        assert numbers == {
            "AuthRouter": ("4", "0", "4", "0"),
            "UserRouter": ("4", "1", "3", "0", "answered for users.User 1"),
            "PrimaryReplicaRouter": ("3", "3", "0", "0", "answered for library.Book 3"),
        }

    def test_what_raised_and_the_mean(self):
        router_stats = RouterStats()
        steps = [
            Step(router="a.A", outcome=Outcome.PASSED, duration_us=1.0),
            Step(router="a.B", outcome=Outcome.NO_METHOD),
            Step(router="a.C", outcome=Outcome.RAISED, error="KeyError: 1", duration_us=9.0),
            Step(router="a.D", outcome=Outcome.NOT_ASKED),
        ]
        failed = a_decision(1, steps=steps, decided_by=DecidedBy.ERROR, answer=None)
        quick = a_decision(2, steps=[Step(router="a.A", outcome=Outcome.PASSED, duration_us=3.0)])
        router_stats.add(a_trace(1, events=[failed, quick]))
        stats = router_stats.find("a.A", Action.READ)
        assert (stats.asked, stats.passed, stats.mean_us) == (2, 2, 2.0)
        assert router_stats.find("a.C", Action.READ).raised == 1
        assert router_stats.find("a.D", Action.READ).mean_us is None
        assert router_stats.routers() == ["a.A", "a.C"]

    def test_of_hundreds_of_models_that_one_answered_for_the_most_frequent_are_named(self, admin, store):
        steps = [Step(router=f"example_site.routers.{NAMES[2]}", outcome=Outcome.ANSWERED, answer="primary")]
        models = [*(f"app.Model{number}" for number in range(899)), "app.Often", "app.Often"]
        asked = [a_decision(number, steps=steps, model=model) for number, model in enumerate(models, 1)]
        store.save(a_trace(1, events=asked))
        body = admin.get(url("routers")).content.decode()
        assert body.count("<li>app.") == 100
        (first, *_others) = re.findall(r"<li>(app\.\w+)", body)
        assert first == "app.Often"
        assert "and 892 more" in body
        assert "and 800 that were asked about more rarely" in body

    def test_routers_that_are_gone_are_named(self, admin, store):
        store.save(a_trace(1))
        assert "no longer in the chain: routers.AuthRouter , routers.ReplicaRouter" in text(
            admin.get(url("routers"))
        )

    def test_the_newest_are_read_and_the_page_says_how_many(self, admin, store, monkeypatch):
        monkeypatch.setattr(page, "MAX_TRACES", 2)
        for number in range(1, 6):
            store.save(a_trace(number))
        assert "Counted in the newest 2 of 5 stored traces. Decisions: 2." in text(admin.get(url("routers")))

    def test_it_stops_when_reading_takes_too_long(self, admin, store, monkeypatch):
        monkeypatch.setattr(page, "TIME_BUDGET_SECONDS", -1.0)
        for number in range(1, 4):
            store.save(a_trace(number))
        assert "Counted in the newest 1 of 3 stored traces. Decisions: 1." in text(admin.get(url("routers")))

    def test_looking_leaves_no_trace_and_asks_no_router_about_the_project(self, admin, monkeypatch):
        asked = []

        class Noting(PrimaryReplicaRouter):
            def db_for_read(self, model, **hints):
                asked.append(model._meta.app_label)
                return super().db_for_read(model, **hints)

        monkeypatch.setitem(router.__dict__, "routers", [AuthRouter(), Noting()])
        assert admin.get(url("routers")).status_code == 200
        assert asked == []


class TestDatabases:
    def test_they_are_listed_with_what_matters(self, admin):
        shown = text(admin.get(url("routers")))
        assert re.search(
            r"replica1 ↦ primary vendor sqlite example_site\.replica replica of primary NAME", shown
        )
        assert "ATOMIC_REQUESTS no CONN_MAX_AGE 0: closed after each request" in shown
        assert "default Empty: no database." in shown

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("shop", "shop"),
            ("/srv/data@2/shop.sqlite3", "/srv/data@2/shop.sqlite3"),
            (":memory:", ":memory:"),
            ("file:///srv/shop.sqlite3?mode=ro", "file:///srv/shop.sqlite3"),
            ("file:shared?mode=memory&key=s3cret", "file:shared"),
            ("postgres://bob:s3cret@db.example/shop?sslmode=require", f"postgres://{MASK}@db.example/shop"),
            ("postgres://bob:s3/cr@et@db/shop", f"postgres://{MASK}@db/shop"),
            ("postgres://bob:s3?cret#@db/shop", f"postgres://{MASK}@db/shop"),
            ("postgresql+psycopg://bob@db/shop", f"postgresql+psycopg://{MASK}@db/shop"),
            ("libsql://db.example/shop?authToken=t0ken", "libsql://db.example/shop"),
            ("jdbc:sqlserver://db;user=bob;password=s3cret", "jdbc:sqlserver://db"),
            ("host=db user=bob password=s3cret dbname=shop", "host=db dbname=shop …"),
            ("host = db password = 's3 host=cret' dbname='shop'", "host=db dbname='shop' …"),
            (r"password=s3\ host=cret dbname=shop", "dbname=shop …"),
            ("Server=db;UID=bob;PWD={s3;server=cret};Database=shop", "Server=db Database=shop …"),
            ("password=s3cret; and more words", MASK),
            ("bob/s3cret@db:1521/shop", f"{MASK}@db:1521/shop"),
            ("bob:s3@cret@db", f"{MASK}@db"),
            (":s3cret@db", f"{MASK}@db"),
            ("(DESCRIPTION=(HOST=db)(PASSWORD=s3cret))", MASK),
            ({"password": "s3cret"}, MASK),
            (None, ""),
        ],
    )
    def test_of_a_name_or_host_nothing_secret_is_shown(self, value, shown):
        assert mask_credentials(value) == shown
        assert not [secret for secret in SECRETS if secret in shown]

    def test_of_a_whole_setting_only_our_list_is_shown(self):
        shown = public_settings(
            {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "postgres://bob:s3cret@/shop",
                "USER": "bob",
                "PASSWORD": "s3cret",
                "HOST": "bob:s3cret@db",
                "PORT": "5432?password=s3cret",
                "OPTIONS": {"password": "s3cret", "service": "t0ken"},
                "TOKEN": "t0ken",
                "ATOMIC_REQUESTS": True,
                "CONN_MAX_AGE": None,
            }
        )
        assert shown == [
            ("NAME", f"postgres://{MASK}@/shop"),
            ("HOST", f"{MASK}@db"),
            ("PORT", MASK),
            ("ATOMIC_REQUESTS", "yes"),
            ("CONN_MAX_AGE", "kept open"),
        ]

    def test_the_page_of_a_project_with_secrets(self, admin, monkeypatch):
        from django.db import connections

        monkeypatch.setitem(
            connections.settings["archive"], "NAME", "host=db user=bob password=s3cret dbname=shop"
        )
        for key, value in {"USER": "bob", "PASSWORD": "s3cret", "OPTIONS": {"token": "t0ken"}}.items():
            monkeypatch.setitem(connections.settings["archive"], key, value)
        body = admin.get(url("routers")).content.decode()
        assert "host=db dbname=shop" in body
        assert not [secret for secret in SECRETS if secret in body]

    def test_a_driver_that_is_not_installed_is_no_error(self, admin, monkeypatch):
        from django.db import connections

        monkeypatch.setitem(connections.settings["archive"], "ENGINE", "nowhere.backend")
        assert "? nowhere.backend" in text(admin.get(url("routers")))


class TestPermissions:
    @pytest.mark.parametrize(
        ("permission", "status"),
        [(None, 403), ("use_sandbox", 403), ("delete_trace", 403), ("view_trace", 200)],
    )
    def test_looking(self, site, store, permission, status):
        user = User.objects.create_user("somebody", is_staff=True)
        if permission:
            user.user_permissions.add(
                Permission.objects.get(content_type__app_label="dbroute_panel", codename=permission)
            )
        client = Client()
        client.force_login(user)
        response = client.get(url("routers"))
        assert response.status_code == status
        if status == 200:
            assert "/sandbox/" not in response.content.decode()


class TestHighlighting:
    @pytest.mark.parametrize(
        "source",
        [
            "class A:\n\tdef f(self):\n\t\treturn f'{self!r:>{10}} {{x}}' # ümlaut 'no'\n",
            "x = '''a\nb''' + r\"\\d\"\r\nfor é in x: pass",
            "    def method(self):\n        return 1\n",
            "def broken(:\n  'unclosed",
            "\f\ndef f(): pass\n",
            "a = 1\x0bb = 2\nc = '\u2028'\nd = 3\n",
            "",
        ],
    )
    def test_the_pieces_are_the_source(self, source):
        assert "".join(piece.text for piece in highlight_source(source)) == source

    def test_kinds(self):
        css = {piece.text.strip(): piece.css for piece in highlight_source("class A:  # note\n    x = 'y'\n")}
        assert css == css | {
            "class": "dbroute-hl-keyword",
            "A": "dbroute-hl-name",
            "# note": "dbroute-hl-comment",
            "'y'": "dbroute-hl-literal",
        }

    def test_what_is_very_long_is_cut(self):
        (piece,) = highlight_source("x = 1\n" * 20_000)
        assert len(piece.text) == 50_001


NAMES = ("AuthRouter", "UserRouter", "PrimaryReplicaRouter")
