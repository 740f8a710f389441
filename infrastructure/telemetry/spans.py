"""Records spans with OpenTelemetry: of sampled requests, of the batches with their changes, and of the batches of followers.

Recording is by hand, because instrumentation by a library takes 60 to 135 µs for each request, sampled or not. This module is imported only
if spans are recorded: it needs the extra `otel`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from application.preferences.state import Change
from infrastructure.telemetry.sampling import Sampling
from infrastructure.telemetry.traced_follower import FollowedBatch

MOST_LINKS: Final = 128
"""Links of one span. This is OpenTelemetry's own limit, beyond which it would drop the first ones."""

REQUEST_ID: Final = "preferences.request_id"


class Spans:
    """The spans of one process. Only this module decides what they say: never a path, which may name a user, and never an error's text."""

    def __init__(self, provider: TracerProvider, sampling: Sampling) -> None:
        self._tracer = provider.get_tracer("notification-preferences")
        self._sampling = sampling
        # The sampled requests that are being answered. A batch finds the spans of its changes here.
        self._running: dict[str, Span] = {}

    def begin(self, request_id: str, method: str, traceparent: str | None) -> "RunningRequest | None":
        if not self._sampling.takes(traceparent):
            return None
        span = self._tracer.start_span(
            method,
            context=Context() if traceparent is None else _under(_place(traceparent)),
            kind=SpanKind.SERVER,
            attributes={HTTP_REQUEST_METHOD: method, REQUEST_ID: request_id},
        )
        self._running[request_id] = span
        return RunningRequest(span, method, request_id, self._running)

    @contextmanager
    def change_batch(self, changes: Sequence[Change]) -> Iterator[None]:
        """The span of a batch of changes, linked to the spans of its requests. It is part of the first one's trace. A batch without a
        sampled request has no span."""
        running = self._running
        requests = [
            running[change.provenance.request_id] for change in changes if change.provenance.request_id in running
        ]
        if not requests:
            yield
            return
        span = self._tracer.start_span(
            "change batch",
            context=set_span_in_context(requests[0], Context()),
            attributes={"preferences.changes": len(changes)},
            links=[Link(request.get_span_context()) for request in requests[:MOST_LINKS]],
        )
        with _ended(span):
            yield

    @contextmanager
    def follower_batch(self, follower: str, batch: FollowedBatch) -> Iterator[None]:
        """The span of a follower's batch, linked to the sampled traces that its events are from. Without such an event it has no span."""
        traces = [traceparent for traceparent in batch.traceparents if self._sampling.takes(traceparent)]
        if not traces:
            yield
            return
        span = self._tracer.start_span(
            f"follow {follower}",
            context=Context(),
            kind=SpanKind.CONSUMER,
            attributes={
                "preferences.follower": follower,
                "preferences.events": batch.events,
                "preferences.up_to": batch.up_to,
            },
            links=[Link(_place(traceparent)) for traceparent in traces[:MOST_LINKS]],
        )
        with _ended(span):
            yield


class RunningRequest:
    __slots__ = ("_method", "_request_id", "_running", "_span")

    def __init__(self, span: Span, method: str, request_id: str, running: dict[str, Span]) -> None:
        self._span, self._method = span, method
        self._request_id, self._running = request_id, running

    def end(self, route: str, status: int) -> None:
        del self._running[self._request_id]
        span = self._span
        if route:
            span.update_name(f"{self._method} {route}")
            span.set_attribute(HTTP_ROUTE, route)
        if status:
            span.set_attribute(HTTP_RESPONSE_STATUS_CODE, status)
        if status >= 500:
            span.set_attribute(ERROR_TYPE, str(status))
            span.set_status(StatusCode.ERROR)
        span.end()


def _place(traceparent: str) -> SpanContext:
    return SpanContext(
        trace_id=int(traceparent[3:35], 16),
        span_id=int(traceparent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent[53:], 16)),
    )


def _under(parent: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(parent), Context())


@contextmanager
def _ended(span: Span) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        span.set_attribute(ERROR_TYPE, type(error).__name__)
        span.set_status(StatusCode.ERROR)
        raise
    finally:
        span.end()
