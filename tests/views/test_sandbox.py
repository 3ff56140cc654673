"""The sandbox: real questions to the example site's real routers, and every way to put a wrong one."""

from __future__ import annotations

import re
import shlex
import time
from itertools import pairwise

import pytest
from django.contrib.auth.models import Permission, User
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from dbroute_panel import explain
from dbroute_panel.inspection import isolation
from dbroute_panel.inspection.arguments import ObjectSource, ObjectSpec
from dbroute_panel.inspection.explain import Question
from dbroute_panel.records import Action
from dbroute_panel.suggestions import MAX_LABELS
from dbroute_panel.views import sandbox
from dbroute_panel.views.sandbox import as_command, as_python, build_examples
from example_site.library.models import Book
from tests.views.test_map import Failing
from tests.views.test_trace import PARTIAL, text, url
from tools.benchmarks.counting import count_calls

BOOK = {"model": "library.Book", "action": "db_for_write", "repeat": "1"}
asked: list[str] = []


class Noting:
    """Says what it was asked about the library, and has no opinion."""

    def db_for_read(self, model, **hints):
        if model._meta.app_label == "library":
            asked.append(f"{model._meta.label} {sorted(hints)}")

    db_for_write = db_for_read


class Slow:
    def db_for_read(self, model, **hints):
        if model is Book:
            time.sleep(1)


def offered(response) -> list[str]:
    return re.findall(r'<option value="([\w]+\.[\w.]+)">', response.content.decode())


def ask(client, **data):
    return client.post(reverse("admin:dbroute_panel_trace_sandbox"), BOOK | data)


