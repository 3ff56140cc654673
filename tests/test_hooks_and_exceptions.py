"""Functions given to ``on_commit()``, and exceptions, on each place where an event of a trace is shown."""

from __future__ import annotations

import csv
import io
import json
from time import perf_counter_ns

import msgspec
import pytest
from django.template.loader import get_template

from dbroute_panel.exports import FORMATS
from dbroute_panel.exports.spans import build_spans
from dbroute_panel.importing.reader import ReadError, read_traces
from dbroute_panel.presentation import (
    EventFilter,
    Index,
    Listing,
    build_detail,
    build_timeline,
    compute_totals,
)
from dbroute_panel.recording.builder import TraceBuilder
from dbroute_panel.recording.captured import CapturedCommitHook, CapturedException, CapturedQuery
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.records import Dropped, HookOutcome, dumps, loads
from dbroute_panel.redaction import redact_trace
from dbroute_panel.stores.base import Summary
from tests.traces import a_decision, a_finding, a_hook, a_query, a_trace, a_transaction, an_exception
from tests.views.test_trace import page_of, text

TRACE = a_trace(
    events=[
        a_decision(1),
        a_query(2, decision_id=1),
        a_transaction(3),
        a_hook(4, robust=True),
        an_exception(5),
        a_hook(6, "replica1", outcome=HookOutcome.RAN_AT_ONCE, atomic=False, transaction_number=None),
        a_hook(7, outcome=HookOutcome.DISCARDED),
        a_hook(8, outcome=HookOutcome.PENDING, ended_at_us=None),
        an_exception(9, ended="atomic"),
        an_exception(
            10, alias=None, transaction_number=None, raised_at=None, error="LookupError: of reader 42"
        ),
        an_exception(11, ended=None, alias=None, transaction_number=None, model="users.Card"),
    ],
    findings=[a_finding("stale-read", 4, 5)],
)


def written(name, trace=TRACE) -> str:
    return b"".join(FORMATS[name].write(iter([trace]))).decode()


def rows():
    return Listing(Index(TRACE), EventFilter(questions=True)).page().rows


class TestDocument:
    def test_it_is_read_as_it_was_written(self):
        assert loads(dumps(TRACE)) == TRACE
        assert [event.id for event in TRACE.commit_hooks] == [4, 6, 7, 8]
        assert [event.id for event in TRACE.exceptions] == [5, 9, 10, 11]

    def test_one_from_before_they_were_known_is_still_read(self):
        old = json.loads(dumps(a_trace()))
        old["dropped"] = {"decision": 1, "query": 2, "transaction": 3}
        trace = loads(json.dumps(old))
        assert trace.dropped == Dropped(decision=1, query=2, transaction=3, on_commit=0, exception=0)
        assert compute_totals(trace).dropped == 6

    def test_all_that_was_dropped_counts(self):
        assert compute_totals(a_trace(dropped=Dropped(on_commit=2, exception=3))).dropped == 5

    def test_no_kind_is_counted_for_another(self):
        summary, totals = Summary.from_trace(TRACE), compute_totals(TRACE)
        assert (summary.queries, summary.decisions, summary.transactions) == (1, 1, 1)
        assert (totals.queries, totals.decisions, totals.transactions, totals.events) == (1, 1, 1, 11)

    def test_a_store_keeps_them(self, store):
        store.save(TRACE)
        assert store.get(TRACE.id) == TRACE

    @pytest.mark.parametrize(
        ("number", "field", "value", "said"),
        [
            (3, "ended_at_us", -1, "ended_at_us"),
            (3, "transaction_number", -1, "transaction_number"),
            (4, "transaction_number", 2**70, "transaction_number"),
            (4, "raised_at", {"file": "x", "line": 2**70, "function": "f"}, "raised_at.line"),
            (3, "outcome", "perhaps", "outcome"),
            (4, "ended", "perhaps", "ended"),
        ],
    )
    def test_what_cannot_be_is_not_imported(self, number, field, value, said):
        document = json.loads(dumps(TRACE))
        document["events"][number][field] = value
        with pytest.raises(ReadError, match=said):
            list(read_traces(io.BytesIO(json.dumps(document).encode())))


class TestRedaction:
    def test_the_class_of_an_exception_is_left_of_it(self):
        shown = redact_trace(TRACE)
        assert [event.error for event in shown.exceptions] == [
            "TransactionManagementError",
            "TransactionManagementError",
            "LookupError",
            "TransactionManagementError",
        ]
        assert shown.commit_hooks == TRACE.commit_hooks
        assert redact_trace(shown) == shown

    @pytest.mark.parametrize("name", FORMATS)
    def test_no_format_has_the_message(self, name):
        assert "reader 42" in written(name)
        assert "reader 42" not in written(name, redact_trace(TRACE))


