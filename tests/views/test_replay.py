"""The replay page: the questions of a recorded trace, asked again, and nothing done."""

from __future__ import annotations

import re
import shlex
import sys
import time
import types

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections, router
from django.test import Client
from django.utils.html import escape

from dbroute_panel import trace
from dbroute_panel.inspection.isolation import run_isolated
from dbroute_panel.management.commands.dbroute import Command
from dbroute_panel.records import Action, Callsite, DecidedBy, InstanceRef
from example_site.library.models import Book, Person
from example_site.users.models import User as Reader
from example_site.variants import in_order, swapped
from tests.traces import a_decision, a_trace, a_transaction
from tests.views.test_trace import HOSTILE, PARTIAL, text, url

AUTH, USERS, LIBRARY, EVERYTHING, NOWHERE = (
    f"example_site.routers.{name}Router"
    for name in ("Auth", "User", "PrimaryReplica", "Everything", "Nowhere")
)


class Slow:
    def db_for_read(self, model, **hints):
        time.sleep(0.05)


class Querying:
    """Asks a database before it decides."""

    def db_for_read(self, model, **hints):
        return "primary" if Person.objects.using("primary").exists() else None


class Raising:
    def db_for_read(self, model, **hints):
        raise LookupError("no shard for <this>")


def no_router():
    raise AssertionError("called")


@pytest.fixture
def recorded(site, store):
    with trace("recorded") as t:
        Book.objects.first()
        for _ in range(2):
            Reader.objects.first()
        Reader.objects.last()
    return t.document


def ask(client, of, *routers, repeat="1", **extra):
    data = {"routers": "\n".join(routers), "repeat": repeat}
    return client.post(url("replay", of.id), data, **extra)


def changes(response) -> list[list[str]]:
    """The rows of the table as a person reads them."""
    table = re.search(r'<table class="dbroute-changes.*?</table>', response.content.decode(), re.DOTALL)
    bodies = re.findall(r"<tr>.*?</tr>", table[0], re.DOTALL)[1:] if table else []
    return [
        [
            " ".join(re.sub(r"<[^>]+>", " ", cell).split())
            for cell in re.findall(r"<(?:td|th)\b[^>]*>(.*?)</(?:td|th)>", body, re.DOTALL)
        ]
        for body in bodies
    ]


class TestLooking:
    def test_it_says_what_would_be_asked_of_whom_and_asks_nobody(self, admin, recorded, monkeypatch):
        asked = []
        monkeypatch.setattr(
            "example_site.routers.PrimaryReplicaRouter.db_for_read", lambda *a, **k: asked.append(a)
        )
        response = admin.get(url("replay", recorded.id))
        shown = text(response)
        assert "The 4 questions that were recorded on" in shown
        assert "Nothing was asked yet." in shown
        assert f"{AUTH}\n{USERS}\n{LIBRARY}" in response.content.decode()
        assert asked == []

    def test_the_trace_page_leads_here(self, admin, recorded):
        assert url("replay", recorded.id) in admin.get(url("change", recorded.id)).content.decode()

    def test_other_routers_at_that_time_are_named(self, admin, store):
        store.save(a_trace(1))
        shown = text(admin.get(url("replay", a_trace(1).id)))
        assert (
            "the routers are others today Recorded with routers.AuthRouter , routers.ReplicaRouter" in shown
        )

    def test_an_unknown_trace(self, admin):
        for method in (admin.get, admin.post):
            response = method(url("replay", "nothing"))
            assert response.status_code == 404
            assert "There is no trace “nothing”" in text(response)


