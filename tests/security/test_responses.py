"""What is around the pages: headers, downloads, redirects, hostile filters, names of formats and files."""

from __future__ import annotations

import csv
import io
import re
import sys

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.db import connections, router
from django.http import HttpResponse
from django.test import RequestFactory

from dbroute_panel import stores, trace
from dbroute_panel.exports import FORMATS
from dbroute_panel.inspection.map import ModelRoutes, RoutingMap, dump_csv
from dbroute_panel.middleware import TraceMiddleware
from dbroute_panel.records import loads
from example_site.library.models import Book
from tests.security.everywhere import body, page
from tests.security.hostile import hostile
from tests.security.pages import HERE, PAGES, person, posted, url
from tests.traces import a_query, a_trace
from tests.waiting import no_trap

pytestmark = pytest.mark.unmeasured

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =cmd|'/c calc'!A1", "＝1")  # noqa: RUF001
DANGEROUS = re.compile(r"\s*[=+\-@\t\r＝＋－＠]")  # noqa: RUF001


@pytest.fixture
def admin(admin, store, settings):
    settings.DEBUG = False
    store.save(HERE)
    return admin


FORMAT_NAMES = (
    *("../json", "..%2f..%2fetc%2fpasswd", "json%00", "json%0d%0aSet-Cookie:%20a=b", "JSON"),
    *("__class__", " "),
)
TRACE_NAMES = ("..%2f..%2ftraces.sqlite3", "%00", "f%0d%0aX:%20y", "%25", "' OR 1=1 --", "*")
CODES = ("..%2f..%2fREADME", "..", "%2fetc%2fpasswd", "stale-read%00", "stale-read.md", ".")
LONG = "a" * 100_000
FILTERS = (LONG, "%" * 10_000, "*?[" * 3000, "\\" * 5000, "'\";--", "\0", "(a+)+$", "_%")
CALLABLES = (
    *("os.system", "subprocess.Popen", "builtins.eval", "django.core.management.call_command"),
    *("os", "../x", ""),
)


SPREADSHEETS = [chosen for chosen in FORMATS.values() if chosen.content_type.startswith("text/csv")]


class TestHeaders:
    def test_no_page_may_be_framed_or_sniffed_or_kept(self, admin):
        for name in PAGES:
            response = admin.get(url(name))
            response.close()
            assert response["X-Frame-Options"] == "DENY", name
            assert response["X-Content-Type-Options"] == "nosniff", name
            assert "no-store" in response["Cache-Control"], name
            assert "private" in response["Cache-Control"], name

    def test_a_download_is_not_sniffed_even_where_the_project_has_no_security_middleware(
        self, admin, settings
    ):
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "Security" not in name]
        for name in FORMATS:
            response = admin.get(page("export", trace_id=HERE.id, format_name=name))
            response.close()
            assert response["X-Content-Type-Options"] == "nosniff", name

    def test_what_is_downloaded_is_an_attachment_with_a_name_of_ours(self, admin):
        for name, chosen in FORMATS.items():
            for query in ({}, {"redact": "1"}):
                response = admin.get(page("export", trace_id=HERE.id, format_name=name), query)
                response.close()
                assert response.status_code == 200
                expected = rf'attachment; filename="dbroute-{HERE.id}[a-z-]*\.{re.escape(chosen.extension)}"'
                assert re.fullmatch(expected, response["Content-Disposition"])
                assert response["Content-Type"] == chosen.content_type

    @pytest.mark.parametrize("name", FORMAT_NAMES)
    def test_no_other_format_and_no_file_can_be_named(self, admin, name):
        response = admin.get(f"/admin/dbroute_panel/trace/{HERE.id}/export/{name}/")
        assert response.status_code == 404
        assert not {"Content-Disposition", "Set-Cookie"} & set(response.headers)

    @pytest.mark.parametrize("name", TRACE_NAMES)
    def test_no_other_trace_can_be_named(self, admin, name):
        for below in ("change", "delete", "replay", "export/json"):
            response = admin.get(f"/admin/dbroute_panel/trace/{name}/{below}/")
            assert response.status_code == 404, below
            assert "Content-Disposition" not in response

    @pytest.mark.parametrize("name", CODES)
    def test_no_other_document_can_be_named(self, admin, name):
        assert admin.get(f"/admin/dbroute_panel/trace/finding/{name}/").status_code == 404

    def test_hostile_names_of_databases_end_up_in_no_header(self, site, store, settings, monkeypatch):
        """An alias is the project's own word; one with line ends and quotes still splits no header."""
        evil = 'a"\r\nSet-Cookie: evil=1\r\n\r\n<script>;,\\'
        monkeypatch.setitem(connections.settings, evil, dict(connections.settings["archive"]))

        class Here:
            def db_for_read(self, model, **hints):
                return evil

        monkeypatch.setattr(router, "routers", [Here()])

        def view(request):
            return HttpResponse(str(Book.objects.filter(pk=1).count() if "books" in request.path else 0))

        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SERVER_TIMING": True}
        try:
            response = TraceMiddleware(view)(RequestFactory().get("/books/"))
        except Exception as error:  # noqa: BLE001 - the table may not be there: then no response has headers
            pytest.fail(f"the view failed: {error}")
        finally:
            connections[evil].close()
            del connections[evil]
        response.close()
        assert re.fullmatch("[0-9a-f]{32}", response["Dbroute-Trace-Id"])
        for name, value in response.headers.items():
            assert not re.search(r"[\r\n\0]", f"{name}{value}")
        assert "Set-Cookie" not in response.headers
        timing = response.headers.get("Server-Timing", "")
        assert re.fullmatch(r'[^"]*(?:"(?:[^"\\]|\\.)*"[^"]*)*', timing), "every quote is closed"


