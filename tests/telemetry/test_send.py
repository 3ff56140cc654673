"""Live export, to a receiver that is really there, or really is not."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import override_script_prefix
from opentelemetry import trace as api
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from dbroute_panel import telemetry, trace
from dbroute_panel.checks import check_settings
from dbroute_panel.exports.spans import build_spans
from dbroute_panel.middleware import TraceMiddleware
from dbroute_panel.redaction import redact_trace
from dbroute_panel.telemetry import sender
from example_site.library.models import Book, Tag
from tests.exports.protobuf import attributes
from tests.telemetry.receiver import Receiver, dead_port, silent
from tests.traces import a_long_trace, a_query, a_trace
from tests.waiting import PATIENCE_SECONDS, until
from tools.benchmarks.counting import count_calls

LIMITS = (sender.EXIT_TIMEOUT_SECONDS, sender.LAST_REQUEST_TIMEOUT_SECONDS)


@pytest.fixture(autouse=True)
def fresh(site, store, monkeypatch, caplog):
    """Nothing lost, nothing logged and nobody sending before the test."""
    monkeypatch.setattr(telemetry, "lost", 0)
    monkeypatch.setattr(telemetry, "_has_warned", False)
    # A busy machine is no endpoint that does not answer.
    monkeypatch.setattr(sender, "EXIT_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(sender, "LAST_REQUEST_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    caplog.set_level(logging.DEBUG, logger="opentelemetry")
    yield
    telemetry.close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    telemetry.close()
    receiver.close()


@pytest.fixture
def send_to(settings):
    def send_to(endpoint, **more):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"OTLP_ENDPOINT": endpoint} | more

    return send_to


def view(request):
    Book.objects.filter(title="a secret").first()
    return HttpResponse("fine")


def request():
    response = TraceMiddleware(view)(RequestFactory().get("/books/"))
    response.close()
    return response


def warnings(caplog):
    return [
        record
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith(("dbroute_panel", "opentelemetry"))
    ]


# A receiver that is there


def test_every_kept_trace_is_sent_redacted_and_as_the_file_has_it(receiver, send_to, store):
    send_to(receiver.endpoint)
    with trace("importing 42 books") as t:
        Book.objects.filter(title="a secret").first()
        Tag.objects.using("archive").extra(where=["name <> 'another secret'"]).count()
    telemetry.close()
    [(path, content_type, status)] = receiver.requests
    assert (path, content_type, status) == ("/v1/traces", "application/x-protobuf", 200)
    expected = list(build_spans(redact_trace(t.document)))
    assert {span.span_id.hex(): span.name for span in receiver.spans} == {s.id: s.name for s in expected}
    assert {span.trace_id.hex() for span in receiver.spans} == {t.id}
    times = {s.id: (s.start, s.end, int(s.kind), s.link) for s in expected}
    assert times == {
        span.span_id.hex(): (
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.kind,
            next((link.span_id.hex() for link in span.links), None),
        )
        for span in receiver.spans
    }
    assert "secret" not in str(receiver.spans)
    assert store.get(t.id) == t.document
    assert telemetry.lost == 0


def test_a_running_process_tells_where_its_databases_are(receiver, send_to):
    send_to(receiver.endpoint)
    with trace("test"):
        Tag.objects.using("archive").count()
    telemetry.close()
    [query] = [span for span in receiver.spans if span.kind == 3]
    assert attributes(query)["db.namespace"] == "archive.sqlite3"
    assert "server.address" not in attributes(query)


def test_without_a_span_of_the_projects_a_request_is_the_root(receiver, send_to):
    send_to(receiver.endpoint)
    request()
    telemetry.close()
    [whole] = [span for span in receiver.spans if not span.parent_span_id]
    assert whole.kind == 2
    assert {span.trace_id for span in receiver.spans} == {whole.trace_id}


def test_inside_a_span_of_the_projects_it_joins_that_trace(receiver, send_to):
    send_to(receiver.endpoint)
    with TracerProvider().get_tracer("test").start_as_current_span("GET /books/") as mine:
        response = TraceMiddleware(view)(RequestFactory().get("/books/"))
    response.close()  # a server closes it when that span has ended
    telemetry.close()
    context = mine.get_span_context()
    assert {span.trace_id.hex() for span in receiver.spans} == {f"{context.trace_id:032x}"}
    [whole] = [span for span in receiver.spans if span.parent_span_id.hex() == f"{context.span_id:016x}"]
    assert whole.kind == 1
    assert attributes(whole)["dbroute.trace.id"] == response.headers["Dbroute-Trace-Id"]


def test_inside_a_span_of_another_process_it_serves(receiver, send_to):
    send_to(receiver.endpoint)
    context = api.SpanContext(int("ab" * 16, 16), int("cd" * 8, 16), is_remote=True)
    with api.use_span(api.NonRecordingSpan(context)):
        request()
    telemetry.close()
    [whole] = [span for span in receiver.spans if span.parent_span_id.hex() == "cd" * 8]
    assert (whole.kind, whole.trace_id.hex()) == (2, "ab" * 16)


def test_what_is_not_kept_is_not_sent(receiver, send_to):
    send_to(receiver.endpoint, KEEP="findings")
    with trace("nothing wrong"):
        Tag.objects.using("archive").count()
    with trace("not kept", keep=False):
        Tag.objects.using("archive").count()
    telemetry.close()
    assert receiver.requests == []


def test_the_service_is_named_by_the_environment_or_by_the_projects_own_provider(
    receiver, send_to, monkeypatch
):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    send_to(receiver.endpoint)
    request()
    telemetry.close()
    assert attributes(receiver.resources[0])["service.name"] == "shop"
    provider = TracerProvider(resource=Resource.create({"service.name": "mine"}), shutdown_on_exit=False)
    monkeypatch.setattr(api, "get_tracer_provider", lambda: provider)
    request()
    telemetry.close()
    assert attributes(receiver.resources[-1])["service.name"] == "mine"


def test_a_failed_query_arrives_as_an_error_without_its_message(receiver, send_to):
    send_to(receiver.endpoint)
    with pytest.raises(OperationalError), trace("test"):
        list(Book.objects.using("primary").raw("SELECT nothing FROM elsewhere"))
    telemetry.close()
    [query] = [span for span in receiver.spans if span.kind == 3]
    assert (query.status.code, query.status.message) == (2, "OperationalError")
    assert attributes(query)["error.type"] == "OperationalError"


def test_a_setting_that_changes_sends_elsewhere(receiver, send_to):
    other = Receiver()
    try:
        send_to(receiver.endpoint)
        request()
        send_to(other.endpoint)
        request()
        telemetry.close()
        assert receiver.spans
        assert other.spans
        assert {s.trace_id for s in receiver.spans}.isdisjoint({s.trace_id for s in other.spans})
    finally:
        other.close()


# What it costs the request


@pytest.mark.parametrize(
    "given",
    [
        a_trace(7, events=[a_query(1, sql="SELECT " + "'a secret', " * 400_000 + "1 FROM library_tag")]),
        a_long_trace(7, events=10_000),
    ],
    ids=["a statement of 5 MB", "10,000 events"],
)
def test_handing_over_is_little_work_for_the_request(receiver, send_to, monkeypatch, given):
    """Only looking at each event for the size of its SQL; what is made of it is made by another thread."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    send_to(receiver.endpoint, MAX_EVENTS=10_000)
    request()  # the first one imports OpenTelemetry
    counted = count_calls(lambda: telemetry.send(given))
    spans = len(given.events) + 1
    until(lambda: [span.trace_id.hex() for span in receiver.spans].count(given.id) == spans)
    assert telemetry.lost == 0
    assert counted < 1500 + 5 * len(given.events)


