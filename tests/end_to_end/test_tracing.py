"""One request, followed from its header to the consumers of its events, and as spans at a collector."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest

from infrastructure.embedded.nats_server import NatsServer
from tests.support.catalogues import publish
from tests.support.command import Command, environment
from tests.support.events import TRACEPARENT
from tests.support.events_client import EVENTS, events_key
from tests.support.eventually import until
from tests.support.handed_on import stored
from tests.support.links import ONE_CLICK, link
from tests.support.otlp_collector import Collector, Sent, collecting
from tests.support.relays import Relays
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

UNSAMPLED = TRACEPARENT[:-1] + "0"
CLIENT = TRACEPARENT[3:52]
TURNS = [{"email": {"weekly_usage_digest": enabled}} for enabled in (True, False)]
ON = TURNS[0]
SOON = {"otel_bsp_schedule_delay": 20, "otel_exporter_otlp_timeout": 1}
"""Spans leave after 20 ms, and a collector has a second to answer."""


def requests(server: Server, start: int, answered: int) -> list[dict[str, Any]]:
    """The log lines of the requests that were answered. A line may come after its answer."""

    def logged() -> list[dict[str, Any]]:
        lines = [
            json.loads(line)
            for line in server.log(start).splitlines(keepends=True)
            if line.startswith(b"{") and line.endswith(b"\n")
        ]
        return [line for line in lines if line["event"] == "request"]

    until(lambda: len(logged()) >= answered)
    return logged()


def states(url: str) -> list[dict[str, Any]]:
    """The users' events as they are stored."""
    query = "SELECT convert_from(state, 'UTF8')::json FROM preferences_events WHERE topic LIKE '%ed' ORDER BY notification_id"
    with psycopg.connect(url) as connection:
        return [state for (state,) in connection.execute(query) if "channels" not in state]


class Traced(NamedTuple):
    server: Server
    collector: Collector
    broker: str


@pytest.fixture(scope="module")
def traced(new_database: Callable[[], str]) -> Iterator[Traced]:
    """The service with its followers and a relay, all of which send their spans to one collector."""
    url = new_database()
    asyncio.run(publish(url))
    with TemporaryDirectory(prefix="preferences-test-") as folder, collecting() as collector:
        Path(folder).chmod(0o755)
        settings = {**SOON, "otel_exporter_otlp_endpoint": collector.url, "otel_traces_sampler_arg": 0}
        with NatsServer(Path(folder)) as broker, Server(url, followers="on", data_dir=folder, **settings) as server:
            relays = Relays(Path(folder), url, [broker.url], **settings)
            relays.start()
            yield Traced(server, collector, broker.url)
            relays.close()


async def test_a_request_its_batch_and_the_followers_are_spans_that_lead_from_one_to_the_next(traced: Traced) -> None:
    # Given a client that records a trace
    headers = {**bearer("user_ada"), "traceparent": TRACEPARENT, "tracestate": "congo=t61rcWkgMzE"}
    # when it changes something
    async with httpx.AsyncClient(base_url=traced.server.url) as http:
        answer = await http.patch(PATH, json=ON, headers=headers)
    assert answer.status_code == 200
    # then its trace has the request,
    spans = traced.collector.wait_for(f"PATCH {PATH}", "change batch", "follow audit-index", "follow relay")
    request = spans[f"PATCH {PATH}"]
    assert f"{request.trace}-{request.parent}" == CLIENT
    assert request.attributes == {
        "http.request.method": "PATCH",
        "http.route": PATH,
        "http.response.status_code": 200,
        "preferences.request_id": answer.headers["x-request-id"],
    }
    # and the batch under it,
    batch = spans["change batch"]
    assert (batch.trace, batch.parent, batch.links) == (request.trace, request.id, [request.place])
    # and each follower's batch is linked to it.
    for name in ("audit-index", "relay"):
        followed = spans[f"follow {name}"]
        assert (followed.links, followed.parent) == ([CLIENT], "")
        assert followed.attributes["preferences.follower"] == name
    assert {span.service for span in spans.values()} == {"notification-preferences"}
    # What the spans say names nobody.
    assert not any(b"user_ada" in body or b"org_math" in body for body in traced.collector.bodies)
    # The message has the header that tracing libraries look for.
    by_type = {message.headers["ce-type"]: message.headers for message in await stored(traced.broker)}
    toggled = by_type["notification-preferences.toggled.v1"]
    assert (toggled["traceparent"], toggled["ce-traceparent"]) == (TRACEPARENT, TRACEPARENT)
    assert "ce-tracestate" not in toggled
    assert "tracestate" not in toggled


