"""
OTLP/JSON: one TracesData a line, as the file exporter of an OpenTelemetry Collector writes it.

A file has of its databases what the document has: vendors, but no names and no addresses, which only a
running process sends (``OTLP_ENDPOINT``). Ids are hex, and 64-bit numbers are decimal strings. See
https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from django.utils.translation import gettext_lazy

from dbroute_panel.exports.base import Format
from dbroute_panel.exports.semconv import Attribute
from dbroute_panel.exports.spans import SCOPE, Span, build_spans
from dbroute_panel.records import Trace

Json = dict[str, Any]

STATUS_CODE_ERROR: Final = 2
SERVICE_NAME: Final = "unknown_service"
"""The conventions' name of a service whose name is not known."""


def write(traces: Iterable[Trace]) -> Iterator[bytes]:
    """Yield a line for each trace. Holds one trace at a time."""
    for trace in traces:
        spans = [_encode_span(trace.id, span) for span in build_spans(trace)]
        scoped = [{"scope": {"name": SCOPE}, "spans": spans}]
        resource = {"attributes": _encode_attributes({"service.name": SERVICE_NAME})}
        whole = {"resourceSpans": [{"resource": resource, "scopeSpans": scoped}]}
        yield msgspec.json.encode(whole) + b"\n"


def _encode_span(trace_id: str, span: Span) -> Json:
    encoded: Json = {"traceId": trace_id, "spanId": span.id}
    if span.parent is not None:
        encoded["parentSpanId"] = span.parent
    encoded |= {
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _encode_attributes(span.attributes),
    }
    if span.events:
        encoded["events"] = [
            {"timeUnixNano": str(m.at), "name": m.name, "attributes": _encode_attributes(m.attributes)}
            for m in span.events
        ]
    if span.link is not None:
        encoded["links"] = [{"traceId": trace_id, "spanId": span.link}]
    if span.error is not None:
        encoded["status"] = {"code": STATUS_CODE_ERROR} | ({"message": span.error} if span.error else {})
    return encoded


def _encode_attributes(attributes: Mapping[str, Attribute]) -> list[Json]:
    return [{"key": name, "value": _encode_value(value)} for name, value in attributes.items()]


def _encode_value(value: Attribute) -> Json:
    if isinstance(value, list):
        return {"arrayValue": {"values": [_encode_value(one) for one in value]}}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": value}


FORMAT = Format(
    name="otlp",
    label="OTLP",
    purpose=gettext_lazy("Spans for OpenTelemetry's tools, one trace a line"),
    content_type="application/x-ndjson",
    extension="otlp.jsonl",
    write=write,
)
