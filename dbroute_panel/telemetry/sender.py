"""
The only module that imports OpenTelemetry: its exporter and its batch processor send the spans.

The worker's thread redacts a trace and makes its spans; the processor's sends, retries and gives up. The
sender counts what waits for either, so that no queue overflows, and what is given up. At the end of the
process what waits gets one more try, of a few seconds in all.
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

from dbroute_panel.exports.semconv import ServerInfo
from dbroute_panel.exports.spans import SCOPE, Parent, Span, SpanKind, build_spans
from dbroute_panel.records import Query, Trace
from dbroute_panel.redaction import redact_trace
from dbroute_panel.telemetry.worker import Worker

SPAN_KINDS: Final = {
    SpanKind.INTERNAL: api.SpanKind.INTERNAL,
    SpanKind.SERVER: api.SpanKind.SERVER,
    SpanKind.CLIENT: api.SpanKind.CLIENT,
}

EXIT_TIMEOUT_SECONDS: Final = 3.0
"""The longest that the end of the process is held up, in all."""

LAST_REQUEST_TIMEOUT_SECONDS: Final = 2.0
"""The longest that a request takes when the process ends."""

MAX_WAITING_SQL_CHARACTERS: Final = 32 * 1024 * 1024

SAMPLED: Final = api.TraceFlags(api.TraceFlags.SAMPLED)

_sending: ContextVar[bool] = ContextVar("dbroute_panel_sending", default=False)


def _is_not_ours(record: logging.LogRecord) -> bool:
    """Filter the exporter's log of each failure and retry of ours: we log the first, and count the rest."""
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
            kwargs["timeout"] = max(0.1, min(LAST_REQUEST_TIMEOUT_SECONDS, self.ending - time.monotonic()))
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
    """OpenTelemetry's exporter, which reports the result of each batch."""

    def __init__(
        self, endpoint: str, session: _Session, done: Callable[[Sequence[ReadableSpan], bool], None]
    ) -> None:
        super().__init__(endpoint=endpoint, session=session)
        self._session = session
        self._done = done
        self._ended = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        token = _sending.set(True)
        result = SpanExportResult.FAILURE
        try:
            result = super().export(spans)
        except Exception as error:  # noqa: BLE001 - older exporters raise, on a thread that catches nothing
            self._session.problem = self._session.problem or type(error).__name__
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

    ``count_lost(spans, reason)`` counts what is lost. What may run while Python collects garbage, inside of
    anything (a response is closed anywhere), takes no lock that its own thread may hold.
    """

    def __init__(self, endpoint: str, most: int, count_lost: Callable[[int, str], None]) -> None:
        self.endpoint = endpoint
        self.most = most
        self.count_lost = count_lost
        self.waiting = 0
        self.sql_waiting = 0
        self.closed = False
        self.gave_up = False
        self.lock = threading.RLock()
        self.session = _Session()
        self.resource = find_resource()
        self.scope = InstrumentationScope(SCOPE)
        self.worker = Worker("dbroute_panel telemetry")
        self.exporter = _Exporter(endpoint, self.session, self._report_batch)
        self.session.give_up = self.exporter.shutdown
        batch = min(512, most)
        self.processor = BatchSpanProcessor(self.exporter, max_queue_size=most, max_export_batch_size=batch)
        atexit.register(self.close)

    def send(self, trace: Trace, servers: Mapping[str, ServerInfo], parent: Parent | None) -> None:
        """Hand over a trace, whole or not at all. What takes time happens on the worker's thread."""
        spans = len(trace.events) + 1
        sql = sum([len(event.sql) for event in trace.events if isinstance(event, Query)])
        self.worker.start()
        if self._reserve(spans, sql):
            self.worker.put(lambda: self._make(trace, servers, parent, spans, sql))
        else:
            self._count_lost(spans, f"Too much waits to be sent to {self.shown}")

    def _make(
        self, trace: Trace, servers: Mapping[str, ServerInfo], parent: Parent | None, spans: int, sql: int
    ) -> None:
        """Redact, make the spans and hand them to the processor. There is room for ``spans`` and ``sql``."""
        try:
            trace_id = parent.trace_id if parent else trace.id
            found = build_spans(redact_trace(trace), servers, parent)
            made = [self.make_readable(trace_id, span) for span in found]
        except Exception:  # noqa: BLE001 - the next trace wants to be sent too
            self._release(spans, sql)
            self._count_lost(spans, "A trace could not be sent")
            return
        finally:
            connections.close_all()  # of this thread: a check of the project's may have asked its database
        if self._reserve(len(made) - spans, _count_sql(made) - sql, closing=True):
            for span in made:
                self.processor.on_end(span)
        else:
            self._release(spans, sql)
            self._count_lost(len(made), f"Too much waits to be sent to {self.shown}")

    def _reserve(self, spans: int, sql: int, *, closing: bool = False) -> bool:
        """Take room for spans and characters of SQL that wait from now on; return whether there was."""
        with self.lock:
            full = self.waiting + spans > self.most or self.sql_waiting + sql > MAX_WAITING_SQL_CHARACTERS
            if full or (self.closed and not closing):
                return False
            self.waiting += spans
            self.sql_waiting += sql
            return True

    def _release(self, spans: int, sql: int) -> None:
        with self.lock:
            self.waiting -= spans
            self.sql_waiting -= sql

    def _count_lost(self, spans: int, reason: str) -> None:
        """Count what was lost, unless the sender has given up and counted all that waited."""
        if not self.gave_up:
            self.count_lost(spans, reason)

    @property
    def shown(self) -> str:
        """The endpoint without its possible secrets: user, password and query string."""
        parts = urlsplit(self.endpoint)
        try:
            port = f":{parts.port}" if parts.port is not None else ""
        except ValueError:
            port = ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"

    def make_readable(self, trace_id: str, span: Span) -> ReadableSpan:
        """Return the span as the SDK has it."""

        def context(span_id: str, *, remote: bool = False) -> api.SpanContext:
            return api.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=remote, trace_flags=SAMPLED)

        failed = api.Status(api.StatusCode.ERROR, span.error or None)
        return ReadableSpan(
            name=span.name,
            context=context(span.id),
            parent=context(span.parent) if span.parent is not None else None,
            resource=self.resource,
            attributes=span.attributes,
            events=[Event(one.name, one.attributes, one.at) for one in span.events],
            links=[api.Link(context(span.link))] if span.link is not None else [],
            kind=SPAN_KINDS[span.kind],
            status=failed if span.error is not None else api.Status(),
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self.scope,
        )

    def _report_batch(self, spans: Sequence[ReadableSpan], success: bool) -> None:
        self._release(len(spans), _count_sql(spans))
        if not success:
            self._count_lost(
                len(spans), f"Spans could not be sent to {self.shown}: {self.session.problem or 'not tried'}"
            )

    def close(self) -> None:
        """Send what waits, for ``EXIT_TIMEOUT_SECONDS`` at most, and stop."""
        atexit.unregister(self.close)
        with self.lock:
            if self.closed:
                return
            self.closed = True
        self.session.end(time.monotonic() + EXIT_TIMEOUT_SECONDS)
        if self.session.problem is not None:
            self.exporter.shutdown()
        if self.worker.thread is None:  # nothing waits
            self.processor.shutdown()  # type: ignore[no-untyped-call]
        else:
            self.worker.put(self.processor.shutdown)  # it waits for half a minute: there, not here
        if not self.worker.end(EXIT_TIMEOUT_SECONDS):
            with self.lock:
                self.gave_up, lost = True, self.waiting
            if lost:
                self.count_lost(
                    lost,
                    f"Spans could not be sent to {self.shown}: "
                    f"no answer in {EXIT_TIMEOUT_SECONDS:.0f} seconds",
                )
            self.exporter.shutdown()
        self.session.close()

    def reset_in_child(self) -> None:
        """Start again in a child process, where what waits is the parent's."""
        self.lock = threading.RLock()
        self.waiting = self.sql_waiting = 0
        self.worker.reset()


def _count_sql(spans: Sequence[ReadableSpan]) -> int:
    return sum(len(str((span.attributes or {}).get("db.query.text", ""))) for span in spans)


def find_resource() -> Resource:
    """Return the service, as the project's OpenTelemetry names it, else as ``OTEL_SERVICE_NAME`` does."""
    known = getattr(api.get_tracer_provider(), "resource", None)
    return known if isinstance(known, Resource) else Resource.create()
