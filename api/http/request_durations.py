"""How long requests took, counted by the process that answered them and told by each for all processes of a server.

Where the environment's PROMETHEUS_MULTIPROC_DIR is set, as `preferences serve` does for several workers and for no other reason,
prometheus-client keeps what it counts in files there, one for each process, which outlive it. So no count falls, whoever tells it and whoever was killed.
"""

import os
from collections.abc import Iterable
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, Metric
from prometheus_client.multiprocess import MultiProcessCollector

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds: those of OpenTelemetry's conventions (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/), as the names
are, and the two lowest, below which most answers are here."""

_registry: Final = CollectorRegistry()
_durations: Final = Histogram(
    "http_server_request_duration_seconds",
    "How long requests took, until the last byte of the answer was handed to the connection.",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=BOUNDS,
    registry=_registry,
)


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """`route` is a template: by the paths of requests there would be a series for each user. Empty where there is none."""
    _series(method, route, status).observe(seconds)


def collect() -> Iterable[Metric]:
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        # prometheus-client has no types here, unlike everywhere else.
        return MultiProcessCollector(None, folder).collect()  # type: ignore[no-untyped-call, no-any-return]
    return _registry.collect()


@cache
def _series(method: str, route: str, status: int) -> Histogram:
    """Remembered, as finding it takes the library longer than counting. There are only so many: the server's parser knows all methods."""
    return _durations.labels(method, route, status)