class TestAnswers:
    def test_where_a_model_is_written(self, admin):
        response = ask(admin)
        shown = text(response)
        assert response.status_code == 200
        assert "library.Book would be written to primary ." in shown
        assert "PrimaryReplicaRouter answered primary. AuthRouter and UserRouter had no opinion." in shown
        assert re.search(r"AuthRouter passed \d[\d.]* [µm]s example_site/routers\.py:\d+", shown)

    def test_a_random_router_asked_many_times_shows_shares(self, admin):
        shown = text(ask(admin, action="db_for_read", repeat="200"))
        assert "Asked 200 times" in shown
        counts = dict(re.findall(r"(replica\d) ↦ replica of primary (\d+) ·", shown))
        assert sum(map(int, counts.values())) == 200
        assert set(counts) == {"replica1", "replica2"}
        assert re.search(r"read from replica\d or replica\d", shown)

    @pytest.mark.parametrize(
        ("data", "sentence", "fact"),
        [
            ({"instance": "new"}, "notes.Note would be written to default", "instance new notes.Note"),
            (
                {"instance": "from", "instance_db": "archive"},
                "notes.Note would be written to archive",
                "_state.db = archive",
            ),
        ],
    )
    def test_the_hint_instance(self, admin, data, sentence, fact):
        shown = text(ask(admin, model="notes.Note", **data))
        assert sentence in shown
        assert fact in shown

    def test_a_real_row(self, admin):
        pk = Book.objects.using("archive").first().pk
        shown = text(ask(admin, instance="row", instance_db="archive", instance_pk=str(pk)))
        assert f"hint instance library.Book #{pk} _state.db = archive" in shown

    def test_other_hints_reach_the_router(self, admin, routers):
        routers(Noting)
        shown = text(ask(admin, hints='{"tenant": "acme", "shard": 3}'))
        assert asked == ["library.Book ['shard', 'tenant']"]
        assert 'hint tenant "acme" hint shard 3' in shown

    def test_a_migration(self, admin):
        yes = text(ask(admin, action="allow_migrate", db="primary"))
        no = text(ask(admin, action="allow_migrate", db="replica1"))
        assert "library.Book may be migrated on primary ." in yes
        assert "library.Book would be left out on replica1 ." in no
        app = text(ask(admin, action="allow_migrate", model="library", db="primary", model_name="book"))
        assert "allow_migrate(primary, library, book)" in app

    def test_a_relation(self, admin):
        given = {"action": "allow_relation", "other_model": "library.Person"}
        near = {"instance": "from", "instance_db": "primary", "other": "from", "other_db": "replica1"}
        assert "library.Person would be allowed ." in text(ask(admin, **given, **near))
        shown = text(ask(admin, **given, **near | {"other_db": "archive"}))
        assert "library.Book and library.Person would be refused ." in shown
        assert "primary and archive" in shown
        # without a choice, both are new objects; without a second model, it is the first
        assert "allow_relation(new library.Book, new library.Book)" in text(
            ask(admin, action="allow_relation")
        )

    def test_a_relation_without_a_choice_shows_that_its_second_object_is_a_new_one(self, admin):
        for response in (
            ask(admin, action="allow_relation"),
            admin.get(reverse("admin:dbroute_panel_trace_sandbox") + "?action=allow_relation&other="),
        ):
            (offered,) = re.findall(r'<select name="other".*?</select>', response.content.decode(), re.DOTALL)
            assert re.findall(r'<option value="(\w*)"', offered) == ["new", "from", "row"]

    def test_a_router_that_raises_is_an_answer_with_its_traceback(self, admin, routers):
        routers(Failing)
        response = ask(admin, action="db_for_read", repeat="3")
        shown = text(response)
        assert response.status_code == 200
        assert "No answer : a router raised." in shown
        assert "LookupError: no shard for <this>" in shown
        assert "views/test_map.py" in shown
        assert "3 · 100.0 %" in shown
        assert "no shard for <this>" not in response.content.decode()

    def test_routers_that_take_too_long_are_stopped_and_what_was_asked_is_kept(
        self, admin, routers, monkeypatch
    ):
        routers(Slow)
        monkeypatch.setattr(isolation.run_isolated, "__kwdefaults__", {"seconds": 0.2})
        response = ask(admin, action="db_for_read", repeat="1000")
        assert "did not answer within 0.2 seconds" in text(response)
        assert 'value="library.Book"' in response.content.decode()

    def test_htmx_gets_the_form_and_the_answer_alone(self, admin):
        response = admin.post(reverse("admin:dbroute_panel_trace_sandbox"), BOOK, headers=PARTIAL)
        body = response.content.decode()
        assert body.lstrip().startswith('<div id="dbroute-sandbox"')
        assert "csrfmiddlewaretoken" in body
        assert "<html" not in body

    def test_headings_leave_no_level_out(self, admin):
        for response in (ask(admin, action="db_for_read", repeat="9"), admin.get(url("sandbox"))):
            below = response.content.decode().partition('id="dbroute"')[2]
            levels = [1, *map(int, re.findall(r"<h(\d)", below))]
            assert len(levels) > 1
            assert all(after - before <= 1 for before, after in pairwise(levels))


