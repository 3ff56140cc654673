"""
The only module that imports OpenTelemetry: its exporter and its batch processor, with our spans.

A thread of our own redacts a trace and makes its spans; the processor's sends, retries and gives up. We
count what waits for either, so that no queue overflows, and what is given up. At the end of the process
what waits gets one more try, of a few seconds in all.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from django.db import connections
from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from dbroute_panel.exports.semconv import Place
from dbroute_panel.exports.spans import SCOPE, Kind, Parent, Span, spans_of
from dbroute_panel.records import Query, Trace
from dbroute_panel.redaction import redact_trace
from dbroute_panel.telemetry.worker import Worker

KINDS: Final = {
    Kind.INTERNAL: api.SpanKind.INTERNAL,
    Kind.SERVER: api.SpanKind.SERVER,
    Kind.CLIENT: api.SpanKind.CLIENT,
}

END: Final = 3.0
"""Seconds that the end of the process may wait for us, in all."""

LAST_TRY: Final = 2.0
"""Seconds that a request may take when the process ends."""

SQL_WAITING: Final = 32 * 1024 * 1024
"""So many characters of SQL may wait."""

SAMPLED: Final = api.TraceFlags(api.TraceFlags.SAMPLED)

_sending: ContextVar[bool] = ContextVar("dbroute_panel_sending", default=False)


def _is_not_ours(record: logging.LogRecord) -> bool:
    """The exporter logs each failure and each retry. Of ours we log the first, and count the others."""
    return not _sending.get()


logging.getLogger(trace_exporter.__name__).addFilter(_is_not_ours)


class _Session(requests.Session):
    """
    A connection for each request: a process forked in between has none of its parent's.

    ``problem`` is why the latest request failed, or None; ``give_up`` is called where one fails while
    the process ends: retries would keep it alive. ``ending`` is when there is no more time, by the
    monotonic clock, and None as long as the process does not end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.headers["Connection"] = "close"
        self.problem: str | None = None
        self.ending: float | None = None
        self.give_up: Callable[[], None] = lambda: None

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        if self.ending is not None:
            kwargs["timeout"] = max(0.1, min(LAST_TRY, self.ending - time.monotonic()))
        try:
            response = super().request(*args, **kwargs)
        except Exception as error:
            self.fail(type(error).__name__)
            raise
        if response.ok:
            self.problem = None
        else:
            self.fail(f"status {response.status_code}")
        return response

    def fail(self, problem: str) -> None:
        self.problem = problem
        if self.ending is not None:
            self.give_up()

    def end(self, when: float) -> None:
        self.ending = when