class TestRedirects:
    def test_none_leads_to_another_site(self, admin, store):
        evil = {
            "next": "https://xss.example/",
            "url": "//xss.example",
            "_changelist_filters": "//xss.example",
        }
        places = []
        for name, listed in PAGES.items():
            responses = [admin.get(url(name), evil | {"event": "999", "fold": "2"})]
            if listed.do:
                responses.append(admin.post(f"{url(name)}?next=//xss.example", posted(name) | evil))
            places += [response["Location"] for response in responses if "Location" in response.headers]
            store.save(HERE)
        assert len(places) > 1
        for place in places:
            assert place.startswith(("/admin/", "?")), place
            assert "://" not in place.partition("?")[0]
            assert not place.startswith("//")


class TestSpreadsheets:
    """A cell must not be a formula; https://owasp.org/www-community/attacks/CSV_Injection."""

    def test_they_open_one_of_the_formats(self):
        assert [chosen.name for chosen in SPREADSHEETS] == ["csv"]

    @pytest.mark.parametrize("formula", FORMULAS)
    def test_no_cell_of_a_map_is_a_formula(self, formula):
        routes = ModelRoutes(
            read=[formula], write=[formula], migrate={formula: True}, managed=True, errors={formula: formula}
        )
        text = dump_csv(RoutingMap(databases=[formula], models={formula: routes}))
        assert_no_formula(text)
        assert formula.strip() in text

    @pytest.mark.parametrize("formula", FORMULAS)
    def test_no_cell_of_an_export_is_a_formula(self, formula):
        """In every format that a spreadsheet opens."""
        document = a_trace(1, name=formula, path=formula, aliases=[formula])
        document.events.append(
            a_query(
                9, formula, sql=formula, params=[formula], model=formula, error=formula, operation=formula
            )
        )
        for chosen in SPREADSHEETS:
            assert_no_formula(b"".join(chosen.write([document])).decode())

    def test_no_cell_of_an_export_of_a_hostile_document_is_one(self):
        made, _numbers = hostile(lambda number: f"@xss{number}")
        document = loads(msgspec.json.encode(made))
        for chosen in SPREADSHEETS:
            assert_no_formula(b"".join(chosen.write([document])).decode())


def assert_no_formula(text: str) -> None:
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) > 1
    assert [cell for row in rows for cell in row if DANGEROUS.match(cell) and not is_number(cell)] == []


