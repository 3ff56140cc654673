"""OTLP/JSON read with the official protobuf messages."""

from __future__ import annotations

import base64
import json

from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

IDS = ("traceId", "spanId", "parentSpanId")


def parsed(line: bytes) -> TracesData:
    """
    The message of one line. Fails at an unknown field, a wrong type and a name that is no enum's number.

    OTLP/JSON has ids in hex where protobuf's own JSON has base64; nothing else differs that is used here.
    """
    return json_format.ParseDict(json.loads(line, object_hook=_without_hex), TracesData())


def _without_hex(found):
    for name in IDS:
        if name in found:
            assert found[name] == found[name].lower()
            found[name] = base64.urlsafe_b64encode(bytes.fromhex(found[name])).decode()
    return found


def value(any_value):
    """What an AnyValue holds."""
    kind = any_value.WhichOneof("value")
    held = getattr(any_value, kind)
    return [value(one) for one in held.values] if kind == "array_value" else held


def attributes(holder) -> dict:
    found = {pair.key: value(pair.value) for pair in holder.attributes}
    assert len(found) == len(holder.attributes)
    return found
