from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Proto
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from opentelemetry.semconv.attributes import (
    code_attributes,
    db_attributes,
    error_attributes,
    http_attributes,
    server_attributes,
    url_attributes,
)

from dbroute_panel.exports import FORMATS
from dbroute_panel.exports.semconv import ServerInfo
from dbroute_panel.exports.spans import Parent, build_spans
from dbroute_panel.records import (
    Database,
    DecidedBy,
    Dropped,
    InstanceRef,
    Operation,
    Outcome,
    Request,
    Step,
    Transaction,
    TypeRef,
)
from dbroute_panel.redaction import redact_trace
from tests.exports.protobuf import attributes, parsed
from tests.traces import CALLSITE, a_decision, a_finding, a_query, a_trace

STABLE = {
    value
    for module in (
        code_attributes,
        db_attributes,
        error_attributes,
        http_attributes,
        server_attributes,
        url_attributes,
    )
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}
"""The attributes of the stable semantic conventions, from OpenTelemetry's own package."""


def lines(*traces):
    return b"".join(FORMATS["otlp"].write(iter(traces))).splitlines()


def exported(trace):
    """The spans of a trace, read by protobuf, by name of what they are; the first is the whole."""
    [line] = lines(trace)
    [resource_spans] = parsed(line).resource_spans
    assert attributes(resource_spans.resource) == {"service.name": "unknown_service"}
    [scope_spans] = resource_spans.scope_spans
    assert scope_spans.scope.name == "dbroute_panel"
    return list(scope_spans.spans)


def by_event(spans):
    return {found["dbroute.event"]: span for span in spans if "dbroute.event" in (found := attributes(span))}


def check(trace):
    """What holds of the spans of every trace: ids, a tree, times, kinds, and each event has its span."""
    spans = exported(trace)
    assert {span.trace_id.hex() for span in spans} == {trace.id}
    ids = [span.span_id for span in spans]
    assert all(len(id) == 8 and any(id) for id in ids)
    assert len(set(ids)) == len(ids)
    whole, *others = spans
    assert whole.parent_span_id == b""
    assert {span.parent_span_id for span in others} <= set(ids)
    began = datetime.fromisoformat(trace.started_at) - datetime(1970, 1, 1, tzinfo=UTC)
    start = began // timedelta(microseconds=1) * 1000
    assert whole.start_time_unix_nano == start
    assert whole.end_time_unix_nano == start + round(trace.duration_us * 1000)
    found = by_event(others)
    assert set(found) == {event.id for event in [*trace.decisions, *trace.queries]}
    for event in [*trace.decisions, *trace.queries]:
        span = found[event.id]
        assert span.start_time_unix_nano == start + event.at_us * 1000
        assert span.end_time_unix_nano - span.start_time_unix_nano == round(event.duration_us * 1000)
    for query in trace.queries:
        assert found[query.id].kind == Proto.SPAN_KIND_CLIENT
        linked = [link.span_id for link in found[query.id].links]
        assert linked == ([found[query.decision_id].span_id] if query.decision_id in found else [])
        assert all(link.trace_id.hex() == trace.id for link in found[query.id].links)
        if query.parent_id is not None:
            assert found[query.id].parent_span_id == found[query.parent_id].span_id
        elif query.transaction_number is not None:
            [around] = [span for span in spans if span.span_id == found[query.id].parent_span_id]
            said = attributes(around)
            assert (said["django.db.alias"], said["dbroute.transaction.number"]) == (
                query.alias,
                query.transaction_number,
            )
    for decision in trace.decisions:
        assert found[decision.id].kind == Proto.SPAN_KIND_INTERNAL
        outer = whole if decision.parent_id is None else found[decision.parent_id]
        assert found[decision.id].parent_span_id == outer.span_id
    for span in spans:
        assert span.end_time_unix_nano >= span.start_time_unix_nano
        for name in attributes(span):
            assert name in STABLE or name.startswith(("dbroute.", "django.db.alias", "db.query.parameter."))
            assert name not in {"db.namespace", "server.address", "server.port"}
    return spans


# Of real traces


def test_every_scenario(scenario_traces):
    for traces in scenario_traces.values():
        for trace in traces:
            check(trace)
            check(redact_trace(trace))


