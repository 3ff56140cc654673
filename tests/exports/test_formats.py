"""The registry, and what scenarios left, through every format and back."""

from __future__ import annotations

import csv
import io
import json

import html5lib
import msgspec
import pytest

from dbroute_panel import trace as traced
from dbroute_panel.exports import FORMATS
from dbroute_panel.importing.importer import import_traces
from dbroute_panel.importing.reader import read_traces
from dbroute_panel.inspection.replay import replay
from dbroute_panel.records import Callsite, dumps
from dbroute_panel.redaction import redact_trace
from dbroute_panel.stores import MemoryStore
from example_site.library.models import Book
from example_site.scenarios import SCENARIOS
from example_site.scenarios.running import run
from tests.traces import a_query, a_trace

pytestmark = pytest.mark.unmeasured

IMPORTABLE = ("json", "ndjson")


def written(name, *traces) -> bytes:
    return b"".join(FORMATS[name].write(iter(traces)))


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_says_all_that_pages_and_command_need(name):
    known = FORMATS[name]
    assert known.name == name
    assert known.label
    assert str(known.purpose)
    assert "/" in known.content_type
    assert known.extension == known.extension.lower().strip(".")


def test_no_two_formats_have_the_same_extension():
    assert len({known.extension for known in FORMATS.values()}) == len(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_needs_the_traces_to_be_a_list(name):
    assert written(name) is not None


@pytest.fixture
def walk_through(site, store):
    (part,) = run(SCENARIOS[13])
    (trace_id,) = part.traces
    return store.get(trace_id)


class TestTheWalkThrough:
    """Scenario 13, read by readers that are not ours."""

    @pytest.mark.parametrize("name", IMPORTABLE)
    def test_json(self, walk_through, name):
        assert json.loads(written(name, walk_through)) == walk_through.to_dict()

    def test_csv(self, walk_through):
        text = written("csv", walk_through).decode()
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        assert [(int(row["id"]), row["type"]) for row in rows] == [
            (event["id"], event["type"]) for event in walk_through.to_dict()["events"]
        ]
        queries = [row for row in rows if row["type"] == "query"]
        assert [(row["alias"], row["sql"]) for row in queries] == [
            (q.alias, q.sql) for q in walk_through.queries
        ]
        assert sum(float(row["duration_us"]) for row in queries) == pytest.approx(
            sum(query.duration_us for query in walk_through.queries)
        )

    def test_html(self, walk_through):
        parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
        tree = parser.parse(written("html", walk_through).decode())
        ids = {element.get("id") for element in tree.iter()}
        assert {f"t1-event-{event.id}" for event in walk_through.events} <= ids
        text = " ".join("".join(tree.itertext()).split())
        for query in walk_through.queries:
            assert query.alias in text
        for finding in walk_through.findings:
            assert finding.message in text

    @pytest.mark.parametrize("name", IMPORTABLE)
    @pytest.mark.parametrize("redact", [False, True])
    def test_replay_reads_the_file(self, walk_through, name, redact):
        trace = redact_trace(walk_through) if redact else walk_through
        found = replay(read_traces(io.BytesIO(written(name, trace))))
        assert found.asked == len(walk_through.decisions)


@pytest.mark.parametrize("number", SCENARIOS)
def test_the_round_trip_of_every_scenario_is_byte_identical(site, store, number):
    traces = [store.get(trace_id) for part in run(SCENARIOS[number]) for trace_id in part.traces]
    assert traces  # there is no scenario that leaves none
    for name in IMPORTABLE:
        exported = written(name, *traces)
        elsewhere = MemoryStore()
        assert import_traces(io.BytesIO(exported), elsewhere, name="file").new == len(traces)
        back = [elsewhere.get(trace.id) for trace in traces]
        assert written(name, *back) == exported
        assert all(elsewhere.summary(trace.id).imported for trace in traces)
    assert all(msgspec.json.decode(dumps(trace)) == trace.to_dict() for trace in traces)


@pytest.mark.parametrize("name", FORMATS)
def test_the_document_of_a_block_is_written_in_every_format(site, name):
    with traced("a block", keep=False) as t:
        Book.objects.count()
    assert b"library_book" in written(name, t.document)


def test_to_dict_is_what_json_has_lists_and_no_tuples(site):
    site_of_a_template = Callsite(file="v.py", line=1, function="f", template=("book.html", 3))
    trace = a_trace(1, events=[a_query(1, callsite=site_of_a_template)])
    assert trace.to_dict() == json.loads(dumps(trace))
    assert trace.to_dict()["events"][0]["callsite"]["template"] == ["book.html", 3]