class TestModels:
    """Which models are offered for what is typed."""

    def test_the_few_of_a_small_project_are_on_the_page_but_not_the_tool_s_own(self, admin):
        labels = offered(admin.get(url("sandbox")))
        assert {"library.Book", "library.Book_tags", "auth.User"} <= set(labels)
        assert not [label for label in labels if label.startswith(("dbroute_panel", "debug_toolbar"))]

    def test_of_a_thousand_some_are_sent_and_the_others_when_they_are_typed(self, admin, thousand, settings):
        settings.DEBUG = False  # no toolbar
        page = admin.get(url("sandbox"))
        assert len(offered(page)) == 2 * MAX_LABELS  # one list for each of two objects
        assert len(page.content) < 30_000
        typed = admin.get(url("models"), {"model": "ment31.article1"}, headers=PARTIAL)
        assert offered(typed) == [f"department31.Article{number}" for number in range(10, 20)]
        assert offered(admin.get(url("models"), {"other_model": "LIBRARY.B"}))[0] == "library.Book"
        assert len(offered(admin.get(url("models")))) == MAX_LABELS

    def test_they_are_answered_while_somebody_types(self, admin, thousand):
        for typed in ("", "a", "department17.Art", "nothing like it"):
            assert count_calls(lambda typed=typed: admin.get(url("models"), {"model": typed})) < 40_000

    def test_a_list_belongs_to_each_field_and_asks_for_what_is_typed_there(self, admin):
        body = admin.get(url("sandbox")).content.decode()
        for field in ("model", "other_model"):
            (name,) = re.findall(rf'<input[^>]*name="{field}"[^>]*list="([^"]+)"', body) or re.findall(
                rf'<input[^>]*list="([^"]+)"[^>]*name="{field}"', body
            )
            (attributes,) = re.findall(rf'<datalist id="{name}"([^>]*)>', body)
            assert f'hx-get="{url("models")}"' in attributes
            assert f'from:#id_{field}"' in attributes
            assert f'hx-include="#id_{field}"' in attributes

    def test_what_is_in_the_form_is_offered_first(self, admin, thousand):
        page = admin.get(url("sandbox"), {"model": "department39.Article24", "other_model": "auth.User"})
        assert offered(page)[0] == "department39.Article24"
        assert "auth.User" in offered(page)

    def test_a_wrong_one_names_the_nearest_as_links_to_the_same_question(self, admin, thousand):
        response = ask(admin, model="departmnt31.Articl07", hints='{"a": 1}')
        assert response.status_code == 400
        links = re.findall(r'<li><a href="(\?[^"]*)">([\w.]+)</a>', response.content.decode())
        assert 1 < len(links) <= 5
        assert "department31.Article07" in [label for _link, label in links]
        link, label = links[0]
        again = admin.get(url("sandbox") + link.replace("&amp;", "&")).content.decode()
        assert f'value="{label}"' in again
        assert re.search(r'<option value="db_for_write"\s+selected', again)
        assert "&quot;a&quot;: 1" in again

    def test_the_second_of_two_models_and_an_app(self, admin):
        given = {"action": "allow_relation", "other_model": "Person"}
        shown = ask(admin, **given).content.decode()
        assert "model=library.Book&amp;action=allow_relation&amp;other_model=library.Person" in shown
        shown = ask(admin, action="allow_migrate", model="libary", db="primary").content.decode()
        assert '">library</a>' in shown
        # Where the models are right, something else is wrong, and no model is named.
        assert "dbroute-meant" not in ask(admin, action="allow_migrate").content.decode()


class TestExamples:
    def test_one_of_each_question_that_can_be_pressed_as_it_is(self, admin, routers):
        routers(Noting)
        body = admin.get(url("sandbox")).content.decode()
        links = re.findall(r'<dd><a href="(\?action[^"]*|\?model[^"]*)">', body)
        assert asked == []
        given = [QueryDict(link.replace("&amp;", "&").removeprefix("?")).dict() for link in links]
        assert [each["action"] for each in given] == list(Action)
        for each in given:
            filled = admin.get(url("sandbox"), each)
            assert "Nothing was asked yet." in text(filled)
            response = ask(admin, **{"repeat": "1"} | each)
            assert response.status_code == 200, text(response)
        assert "library.Book" in text(admin.get(url("sandbox")))
        assert "that was read from replica1 be written?" in text(admin.get(url("sandbox")))

    def test_they_make_way_for_the_answer_and_for_what_is_wrong(self, admin):
        assert "What can be asked" not in text(ask(admin))
        assert "What can be asked" not in text(ask(admin, model="x"))

    def test_without_replicas_models_or_databases(self, site, settings, monkeypatch):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"REPLICAS": {}}
        monkeypatch.setattr(sandbox, "replicas", dict)
        assert "new_users" in build_examples()[1].text
        monkeypatch.setattr(sandbox, "list_models", lambda: [User])
        assert "one of auth.User from" in build_examples()[2].text
        monkeypatch.setattr(sandbox, "list_models", list)
        assert build_examples() == []


