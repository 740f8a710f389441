"""What spans say, and what they are linked to, without a collector."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode

from application.log import Recorded
from application.preferences.state import Change
from domain.errors import Unavailable
from domain.provenance import Provenance, Source
from infrastructure.telemetry.sampling import Sampling
from infrastructure.telemetry.spans import MOST_LINKS, Spans
from infrastructure.telemetry.traced_follower import FollowedBatch, TracedFollower
from tests.support.events import ADA, NOON, TRACEPARENT, continued, erased, opened, toggled

UNSAMPLED = TRACEPARENT[:-1] + "0"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[Spans]:
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield Spans(provider, Sampling(0, follows_parent=True))
    provider.shutdown()


class Remembering:
    name = "remembering"

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    async def handle(self, events, transaction) -> None:
        self.calls.append((events, transaction))

    async def reset(self, position, transaction) -> None:
        self.calls.append((position, transaction))


def change(request_id: str) -> Change:
    return Change(ADA, {}, Provenance({"user": "user_ada"}, None, Source.DASHBOARD, request_id, NOON, 1))


def linked(span: ReadableSpan) -> list[str]:
    return [f"00-{link.context.trace_id:032x}-{link.context.span_id:016x}-01" for link in span.links]


def place(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"


def test_a_request_is_a_span_under_the_clients(spans, exporter) -> None:
    spans.begin("request-1", "PATCH", TRACEPARENT).end("/v1/me/notifications", 200)
    [span] = exporter.get_finished_spans()
    assert (span.name, span.kind, span.status.status_code) == (
        "PATCH /v1/me/notifications",
        SpanKind.SERVER,
        StatusCode.UNSET,
    )
    assert f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" == TRACEPARENT[3:52]
    assert span.context.trace_id == span.parent.trace_id
    assert dict(span.attributes) == {
        "http.request.method": "PATCH",
        "http.route": "/v1/me/notifications",
        "http.response.status_code": 200,
        "preferences.request_id": "request-1",
    }


def test_without_a_route_or_an_answer_a_span_says_neither(spans, exporter) -> None:
    spans.begin("request-1", "GET", TRACEPARENT).end("", 0)
    [span] = exporter.get_finished_spans()
    assert span.name == "GET"
    assert dict(span.attributes) == {"http.request.method": "GET", "preferences.request_id": "request-1"}


@pytest.mark.parametrize(("status", "failed"), [(499, False), (500, True), (503, True)])
def test_the_servers_own_errors_are_errors_and_the_clients_are_not(spans, exporter, status: int, failed: bool) -> None:
    spans.begin("request-1", "GET", TRACEPARENT).end("/x", status)
    [span] = exporter.get_finished_spans()
    assert (span.status.status_code is StatusCode.ERROR) is failed
    assert span.attributes.get("error.type") == (str(status) if failed else None)


def test_what_is_not_sampled_is_no_span_and_links_nothing(spans, exporter) -> None:
    assert spans.begin("request-1", "PATCH", UNSAMPLED) is None
    assert spans.begin("request-2", "PATCH", None) is None
    with spans.change_batch([change("request-1"), change("request-2")]):
        pass
    with (
        spans.follower_batch("f", FollowedBatch([UNSAMPLED], 3, 5)),
        spans.follower_batch("f", FollowedBatch([], 3, 5)),
    ):
        pass
    assert exporter.get_finished_spans() == ()


def test_a_request_without_a_traceparent_begins_a_trace_if_chance_takes_it(exporter) -> None:
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    Spans(provider, Sampling(1, follows_parent=True)).begin("request-1", "GET", None).end("/x", 200)
    [span] = exporter.get_finished_spans()
    assert span.parent is None


def test_a_batch_is_linked_to_the_requests_in_it_and_to_no_other(spans, exporter) -> None:
    # Given a sampled request that waits for its answer, another one in the same batch, one elsewhere, and one that has ended
    first, second, elsewhere = (spans.begin(f"request-{n}", "PATCH", TRACEPARENT) for n in (1, 2, 3))
    spans.begin("request-4", "PATCH", TRACEPARENT).end("/x", 200)
    exporter.clear()
    # when their batch is recorded
    with spans.change_batch([change(f"request-{n}") for n in (0, 1, 2, 4)]):
        pass
    for request in (first, second, elsewhere):
        request.end("/x", 200)
    # then
    batch, one, two, _ = exporter.get_finished_spans()
    assert (batch.name, batch.attributes["preferences.changes"]) == ("change batch", 4)
    assert linked(batch) == [place(one), place(two)]
    assert batch.parent == one.context


async def test_a_followers_batch_is_linked_to_each_trace_of_its_events_once(spans, exporter) -> None:
    # Given a follower, and events of which some come from sampled requests
    follower, other = Remembering(), TRACEPARENT.replace("4bf9", "abcd")
    traced = TracedFollower(follower, spans.follower_batch)
    events = [
        Recorded(3, opened(traceparent=TRACEPARENT)),
        Recorded(5, toggled(2, "news", True, traceparent=TRACEPARENT)),
        Recorded(7, toggled(3, "digest", True)),
        Recorded(8, continued(7)),
        Recorded(9, toggled(4, "digest", False, previous=True, traceparent=other)),
        Recorded(11, toggled(4, "digest", True, previous=False, traceparent=UNSAMPLED)),
        Recorded(12, erased(5)),
    ]
    # when it gets them, then it handles them within the span,
    assert traced.name == "remembering"
    await traced.handle(events, "transaction")
    await traced.reset(7, "another")
    assert follower.calls == [(events, "transaction"), (7, "another")]
    # which has a link for each trace.
    [span] = exporter.get_finished_spans()
    assert (span.name, span.kind, span.parent) == ("follow remembering", SpanKind.CONSUMER, None)
    assert linked(span) == [TRACEPARENT, other]
    assert dict(span.attributes) == {
        "preferences.follower": "remembering",
        "preferences.events": 7,
        "preferences.up_to": 12,
    }


def test_links_are_bounded(spans, exporter) -> None:
    requests = [spans.begin(f"request-{n}", "PATCH", TRACEPARENT) for n in range(200)]
    with spans.change_batch([change(f"request-{n}") for n in range(200)]):
        pass
    for request in requests:
        request.end("/x", 200)
    many = [f"00-{number:032x}-{number:016x}-01" for number in range(1, 200)]
    with spans.follower_batch("f", FollowedBatch(many, 199, 199)):
        pass
    batches = [span for span in exporter.get_finished_spans() if span.links]
    assert [(len(span.links), span.dropped_links) for span in batches] == [(MOST_LINKS, 0), (MOST_LINKS, 0)]


def test_an_error_fails_the_span_and_its_text_stays_here(spans, exporter) -> None:
    request = spans.begin("request-1", "PATCH", TRACEPARENT)
    with pytest.raises(Unavailable), spans.change_batch([change("request-1")]):
        raise Unavailable("the password is swordfish")
    request.end("/x", 503)
    [batch, _] = exporter.get_finished_spans()
    assert (batch.status.status_code, batch.attributes["error.type"]) == (StatusCode.ERROR, "Unavailable")
    assert "swordfish" not in batch.to_json()
