"""Cross-site scripting, stored and reflected: nothing that is shown becomes an element, attribute or link."""

from __future__ import annotations

import ast
import io
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from debug_toolbar.middleware import show_toolbar_func_or_path
from debug_toolbar.store import get_store as toolbar_store
from django.core.management import call_command
from django.db import connections, router
from django.test import Client

from dbroute_panel.exports import FORMATS
from dbroute_panel.records import loads
from tests.security.everywhere import PARTIAL, body, pages
from tests.security.hostile import SHAPES, attribute, bare, hostile, javascript, markup, quoted
from tests.security.markup import Page
from tests.security.pages import HERE, PAGES, posted, url

pytestmark = pytest.mark.unmeasured

STATIC = Path(__file__).resolve().parents[2] / "static" / "dbroute_panel"


@pytest.mark.parametrize(
    ("around", "shape"),
    [
        ("<p>%s</p>", markup),
        ("<textarea>%s</textarea>", markup),
        ("<script>a = '%s'</script>", javascript),
        ("<!-- %s -->", markup),
        ('<p title="%s">', markup),
        ("<p title=%s>", bare),
        ('<p title="%s">', attribute),
        ("<p title='%s'>", quoted),
    ],
)
def test_the_check_would_notice(around, shape):
    """A text that is put into a page as it is."""
    assert Page(around % shape(1)).wrong
    for text in ("javascript:xss1()", " java\tscript:xss1()", "//xss1.example/", "data:text/html,xss1"):
        assert Page(f'<a href="{text}">').wrong
        assert Page(f'<form action="{text}">').wrong


@pytest.fixture
def admin(admin, settings):
    settings.DEBUG = False
    return admin


def imported(shape, tmp_path, store, number=1):
    """A hostile document, by the way that a stranger's document comes in."""
    document, numbers = hostile(shape, number=number)
    file = tmp_path / f"{number}.json"
    file.write_text(json.dumps(document))
    call_command("dbroute", "import", str(file), verbosity=0)
    assert store.get(f"{number:032x}").to_dict() == loads(json.dumps(document)).to_dict()
    return numbers


def wrong(texts):
    """What should not be there, by where it is."""
    return {place: found for place, text in texts if (found := Page(text).wrong)}


# A page tells of a database what distinguishes it, of a statement its own words, of a method where it is.
NOT_SHOWN = {"engine", "primary's engine", "primary's vendor", "operation"}
NOT_SHOWN |= {"function of method", "template of method"}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_imported_document_is_only_ever_text(shape, admin, store, settings, tmp_path):
    """On every page about it, with every event opened, and in every export that a browser may show."""
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"EDITOR_URL": "vscode://file/{file}:{line}"}
    numbers = imported(SHAPES[shape], tmp_path, store)
    is_html = {name for name, chosen in FORMATS.items() if "html" in chosen.content_type}
    shown: dict[str, Page] = {}
    for place, text in pages(admin, store):
        if place not in FORMATS or place in is_html:
            shown[place] = Page(text)
    assert {place: page.wrong for place, page in shown.items() if page.wrong} == {}
    in_admin = [page for place, page in shown.items() if place not in is_html]
    for looked in ([shown[place]] if place in is_html else in_admin for place in (*is_html, "the admin")):
        missing = {text for text, number in numbers.items() if not any(it.shows(number) for it in looked)}
        assert missing <= NOT_SHOWN


@pytest.mark.parametrize("shape", SHAPES)
def test_nor_in_what_is_said_after_it_was_deleted(shape, admin, store, tmp_path):
    numbers = imported(SHAPES[shape], tmp_path, store)
    text = body(admin.post(url("delete"), posted("delete"), follow=True))
    assert Page(text).shows(numbers["name"])
    assert wrong([("list", text)]) == {}