def test_the_walk_through(walk_through):
    whole, *spans = check(walk_through)
    assert whole.kind == Proto.SPAN_KIND_INTERNAL
    assert attributes(whole)["dbroute.trace.id"] == walk_through.id
    found = by_event(spans)
    query = next(q for q in walk_through.queries if q.alias == "primary" and q.operation == "INSERT")
    said = attributes(found[query.id])
    assert found[query.id].name == said["db.query.summary"] == "INSERT library_book"
    assert said["db.system.name"] == "sqlite"
    assert said["django.db.alias"] == "primary"
    assert said["db.collection.name"] == "library_book"
    assert said["db.operation.name"] == "INSERT"
    assert said["db.query.text"] == query.sql
    assert said["dbroute.route"] == said["dbroute.decided_by"] == "router"
    assert said["dbroute.router"] == "example_site.routers.PrimaryReplicaRouter"
    assert said["dbroute.answer"] == "primary"
    assert said["code.file.path"] == "example_site/scenarios/walk_through.py"
    assert said["code.line.number"] == query.callsite.line


# Of made ones


def test_the_json_is_as_the_specification_writes_it():
    [line] = lines(a_trace())
    [span, decision, *_] = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert span["traceId"] == f"{1:032x}"
    assert "parentSpanId" not in span
    assert span["startTimeUnixNano"] == "1795305601000000000"
    assert decision["kind"] in (1, 2, 3)
    [status] = [a["value"] for a in span["attributes"] if a["key"] == "http.response.status_code"]
    assert status == {"intValue": "200"}


def test_a_line_for_each_trace():
    traces = [a_trace(number) for number in (1, 2, 3)]
    read = [parsed(line).resource_spans[0].scope_spans[0].spans[0] for line in lines(*traces)]
    assert [span.trace_id.hex() for span in read] == [trace.id for trace in traces]
    assert lines() == []


def test_the_same_trace_gives_the_same_file_and_no_two_traces_share_a_span():
    assert lines(a_trace()) == lines(a_trace())
    first, second = ({span.id for span in build_spans(a_trace(number))} for number in (1, 2))
    assert not first & second


def test_a_request_is_a_server_span():
    whole = exported(a_trace())[0]
    assert (whole.kind, whole.name) == (Proto.SPAN_KIND_SERVER, "GET")
    said = attributes(whole)
    assert (said["http.request.method"], said["url.path"]) == ("GET", "/books/42/")
    assert said["http.response.status_code"] == 200
    assert said["code.function.name"] == "library.views.book"
    assert "http.route" not in said
    assert whole.status.code == Status.STATUS_CODE_UNSET


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("books/<int:pk>/", "GET books/<int:pk>/"),
        ("(?P<lang>de|en)/books/", "GET (?P<lang>de|en)/books/"),
        ("^books/$", "GET ^books/$"),
        ("", "GET"),
    ],
)
def test_a_route_in_the_place_of_a_path_is_a_route(path, name):
    whole = exported(a_trace(path=path))[0]
    said = attributes(whole)
    assert whole.name == name
    assert said["http.route"] == path
    assert "url.path" not in said


def test_no_route_is_none():
    whole = exported(a_trace(path="(no route)"))[0]
    said = attributes(whole)
    assert whole.name == "GET"
    assert not {"http.route", "url.path"} & set(said)


def test_a_failed_request_and_a_method_of_its_own():
    request = Request(method="BREW", path="/pot/", view=None, status=503)
    whole = exported(a_trace(request=request))[0]
    said = attributes(whole)
    assert whole.status.code == Status.STATUS_CODE_ERROR
    assert (said["error.type"], said["http.response.status_code"]) == ("503", 503)
    assert (said["http.request.method"], said["http.request.method_original"]) == ("_OTHER", "BREW")
    assert whole.name == "HTTP"
    routed = a_trace(request=Request(method="BREW", path="pot/", view=None, status=200))
    assert exported(routed)[0].name == "HTTP pot/"
    assert "code.function.name" not in said


def test_a_failed_query():
    query = a_query(1, error="IntegrityError: UNIQUE constraint failed", rowcount=None)
    span = exported(a_trace(events=[query]))[1]
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert span.status.message == "IntegrityError: UNIQUE constraint failed"
    assert attributes(span)["error.type"] == "IntegrityError"
    assert "db.response.status_code" not in attributes(span)
    for code in (2067, "23505"):
        failed = a_query(1, error="IntegrityError", error_code=code)
        span = exported(a_trace(events=[failed]))[1]
        assert attributes(span)["db.response.status_code"] == str(code)