class TestPermalink:
    def test_it_fills_the_form_and_asks_nothing(self, admin, routers):
        routers(Noting)
        given = QueryDict(mutable=True)
        given.update(
            BOOK | {"instance": "from", "instance_db": "archive", "hints": '{"a": 1}', "repeat": "5"}
        )
        response = admin.get(f"{reverse('admin:dbroute_panel_trace_sandbox')}?{given.urlencode()}")
        body = response.content.decode()
        assert asked == []
        assert 'value="library.Book"' in body
        assert re.search(r'<option value="archive"\s+selected', body)
        assert re.search(r'<option value="db_for_write"\s+selected', body)
        assert "&quot;a&quot;: 1" in body
        assert "Nothing was asked yet." in body

    def test_the_answer_has_one_that_leads_back_to_the_same_question(self, admin):
        body = ask(admin, instance="from", instance_db="archive").content.decode()
        (link,) = re.findall(r'<a href="(\?[^"]*)">This form, filled in', body)
        again = admin.get(reverse("admin:dbroute_panel_trace_sandbox") + link.replace("&amp;", "&"))
        assert re.search(r'<option value="archive"\s+selected', again.content.decode())
        assert "csrfmiddlewaretoken" not in link

    def test_a_wrong_one_shows_the_form_with_what_it_says(self, admin):
        response = admin.get(
            reverse("admin:dbroute_panel_trace_sandbox") + "?model=x&db=nowhere&repeat=many&junk=1"
        )
        assert response.status_code == 200
        assert re.search(r'<option value="nowhere"\s+selected', response.content.decode())


class TestBadInput:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ({"model": ""}, "Model: give one by its label, such as auth.User."),
            ({"model": "library.Bok"}, "No model 'library.Bok'. Did you mean 'library.Book'?"),
            ({"model": "dbroute_panel.Trace"}, "No model 'dbroute_panel.Trace'."),
            (
                {"action": "db_for_reed"},
                "Question: there is no “db_for_reed” here. Did you mean 'db_for_read'?",
            ),
            ({"instance": "magic"}, "there is no “magic” here."),
            ({"instance": "from", "instance_db": "primry"}, "Did you mean 'primary'?"),
            ({"instance": "from"}, "No database ''."),
            ({"instance": "row", "instance_db": "primary"}, "A real row needs its primary key."),
            (
                {"instance": "row", "instance_db": "primary", "instance_pk": "9999"},
                "primary has no library.Book with the primary key '9999'.",
            ),
            (
                {"instance": "row", "instance_db": "primary", "instance_pk": "x"},
                "'x' cannot be a primary key of library.Book.",
            ),
            (
                {"instance": "row", "instance_db": "auth_db", "instance_pk": "1"},
                "library.Book cannot be read from auth_db",
            ),
            ({"hints": "{tenant: acme}"}, "Other hints: no valid JSON"),
            ({"hints": "[1, 2]"}, "Other hints: no valid JSON (this is not an object)"),
            ({"hints": "[" * 100_000}, "Other hints: no valid JSON"),
            ({"hints": '{"model": 1}'}, "The routers cannot be asked"),
            ({"repeat": "0"}, "Ask N times: a number from 1 to 1000."),
            ({"repeat": "1001"}, "Ask N times: a number from 1 to 1000."),
            ({"repeat": "often"}, "Ask N times: a number from 1 to 1000."),
            ({"action": "allow_migrate"}, "allow_migrate is asked about a database"),
            ({"action": "allow_migrate", "model": "libary", "db": "primary"}, "No app 'libary'."),
            ({"action": "allow_relation", "other_model": "library.Persn"}, "Did you mean 'library.Person'?"),
        ],
    )
    def test_is_400_with_one_message_and_keeps_what_was_typed(self, admin, data, message):
        response = ask(admin, **data)
        body = response.content.decode()
        assert response.status_code == 400
        assert message in text(response)
        assert body.count('class="errornote"') == 1
        assert "Traceback" not in text(response).partition("Alerts")[0]
        for typed in data.values():
            assert len(typed) > 1000 or not typed or typed.replace('"', "&quot;") in body

    def test_a_real_row_on_a_database_that_is_not_configured(self, admin):
        response = ask(admin, instance="row", instance_db="default", instance_pk="1")
        assert response.status_code == 400
        assert "Traceback" not in text(response).partition("Alerts")[0]

    def test_a_real_row_needs_the_permission_to_view_its_model(self, site, store):
        user = User.objects.create_user("somebody", is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="use_sandbox"))
        client = Client()
        client.force_login(user)
        row = {"instance": "row", "instance_db": "primary", "instance_pk": "1"}
        response = ask(client, **row)
        assert response.status_code == 403
        assert "A real row of library.Book needs the permission to view it." in text(response)
        second = {"action": "allow_relation", "other": "row", "other_db": "primary", "other_pk": "1"}
        assert ask(client, **second, other_model="library.Person").status_code == 403
        user.user_permissions.add(Permission.objects.get(codename="view_book"))
        client.force_login(User.objects.get(pk=user.pk))
        pk = Book.objects.using("primary").first().pk
        assert ask(client, **row | {"instance_pk": str(pk)}).status_code == 200


