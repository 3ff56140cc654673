"""The database's own code of an error where a failed query is shown: page, panel, command, HTML export."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from dbroute_panel.exports import FORMATS
from dbroute_panel.presentation import Index, formatting
from tests.traces import a_query, a_trace
from tests.views.test_trace import text, url

REFUSED = a_query(1, error="InternalError: cannot execute CALL", error_code="25006")
SHOWN = "InternalError: cannot execute CALL (SQLSTATE 25006)"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (REFUSED.error, "25006", SHOWN),
        ("OperationalError", 1290, "OperationalError (code 1290)"),
        ('OperationalError: (1290, "The server")', 1290, 'OperationalError: (1290, "The server")'),
        ("OperationalError: attempt to write", 8, "OperationalError: attempt to write (code 8)"),
        ("OperationalError: no such table: x", 1, "OperationalError: no such table: x"),
        ("OperationalError: x", None, "OperationalError: x"),
        (None, None, ""),
    ],
)
def test_the_message_with_the_code_unless_it_says_it(error, code, said):
    assert formatting.error(a_query(1, error=error, error_code=code)) == said


def test_the_page_of_the_trace(admin, store):
    store.save(a_trace(1, events=[REFUSED]))
    assert f"Failed: {SHOWN}" in text(admin.get(url("change", a_trace(1).id), {"event": "1"}))


@pytest.mark.toolbar
def test_the_panels_rows():
    from dbroute_panel.panel.rows import build_lines

    lines, _beyond = build_lines(Index(a_trace(1, events=[REFUSED])), None)
    assert SHOWN in repr(lines)


def test_the_command(site, store, capsys):
    store.save(a_trace(1, events=[REFUSED]))
    call_command("dbroute", "show", a_trace(1).id, verbosity=2)
    assert SHOWN in capsys.readouterr().out


def test_the_html_export():
    assert SHOWN in b"".join(FORMATS["html"].write([a_trace(1, events=[REFUSED])])).decode()