def test_a_router_that_raised():
    steps = [Step(router="r.A", outcome=Outcome.RAISED, error="LookupError: on purpose")]
    decision = a_decision(1, steps=steps, decided_by=DecidedBy.ERROR, answer=None)
    span = exported(a_trace(events=[decision]))[1]
    assert span.status.code == Status.STATUS_CODE_ERROR
    said = attributes(span)
    assert said["error.type"] == "LookupError"
    assert said["dbroute.steps"] == ["r.A: raised LookupError: on purpose"]
    assert "dbroute.answer" not in said


def test_a_decision_says_who_answered_what_and_what_they_were_given():
    hints = {
        "instance": InstanceRef(model="library.Book", pk="42", state_db=None, adding=True),
        "shard": 7,
        "strategy": TypeRef(type="app.Strategy"),
    }
    said = attributes(exported(a_trace(events=[a_decision(1, hints=hints)]))[1])
    assert said["dbroute.action"] == "db_for_read"
    assert said["dbroute.model"] == "library.Book"
    assert said["dbroute.steps"] == [
        "routers.AuthRouter: passed",
        "routers.ReplicaRouter: answered replica1",
    ]
    assert (said["dbroute.router"], said["dbroute.answer"]) == ("routers.ReplicaRouter", "replica1")
    assert said["dbroute.hints"] == [
        "instance=library.Book of no database, adding",
        "shard=7",
        "strategy=app.Strategy",
    ]
    assert (said["code.file.path"], said["code.line.number"]) == ("library/views.py", 88)
    assert said["code.function.name"] == "save_book"


@pytest.mark.parametrize(
    ("answer", "written"), [(True, True), (False, False), (2**70, str(2**70)), (TypeRef(type="a.B"), "a.B")]
)
def test_answers_of_every_type(answer, written):
    decision = a_decision(1, answer=answer, args={"db": "primary", "app_label": "library"})
    said = attributes(exported(a_trace(events=[decision]))[1])
    assert said["dbroute.answer"] == written
    assert said["dbroute.args"] == ["db=primary", "app_label=library"]


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        ("postgresql", "postgresql"), ("mysql", "mysql"), ("oracle", "oracle.db"),
        ("microsoft", "microsoft.sql_server"), ("unknown", "other_sql"), (None, "other_sql"),
    ],
)  # fmt: skip
def test_the_system_is_the_vendors(vendor, name):
    databases = {} if vendor is None else {"x": Database(vendor=vendor, engine="e", replica_of=None)}
    span = exported(a_trace(databases=databases, events=[a_query(1, "x")]))[1]
    assert attributes(span)["db.system.name"] == name


def test_parameters_are_there_only_where_the_document_has_them():
    named = a_query(1, params={"id": "5", "name": "Ada"})
    listed = a_query(2, params=["7"])
    without = a_query(3, params=None)
    many = a_query(4, params=[["1"], ["2"]], many=True)
    spans = exported(a_trace(events=[named, listed, without, many]))[1:]
    kept = [{k: v for k, v in attributes(s).items() if k.startswith("db.query.parameter")} for s in spans]
    assert kept == [
        {"db.query.parameter.id": "5", "db.query.parameter.name": "Ada"},
        {"db.query.parameter.0": "7"},
        {},
        {},
    ]


@pytest.mark.parametrize(
    ("params", "size", "batch"),
    [
        ([["1"], ["2"]], 2, True),
        ([["1"]], None, False),
        ([[str(n)] for n in range(10)], None, True),  # ten are kept, of who knows how many
        (None, None, False),
    ],
)
def test_executemany_is_a_batch_as_far_as_is_known(params, size, batch):
    query = a_query(1, sql="INSERT INTO t VALUES (%s)", operation="INSERT", many=True, params=params)
    span = exported(a_trace(events=[query]))[1]
    said = attributes(span)
    assert said.get("db.operation.batch.size") == size
    assert span.name == said["db.query.summary"]
    prefix = "BATCH " if batch else ""
    assert said["db.operation.name"] == f"{prefix}INSERT"
    assert said["db.query.summary"] == f"{prefix}INSERT t"


def test_a_statement_of_several_tables_has_no_single_one_and_a_procedure_has_its_name():
    join = a_query(1, sql="SELECT * FROM a JOIN b ON (1)")
    call = a_query(2, sql="CALL nightly(%s)", operation="CALL")
    nothing = a_query(3, sql="", operation="")
    first, second, third = map(attributes, exported(a_trace(events=[join, call, nothing]))[1:])
    assert "db.collection.name" not in first
    assert second["db.stored_procedure.name"] == "nightly"
    assert not {"db.operation.name", "db.query.summary"} & set(third)