def is_number(cell: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", cell) is not None and cell not in FORMULAS


class TestHostileFilters:
    @pytest.mark.parametrize("text", FILTERS, ids=range(len(FILTERS)))
    def test_no_filter_takes_long_or_fails(self, admin, text):
        for name, fields in (
            ("changelist", ("path", "alias", "finding", "kind", "status", "page")),
            ("change", ("q", "db", "route", "model", "action", "event", "fold", "page")),
            ("map", ("q", "app", "db", "finding", "page")),
            ("sandbox", ("model", "hints", "repeat")),
        ):
            for given in (dict.fromkeys(fields, text), {fields[0]: text[:500]}):
                with no_trap():
                    response = admin.get(url(name), given)
                assert response.status_code in (200, 400, 404)

    def test_a_filter_is_no_pattern(self, admin):
        """% and _ are what they are."""
        for text in ("%", "_", "*", "/books/__/", "/books/%/", "[/]"):
            assert b"0 traces" in admin.get(url("changelist"), {"path": text}).content or (
                HERE.id.encode() not in admin.get(url("changelist"), {"path": text}).content
            )
        assert HERE.id.encode() in admin.get(url("changelist"), {"path": "/books/"}).content

    @pytest.mark.parametrize("number", ["9" * 5000, "-1", "1e9", "٣", "0x10", "99999999999"])
    def test_no_number_is_too_large(self, admin, number):
        for name, field in (
            ("changelist", "page"),
            ("changelist", "status"),
            ("change", "page"),
            ("change", "event"),
        ):
            assert admin.get(url(name), {field: number}).status_code in (200, 302, 400, 404)
        for name in ("sandbox", "replay"):
            assert admin.post(url(name), posted(name) | {"repeat": number}).status_code in (200, 400)

    def test_many_parameters_are_refused_by_django(self, admin):
        query = "&".join(f"a{number}=1" for number in range(2000))
        assert admin.get(f"{url('changelist')}?{query}").status_code == 400

    def test_hints_nested_deeply_are_one_message(self, admin):
        for hints in ("[" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000):
            response = admin.post(url("sandbox"), posted("sandbox") | {"hints": hints})
            assert response.status_code in (200, 400)


class TestWhatAskingMayRun:
    """Replay takes dotted paths of routers: of this project's packages, and only a router is ever called."""

    @pytest.mark.parametrize("path", CALLABLES)
    def test_only_a_router_is_called(self, admin, monkeypatch, path):
        response = admin.post(url("replay"), {"repeat": "1", "routers": path, "other": "1"})
        assert response.status_code in (200, 400)
        if path and "." in path:
            assert response.status_code == 400
            assert b"Traceback" not in response.content

    def test_no_module_outside_of_the_project_is_imported(self, admin):
        sys.modules.pop("wave", None)
        response = admin.post(url("replay"), posted("replay") | {"routers": "wave.open"})
        assert response.status_code == 400
        assert "is not from this project" in body(response)
        assert "wave" not in sys.modules

    def test_a_real_row_needs_the_permission_to_view_its_model(self, admin):
        asking = person("staff with use_sandbox")
        row = posted("sandbox") | {"instance": "row", "instance_db": "primary"}
        there = asking.post(url("sandbox"), row | {"instance_pk": "1"})
        gone = asking.post(url("sandbox"), row | {"instance_pk": "987654"})
        assert there.status_code == gone.status_code == 403
        strip = re.compile(rb'value="(?:1|987654)"|name="csrfmiddlewaretoken" value="\w+"')
        assert strip.sub(b"", there.content) == strip.sub(b"", gone.content), (
            "whether it is there is not said"
        )
        assert admin.post(url("sandbox"), row | {"instance_pk": "1"}).status_code == 200


class TestFiles:
    @pytest.mark.parametrize("name", ["/etc/passwd", "/dev/zero", "/proc/self/environ"])
    def test_the_import_tells_nothing_of_a_file_that_is_no_export(self, site, store, name):
        """The command reads what its user may read anyway; but it quotes nothing of it."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.raises(CommandError) as raised:
            call_command("dbroute", "import", name, stdout=out, stderr=err)
        text = f"{raised.value}{out.getvalue()}{err.getvalue()}"
        assert len(text) < 500
        assert "root:" not in text
        assert "PATH=" not in text


def test_a_trace_is_found_by_nobody_who_may_not_look(admin, store):
    """Also one that this process is still recording."""
    with trace("going on") as going:
        Book.objects.count()
        assert body(admin.get(page("change", trace_id=going.id)))
        assert person("staff").get(page("change", trace_id=going.id)).status_code == 403
    assert stores.get_store().get(going.id)
