"""Sends spans to a collector, over OTLP/HTTP, from a thread of its own. A collector that is away costs spans and nothing else."""

import logging
import os
import threading
from collections.abc import Sequence
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from typing_extensions import override

CLOSE_WITHIN: Final = 2.0
"""Seconds in which the last spans must be sent when a process ends. Later, they are lost."""

NAME: Final = "notification-preferences"

log = structlog.get_logger("tracing")


def provider() -> TracerProvider:
    """Keeps at most 2,048 spans that are not sent yet (OTEL_BSP_MAX_QUEUE_SIZE), and drops the oldest ones beyond that.

    The other standard variables of OpenTelemetry apply, too: the headers and the time limit of the exporter, the resource.
    """
    named = os.environ.get("OTEL_SERVICE_NAME") or SERVICE_NAME in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    # Sampling happens before a span begins, so all spans that begin are recorded.
    made = TracerProvider(
        sampler=ALWAYS_ON, resource=Resource.create({} if named else {SERVICE_NAME: NAME}), shutdown_on_exit=False
    )
    made.add_span_processor(BatchSpanProcessor(WarnedExporter(OTLPSpanExporter())))
    return made


def close(provider: TracerProvider) -> None:
    """Send the spans that are left. The library would wait half a minute for a collector that doesn't answer."""
    closing = threading.Thread(target=provider.shutdown, name="tracing", daemon=True)
    closing.start()
    closing.join(CLOSE_WITHIN)


class WarnedExporter(SpanExporter):
    """Warns once when spans can't be sent, and says when they can again. The library itself would log each attempt."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._fails = False
        self._said = _Said()
        library = logging.getLogger("opentelemetry.exporter")
        library.handlers = [self._said]
        library.propagate = False
        # It warns of each span that finds the queue full.
        logging.getLogger("opentelemetry.sdk").setLevel(logging.ERROR)

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._said.first = ""
        result = self._exporter.export(spans)
        fails = result is not SpanExportResult.SUCCESS
        if fails and not self._fails:
            log.warning("the collector takes no spans: they are dropped", reason=self._said.first)
        elif self._fails and not fails:
            log.info("the collector takes spans again")
        self._fails = fails
        return result

    @override
    def shutdown(self) -> None:
        self._exporter.shutdown()

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Said(logging.Handler):
    """Keeps what the library says first, which is the cause."""

    first = ""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.first = self.first or record.getMessage()
