"""Where a line of a library's shows, it is told with its package and with what Django had called."""

from __future__ import annotations

import csv
import io
import json
import logging

import django
import html5lib
import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils.translation import override

from dbroute_panel import findings
from dbroute_panel.environment import installed_folders, relative_path
from dbroute_panel.exports import FORMATS
from dbroute_panel.panel.rows import build_lines
from dbroute_panel.presentation import Editor, Index, build_detail, formatting
from dbroute_panel.pytest_plugin.route_trace import RouteTrace
from dbroute_panel.records import Callsite, dumps, loads
from dbroute_panel.redaction import redact_trace
from tests.traces import CALLSITE, a_decision, a_query, a_trace
from tests.views.test_trace_filters import PARTIAL, get, parsed, with_class

LIBRARYS = Callsite(
    file="wagtail/admin/views/generic.py", line=120, function="get", entry="GET wagtailadmin_home"
)
MIDDLEWARES = Callsite(file="django/contrib/sessions/middleware.py", line=59, function="process", entry="")
WHERE = "wagtail/admin/views/generic.py:120, in GET wagtailadmin_home"


@pytest.fixture
def trace(store):
    trace = a_trace(
        1,
        events=[
            a_decision(1, callsite=LIBRARYS),
            a_query(2, decision_id=1, callsite=LIBRARYS),
            a_query(3, callsite=MIDDLEWARES),
            a_query(4, callsite=CALLSITE),
        ],
    )
    store.save(trace)
    return trace


def shown(tree, name):
    return [" ".join("".join(element.itertext()).split()) for element in with_class(tree, name)]


def parsed_fragment(html):
    return html5lib.parse(html, namespaceHTMLElements=False)


def test_in_words():
    assert formatting.place(LIBRARYS) == WHERE
    assert formatting.place(MIDDLEWARES) == "django/contrib/sessions/middleware.py:59"
    assert formatting.place(CALLSITE) == "views.py:88"
    assert formatting.called_from(LIBRARYS) == (
        "wagtail/admin/views/generic.py:120 get, in GET wagtailadmin_home"
    )
    assert formatting.called_from(MIDDLEWARES) == "django/contrib/sessions/middleware.py:59 process"
    assert formatting.called_from(CALLSITE) == "library/views.py:88 save_book"
    deep = Callsite(file=f"{'deep/' * 40}x.py", line=1, function="f", entry="GET " + 300 * "x")
    assert len(formatting.place(deep)) < 200
    assert ("deep/x.py:1, in GET xxx") in formatting.place(deep)
    with override("fr"):
        assert formatting.place(LIBRARYS).endswith(":120, dans GET wagtailadmin_home")


def test_a_document_has_it_and_one_of_before_has_none(trace):
    document = json.loads(dumps(trace))
    assert [event["callsite"]["entry"] for event in document["events"]] == [LIBRARYS.entry] * 2 + ["", None]
    for event in document["events"]:
        del event["callsite"]["entry"]
    assert [event.callsite.entry for event in loads(json.dumps(document)).events] == [None] * 4


def test_it_stays_where_values_are_left_out(trace):
    assert [event.callsite for event in redact_trace(trace).events] == [
        event.callsite for event in trace.events
    ]


def test_the_page(admin, trace):
    tree = parsed(get(admin, trace, "?event=2"))
    assert shown(tree, "dbroute-where") == [WHERE, "django/contrib/sessions/middleware.py:59", "views.py:88"]
    text = " ".join("".join(tree.itertext()).split())
    assert "called from wagtail/admin/views/generic.py:120 get, in GET wagtailadmin_home" in text
    tree = parsed(get(admin, trace, "?q=wagtailadmin_home", headers=PARTIAL))
    assert shown(tree, "dbroute-where") == [WHERE]
    tree = parsed(get(admin, trace, "?group=statements"))
    assert shown(tree, "dbroute-where") == ["3 places"]


def test_the_panel(trace):
    lines, _more = build_lines(Index(trace), "/", None)
    tree = parsed_fragment("".join(line.html for line in lines))
    assert shown(tree, "dbroute-where") == [WHERE, "django/contrib/sessions/middleware.py:59", "views.py:88"]
    text = " ".join("".join(tree.itertext()).split())
    assert "called from wagtail/admin/views/generic.py:120 get, in GET wagtailadmin_home" in text


def test_the_panels_short_rows(trace):
    events = [a_query(n, callsite=LIBRARYS, sql=f"SELECT {n} FROM t_{n} WHERE a = %s") for n in range(1, 101)]
    lines, _more = build_lines(Index(a_trace(2, events=events)), "/", None)
    short = lines[-1].html
    assert f'<span class="dbroute-where">{WHERE}</span>' in short
    assert "called from" in short
    assert "wagtail/admin/views/generic.py:120 get, in GET wagtailadmin_home" in short


def test_the_command(trace):
    out = io.StringIO()
    call_command("dbroute", "show", trace.id, verbosity=2, stdout=out)
    assert WHERE in out.getvalue()
    assert "wagtail/admin/views/generic.py:120 get, in GET wagtailadmin_home" in out.getvalue()


def exported(trace, name):
    return b"".join(FORMATS[name].write(iter([trace]))).decode()