class TestRows:
    def test_each_is_a_row_that_says_what_became_of_it(self):
        said = {row.id: (row.kind, row.what, row.why) for row in rows()}
        assert said[4] == (
            "on_commit",
            "on_commit(library.tasks.send_mail, robust=True)",
            "ran after the commit",
        )
        assert said[5][2] == "ended the trace"
        assert said[6][1:] == ("on_commit(library.tasks.send_mail)", "ran at once")
        assert said[7][2] == "discarded"
        assert said[8][2] == "not run by the end of the trace"
        assert said[9] == ("exception", TRACE.exceptions[0].error, "left atomic()")
        assert said[11][2] == "caught inside"
        assert [row.id for row in rows() if row.error] == [5, 9, 10, 11]
        assert [row.database and row.database.alias for row in rows() if row.id in (5, 10)] == [
            "primary",
            None,
        ]

    def test_opened_it_says_why(self):
        index = Index(TRACE)
        said = {event.id: build_detail(index, event).sentence for event in TRACE.events}
        assert said[4] == "library.tasks.send_mail ran after the transaction on “primary” was committed."
        assert said[5] == "This exception left atomic() on “primary”, and ended the trace."
        assert said[6] == "library.tasks.send_mail ran at once: no transaction was open on “replica1”."
        assert said[7].startswith("library.tasks.send_mail never runs")
        assert said[8].startswith("library.tasks.send_mail had not run by the end of the trace")
        assert said[9] == "This exception left atomic() on “primary”."
        assert said[10] == "This exception ended the trace."
        assert said[11].startswith("The code caught this exception")
        refused = [
            an_exception(1, alias=None, using="primary", model="library.Book"),
            an_exception(2, alias=None, using="primary", model="library.Book", other="archive"),
        ]
        assert [build_detail(index, event).sentence for event in refused] == [
            "This exception ended the trace. Django refused to use library.Book on “primary”.",
            "This exception ended the trace. Django refused to use library.Book of “archive” on “primary”.",
        ]
        details = {event.id: build_detail(index, event) for event in TRACE.events}
        assert [details[id].origin for id in (5, 10)] == ["/lib/django/db/models/sql/compiler.py:841", ""]
        assert [details[id].atomic for id in (4, 5, 6, 10)] == [True, True, False, False]

    @pytest.mark.parametrize(
        ("wanted", "ids"),
        [
            (EventFilter(text="SEND_MAIL"), [4, 6, 7, 8]),
            (EventFilter(text="select_for_update"), [5, 9, 11]),
            (EventFilter(alias="primary"), [3, 4, 5, 7, 8, 9]),
            (EventFilter(findings=True), [4, 5]),
            (EventFilter(model="library.Book"), [2]),
            (EventFilter(model="users.Card"), [11]),
            (EventFilter(least_us=1), [2]),
            (EventFilter(kind="queries"), [2]),
            (EventFilter(sort="duration"), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ],
    )
    def test_filters(self, wanted, ids):
        assert [row.id for row in Listing(Index(TRACE), wanted).page().rows] == ids

    def test_they_are_no_bar_of_the_timeline(self):
        lanes = build_timeline(a_trace(events=[a_query(1), a_hook(2, "primary"), an_exception(3)])).lanes
        assert [(lane.database.alias, lane.count) for lane in lanes] == [("replica1", 1)]


class TestPages:
    def test_the_page_of_the_trace(self, admin, store):
        store.save(TRACE)
        said = text(page_of(admin, TRACE, "?event=5"))
        assert "on_commit(library.tasks.send_mail, robust=True)" in said
        assert "Failed: TransactionManagementError: select_for_update cannot be used" in said
        assert "raised in Django /lib/django/db/models/sql/compiler.py:841 as_sql" in said
        assert "in transaction 1 of this trace" in said

    def test_the_panel_s_rows(self):
        pytest.importorskip("debug_toolbar")
        from dbroute_panel.panel.rows import build_lines

        lines, beyond = build_lines(Index(TRACE), None)
        html = "".join(line.html for line in lines)
        assert beyond == 0
        assert "LookupError: of reader 42" in html
        assert "raised in Django" in html
        assert "never runs: what it waited for on “primary” was rolled back, or a function" in html
        many = a_trace(events=[a_hook(number) for number in range(1, 30)])
        lines, _beyond = build_lines(Index(many), None)
        assert "as in #1" in lines[5].html  # like the first: one line
        errors = a_trace(events=[an_exception(number) for number in range(1, 30)])
        assert all("select_for_update" in line.html for line in build_lines(Index(errors), None)[0])


class TestFormats:
    def test_csv(self):
        found = {row["id"]: row for row in csv.DictReader(io.StringIO(written("csv"), newline=""))}
        hook, error = found["4"], found["5"]
        assert (hook["type"], hook["hook"], hook["robust"], hook["outcome"], hook["ended_at_us"]) == (
            "on_commit",
            "library.tasks.send_mail",
            "true",
            "ran",
            "450",
        )
        assert (error["type"], error["ended"], error["raised_at"]) == (
            "exception",
            "trace",
            "/lib/django/db/models/sql/compiler.py:841",
        )
        assert error["error"] == TRACE.exceptions[0].error
        assert (found["10"]["raised_at"], found["10"]["alias"]) == ("", "")
        assert found["11"]["model"] == "users.Card"

    def test_chrome(self):
        events = json.loads(written("chrome"))["traceEvents"]
        points = {event["args"]["id"]: event for event in events if event["ph"] == "i"}
        assert points[4]["name"] == "on_commit library.tasks.send_mail"
        assert points[4]["args"]["findings"] == ["stale-read"]
        assert (points[5]["name"], points[5]["cat"]) == ("TransactionManagementError", "exception")
        assert points[10]["tid"] == 1  # the whole trace's lane: it is of no database
        assert points[5]["tid"] == points[4]["tid"] != 1
        assert sorted(points) == [4, 5, 6, 7, 8, 9, 10, 11]

    def test_spans(self):
        block = msgspec.structs.replace(TRACE, kind="block", request=None)
        spans = {span.name: span for span in build_spans(block)}
        whole, transaction = spans["GET /books/42/"], spans["transaction primary"]
        assert whole.error == TRACE.exceptions[0].error
        assert whole.attributes["error.type"] == "TransactionManagementError"
        inside = [(moment.name, moment.attributes) for moment in transaction.events]
        assert [name.removeprefix("dbroute.") for name, _ in inside] == (
            ["on_commit", "exception", "on_commit", "on_commit", "exception"]
        )
        assert inside[0][1]["dbroute.on_commit.outcome"] == "ran"
        assert inside[0][1]["dbroute.findings"] == ["stale-read"]
        assert inside[1][1]["exception.type"] == "TransactionManagementError"
        assert inside[1][1]["exception.message"].startswith("select_for_update cannot")
        outside = [moment.name for moment in whole.events]
        assert outside == ["dbroute.finding", "dbroute.on_commit", "exception", "exception"]

    def test_a_request_that_failed_says_by_what(self):
        failed = a_trace(status=500, events=[an_exception(1, alias=None, transaction_number=None)])
        whole = next(build_spans(failed))
        assert whole.error.startswith("TransactionManagementError")
        assert whole.attributes["error.type"] == "500"
        assert next(build_spans(redact_trace(failed))).error == "TransactionManagementError"
        assert next(build_spans(a_trace(status=500))).error == ""

    def test_html(self):
        html = written("html")
        assert "on_commit(library.tasks.send_mail, robust=True)" in html
        assert "LookupError: of reader 42" in html


class TestWriting:
    """What the writer makes of the raw events, without a database."""

    def trace(self, *raw, params=True):
        recorder = Recorder("it", "block")
        recorder.params = params
        recorder.events += raw
        return TraceBuilder(recorder).trace("it", "block", perf_counter_ns())

    def an_error(self, message="IntegrityError: Key (session_key)=(abc)", **changes):
        fields = {"id": 2, "start": perf_counter_ns(), "error": ("IntegrityError", message)}
        return CapturedException(
            **fields
            | {"ended": "trace", "alias": None, "transaction_number": None, "site": None, "raised_at": None}
            | changes
        )

    def a_failed_query(self, *error, sql="INSERT INTO django_session VALUES (%s)"):
        raw = CapturedQuery(
            1, "a", "sqlite", sql, None, False, None, None, False, False, None, None, None, 0, 0
        )
        raw.error = error
        return raw

    def test_a_hook(self):
        start = perf_counter_ns()
        raw = CapturedCommitHook(1, start, "primary", "library.tasks.send", False, True, 3, None)
        (hook,) = self.trace(raw).commit_hooks
        assert (hook.outcome, hook.ended_at_us) == (HookOutcome.PENDING, None)
        raw.outcome, raw.end = HookOutcome.RAN, start + 10**12
        (hook,) = self.trace(raw).commit_hooks
        assert hook.outcome is HookOutcome.RAN
        assert hook.ended_at_us > 990_000_000

    def test_the_message_of_an_exception_is_kept_like_that_of_a_query(self):
        assert self.trace(self.an_error()).exceptions[0].error == "IntegrityError: Key (session_key)=(abc)"
        assert self.trace(self.an_error(), params=False).exceptions[0].error == "IntegrityError"

    @pytest.mark.parametrize(
        ("error", "sql", "kept"),
        [
            (
                ("IntegrityError", "IntegrityError: Key (session_key)=(abc)"),
                "INSERT INTO django_session",
                False,
            ),
            (("IntegrityError", "IntegrityError: Key (isbn)=(abc)"), "INSERT INTO book", True),
            (("IntegrityError", "IntegrityError"), "INSERT INTO book", False),
            (("OperationalError", "OperationalError: x"), "INSERT INTO django_session", True),
        ],
    )
    def test_not_where_a_query_failed_so_whose_message_is_secret(self, site, error, sql, kept):
        trace = self.trace(self.a_failed_query(*error, sql=sql), self.an_error())
        assert (trace.exceptions[0].error != "IntegrityError") is kept


def test_a_row_of_the_file_and_of_the_page_are_of_one_template():
    row = rows()[4]
    detail = build_detail(Index(TRACE), TRACE.events[4])
    html = get_template("dbroute_panel/file_row.html").render({"row": row, "detail": detail, "here": "#t1-"})
    assert "raised in Django" in html