class _Exporter(trace_exporter.OTLPSpanExporter):
    """OpenTelemetry's own, which tells what became of each batch."""

    def __init__(
        self, endpoint: str, session: _Session, done: Callable[[Sequence[ReadableSpan], bool], None]
    ) -> None:
        super().__init__(endpoint=endpoint, session=session)
        self._asked = session
        self._done = done
        self._ended = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        token = _sending.set(True)
        result = SpanExportResult.FAILURE
        try:
            result = super().export(spans)
        except Exception as error:  # noqa: BLE001 - older exporters raise where nobody listens
            self._asked.problem = self._asked.problem or type(error).__name__
        finally:
            _sending.reset(token)
            self._done(spans, result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        if not self._ended:
            self._ended = True
            super().shutdown()  # type: ignore[no-untyped-call]


class Sender:
    """
    Sends traces to ``endpoint``. At most ``most`` spans wait; a trace that there is no room for is lost.

    ``lose(spans, reason)`` is told of what is lost. What may run while Python collects garbage, inside of
    anything (a response is closed anywhere), takes no lock that its own thread may hold.
    """

    def __init__(self, endpoint: str, most: int, lose: Callable[[int, str], None]) -> None:
        self.endpoint = endpoint
        self.most = most
        self.lose = lose
        self.waiting = 0
        self.sql_waiting = 0
        self.closed = False
        self.gave_up = False
        self.lock = threading.RLock()
        self.session = _Session()
        self.resource = resource()
        self.scope = InstrumentationScope(SCOPE)
        self.worker = Worker("dbroute_panel telemetry")
        self.exporter = _Exporter(endpoint, self.session, self._done)
        self.session.give_up = self.exporter.shutdown
        batch = min(512, most)
        self.processor = BatchSpanProcessor(self.exporter, max_queue_size=most, max_export_batch_size=batch)
        atexit.register(self.close)

    def send(self, trace: Trace, places: Mapping[str, Place], parent: Parent | None) -> None:
        """Hand over a trace, all of it or nothing. What takes time happens on the worker's thread."""
        spans = len(trace.events) + 1
        sql = sum([len(event.sql) for event in trace.events if isinstance(event, Query)])
        self.worker.start()
        if self._reserve(spans, sql):
            self.worker.put(lambda: self._make(trace, places, parent, spans, sql))
        else:
            self._lost(spans, f"Too much waits to be sent to {self.shown}")

    def _make(
        self, trace: Trace, places: Mapping[str, Place], parent: Parent | None, spans: int, sql: int
    ) -> None:
        """Redact, make the spans and hand them to the processor. There is room for ``spans`` and ``sql``."""
        try:
            trace_id = parent.trace_id if parent else trace.id
            made = [self.readable(trace_id, span) for span in spans_of(redact_trace(trace), places, parent)]
        except Exception:  # noqa: BLE001 - the next trace wants to be sent too
            self._release(spans, sql)
            self._lost(spans, "A trace could not be sent")
            return
        finally:
            connections.close_all()  # of this thread: a check of the project's may have asked its database
        if self._reserve(len(made) - spans, _sql_of(made) - sql, closing=True):
            for span in made:
                self.processor.on_end(span)
        else:
            self._release(spans, sql)
            self._lost(len(made), f"Too much waits to be sent to {self.shown}")

    def _reserve(self, spans: int, sql: int, *, closing: bool = False) -> bool:
        """Whether there is room for so many spans and characters of SQL; they wait from now on."""
        with self.lock:
            full = self.waiting + spans > self.most or self.sql_waiting + sql > SQL_WAITING
            if full or (self.closed and not closing):
                return False
            self.waiting += spans
            self.sql_waiting += sql
            return True

    def _release(self, spans: int, sql: int) -> None:
        with self.lock:
            self.waiting -= spans
            self.sql_waiting -= sql

    def _lost(self, spans: int, reason: str) -> None:
        """Once it has given up, all that waited is counted already."""
        if not self.gave_up:
            self.lose(spans, reason)

    @property
    def shown(self) -> str:
        """The endpoint without what may be secret: user, password and query string."""
        parts = urlsplit(self.endpoint)
        try:
            port = f":{parts.port}" if parts.port is not None else ""
        except ValueError:
            port = ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"

    def readable(self, trace_id: str, span: Span) -> ReadableSpan:
        """The span as the SDK has it."""

        def context(span_id: str, *, remote: bool = False) -> api.SpanContext:
            return api.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=remote, trace_flags=SAMPLED)

        failed = api.Status(api.StatusCode.ERROR, span.error or None)
        return ReadableSpan(
            name=span.name,
            context=context(span.id),
            parent=context(span.parent) if span.parent is not None else None,
            resource=self.resource,
            attributes=span.attributes,
            events=[Event(one.name, one.attributes, one.at) for one in span.moments],
            links=[api.Link(context(span.link))] if span.link is not None else [],
            kind=KINDS[span.kind],
            status=failed if span.error is not None else api.Status(),
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self.scope,
        )

    def _done(self, spans: Sequence[ReadableSpan], success: bool) -> None:
        self._release(len(spans), _sql_of(spans))
        if not success:
            self._lost(
                len(spans), f"Spans could not be sent to {self.shown}: {self.session.problem or 'not tried'}"
            )

    def close(self) -> None:
        """Send what waits, if anybody takes it within ``END`` seconds, and stop."""
        atexit.unregister(self.close)
        with self.lock:
            if self.closed:
                return
            self.closed = True
        self.session.end(time.monotonic() + END)
        if self.session.problem is not None:
            self.exporter.shutdown()
        if self.worker.thread is None:  # nothing waits
            self.processor.shutdown()  # type: ignore[no-untyped-call]
        else:
            self.worker.put(self.processor.shutdown)  # it waits for half a minute: there, not here
        if not self.worker.end(END):
            with self.lock:
                self.gave_up, lost = True, self.waiting
            if lost:
                self.lose(lost, f"Spans could not be sent to {self.shown}: no answer in {END:.0f} seconds")
            self.exporter.shutdown()
        self.session.close()

    def forked(self) -> None:
        """In a child process, where the processor begins anew and what waits is the parent's."""
        self.lock = threading.RLock()
        self.waiting = self.sql_waiting = 0
        self.worker.begin_anew()


def _sql_of(spans: Sequence[ReadableSpan]) -> int:
    return sum(len(str((span.attributes or {}).get("db.query.text", ""))) for span in spans)


def resource() -> Resource:
    """The service: as the project's own OpenTelemetry names it, else as ``OTEL_SERVICE_NAME`` does."""
    known = getattr(api.get_tracer_provider(), "resource", None)
    return known if isinstance(known, Resource) else Resource.create()