@pytest.mark.parametrize("shape", SHAPES)
def test_nor_in_the_toolbar(shape, site, store, settings, tmp_path):
    settings.DEBUG_TOOLBAR_CONFIG = {"IS_RUNNING_TESTS": False}
    show_toolbar_func_or_path.cache_clear()
    toolbar_store().clear()
    client = Client()
    response = client.get("/books/")
    request_id = response["djdt-request-id"]
    trace_id = toolbar_store().panel(request_id, "RoutingPanel")["trace_id"]
    store.delete([trace_id])
    numbers = imported(SHAPES[shape], tmp_path, store, number=int(trace_id, 16))
    asked = {"request_id": request_id, "panel_id": "RoutingPanel"}
    panel = Page(json.loads(client.get("/__debug__/render_panel/", asked).content)["content"])
    assert panel.wrong == []
    for text in ("sql", "parameter", "query's error", "hint", "answering router", "message", "alias"):
        assert panel.shows(numbers[text])
    toolbar_store().clear()
    show_toolbar_func_or_path.cache_clear()


ASKED = {
    "compare": "a b q db route model",
    "import": "file",
    "changelist": "path alias finding found kind status method min_ms min_queries seen since page",
    "change": "q db by route model action ms kind from_us to_us findings questions like sort group event fold"
    " page",
    "delete": "post",
    "export": "redact",
    "finding": "code",
    "map": "q app db finding page",
    "models": "model other_model",
    "replay": "routers repeat",
    "routers": "q",
    "sandbox": "model action instance instance_db instance_pk other other_model other_db other_pk db"
    " model_name hints repeat",
}
"""What the pages take from their URL, and forms from what was posted."""
OF_OTHERS = ("next", "_popup", "_to_field", "_changelist_filters", "e", "o", "q", "all")


def test_nothing_that_was_asked_for_comes_back_as_markup(admin, store):
    """Parameters, names in the path, and values of forms; on pages and on the parts that htmx asks for."""
    store.save(HERE)
    evil = f"{attribute(1)}{markup(1)}"
    texts = {}
    for name in PAGES:
        # One at a time, since the first that is wrong may be the only one that is said to be; then all.
        fields = ASKED[name].split()
        for given in (*({field: evil} for field in fields), dict.fromkeys((*fields, *OF_OTHERS), evil)):
            response = admin.get(url(name), given)
            if "html" in response["Content-Type"]:
                texts[name, *given] = body(response)
            response.close()
        if PAGES[name].do is not None:
            fields = (*posted(name), *fields, "action", "_selected_action")
            for given in (posted(name) | {fields[0]: evil}, dict.fromkeys(fields, evil)):
                texts["POST", name, *given.items()] = body(admin.post(url(name), given))
    for name in ("changelist", "change", "map", "sandbox"):
        given = dict.fromkeys(ASKED[name].split(), evil)
        texts["part", name] = body(admin.get(url(name), given, headers=PARTIAL))
    assert wrong(texts.items()) == {}
    reflected = sum(Page(text).shows(1) for text in texts.values())
    assert reflected > 30, "else the pages were not about what was given"


@pytest.mark.parametrize("shape", SHAPES)
def test_nor_what_is_in_the_path(shape, admin, store):
    store.save(HERE)
    evil = quote(SHAPES[shape](1).replace("/", ""), safe="")
    at = f"/admin/dbroute_panel/trace/{HERE.id}"
    names = [f"/admin/dbroute_panel/trace/{evil}/{name}/" for name in ("change", "delete", "replay")]
    names += [f"/admin/dbroute_panel/trace/finding/{evil}/", f"{at}/export/{evil}/"]
    texts = {name: body(admin.get(name)) for name in names}
    assert wrong(texts.items()) == {}
    assert all(Page(text).shows(1) for text in texts.values())


class Evil:
    """A router whose name, answers and errors are markup."""

    def db_for_read(self, model, **hints):
        return markup(2)

    def db_for_write(self, model, **hints):
        raise LookupError(markup(3))

    def allow_relation(self, obj1, obj2, **hints):
        return type(markup(4), (), {})()

    def allow_migrate(self, db, app_label, **hints):
        if app_label == "notes":
            raise LookupError(attribute(5))


