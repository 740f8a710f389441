"""Counts how long requests took. Each process counts its own requests, and each reports the sum of all processes of a server.

`preferences serve` sets PROMETHEUS_MULTIPROC_DIR, and only for several workers. Then prometheus-client keeps its counts in files in that
folder, one for each worker's place (`api/http/worker_places.py`). The files outlive the process. So no count ever falls, whichever process
reports it and whichever was killed.
"""

import os
from collections.abc import Iterable
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, Metric
from prometheus_client.multiprocess import MultiProcessCollector

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds. These are the bounds of OpenTelemetry's conventions (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/),
which also define the names, and two lower ones, because most answers of this service take less time than its lowest bound."""

_registry: Final = CollectorRegistry()
_durations: Final = Histogram(
    "http_server_request_duration_seconds",
    "How long requests took, until the last byte of the answer was handed to the connection.",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=BOUNDS,
    registry=_registry,
)


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """`route` is a template, because request paths would make one series for each user. It is empty if there is no route."""
    _series(method, route, status).observe(seconds)


def collect() -> Iterable[Metric]:
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        # This part of prometheus-client has no types.
        return MultiProcessCollector(None, folder).collect()  # type: ignore[no-untyped-call, no-any-return]  # the library has no types
    return _registry.collect()


@cache
def _series(method: str, route: str, status: int) -> Histogram:
    """Cached, because the library takes longer to find a series than to count. The number of series is bounded: the server's parser
    accepts only known methods."""
    return _durations.labels(method, route, status)
