"""
Which numbers of a trace can every store keep and every format write?

A document from elsewhere may hold any JSON number. What recording writes lies far inside of these bounds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from django.utils.translation import gettext as _

from dbroute_panel.records import (
    Callsite,
    CommitHook,
    Decision,
    Event,
    ExceptionRaised,
    InstanceRef,
    Query,
    Trace,
)

LARGEST: Final = 2**63 - 1
LONGEST_US: Final = 10**15
"""Some thirty years. With ``LAST`` it keeps nanoseconds since 1970 within 64 bits."""

FIRST: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LAST: Final = dt.datetime(2262, 1, 1, tzinfo=dt.UTC)

Number = tuple[str, float | None, int, int]
"""The field, what it holds, the least and the most that it may hold."""


def wrong(trace: Trace) -> str | None:
    """What of ``trace`` is out of bounds; None if nothing is."""
    if (reason := _wrong_start(trace.started_at)) or (reason := _wrong_of(_of_trace(trace))):
        return reason
    seen: set[int] = set()
    for event in trace.events:
        if reason := _wrong_of(_of_event(event)):
            return _("event %(id)s: %(reason)s") % {"id": _short(event.id), "reason": reason}
        if event.id in seen:
            return _("event %(id)d: there is another event with this id.") % {"id": event.id}
        seen.add(event.id)
    return None


def _wrong_start(started_at: str) -> str | None:
    names = {"time": started_at[:60]}
    try:
        started = dt.datetime.fromisoformat(started_at)
    except ValueError:
        return _("the trace's started_at, %(time)r, is no time as in RFC 3339.") % names
    if started.tzinfo is None:
        return _("the trace's started_at, %(time)r, has no time zone.") % names
    if not FIRST <= started < LAST:
        return _("the trace's started_at, %(time)r, is not in the years from 1970 to 2261.") % names
    return None


def _wrong_of(numbers: Iterator[Number]) -> str | None:
    for field, value, least, most in numbers:
        if value is not None and not least <= value <= most:
            return _("%(field)s is %(value)s, and not from %(least)d to %(most)d.") % {
                "field": field,
                "value": _short(value),
                "least": least,
                "most": most,
            }
    return None


def _of_trace(trace: Trace) -> Iterator[Number]:
    yield "duration_us", trace.duration_us, 0, LONGEST_US
    if trace.request is not None:
        yield "request.status", trace.request.status, 0, 999
    for name, count in msgspec.structs.asdict(trace.dropped).items():
        yield f"dropped.{name}", count, 0, LARGEST
    for number, write in enumerate(trace.session_writes):
        yield f"session_writes[{number}].age_us", write.age_us, 0, LONGEST_US
    for number, finding in enumerate(trace.findings):
        for event in finding.events:
            yield f"findings[{number}].events", event, 0, LARGEST


def _of_event(event: Event) -> Iterator[Number]:
    yield "id", event.id, 1, LARGEST
    yield "at_us", event.at_us, 0, LONGEST_US
    if isinstance(event, Decision):
        yield "duration_us", event.duration_us, 0, LONGEST_US
        yield "parent_id", event.parent_id, 0, LARGEST
        yield from _of_answer("answer", event.answer)
        for number, step in enumerate(event.steps):
            yield f"steps[{number}].duration_us", step.duration_us, 0, LONGEST_US
            yield from _of_answer(f"steps[{number}].answer", step.answer)
            yield from _of_site(f"steps[{number}].source", step.source)
        for values in (event.args, event.hints):
            for name, value in (values or {}).items():
                yield from _of_instance(name, value)
    else:
        yield "transaction_number", event.transaction_number, 0, LARGEST
    if isinstance(event, Query):
        yield "duration_us", event.duration_us, 0, LONGEST_US
        yield "rowcount", event.rowcount, 0, LARGEST
        yield "decision_id", event.decision_id, 0, LARGEST
        yield "parent_id", event.parent_id, 0, LARGEST
        yield from _of_answer("error_code", event.error_code)
        yield from _of_instance("instance", event.instance)
    elif isinstance(event, CommitHook):
        yield "ended_at_us", event.ended_at_us, 0, LONGEST_US
    elif isinstance(event, ExceptionRaised):
        yield from _of_site("raised_at", event.raised_at)
    yield from _of_site("callsite", event.callsite)


def _of_answer(name: str, value: Any) -> Iterator[Number]:
    """Whatever a router said, as long as JSON is written of it."""
    if isinstance(value, int):
        yield name, value, -LARGEST - 1, 2 * LARGEST + 1


def _of_instance(name: str, value: Any) -> Iterator[Number]:
    if isinstance(value, InstanceRef):
        yield f"{name}.origin_id", value.origin_id, 0, LARGEST


def _of_site(name: str, site: Callsite | None) -> Iterator[Number]:
    if site is not None:
        yield f"{name}.line", site.line, -LARGEST, LARGEST
        if site.template is not None:
            yield f"{name}.template", site.template[1], -LARGEST, LARGEST


def _short(value: float) -> str:
    """A number of any length, in a few characters."""
    try:
        text = str(value)
    except ValueError:  # Python writes no integer of more than some thousand digits
        return _("an integer of thousands of digits")
    return text if len(text) <= 40 else f"{text[:30]}…"
