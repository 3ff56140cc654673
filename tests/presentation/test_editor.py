"""Where a line of code is opened: in the editor that ``EDITOR_URL`` names, from details and the panel.

A row is a control itself, so that it has no link in it.
"""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from django.conf import settings as site_settings

from dbroute_panel.exports import FORMATS
from dbroute_panel.panel.rows import build_lines
from dbroute_panel.presentation import Editor, Index
from dbroute_panel.records import Callsite
from tests.traces import a_decision, a_query, a_trace
from tests.views.test_trace_filters import PARTIAL, get, parsed, with_class

VSCODE = "vscode://file/{file}:{line}"


def site(file, line=3):
    return Callsite(file=file, line=line, function="f")


@pytest.mark.parametrize(
    ("file", "url"),
    [
        ("library/views.py", "vscode://file//srv/site/library/views.py:3"),
        ("/opt/other/views.py", "vscode://file//opt/other/views.py:3"),
        (r"C:\site\views.py", "vscode://file/C:/site/views.py:3"),
        ("a b/ü?&#%.py", "vscode://file//srv/site/a%20b/%C3%BC%3F%26%23%25.py:3"),
        ('"><script>.py', "vscode://file//srv/site/%22%3E%3Cscript%3E.py:3"),
        ("{line}.py", "vscode://file//srv/site/%7Bline%7D.py:3"),
        ("<console>", ""),
        ("", ""),
    ],
)
def test_the_file_is_absolute_and_quoted(file, url):
    assert Editor(VSCODE, "/srv/site").url(site(file)) == url


def test_a_file_of_a_project_without_a_folder_is_found_only_if_it_is_absolute():
    assert Editor(VSCODE, None).url(site("library/views.py")) == ""
    assert Editor(VSCODE, None).url(site("/x.py")) == "vscode://file//x.py:3"


def test_the_line_may_be_left_out_or_be_a_parameter():
    assert (
        Editor("idea://open?file={file}&line={line}", "/s").url(site("a.py"))
        == "idea://open?file=/s/a.py&line=3"
    )
    assert Editor("txmt://open/{file}", "/s").url(site("a.py")) == "txmt://open//s/a.py"


def test_without_the_setting_there_is_no_editor():
    assert Editor.from_setting(None, "/srv") is None


@pytest.fixture
def trace(store):
    trace = a_trace(
        1, events=[a_decision(1), a_query(2, decision_id=1), *(a_decision(n) for n in range(3, 9))]
    )
    store.save(trace)
    return trace


def opening(tree):
    return [link.get("href") for link in with_class(tree, "dbroute-editor")]


WHERE = f"vscode://file/{site_settings.BASE_DIR}/library/views.py:88"


def test_the_detail_opens_the_line_and_no_summary_has_a_link(admin, trace, settings):
    settings.DBROUTE_PANEL = {**settings.DBROUTE_PANEL, "EDITOR_URL": VSCODE}
    for query, count in (("", 0), ("?event=2", 1), ("?fold=3", 0), ("?event=3", 1), ("?group=statements", 0)):
        tree = parsed(get(admin, trace, query))
        assert [unquote(href) for href in opening(tree)] == [WHERE] * count, query
        rows = [summary for summary in tree.iter("summary") if "dbroute-line" in summary.get("class", "")]
        assert rows
        assert [link for row in rows for link in row.iter("a")] == [], query
    assert len(opening(parsed(get(admin, trace, "?event=2", headers=PARTIAL)))) == 1


def test_without_the_setting_a_place_is_text(admin, trace):
    tree = parsed(get(admin, trace, "?event=2"))
    assert opening(tree) == []
    assert "".join(with_class(tree, "dbroute-where")[0].itertext()) == "views.py:88"


def test_a_place_can_be_copied(admin, trace):
    tree = parsed(get(admin, trace, "?event=2"))
    (place,) = with_class(tree, "dbroute-place")
    assert "".join(place.itertext()).strip() == "library/views.py:88"
    (cell,) = (cell for cell in tree.iter("dd") if place in list(cell))
    assert [button.get("class") for button in cell.iter("button")] == ["dbroute-copy"]


def test_what_cannot_be_an_editor_is_no_link(admin, trace, settings):
    settings.DBROUTE_PANEL = {**settings.DBROUTE_PANEL, "EDITOR_URL": "javascript:alert('{file}')"}
    response = get(admin, trace, "?event=2")
    assert opening(parsed(response)) == []
    assert b"javascript:" not in response.content


@pytest.mark.toolbar
def test_the_panel_s_details_open_it_too(trace):
    lines, _ = build_lines(Index(trace), None, Editor(VSCODE, "/srv"))
    assert lines[0].html.count("vscode://file//srv/library/views.py:88") == 1
    long = a_trace(2, events=[a_query(n, sql=f"SELECT {n}") for n in range(1, 60)])
    lines, _ = build_lines(Index(long), None, Editor(VSCODE, "/srv"))
    assert all("vscode://file//srv/library/views.py:88" in line.html for line in lines)


@pytest.mark.parametrize("name", FORMATS)
def test_no_exported_file_has_a_link_to_it(trace, name, settings):
    settings.DBROUTE_PANEL = {**settings.DBROUTE_PANEL, "EDITOR_URL": VSCODE}
    assert b"vscode" not in b"".join(FORMATS[name].write([trace]))