def test_the_exports(trace):
    rows = list(csv.DictReader(io.StringIO(exported(trace, "csv"))))
    assert [(row["file"], row["line"], row["entry"]) for row in rows[1:]] == [
        (LIBRARYS.file, "120", LIBRARYS.entry),
        (MIDDLEWARES.file, "59", ""),
        (CALLSITE.file, "88", ""),
    ]
    assert WHERE in exported(trace, "html")
    [resource] = json.loads(exported(trace, "otlp"))["resourceSpans"]
    said = [
        {pair["key"]: pair["value"] for pair in span["attributes"]}
        for span in resource["scopeSpans"][0]["spans"]
    ]
    [querys] = [
        a for a in said if a.get("dbroute.entry") == {"stringValue": LIBRARYS.entry} and "db.query.text" in a
    ]
    assert querys["code.file.path"] == {"stringValue": LIBRARYS.file}
    assert int(querys["code.line.number"]["intValue"]) == 120
    assert sum("dbroute.entry" in a for a in said) == 3


def test_a_finding_names_it_and_tells_lines_of_libraries_apart():
    other = Callsite(file="wagtail/admin/views/home.py", line=7, function="get", entry=LIBRARYS.entry)
    events = [a_query(n, callsite=LIBRARYS if n % 2 else other) for n in range(1, 31)]
    found = [
        each.message for each in findings.find(a_trace(1, events=events)) if each.code == "repeated-query"
    ]
    assert len(found) == 2
    assert f"ran 15 times on replica1, called from {WHERE}. " in found[0]
    assert "called from wagtail/admin/views/home.py:7, in GET wagtailadmin_home. " in found[1]


def test_the_editor_opens_the_file_where_it_is_installed(admin, store, settings):
    file = "django/contrib/admin/options.py"
    site = Callsite(file=file, line=3, function="f", entry="GET admin:index")
    store.save(trace := a_trace(1, events=[a_query(1, callsite=site), a_query(2, callsite=CALLSITE)]))
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"EDITOR_URL": "vscode://file/{file}:{line}"}
    installed = django.__file__.replace("django/__init__.py", file)
    tree = parsed(get(admin, trace, "?event=1"))
    assert [link.get("href") for link in with_class(tree, "dbroute-editor")] == [
        f"vscode://file/{installed}:3"
    ]


def test_a_file_is_looked_for_below_the_project_first_and_not_again(tmp_path):
    for folder in ("project", "one", "two"):
        (tmp_path / folder).mkdir()
    (tmp_path / "one" / "x.py").touch()
    (tmp_path / "two" / "x.py").touch()
    editor = Editor("{file}", f"{tmp_path}/project/", [f"{tmp_path}/one", f"{tmp_path}/two/"])
    site = Callsite(file="x.py", line=1, function="f")
    assert editor.url(site) == f"{tmp_path}/one/x.py"
    (tmp_path / "project" / "x.py").touch()
    assert editor.url(site) == f"{tmp_path}/one/x.py"
    assert Editor("{file}", f"{tmp_path}/project", []).url(site) == f"{tmp_path}/project/x.py"
    assert Editor("{file}", None, [f"{tmp_path}/two"]).url(site) == f"{tmp_path}/two/x.py"
    assert Editor("{file}", None, [f"{tmp_path}/two"]).url(Callsite(file="y.py", line=1, function="f")) == ""
    assert (
        Editor("{file}", "/srv", ["/x"]).url(Callsite(file="a\0b.py", line=1, function="f"))
        == "/srv/a%00b.py"
    )


@pytest.mark.parametrize(
    ("file", "base", "relative"),
    [
        ("/srv/site/library/views.py", "/srv/site", "library/views.py"),
        ("/srv/other/views.py", "/srv/site", "/srv/other/views.py"),
        ("/srv/other/views.py", None, "/srv/other/views.py"),
        ("/usr/lib/python3.11/site-packages/wagtail/x.py", "/srv/site", "wagtail/x.py"),
        ("/usr/lib/python3/dist-packages/wagtail/x.py", None, "wagtail/x.py"),
        ("/srv/site/.venv/lib/python3.11/site-packages/wagtail/x.py", "/srv/site", "wagtail/x.py"),
        ("/usr/lib/site-packages/pretix/base/x.py", "/usr/lib/site-packages/pretix", "base/x.py"),
        ("/usr/lib/site-packages/shop/x.py", "/usr/lib/site-packages", "shop/x.py"),
        (r"C:\venv\Lib\site-packages\wagtail\x.py", None, "wagtail/x.py"),
        ("<console>", "/srv/site", "<console>"),
    ],
)
def test_a_librarys_file_is_relative_to_its_site_packages(file, base, relative):
    assert relative_path(file, base) == relative


def test_djangos_files_are_relative_to_the_folder_that_it_lies_in():
    assert relative_path(django.__file__, None) == "django/__init__.py"
    assert django.__file__.removesuffix("/django/__init__.py") in installed_folders()


def test_a_checkout_of_djangos_too(monkeypatch):
    monkeypatch.setattr("dbroute_panel.environment.DJANGO_FOLDER", "/src/checkout/django/")
    assert relative_path("/src/checkout/django/views/made_up.py", None) == "django/views/made_up.py"


def test_pytests_output(site, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SAMPLE_RATE": 0.0}
    logging.disable(logging.NOTSET)
    client = Client()
    with RouteTrace("a test", root=site) as t:
        client.get(reverse("admin:login"))
        client.post(reverse("admin:login"), {"username": "admin", "password": "admin"})
    with pytest.raises(AssertionError) as raised:
        t.assert_no_queries("auth_db")
    assert ", in POST admin:login\n" in str(raised.value)
    assert "django/contrib/auth/" in str(raised.value)
    assert str(site) not in str(raised.value)


def test_details_without_a_line(trace):
    assert build_detail(Index(trace), a_query(9, callsite=None)).entry == ""