class TestAsking:
    def test_todays_routers(self, admin, recorded):
        for routers in ((), (AUTH, USERS, LIBRARY)):
            response = ask(admin, recorded, *routers)
            shown = text(response)
            assert response.status_code == 200
            assert "Nothing would change. 4 asked 4 the same 0 changed 0 not replayable" in shown
            assert f"manage.py dbroute replay {recorded.id}" in shown
            assert "--routers" not in shown

    def test_other_routers(self, admin, recorded):
        response = ask(admin, recorded, LIBRARY)
        lines = [decision.callsite.line for decision in recorded.decisions[2:]]
        assert "3 of 4 decisions would change. 4 asked 1 the same 3 changed" in text(response)
        file = "tests/views/test_replay.py"
        assert changes(response) == [
            [
                *("users.User", "3", "db_for_read", "legacy_users", "default"),
                f"{file}:{lines[0]} ×2 {file}:{lines[1]}",
            ]
        ]

    def test_the_swapped_routers_change_exactly_what_they_took_over(self, admin, store):
        from django.contrib.auth.models import Group

        with trace("swapped") as t:
            Group.objects.first()
            Book.objects.first()
        response = ask(admin, t.document, *in_order.DATABASE_ROUTERS)
        assert changes(response) == []
        response = ask(admin, t.document, *swapped.DATABASE_ROUTERS, repeat="50")
        ((model, count, action, was, now, place),) = changes(response)
        assert (model, count, action, was) == ("auth.Group", "1", "db_for_read", "auth_db")
        assert re.sub("↦ replica of primary ?", "", now).split() == ["replica1", "replica2"]
        assert place.startswith("tests/views/test_replay.py:")

    def test_the_command_line_is_the_same_replay(self, admin, recorded, capsys):
        response = ask(admin, recorded, LIBRARY, repeat="3")
        (line,) = re.findall(r"<code>(manage\.py dbroute replay [^<]*)</code>", response.content.decode())
        words = shlex.split(line)
        assert words[:3] == ["manage.py", "dbroute", "replay"]
        assert words[3:] == [recorded.id, "--routers", LIBRARY, "--repeat", "3"]
        Command().run_from_argv(words)
        assert "4 decisions asked again: 1 the same, 3 changed" in capsys.readouterr().out

    def test_a_router_that_queries_is_stopped_and_counted(self, admin, recorded, monkeypatch):
        monkeypatch.setitem(router.__dict__, "routers", [*router.routers[:2], Querying()])
        shown = text(ask(admin, recorded))
        assert "1 not replayable" in shown
        assert "Nothing would change in the 3 of 4 decisions that could be asked again." in shown
        assert "Not replayable 1 A router queried primary." in shown

    def test_an_answer_that_is_no_database_and_one_that_is_none(self, admin, store, monkeypatch):
        store.save(a_trace(1, events=[a_decision(1, hints={}, answer="primary")]))
        assert changes(ask(admin, a_trace(1), NOWHERE))[0][3:5] == ["primary", "nowhere"]
        monkeypatch.setitem(router.__dict__, "routers", [*router.routers[:2], Raising()])
        response = ask(admin, a_trace(1))
        assert changes(response)[0][4] == "LookupError: no shard for &lt;this&gt;"

    def test_relations_and_migrations_in_words(self, admin, store):
        book = InstanceRef(model="library.Book", pk="1", state_db="replica1", adding=False)
        note = InstanceRef(model="users.User", pk="1", state_db="legacy_users", adding=False)
        store.save(
            a_trace(
                1,
                events=[
                    a_decision(
                        1,
                        action=Action.RELATION,
                        model=None,
                        args={"obj1": book, "obj2": note},
                        hints={},
                        answer=True,
                    ),
                    a_decision(
                        2,
                        action=Action.MIGRATE,
                        args={"db": "auth_db", "app_label": "library", "model_name": "book"},
                        hints={},
                        answer=True,
                    ),
                ],
            )
        )
        found = {row[2].split()[0]: row for row in changes(ask(admin, a_trace(1)))}
        assert found["allow_relation"][:5] == [
            *("library.Book + users.User", "1", "allow_relation", "allowed", "refused")
        ]
        assert found["allow_migrate"][2:5] == ["allow_migrate auth_db", "migrate", "skip"]

    def test_many_places_unfold(self, admin, store):
        sites = [Callsite(file="views.py", line=number, function="view") for number in range(1, 11)]
        decisions = [
            a_decision(n, hints={}, answer="elsewhere", callsite=site) for n, site in enumerate(sites, 1)
        ]
        store.save(a_trace(1, events=decisions))
        response = ask(admin, a_trace(1), "example_site.routers.PassingRouter")
        assert "views.py:5 and 5 more places views.py:6" in changes(response)[0][5]

    def test_many_changes_are_cut(self, admin, store):
        decisions = [a_decision(n, hints={}, answer=f"gone{n}") for n in range(1, 301)]
        store.save(a_trace(1, events=decisions))
        response = ask(admin, a_trace(1))
        assert len(changes(response)) == 200
        assert "and 100 more kinds of change" in text(response)

    def test_a_trace_without_decisions(self, admin, store):
        store.save(a_trace(1, events=[]))
        assert "There was nothing to ask: this trace has no decisions." in text(ask(admin, a_trace(1)))

    def test_what_was_recorded_is_text(self, admin, store):
        decision = a_decision(1, model=HOSTILE, answer=HOSTILE, hints={}, decided_by=DecidedBy.ROUTER)
        store.save(a_trace(1, name=HOSTILE, request=None, routers=[HOSTILE], events=[decision]))
        body = ask(admin, a_trace(1)).content.decode()
        assert "<script>alert(1)" not in body
        reasons = re.search(r'<ul class="dbroute-reasons">.*?</ul>', body, re.DOTALL)[0]
        assert escape("<script>alert(1)</script>") in reasons

    def test_asking_leaves_no_trace_and_the_routers_as_they_were(self, admin, recorded, store):
        before = router.routers
        ask(admin, recorded, LIBRARY)
        assert router.routers is before
        assert store.count() == 1

    def test_htmx_gets_the_form_and_the_answer_alone(self, admin, recorded):
        response = ask(admin, recorded, headers=PARTIAL)
        body = response.content.decode()
        assert body.lstrip().startswith('<div id="dbroute-replay"')
        assert "csrfmiddlewaretoken" in body
        assert "HX-Request-Type" in response["Vary"]


