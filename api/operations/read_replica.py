"""The metrics of the read replica."""

import os
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.core import GaugeMetricFamily

_registry: Final = CollectorRegistry()
_reads: Final = Counter(
    "preferences_reads",
    "Reads that may lag, by the server that answered them: the read replica, or the primary instead.",
    ["server"],
    registry=_registry,
)


def count(server: str) -> None:
    """`server` is `replica` or `primary`."""
    _reads.labels(server).inc()


def collect(lag: float | None, *, used: bool) -> Iterable[Metric]:
    """Each process measures the lag itself. With several worker processes the counts are in the files that all of them share."""
    if lag is not None:
        what = "Seconds by which the read replica is behind the primary, as this process last measured it."
        yield GaugeMetricFamily("preferences_read_replica_lag_seconds", what, value=lag)
    yield GaugeMetricFamily("preferences_read_replica_used", "1 if reads go to the read replica.", value=used)
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        yield from _registry.collect()