def test_reads_and_what_the_framework_answers_are_spans_too_by_their_route_alone(traced: Traced) -> None:
    headers = {**bearer("user_ada", role="admin"), "traceparent": TRACEPARENT}
    statuses = [
        httpx.get(f"{traced.server.url}{path}", headers=headers).status_code
        for path in (PATH, "/v1/users/user_eve/notifications", "/nowhere/user_eve")
    ]
    assert statuses == [200, 200, 404]
    spans = traced.collector.wait_for(f"GET {PATH}", "GET /v1/users/{user_id}/notifications", "GET")
    assert spans["GET"].attributes["http.response.status_code"] == 404
    assert not any(b"user_eve" in body for body in traced.collector.bodies)


def test_what_the_client_does_not_sample_is_no_span_and_the_next_request_is(traced: Traced) -> None:
    def change(turn: int, headers: dict[str, str]) -> None:
        answer = httpx.patch(f"{traced.server.url}{PATH}", json=TURNS[turn], headers={**bearer("user_bob"), **headers})
        assert answer.status_code == 200

    def batches() -> list[Sent]:
        return [span for span in traced.collector.spans if span.name == "follow audit-index" and other in span.links]

    other = CLIENT.replace("4bf9", "abcd")
    change(0, {"traceparent": UNSAMPLED.replace("4bf9", "dead")})
    change(1, {})
    change(0, {"traceparent": f"00-{other}-01"})
    until(batches)
    assert not any("dead" in (span.trace + "".join(span.links)) for span in traced.collector.spans)
    # The events still name the trace, which other services may have recorded.
    assert any(state.get("traceparent", "").startswith("00-dead") for state in states(traced.server.database_url))


async def test_without_a_collector_the_request_is_followed_by_its_log_line_and_its_events(
    server: Server, http, fresh_user
) -> None:
    # Given a service that records no spans, when a client sends its place in a trace, and another one none
    start, traced, plain = len(server.log()), fresh_user(), fresh_user()
    organization = f"org_of_{traced}"
    sent = {traced: {"traceparent": UNSAMPLED}, plain: {"tracestate": "congo=t61rcWkgMzE"}}
    for user, headers in sent.items():
        answer = await http.patch(PATH, json=ON, headers={**bearer(user, organization), **headers})
        assert answer.status_code == 200
    # then the log says it of the one, and nothing of the other,
    said = requests(server, start, answered=2)
    assert [line.get("traceparent") for line in said] == [UNSAMPLED, None]
    assert not any("trace" in name for name in said[1] if name != "traceparent")
    # and so do the events.
    key = await events_key(server.database_url, organization)
    events = (await http.get(EVENTS, headers=key)).json()["data"]
    of = {user: [event for event in events if event.get("subject") == user] for user in sent}
    assert [event.get("traceparent") for event in of[traced]] == [UNSAMPLED, UNSAMPLED]
    assert not any("traceparent" in event for event in of[plain])
    assert len(of[plain]) == 2


async def test_a_wrong_traceparent_is_as_none(server: Server, http, fresh_user) -> None:
    start = len(server.log())
    for headers in ([("traceparent", "00-x")], [("traceparent", TRACEPARENT)] * 2):
        answer = await http.get(PATH, headers=[*bearer(fresh_user()).items(), *headers])
        assert answer.status_code == 200
    assert not any("traceparent" in line for line in requests(server, start, answered=2))


def test_a_click_on_a_link_is_followed_too_unless_the_person_was_erased(
    server: Server, fresh_user, query, folder, monkeypatch, capsys
) -> None:
    user = fresh_user()

    def clicked() -> list[str | None]:
        """The trace of each of the last two events after a click."""
        headers = {"traceparent": TRACEPARENT}
        answer = httpx.post(f"{server.url}{link(user)}", data=ONE_CLICK, headers=headers)
        assert answer.status_code == 200
        last = "SELECT convert_from(state, 'UTF8')::json FROM preferences_events ORDER BY notification_id DESC LIMIT 2"
        return [state.get("traceparent") for (state,) in query(last)]

    assert clicked() == [TRACEPARENT, TRACEPARENT]
    again = httpx.patch(f"{server.url}{PATH}", json={"email": {"product_updates": True}}, headers=bearer(user))
    assert again.status_code == 200
    erase = ["erase", "--org", "org_math", "--user", user, "--yes"]
    result = Command(folder, server.database_url).inside(monkeypatch, capsys, *erase)
    assert result.returncode == 0, result
    assert clicked() == [None, None]


