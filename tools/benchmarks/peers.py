"""Set up the tools that need a call, as their documentation says; what they would send away is dropped."""

from __future__ import annotations

from collections.abc import Sequence


def begin_opentelemetry() -> None:
    """https://opentelemetry-python-contrib.readthedocs.io/en/latest/instrumentation/django/django.html"""
    from opentelemetry import trace
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Drops(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Drops()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
    SQLite3Instrumentor().instrument()


def flush_opentelemetry() -> None:
    from opentelemetry import trace

    trace.get_tracer_provider().force_flush()


def begin_sentry() -> None:
    """https://docs.sentry.io/platforms/python/integrations/django/"""
    import sentry_sdk
    from sentry_sdk.envelope import Envelope
    from sentry_sdk.transport import Transport

    class Drops(Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            return

    sentry_sdk.init(dsn="https://key@localhost/1", transport=Drops, traces_sample_rate=1.0)
