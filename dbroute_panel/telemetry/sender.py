"""
The only module that imports OpenTelemetry: its exporter and its batch processor, with our spans.

The processor's thread sends, retries and gives up; we count what is waiting, so that its queue never
overflows, and what is given up. At the end of the process it gets one more try.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any, Final

import requests
from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from dbroute_panel.exports.spans import SCOPE, Kind, Span

KINDS: Final = {
    Kind.INTERNAL: api.SpanKind.INTERNAL,
    Kind.SERVER: api.SpanKind.SERVER,
    Kind.CLIENT: api.SpanKind.CLIENT,
}

LAST_TRY: Final = 2.0
"""Seconds that a request may take when the process ends."""

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
    ``ending``: retries would keep the process alive.
    """

    def __init__(self) -> None:
        super().__init__()
        self.headers["Connection"] = "close"
        self.problem: str | None = None
        self.ending = False
        self.give_up: Callable[[], None] = lambda: None

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        if self.ending:
            kwargs["timeout"] = LAST_TRY
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
        if self.ending:
            self.give_up()


class _Exporter(trace_exporter.OTLPSpanExporter):
    """OpenTelemetry's own, which tells what became of each batch."""

    def __init__(self, endpoint: str, session: _Session, done: Callable[[int, bool], None]) -> None:
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
            self._done(len(spans), result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        if not self._ended:
            self._ended = True
            super().shutdown()  # type: ignore[no-untyped-call]


class Sender:
    """
    Sends spans to ``endpoint``. At most ``most`` wait; a trace that there is no room for is lost.

    ``lose(spans, reason)`` is told of what is lost.
    """

    def __init__(self, endpoint: str, most: int, lose: Callable[[int, str], None]) -> None:
        self.endpoint = endpoint
        self.most = most
        self.lose = lose
        self.waiting = 0
        self.lock = threading.Lock()
        self.session = _Session()
        self.exporter = _Exporter(endpoint, self.session, self._done)
        self.session.give_up = self.exporter.shutdown
        batch = min(512, most)
        self.processor = BatchSpanProcessor(self.exporter, max_queue_size=most, max_export_batch_size=batch)
        self.resource = resource()
        self.scope = InstrumentationScope(SCOPE)
        atexit.register(self.close)

    def send(self, trace_id: str, spans: Iterable[Span]) -> None:
        """Hand the spans of one trace to the processor, all of them or none."""
        made = [self.readable(trace_id, span) for span in spans]
        with self.lock:
            fits = self.waiting + len(made) <= self.most
            if fits:
                self.waiting += len(made)
        if not fits:
            self.lose(len(made), f"Too many spans wait to be sent to {self.shown}")
            return
        for span in made:
            self.processor.on_end(span)

    @property
    def shown(self) -> str:
        """The endpoint without a password that may be in it."""
        return self.endpoint.rpartition("@")[2]

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

    def _done(self, spans: int, success: bool) -> None:
        with self.lock:
            self.waiting -= spans
        if not success:
            self.lose(
                spans, f"Spans could not be sent to {self.shown}: {self.session.problem or 'not tried'}"
            )

    def close(self) -> None:
        """Send what waits, if anybody takes it, and stop."""
        atexit.unregister(self.close)
        self.session.ending = True
        if self.session.problem is not None:
            self.exporter.shutdown()
        self.processor.shutdown()  # type: ignore[no-untyped-call]
        self.session.close()

    def forked(self) -> None:
        """In a child process, where the processor begins anew and what waits is the parent's."""
        self.lock = threading.Lock()
        self.waiting = 0


def resource() -> Resource:
    """The service: as the project's own OpenTelemetry names it, else as ``OTEL_SERVICE_NAME`` does."""
    known = getattr(api.get_tracer_provider(), "resource", None)
    return known if isinstance(known, Resource) else Resource.create()