def test_nothing_that_the_routers_say_becomes_markup(admin, store, monkeypatch):
    """Names of routers and databases, answers and errors: in the sandbox, map, replay and list of routers."""
    store.save(HERE)
    evil = type(markup(6), (Evil,), {"__module__": markup(7), "__qualname__": markup(8)})()
    asked = {}
    own = {"auth", "sessions", "contenttypes", "admin"}

    class AuthFirst:
        def db_for_read(self, model, **hints):
            return "auth_db" if model._meta.app_label in own else None

        db_for_write = db_for_read

    monkeypatch.setattr(router, "routers", [AuthFirst(), evil])
    monkeypatch.setitem(
        connections.settings, markup(9), dict(connections.settings["archive"], NAME="<xss10><img src>")
    )
    monkeypatch.setitem(
        connections.settings, attribute(11), dict(connections.settings["primary"], HOST="<xss12><script>")
    )
    for action in ("db_for_read", "db_for_write", "allow_relation", "allow_migrate"):
        data = {
            "model": "notes.Note",
            "action": action,
            "db": markup(9),
            "repeat": "3",
            "other_model": "notes.Note",
        }
        asked[action] = body(admin.post(url("sandbox"), data))
    asked["replay"] = body(admin.post(url("replay"), posted("replay")))
    asked["map"] = body(admin.post(url("map"), follow=True))
    for name in ("map", "routers", "sandbox", "changelist"):
        asked[name] = body(admin.get(url(name)))
    assert wrong(asked.items()) == {}
    shown = {number for number in range(1, 13) if any(Page(text).shows(number) for text in asked.values())}
    assert shown >= {2, 3, 4, 5, 7, 8, 9, 10, 11, 12}


def test_a_terminal_gets_no_control_characters(store, site, tmp_path):
    """A sequence of them could retitle the window, or put words on the command line."""
    evil = "\x1b]0;xss\x07\x1b[2J\r\x08\x9b31m\u202e"
    imported(lambda number: f"{number}{evil}", tmp_path, store)
    for words in (["traces"], ["show", f"{1:032x}"]):
        out, err = io.StringIO(), io.StringIO()
        call_command("dbroute", *words, stdout=out, stderr=err)
        text = out.getvalue() + err.getvalue()
        assert "xss" in text
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|DOMParser|setHTML|parseHTMLUnsafe"
    r"|document\s*\.\s*write|\beval\b|new\s+Function|set(?:Timeout|Interval)\s*\(\s*[\"'`]|srcdoc"
    r"|\.(?:href|src|action)\s*=|location\s*(?:=|\.(?:assign|replace|href))|setAttribute\s*\(\s*[\"'`]on"
    r"|javascript:|window\.open|postMessage|importScripts|\bimport\s*\("
)


def test_our_script_makes_no_markup_of_texts():
    """Nothing in it turns a text into elements, code or a place to go."""
    scripts = [file for file in STATIC.rglob("*.js") if "vendor" not in file.parts]
    assert scripts
    for file in scripts:
        assert SINKS.findall(file.read_text()) == [], file.name


def test_no_template_marks_a_text_as_safe():
    templates = STATIC.parents[1] / "templates" / "dbroute_panel"
    assert len(list(templates.rglob("*.html"))) > 50
    for file in templates.rglob("*.html"):
        # The style sheet of this package, which the exported file has in it, comes from no trace.
        source = file.read_text().replace("<style>{{ style|safe }}</style>", "")
        assert not re.search(
            r"\|\s*safe|autoescape\s+off|safeseq|<script(?![^>]*\bsrc=)|\bon\w+=|style=\"", source
        ), file.name
    for file in (STATIC.parents[1] / "dbroute_panel").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text())))
        calls = [node.func for node in nodes if isinstance(node, ast.Call)]
        called = {getattr(func, "id", getattr(func, "attr", "")) for func in calls}
        assert not called & {"mark_safe", "format_html", "format_html_join", "SafeString"}, file.name
        assert "__html__" not in {getattr(node, "name", "") for node in nodes}, file.name


def test_htmx_may_not_evaluate_anything(admin, store):
    """No attribute of ours needs it, and pages work under a policy without 'unsafe-eval'."""
    page = Page(body(admin.get(url("changelist"))))
    assert page.scripts == [] or not any(text.strip() for text in page.scripts)
    assert "hx-on" not in page.text
