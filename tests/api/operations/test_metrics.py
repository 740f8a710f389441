"""How many requests took how long, as /metrics tells it: whichever worker process answers, and whoever of them has died."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.command_line import serve as serve_command
from tests.support.eventually import until
from tests.support.processes import workers
from tests.support.server import PATH, Server
from tests.support.tokens import bearer

NAME = "http_server_request_duration_seconds"


def told(server: Server) -> Counter[tuple[str, str, str]]:
    """How many requests, by method, route and status; by a connection of its own, so that any worker may answer."""
    response = httpx.get(f"{server.url}/metrics", timeout=10)
    assert response.status_code == 200
    counts: Counter[tuple[str, str, str]] = Counter()
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            if sample.name == f"{NAME}_count":
                labels = sample.labels
                series = labels["http_request_method"], labels["http_route"], labels["http_response_status_code"]
                counts[series] = int(sample.value)
    return counts


def ask(server: Server, count: int) -> None:
    """Each of these, so many times, each on a connection of its own."""
    unkept = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=server.url, headers=bearer("user_metrics"), limits=unkept, timeout=10) as http:
        for number in range(count):
            http.get(PATH)
            http.patch(PATH, json={"email": {"weekly_usage_digest": True}})
            http.get(f"/v1/users/user_{number}/notifications")
            http.get(f"/nowhere/{number}")
            http.delete(PATH)


def expected(count: int) -> dict[tuple[str, str, str], int]:
    """A route is told as its template, and what has none without: or there were a series for each user and each typing error."""
    return {
        ("GET", PATH, "200"): count,
        ("PATCH", PATH, "200"): count,
        ("GET", "/v1/users/{user_id}/notifications", "403"): count,
        ("GET", "", "404"): count,
        ("DELETE", PATH, "405"): count,
    }


def without_probes(counts: Counter[tuple[str, str, str]]) -> dict[tuple[str, str, str], int]:
    return {series: count for series, count in counts.items() if series[1] not in ("/metrics", "/healthz")}


def test_requests_are_counted_by_route_and_status(serve: Callable[..., Server]) -> None:
    server = serve()
    ask(server, 3)
    assert without_probes(told(server)) == expected(3)
    assert told(server)["GET", "/metrics", "200"] == 1


def test_every_worker_tells_of_all_of_them_also_of_one_that_was_killed(serve: Callable[..., Server]) -> None:
    server = serve(web_concurrency=2, followers="off")
    ask(server, 20)
    until(lambda: without_probes(told(server)) == expected(20))
    # Given that all is left where the others find it, when one is killed and another one takes its place,
    killed, _ = workers(server.process.pid)
    os.kill(killed, signal.SIGKILL)
    until(lambda: len({*workers(server.process.pid)} - {killed}) == 2)
    # then whoever is asked has forgotten nothing.
    assert [without_probes(told(server)) for _ in range(20)] == [expected(20)] * 20


@pytest.mark.parametrize("memory", [True, False])
def test_what_workers_share_is_in_memory_where_there_is_such_a_place(memory: bool, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(serve_command, "MEMORY", str(tmp_path if memory else tmp_path / "none"))
    with serve_command._folder_of_counts() as folder:
        assert Path(folder).is_relative_to(tmp_path) == memory


def test_what_workers_share_goes_with_them(serve: Callable[..., Server]) -> None:
    server = serve(web_concurrency=2)
    environment = Path(f"/proc/{workers(server.process.pid)[0]}/environ").read_text().split("\0")
    [shared] = [Path(line.partition("=")[2]) for line in environment if line.startswith("PROMETHEUS_MULTIPROC_DIR=")]
    assert shared.is_dir()
    assert server.stop() == 0
    assert not shared.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_of_counts_that_is_inherited_is_left_alone(
    workers: int, serve: Callable[..., Server], tmp_path: Path, monkeypatch
) -> None:
    # Given an environment that names a folder, as a supervisor of several programs may; the library reads either name
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        monkeypatch.setenv(name, str(tmp_path))
    server = serve(web_concurrency=workers)
    for start in range(2):
        if start:
            # when the service is started again, then it counts from the beginning
            server.start()
        ask(server, 1)
        until(lambda: without_probes(told(server)) == expected(1))
        server.stop()
    # and has left nothing behind.
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_counts_that_is_not_there_keeps_nothing_from_starting(serve, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "gone"))
    server = serve()
    ask(server, 1)
    assert without_probes(told(server)) == expected(1)


def test_they_took_less_than_whoever_asked_has_waited(serve: Callable[..., Server]) -> None:
    server = serve()
    before = time.monotonic()
    ask(server, 1)
    passed = time.monotonic() - before
    text = httpx.get(f"{server.url}/metrics").text
    sums = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"{NAME}_sum" and sample.labels["http_route"] == PATH
    ]
    assert 0 < sum(sums) < passed