def test_transactions_and_their_savepoints():
    def event(id, operation, number=1, alias="primary"):
        return Transaction(
            id=id,
            alias=alias,
            at_us=id * 100,
            operation=operation,
            transaction_number=number,
            callsite=CALLSITE,
        )

    trace = a_trace(
        events=[
            event(1, Operation.COMMIT, None, "archive"),
            event(2, Operation.BEGIN),
            event(3, Operation.SAVEPOINT),
            a_query(4, "primary", atomic=True, transaction_number=1),
            event(5, Operation.SAVEPOINT_ROLLBACK),
            event(6, Operation.ROLLBACK),
            event(7, Operation.SAVEPOINT, None, "replica2"),
        ]
    )
    whole, before, inside, query = check(trace)
    assert (before.name, before.start_time_unix_nano) == ("transaction archive", whole.start_time_unix_nano)
    assert attributes(before) == {
        "django.db.alias": "archive",
        "dbroute.transaction.end": "commit",
        "dbroute.transaction.began_before": True,
    }
    assert inside.end_time_unix_nano - inside.start_time_unix_nano == 400_000
    assert [moment.name for moment in inside.events] == ["savepoint", "savepoint_rollback"]
    assert attributes(inside)["dbroute.transaction.end"] == "rollback"
    assert query.parent_span_id == inside.span_id
    assert [moment.name for moment in whole.events] == ["savepoint"]


def test_what_a_router_asked_or_queried_lies_in_its_decision():
    spans = check(
        a_trace(
            events=[
                a_decision(1, duration_us=900.0),
                a_decision(2, parent_id=1),
                a_query(3, parent_id=1, decision_id=2, atomic=True, transaction_number=1),
                a_query(4, decision_id=1),
            ]
        )
    )
    found = by_event(spans)
    assert found[2].parent_span_id == found[3].parent_span_id == found[1].span_id
    assert found[1].parent_span_id == found[4].parent_span_id == spans[0].span_id


def test_findings_are_events_of_the_whole_and_marks_of_what_they_are_about():
    trace = a_trace(findings=[a_finding("stale-read", 2), a_finding("empty-default")])
    whole, *spans = check(trace)
    first, second = whole.events
    assert first.name == "dbroute.finding"
    assert first.time_unix_nano - whole.start_time_unix_nano == 200_000
    assert attributes(first) == {
        "dbroute.finding.code": "stale-read",
        "dbroute.finding.level": "warning",
        "dbroute.finding.message": "Book #42 was possibly stale.",
    }
    assert second.time_unix_nano == whole.start_time_unix_nano
    assert attributes(by_event(spans)[2])["dbroute.findings"] == ["stale-read"]
    assert "dbroute.findings" not in attributes(by_event(spans)[1])


def test_what_is_missing_is_counted():
    said = attributes(exported(a_trace(dropped=Dropped(query=3)))[0])
    assert said["dbroute.dropped.query"] == 3
    assert "dbroute.dropped.decision" not in said


def test_the_template_is_named():
    callsite = type(CALLSITE)(file="a.py", line=1, function="f", template=("books.html", 3))
    spans = exported(a_trace(events=[a_query(1, callsite=callsite), a_query(2, callsite=None)]))
    assert attributes(spans[1])["dbroute.template"] == "books.html:3"
    assert not {"code.file.path", "dbroute.template"} & set(attributes(spans[2]))


# Where more is known than a document has


def test_a_running_process_knows_its_databases():
    place = ServerInfo(system="mariadb", namespace="shop", address="db.internal", port=3307)
    spans = list(build_spans(a_trace(aliases=["replica1", "primary"]), {"replica1": place}))
    known, unknown = (s.attributes for s in spans if s.kind == 3)
    assert known["db.system.name"] == "mariadb"
    assert (known["db.namespace"], known["server.address"], known["server.port"]) == (
        "shop", "db.internal", 3307,
    )  # fmt: skip
    assert known["dbroute.replica_of"] == "primary"
    assert not {"db.namespace", "server.address", "server.port"} & set(unknown)


@pytest.mark.parametrize(("remote", "kind"), [(True, 2), (False, 1)])
def test_inside_a_span_of_this_process_a_request_is_not_served_twice(remote, kind):
    parent = Parent(trace_id="ab" * 16, span_id="cd" * 8, remote=remote)
    whole = next(build_spans(a_trace(), parent=parent))
    assert (whole.parent, whole.kind) == ("cd" * 8, kind)