def test_the_spans_that_are_left_are_sent_at_the_end(new_database) -> None:
    with collecting() as collector:
        # Without the share that is recorded of requests without a `traceparent`: one of them asks whether the server has started.
        settings = {
            "otel_exporter_otlp_endpoint": f"{collector.url}/",
            "otel_bsp_schedule_delay": 600_000,
            "otel_traces_sampler_arg": 0,
        }
        with Server(new_database(), **settings, otel_service_name="ours") as server:
            headers = {**bearer("user_ada"), "traceparent": TRACEPARENT}
            assert httpx.patch(f"{server.url}{PATH}", json=ON, headers=headers).status_code == 200
            assert collector.spans == []
            assert server.stop() == 0
        assert {span.name for span in collector.spans} == {f"PATCH {PATH}", "change batch"}
        assert {span.service for span in collector.spans} == {"ours"}


@pytest.fixture(params=["closed", "silent"])
def away(request) -> Iterator[str]:
    """A collector that refuses connections, or takes them and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if request.param == "closed":
            listener.close()
        yield f"http://127.0.0.1:{port}"


def test_a_collector_that_is_away_costs_one_warning_and_no_request(away: str, new_database) -> None:
    # Given a collector that takes no spans, and a queue for few
    few = {"otel_bsp_max_queue_size": 4, "otel_bsp_max_export_batch_size": 2}
    with Server(
        new_database(), **SOON, **few, otel_exporter_otlp_endpoint=away, otel_traces_sampler="always_on"
    ) as server:
        # when requests come for longer than several attempts to send take
        with httpx.Client(base_url=server.url, headers=bearer("user_ada"), timeout=10) as client:
            ends = time.monotonic() + 2.5
            slowest = 0.0
            for number in range(10_000):
                started = time.monotonic()
                assert client.patch(PATH, json=TURNS[number % 2]).status_code == 200
                slowest = max(slowest, time.monotonic() - started)
                if started > ends:
                    break
                time.sleep(0.01)
        # then none waits for the collector,
        assert number > 20
        assert slowest < 2
        # the process ends in time,
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 15
        # and one line says it.
        said = [json.loads(line) for line in server.log().splitlines() if line.startswith(b"{")]
        warnings = [line for line in said if line["level"] in ("warning", "error", "critical")]
        assert [line["event"] for line in warnings] == ["the collector takes no spans: they are dropped"], warnings
        assert warnings[0]["reason"]


def test_a_collector_that_comes_back_gets_the_next_spans(new_database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with Server(new_database(), **SOON, otel_exporter_otlp_endpoint=f"http://127.0.0.1:{port}") as server:
        headers = {**bearer("user_ada"), "traceparent": TRACEPARENT}

        def ask() -> None:
            assert httpx.get(f"{server.url}{PATH}", headers=headers).status_code == 200

        ask()
        until(lambda: b"the collector takes no spans" in server.log())
        with collecting(port) as collector:

            def arrived() -> bool:
                ask()
                return bool(collector.spans)

            until(arrived)
            until(lambda: b"the collector takes spans again" in server.log())


PROGRAM = """
import os, sys
from api.bootstrap.service import create_app

def loaded(**settings):
    # All this is OpenTelemetry's own: the framework imports its interfaces in any case.
    os.environ.update(settings)
    create_app()
    return sorted({name.split(".")[1] for name in sys.modules if name.startswith("opentelemetry.") and sys.modules[name]})

off = loaded()
print(*off)
print(*loaded(OTEL_EXPORTER_OTLP_ENDPOINT=""))
print(*loaded(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_SDK_DISABLED="true"))
missing = ["opentelemetry.sdk", "opentelemetry.exporter"]
sys.modules.update(dict.fromkeys(missing))
print(*loaded(OTEL_SDK_DISABLED="false"))
for name in missing:
    del sys.modules[name]
print(*loaded())
"""


def test_the_sdk_is_loaded_only_to_record_spans_and_without_it_the_service_says_that_it_records_none(folder) -> None:
    given = environment(database_url="postgresql://127.0.0.1:1/nowhere", data_dir=folder)
    result = subprocess.run([sys.executable, "-c", PROGRAM], env=given, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    unset, empty, disabled, missing, on = (set(line.split()) for line in result.stdout.splitlines())
    assert unset == empty == disabled == missing
    assert {"sdk", "exporter"} <= on - unset
    [line] = [json.loads(line) for line in result.stderr.splitlines() if "no spans are recorded" in line]
    assert (line["level"], line["remedy"]) == ("warning", "install the extra `otel`")
