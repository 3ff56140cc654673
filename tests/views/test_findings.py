"""Findings on the admin pages: on a trace, in the list of traces, and what each of them means."""

from __future__ import annotations

import re

import pytest

from dbroute_panel.presentation import documented_codes
from dbroute_panel.records import Finding, Level
from dbroute_panel.stores import Filter, MemoryStore
from example_site.scenarios import SCENARIOS
from example_site.scenarios.running import run
from tests.traces import a_decision, a_finding, a_query, a_trace
from tests.views.test_trace import url, words

PARTIAL = {"HX-Request-Type": "partial"}
HOSTILE = "<script>alert(1)</script>"


def found(level: Level, code: str, *events: int) -> Finding:
    return Finding(code=code, level=level, message=f"Something is {code}.", events=[*events])


def part_of(response, pattern: str) -> str:
    """A part of the page; the debug toolbar is on it as well."""
    return re.search(pattern, response.content.decode(), re.DOTALL)[0]


class TestATrace:
    @pytest.fixture
    def page(self, admin, store):
        (part,) = run(SCENARIOS[25])
        trace = store.get(part.traces[0])
        return lambda query="": admin.get(url("change", trace.id) + query), trace

    def test_what_was_found_in_a_real_one_leads_to_its_events_and_its_meaning(self, page):
        get, trace = page
        (stale,) = trace.findings
        section = part_of(get(), r'<section class="dbroute-findings".*?</section>')
        assert words(section).startswith(f"Findings ▲ warning {stale.message} → ")
        for event in stale.events:
            assert f'href="?event={event}#event-{event}"' in section
            opened = get(f"?event={event}")
            assert re.search(rf'id="event-{event}"\s+open', opened.content.decode())
            assert stale.message in words(part_of(opened, rf'id="event-{event}".*?</details>'))
        assert f'href="{url("finding", "stale-read")}"' in section

    def test_its_rows_are_marked_and_no_others(self, page):
        get, trace = page
        rows = re.findall(r'class="dbroute-row [^"]*" id="event-(\d+)"', get().content.decode())
        marked = re.findall(
            r'id="event-(\d+)"[^>]*>\s*<summary(?:(?!</summary>).)*dbroute-level-warning',
            get().content.decode(),
            re.DOTALL,
        )
        assert set(map(int, marked)) == set(trace.findings[0].events) < set(map(int, rows))

    def test_only_findings(self, page):
        get, trace = page
        for response in (get("?findings=on"), get("?findings=on&questions=on")):
            rows = re.findall(r'class="dbroute-row [^"]*" id="event-(\d+)"', response.content.decode())
            assert list(map(int, rows)) == trace.findings[0].events
        assert 'name="findings"' in get().content.decode()

    def test_a_finding_about_a_decision_is_in_the_row_of_its_query(self, admin, store):
        store.save(a_trace(1, findings=[found(Level.ERROR, "unknown-alias", 1)]))
        response = admin.get(url("change", a_trace(1).id) + "?event=1&findings=on")
        row = part_of(response, r'id="event-2".*?</details>')
        assert words(row).count("✖ error") == 2  # in the line, and once it is open
        assert "Something is unknown-alias." in words(row)

    def test_a_decision_with_two_queries_is_marked_once(self, admin, store):
        events = [a_decision(1), a_query(2, decision_id=1), a_query(3, decision_id=1)]
        store.save(a_trace(1, events=events, findings=[found(Level.WARNING, "router-queried", 1)]))
        body = admin.get(url("change", a_trace(1).id)).content.decode()
        assert len(re.findall(r"<summary(?:(?!</summary>).)*dbroute-level-warning", body, re.DOTALL)) == 1

    def test_a_project_s_own_has_no_page_and_is_only_text(self, admin, store):
        own = Finding(code=HOSTILE, level=Level.INFO, message=HOSTILE, events=[1])
        store.save(a_trace(1, findings=[own]))
        response = admin.get(url("change", a_trace(1).id))
        section = part_of(response, r'<section class="dbroute-findings".*?</section>')
        assert "<script" not in section
        assert "● info" in words(section)
        assert "/finding/" not in section

    def test_of_many_about_one_event_its_row_says_some_and_how_many_more(self, admin, store):
        store.save(a_trace(1, findings=[found(Level.WARNING, "stale-read", 2)] * 12))
        detail = admin.get(url("change", a_trace(1).id) + "?event=2", headers={"HX-Request-Type": "partial"})
        assert words(detail.content.decode()).count("Something is stale-read.") == 10
        assert "and 2 more" in words(detail.content.decode())

    def test_what_we_say_in_english_is_marked_as_such_and_what_a_project_says_is_not(self, admin, store):
        ours = Finding(code="stale-read", level=Level.WARNING, message="Read stale.", events=[2])
        own = Finding(code="zu-alt", level=Level.WARNING, message="Zu alt.", events=[2])
        store.save(a_trace(1, findings=[ours, own]))
        page = admin.get(url("change", a_trace(1).id) + "?event=2", headers={"Accept-Language": "de"})
        body = page.content.decode()
        assert body.count('<span lang="en" dir="auto">Read stale.</span>') == 2  # on top, and in its row
        assert body.count('<span dir="auto">Zu alt.</span>') == 2