class TestWrongInput:
    @pytest.mark.parametrize(
        ("routers", "repeat", "message"),
        [
            ((), "0", "Ask N times: a number from 1 to 1000."),
            ((), "many", "Ask N times: a number from 1 to 1000."),
            ((), "1001", "Ask N times: a number from 1 to 1000."),
            (
                ("example_site.routers.AuthRuter",),
                "1",
                "The module 'example_site.routers' has no 'AuthRuter'. Did you mean 'AuthRouter'?",
            ),
            (("example_site.ruters.AuthRouter",), "1", "There is no module 'example_site.ruters'."),
            (("os.abort",), "1", "“os.abort” is not from this project."),
            (("AuthRouter",), "1", "“AuthRouter” is not from this project."),
            (("example_site.replication.forget",), "1", "is no router: a router is a class with one of"),
            (("django.core.management.call_command",), "1", "is no router"),
            (("example_site.settings.DATABASES",), "1", "is no router"),
            (("example_site",), "1", "No router 'example_site'."),
            (tuple(f"example_site.R{n}" for n in range(60)), "1", "Routers: 60 are too many, 50 at most."),
        ],
    )
    def test_is_one_clear_message(self, admin, recorded, routers, repeat, message):
        response = ask(admin, recorded, *routers, repeat=repeat)
        assert response.status_code == 400
        assert message in text(response)
        assert response.content.decode().count('class="errornote"') == 1
        assert "Traceback" not in text(response)

    def test_what_is_no_class_is_never_called(self, admin, recorded, monkeypatch):
        module = types.ModuleType("example_site.made_up")
        module.make = no_router
        monkeypatch.setitem(sys.modules, "example_site.made_up", module)
        assert ask(admin, recorded, "example_site.made_up.make").status_code == 400

    def test_a_module_that_cannot_be_imported(self, admin, recorded, tmp_path, monkeypatch):
        import example_site

        (tmp_path / "broken_w2.py").write_text("1 / 0")
        (tmp_path / "ending_w2.py").write_text("raise SystemExit(3)")
        monkeypatch.setattr(example_site, "__path__", [*example_site.__path__, str(tmp_path)])
        response = ask(admin, recorded, "example_site.broken_w2.Router")
        assert response.status_code == 400
        assert "cannot be made: ZeroDivisionError" in text(response)
        response = ask(admin, recorded, "example_site.ending_w2.Router")
        assert response.status_code == 400
        assert "Importing “example_site.ending_w2.Router” ends the program." in text(response)

    def test_what_takes_too_long_is_stopped(self, admin, recorded, monkeypatch):
        monkeypatch.setattr(run_isolated, "__kwdefaults__", {"seconds": 0.3})
        monkeypatch.setitem(router.__dict__, "routers", [router.routers[0], Slow()])
        response = ask(admin, recorded, repeat="1000")
        assert "The routers did not answer within 0.3 seconds; asking was stopped." in text(response)


class TestPermissions:
    @pytest.mark.parametrize("method", ["get", "post"])
    @pytest.mark.parametrize(
        ("permissions", "allowed"),
        [
            ((), False),
            (("view_trace",), False),
            (("use_sandbox",), False),
            (("view_trace", "use_sandbox"), True),
        ],
    )
    def test_it_shows_a_trace_and_asks_so_it_needs_both(self, recorded, method, permissions, allowed):
        user = User.objects.create_user("somebody", is_staff=True)
        user.user_permissions.add(
            *Permission.objects.filter(content_type__app_label="dbroute_panel", codename__in=permissions)
        )
        client = Client()
        client.force_login(user)
        response = getattr(client, method)(url("replay", recorded.id), {"repeat": "1"})
        assert response.status_code == (200 if allowed else 403)

    def test_the_link_is_for_those_who_may(self, recorded):
        user = User.objects.create_user("somebody", is_staff=True)
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label="dbroute_panel", codename="view_trace")
        )
        client = Client()
        client.force_login(user)
        assert "/replay/" not in client.get(url("change", recorded.id)).content.decode()

    def test_the_csrf_token(self, recorded):
        client = Client(enforce_csrf_checks=True)
        client.force_login(User.objects.get(username="admin"))
        assert ask(client, recorded).status_code == 403


class InAtomic:
    """Reads from the primary inside a transaction on it."""

    def db_for_read(self, model, **hints):
        return "primary" if connections["primary"].in_atomic_block else "replica2"


def test_a_read_that_moves_between_primary_and_replica_is_a_change(admin, store, monkeypatch):
    monkeypatch.setitem(router.__dict__, "routers", [*router.routers[:2], InAtomic()])
    pinned = "If middleware had pinned them there"
    store.save(a_trace(1, events=[a_decision(1, hints={}, answer="primary")]))
    response = ask(admin, a_trace(1))
    assert [row[3:5] for row in changes(response)] == [["primary", "replica2 ↦ replica of primary"]]
    assert pinned in text(response)
    begin = a_transaction(1)
    for number, answer, changed in ((2, "primary", 0), (3, "replica1", 1)):
        store.save(a_trace(number, events=[begin, a_decision(2, hints={}, answer=answer)]))
        response = ask(admin, a_trace(number))
        assert [row[3:5] for row in changes(response)] == [
            ["replica1 ↦ replica of primary", "primary"]
        ] * changed
        assert pinned not in text(response)
