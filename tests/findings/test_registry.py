from __future__ import annotations

import logging

import pytest

from dbroute_panel import findings, trace
from dbroute_panel.findings import REGISTRY, Facts, Finding, finding, registry
from dbroute_panel.records import Level, dumps, loads
from example_site.library.models import Person, Tag
from example_site.notes.models import Note
from example_site.users.models import User
from tests.traces import a_decision, a_long_trace, a_query, a_trace

HERE = __name__


@finding("archive-read", level="warning")
def archive_read(trace: Facts):
    """Somebody reads the archive."""
    for query in trace.queries:
        if query.alias == "archive":
            yield Finding.about(query, message=f"{trace.subject(query)} was read from archive.")


def undecorated(trace: Facts):
    for query in trace.queries:
        yield Finding.about(query, code="plain", level=Level.INFO, message="A query.")


@finding("fails", level=findings.ERROR)
def fails(trace: Facts):
    yield Finding.about(*trace.queries, message="Before it failed.")
    raise ZeroDivisionError


def without_a_code(trace: Facts):
    return [Finding.about(*trace.queries, message="What is it?")]


def no_findings(trace: Facts):
    return ["a message"]


def nothing_at_all(trace: Facts):
    return None


@finding("endless", level="info")
def endless(trace: Facts):
    while True:
        yield Finding.about(*trace.queries, *reversed(trace.queries), message="Again.")


@pytest.fixture
def configure(settings, monkeypatch):
    monkeypatch.setattr(registry, "_logged", set())

    def configure(*names, **changes):
        paths = [f"{HERE}.{name}" for name in names]
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"FINDINGS": paths} | changes

    return configure


def an_archive_trace():
    return a_trace(events=[a_query(1, "archive"), a_query(2, "primary", sql="SELECT 1")])


def codes(found):
    return [one.code for one in found]


def test_a_finding_is_its_function_with_a_code_and_a_level():
    def looks(trace):
        """Looks."""
        yield Finding.about(*trace.queries, message="Seen.")

    made = findings.finding("looks", level="error")(looks)
    assert (made.code, made.level, made.function) == ("looks", Level.ERROR, looks)
    assert (made.__name__, made.__doc__, made.__wrapped__) == ("looks", "Looks.", looks)


class TestOwnFindings:
    def test_of_the_project_are_found_with_their_code_and_level(self, configure):
        configure("archive_read")
        (found,) = findings.find(an_archive_trace())
        assert found == Finding(
            code="archive-read",
            level=Level.WARNING,
            message="library.Book was read from archive.",
            events=[1],
        )
        assert archive_read.__doc__ == "Somebody reads the archive."

    def test_may_say_their_code_themselves(self, configure):
        configure("undecorated")
        assert codes(findings.find(an_archive_trace())) == ["plain", "plain"]

    def test_are_not_run_unless_named(self):
        assert findings.find(an_archive_trace()) == []

    @pytest.mark.parametrize("name", ["fails", "without_a_code", "no_findings", "nothing_at_all"])
    def test_that_fail_are_logged_once_and_skipped(self, configure, caplog, name):
        configure(name, "archive_read")
        for _ in range(2):
            assert codes(findings.find(an_archive_trace())) == ["archive-read"]
        (record,) = caplog.records
        assert (record.levelno, record.name) == (logging.ERROR, "dbroute_panel")
        assert record.getMessage() == (
            f"The finding function {HERE}.{name} failed; its findings are left out."
        )
        assert record.exc_info

    def test_have_a_level_that_exists(self):
        with pytest.raises(ValueError, match="fatal"):
            finding("x", level="fatal")

    def test_without_end_are_cut(self, configure):
        configure("endless")
        found = findings.find(a_trace(events=[a_query(number, "primary") for number in range(1, 9)]))
        assert len(found) == registry.MAX_FINDINGS
        assert found[0].events == list(range(1, 9))


class TestFind:
    def test_leaves_out_what_is_silenced(self, configure):
        configure("archive_read", "undecorated", SILENCED_FINDINGS=["archive-read", "plain", "stale-read"])
        assert findings.find(an_archive_trace()) == []

    def test_runs_nothing_that_is_silenced(self, configure, caplog):
        configure("fails", SILENCED_FINDINGS=["fails"])
        assert findings.find(an_archive_trace()) == []
        assert caplog.records == []

    @pytest.mark.usefixtures("site")
    def test_silences_its_own(self, configure):
        note = Note.objects.using("archive").first()
        with trace("t") as t:
            note.save()
        assert codes(findings.find(t.document)) == ["write-by-fallback"]
        configure(SILENCED_FINDINGS=["write-by-fallback"])
        assert findings.find(t.document) == []

    @pytest.mark.usefixtures("site")
    def test_has_the_worst_first_and_then_in_order_of_their_events(self):
        with trace("t") as t:
            User.objects.create(username="margaret")
            person = Person.objects.using("primary").first()
            person.save()
            list(Person.objects.all())
            person.save(using="archive")
            Note.objects.using("archive").first().save()
        assert codes(findings.find(t.document)) == [
            "pk-overwrite",
            "stale-read",
            "write-by-fallback",
            "several-databases-written",
            "same-query-elsewhere",
        ]

    @pytest.mark.usefixtures("site")
    def test_judges_a_document_by_itself(self, configure):
        with trace("t") as t:
            Tag.objects.create(name="brass")
            list(Tag.objects.all())
        imported = loads(dumps(t.document))
        configure(REPLICAS={})
        assert codes(findings.find(imported)) == ["stale-read"]
        assert findings.find(imported) == findings.find(t.document)

    def test_finds_nothing_in_a_trace_without_events_and_changes_no_trace(self):
        assert findings.find(a_trace(events=[])) == []
        long = a_long_trace(events=200)
        before = dumps(long)
        findings.find(long)
        assert dumps(long) == before

    def test_does_not_depend_on_the_order_in_which_a_document_has_its_events(self):
        write = a_query(1, "primary", writes=True, sql="UPDATE library_book", operation="UPDATE", at_us=0)
        read = a_query(2, "replica1", at_us=900)
        ordered, mixed = (findings.find(a_trace(events=e)) for e in ([write, read], [read, write]))
        assert codes(ordered) == ["stale-read"]
        assert ordered == mixed

    def test_lists_so_many_events_and_says_how_many_there_were(self):
        decision = a_decision(1)
        writes = [
            a_query(
                number, "archive", decision_id=1, writes=True, operation="UPDATE", sql="UPDATE library_book"
            )
            for number in range(2, 300)
        ]
        (found,) = findings.find(a_trace(events=[decision, *writes]))
        assert len(found.events) == registry.MAX_EVENTS
        assert "library.Book (298 queries)" in found.message


class TestCodes:
    def test_are_those_of_the_registry_and_of_the_project(self, configure):
        assert findings.codes() == set(REGISTRY)
        configure("archive_read", "undecorated")
        assert findings.codes() == {*REGISTRY, "archive-read"}

    def test_say_in_a_docstring_what_is_wrong(self):
        assert all(function.__doc__ for function in REGISTRY.values())