def test_the_route_is_that_of_the_requests_thread(receiver, send_to, settings):
    """Its URLconf and its script's prefix are known to no other."""
    settings.ROOT_URLCONF = "tests.recording.urls"
    settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
    send_to(receiver.endpoint)
    with override_script_prefix("/app/"):
        assert Client().get("/plain/", SCRIPT_NAME="/app").status_code == 200
    telemetry.close()
    [whole] = [span for span in receiver.spans if span.kind == 2]
    assert attributes(whole)["http.route"] == "plain/"


def test_what_waits_is_bounded_by_its_size_too(receiver, send_to, monkeypatch, caplog):
    monkeypatch.setattr(sender, "MAX_WAITING_SQL_CHARACTERS", 10_000)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    send_to(receiver.endpoint)
    made = [a_trace(number, events=[a_query(1, sql="SELECT " + "x" * 6000)]) for number in (1, 2)]
    for one in made:
        telemetry.send(one)
    assert telemetry.lost == 2
    assert "Too much waits" in warnings(caplog)[0].getMessage()
    current = telemetry._current
    telemetry.close()
    assert {span.trace_id.hex() for span in receiver.spans} == {made[0].id}
    assert (current.waiting, current.sql_waiting) == (0, 0)


# A receiver that is slow, refuses, or is not there