class TestTheSameQuestionElsewhere:
    QUESTIONS = [
        Question("library.Book", "db_for_read"),
        Question(
            "notes.Note",
            "db_for_write",
            instance=ObjectSpec(ObjectSource.FROM, "archive"),
            hints={"a": "b c"},
        ),
        Question("library.Book", "allow_migrate", db="replica1", model_name="other"),
        Question(
            "library.Book",
            "allow_relation",
            instance=ObjectSpec(ObjectSource.FROM, "primary"),
            other_model="library.Person",
            other=ObjectSpec(ObjectSource.FROM, "archive"),
        ),
        Question(
            "library.Book",
            "allow_relation",
            instance=ObjectSpec(ObjectSource.NEW),
            other_model="library.Book",
            other=ObjectSpec(ObjectSource.NEW),
        ),
    ]

    @pytest.mark.parametrize("question", QUESTIONS)
    def test_the_python_lines_run_and_ask_the_same(self, site, question):
        lines = as_python(question).splitlines()
        scope: dict = {}
        exec("\n".join(lines[:-1]), scope)
        decision = eval(lines[-1], scope)
        assert decision.action == question.action
        if "instance" in decision.hints:
            assert decision.hints["instance"].state_db == question.instance.alias
        if question.other_model and question.instance.alias:
            assert decision.args["obj2"].state_db == question.other.alias
        assert isinstance(decision, type(explain("library.Book", "db_for_read")))

    def test_a_real_row_in_python(self, site):
        pk = str(Book.objects.using("archive").first().pk)
        lines = as_python(
            Question("library.Book", "db_for_write", instance=ObjectSpec(ObjectSource.ROW, "archive", pk))
        ).splitlines()
        scope: dict = {}
        exec("\n".join(lines[:-1]), scope)
        assert eval(lines[-1], scope).hints["instance"].pk == pk

    @pytest.mark.parametrize(
        ("question", "line"),
        [
            (QUESTIONS[0], "manage.py dbroute explain library.Book db_for_read"),
            (
                QUESTIONS[1],
                "manage.py dbroute explain notes.Note db_for_write --instance-db archive --hint 'a=\"b c\"'",
            ),
            (
                QUESTIONS[2],
                "manage.py dbroute explain library.Book allow_migrate --db replica1 --model-name other",
            ),
            (
                QUESTIONS[3],
                (
                    "manage.py dbroute explain library.Book allow_relation --instance-db primary "
                    "--with library.Person --with-db archive"
                ),
            ),
            (QUESTIONS[4], "manage.py dbroute explain library.Book allow_relation --with library.Book"),
            (
                Question(
                    "library.Book",
                    "db_for_read",
                    instance=ObjectSpec(ObjectSource.ROW, "archive", "a b"),
                    repeat=7,
                ),
                (
                    "manage.py dbroute explain library.Book db_for_read --instance-db archive "
                    "--pk 'a b' --repeat 7"
                ),
            ),
        ],
    )
    def test_the_command_line(self, question, line):
        assert as_command(question) == line
        assert shlex.split(line)[:3] == ["manage.py", "dbroute", "explain"]

    @pytest.mark.parametrize(
        "question",
        [
            Question("library.Book", "db_for_read", instance=ObjectSpec(ObjectSource.NEW)),
            Question(
                "library.Book",
                "allow_relation",
                instance=ObjectSpec(ObjectSource.NEW),
                other_model="library.Book",
                other=ObjectSpec(ObjectSource.ROW, "primary", "1"),
            ),
        ],
    )
    def test_objects_that_the_command_has_no_words_for(self, question):
        assert as_command(question) is None

    def test_the_page_says_so(self, admin):
        assert "The command has no option for such an object." in text(ask(admin, instance="new"))