class TestTheList:
    @pytest.fixture(autouse=True)
    def _traces(self, store):
        store.save(a_trace(1, path="/none/"))
        several = [
            found(Level.ERROR, "pk-overwrite", 1),
            found(Level.WARNING, "stale-read", 1),
            found(Level.WARNING, "stale-read", 2),
        ]
        store.save(a_trace(2, path="/several/", findings=several))
        store.save(a_trace(3, path="/info/", findings=[found(Level.INFO, "random-route", 1)]))
        store.save(a_trace(4, path="/own/", findings=[found(Level.INFO, "of-the-project", 1)]))

    def test_each_line_counts_its_findings_by_level(self, admin):
        table = part_of(admin.get(url("changelist")), r'<table id="result_list".*?</table>')
        lines = {
            re.search(r"/(\w+)/", words(line))[1]: re.findall(r"[✖▲●] \d \w+", words(line))
            for line in re.findall(r"<tr id=.*?</tr>", table, re.DOTALL)
        }
        assert lines == {
            "none": [],
            "several": ["✖ 1 error", "▲ 2 warning"],
            "info": ["● 1 info"],
            "own": ["● 1 info"],
        }

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("finding=stale-read", {2}),
            ("finding=of-the-project", {4}),
            ("found=on", {2, 3, 4}),
            ("found=on&path=info", {3}),
            ("found=", {1, 2, 3, 4}),
            ("finding=empty-default", set()),  # may occur, but does not
        ],
    )
    def test_the_filter(self, admin, query, expected):
        response = admin.get(f"{url('changelist')}?{query}")
        assert response.status_code == 200
        body = response.content.decode()
        assert {n for n in (1, 2, 3, 4) if url("change", a_trace(n).id) in body} == expected

    def test_the_codes_that_occur_are_offered(self, admin, store):
        def offered():
            field = part_of(admin.get(url("changelist")), r'<select name="finding".*?</select>')
            return re.findall(r'<option value="([^"]+)"', field)

        assert offered() == ["of-the-project", "pk-overwrite", "random-route", "stale-read"]
        store.delete([a_trace(2).id])
        assert offered() == ["of-the-project", "random-route"]

    def test_an_unknown_code_is_refused_with_the_nearest(self, admin):
        response = admin.get(f"{url('changelist')}?finding=stale-raed")
        assert response.status_code == 400
        assert "Finding: there is no “stale-raed” here. Did you mean 'stale-read'?" in words(
            response.content.decode()
        )

    def test_htmx_gets_the_same(self, admin):
        body = admin.get(f"{url('changelist')}?found=on", headers=PARTIAL).content.decode()
        assert body.lstrip().startswith('<div id="dbroute-traces">')
        assert url("change", a_trace(1).id) not in body

    @pytest.mark.parametrize("kind", ["sqlite", "memory"])
    def test_stores_agree(self, store, kind):
        if kind == "memory":
            other = MemoryStore()
            for trace in store.traces():
                other.save(trace)
            store = other
        numbers = [int(one.id, 16) for one in store.summaries(Filter(found=False))]
        assert numbers == [1]
        assert store.count(Filter(found=True)) == 3
        assert store.codes() == {"pk-overwrite", "stale-read", "random-route", "of-the-project"}


class TestTheMeaning:
    @pytest.mark.parametrize("code", sorted(documented_codes()))
    def test_every_code_has_a_page(self, admin, code):
        response = admin.get(url("finding", code))
        assert response.status_code == 200
        article = part_of(response, r"<article.*?</article>")
        titles = re.findall(r"<h2>.*?</h2>", article, re.DOTALL)
        assert list(map(words, titles)) == ["Cause", "Example", "Remedy"]
        assert "```" not in article
        assert f"{url('changelist')}?finding={code}" in response.content.decode()

    def test_links_inside_stay_inside(self, admin):
        article = part_of(admin.get(url("finding", "empty-default-reachable")), r"<article.*?</article>")
        links = re.findall(r'href="([^"]+)"', article)
        assert url("finding", "empty-default") in links
        assert all(admin.get(link).status_code == 200 for link in links)

    def test_code_is_escaped(self, admin):
        article = part_of(admin.get(url("finding", "stale-read")), r"<article.*?</article>")
        assert "<pre" in article
        assert not re.search(r"<(?!/?(article|pre|code|h2|p|ul|li|strong|a)\b)", article)

    @pytest.mark.parametrize("code", ["stale-raed", "README", "..%2Fpyproject"])
    def test_an_unknown_code_is_404_with_the_nearest(self, admin, code):
        response = admin.get(url("changelist") + f"finding/{code}/")
        assert response.status_code == 404
        if code == "stale-raed":
            assert "Did you mean 'stale-read'?" in words(response.content.decode())


def test_a_finding_without_events_has_no_jump(admin, store):
    store.save(a_trace(1, findings=[a_finding("stale-read")]))
    section = part_of(
        admin.get(url("change", a_trace(1).id)), r'<section class="dbroute-findings".*?</section>'
    )
    assert "→" not in section