def test_a_slow_receiver_holds_nobody_up(receiver, send_to, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    send_to(receiver.endpoint)
    receiver.hold.clear()
    request()
    assert receiver.arrived.wait(PATIENCE_SECONDS)
    for _ in range(5):
        request()
    assert receiver.requests == []  # it has yet to answer the first one
    receiver.hold.set()
    telemetry.close()
    assert len({span.trace_id for span in receiver.spans}) == 6
    assert telemetry.lost == 0


def test_a_dead_endpoint_costs_a_count_and_one_line(send_to, store, caplog):
    send_to(f"http://user:password@127.0.0.1:{dead_port()}/v1/traces")
    for _ in range(5):
        assert request().content == b"fine"
    telemetry.close()
    assert store.count() == 5
    assert telemetry.lost == sum(len(list(build_spans(kept))) for kept in store.traces())
    [record] = warnings(caplog)
    assert "ConnectionError" in record.getMessage()
    assert "password" not in record.getMessage()
    request()
    telemetry.close()
    assert len(warnings(caplog)) == 1


def test_one_that_dies_while_the_process_runs_does_not_hold_up_its_end(send_to, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    send_to(f"http://127.0.0.1:{dead_port()}/v1/traces")
    request()
    assert until(lambda: telemetry._current.session.problem) == "ConnectionError"
    telemetry.close()
    assert telemetry.lost


def test_one_that_is_busy_is_tried_again(receiver, send_to, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    send_to(receiver.endpoint)
    receiver.statuses = [503]
    request()
    until(lambda: receiver.spans)
    telemetry.close()
    assert [status for _, _, status in receiver.requests] == [503, 200]
    assert telemetry.lost == 0


def test_one_that_is_busy_at_the_end_is_not_waited_for(receiver, send_to, caplog):
    send_to(receiver.endpoint)
    receiver.statuses = [503] * 10
    request()
    telemetry.close()
    assert [status for _, _, status in receiver.requests] == [503]
    assert telemetry.lost
    assert "status 503" in warnings(caplog)[0].getMessage()


def test_one_that_refuses_is_told_about(receiver, send_to, caplog):
    send_to(receiver.endpoint)
    receiver.statuses = [404]
    request()
    telemetry.close()
    assert telemetry.lost
    [record] = warnings(caplog)
    assert "status 404" in record.getMessage()


def test_what_there_is_no_room_for_is_lost_as_a_whole(receiver, send_to):
    send_to(receiver.endpoint, MAX_EVENTS=300)
    receiver.hold.clear()
    telemetry.send(a_long_trace(1, events=500))
    telemetry.send(a_long_trace(2, events=500))
    assert telemetry.lost == 501
    receiver.hold.set()
    telemetry.close()
    assert {span.trace_id.hex() for span in receiver.spans} == {f"{1:032x}"}
    assert len(receiver.spans) == 501


def test_the_projects_own_exporter_logs_as_ever(caplog, receiver):
    receiver.statuses = [404]
    exporter = sender.trace_exporter.OTLPSpanExporter(receiver.endpoint)
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("mine").start_as_current_span("mine") as span:
        pass
    exporter.export([span])
    exporter.shutdown()
    assert warnings(caplog)


# Nothing to send with


def test_without_the_packages_it_is_said_once_and_the_check_warns(send_to, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "dbroute_panel.telemetry.sender", None)
    send_to("http://127.0.0.1:4318/v1/traces")
    assert request().content == b"fine"
    request()
    [record] = warnings(caplog)
    assert "pip install 'dbroute-panel[otlp]'" in record.getMessage()
    assert telemetry.lost > 2
    assert [message.id for message in check_settings(None)] == []
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    assert [message.id for message in check_settings(None)] == ["dbroute_panel.W002"]
    monkeypatch.delitem(sys.modules, "opentelemetry.sdk")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert [message.id for message in check_settings(None)] == ["dbroute_panel.W002"]
    send_to(None)
    assert check_settings(None) == []


def test_an_error_of_ours_is_counted_and_reaches_nobody(send_to, monkeypatch, caplog):
    def broken(*args):
        raise LookupError("on purpose")

    send_to(f"http://127.0.0.1:{dead_port()}/v1/traces")
    monkeypatch.setattr(sender, "redact_trace", broken)
    assert request().content == b"fine"
    telemetry.close()
    assert telemetry.lost > 1
    [record] = warnings(caplog)
    assert record.exc_info[0] is LookupError


def test_a_span_that_cannot_be_read_is_nobodys_trouble(send_to, monkeypatch, caplog, receiver):
    def broken():
        raise LookupError("on purpose")

    send_to(receiver.endpoint)
    monkeypatch.setattr(api, "get_current_span", broken)
    assert request().content == b"fine"
    telemetry.close()
    assert receiver.spans
    assert len(warnings(caplog)) == 1


def test_where_nothing_is_set_nothing_is_sent(store):
    telemetry.send(a_trace())
    assert telemetry._current is None
    assert telemetry.find_parent() is None


# In processes of their own

SCRIPT = """
import os, sys
import django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["dbroute_panel"],
    DBROUTE_PANEL={"OTLP_ENDPOINT": os.environ["ENDPOINT"] or None,
                   "STORE": {"BACKEND": "dbroute_panel.stores.MemoryStore"}},
)
django.setup()
from django.db import connection
from dbroute_panel import trace, telemetry
if os.environ["PATIENT"]:
    from dbroute_panel.telemetry import sender
    sender.EXIT_TIMEOUT_SECONDS = sender.LAST_REQUEST_TIMEOUT_SECONDS = float(os.environ["PATIENT"])

def work(name):
    with trace(name):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    return name
"""


def begun(code, endpoint, *, patient=""):
    environment = os.environ | {
        "ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
        "PATIENT": patient,
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT + code],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(code, endpoint, *, patient=""):
    process = begun(code, endpoint, patient=patient)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_what_waits_at_the_end_of_a_process_is_sent_without_a_warning(receiver):
    done = run("work('last')", receiver.endpoint, patient=str(PATIENCE_SECONDS))
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(span.name for span in receiver.spans) == [
        "SELECT",
        "block",
    ]  # redacted: the kind, not the name


def test_a_dead_endpoint_does_not_hold_up_the_end_of_a_process(receiver):
    done = run("work('last')", f"http://127.0.0.1:{dead_port()}/v1/traces")
    assert done.returncode == 0
    assert done.stderr.count("could not be sent") == 1


@pytest.mark.parametrize("wait", [60000, 1], ids=["tried at the end", "in flight at the end"])
def test_an_endpoint_that_never_answers_does_not_hold_up_the_end_of_a_process(wait):
    """It ends while the endpoint still holds its request. How long it waits docs/opentelemetry.md says."""
    assert LIMITS == (3.0, 2.0)
    with silent() as (endpoint, asked):
        code = f"""
os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "{wait}"
work("last")
if {wait} == 1:
    sys.stdin.readline()  # until the request is on its way
telemetry.close()
print(telemetry.lost)
"""
        process = begun(code, endpoint)
        if wait == 1:
            assert asked.wait(PATIENCE_SECONDS)
        out, err = process.communicate("go on\n", timeout=PATIENCE_SECONDS)
    assert int(out) == 2
    assert process.returncode == 0
    assert err.count("could not be sent") == 1
    assert len(err.strip().splitlines()) == 1


def test_a_process_whose_endpoint_never_answers_ends_before_it_does():
    with silent() as (endpoint, _):
        done = run("work('last')", endpoint)
    assert done.returncode == 0
    assert done.stderr.count("could not be sent") == 1


@pytest.mark.parametrize("before", ["", "work('parent')"])
def test_processes_that_are_forked_send_their_own(receiver, before):
    """As gunicorn's workers are, with and without --preload."""
    code = f"""
import warnings
warnings.filterwarnings("ignore", "This process", DeprecationWarning)  # threads and fork(), since Python 3.12
{before}
children = []
for number in range(2):
    child = os.fork()
    if not child:
        work("child")
        sys.exit(0)
    children.append(child)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""
    done = run(code, receiver.endpoint, patient=str(PATIENCE_SECONDS))
    assert (done.returncode, done.stderr) == (0, "")
    traces = {span.trace_id for span in receiver.spans}
    assert len(traces) == (3 if before else 2)
    assert len(receiver.spans) == 2 * len(traces)


def test_where_nothing_is_set_opentelemetry_is_not_even_imported():
    done = run("work('x'); assert not [m for m in sys.modules if m.startswith('opentelemetry')]", "")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_client_sees_nothing_of_it(receiver, send_to, settings):
    settings.ROOT_URLCONF = "tests.recording.urls"
    settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
    send_to(receiver.endpoint)
    assert Client().get("/plain/").content == b"4"
    telemetry.close()
    assert "GET plain/" in {span.name for span in receiver.spans}
