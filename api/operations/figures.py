"""The figures of a worker process, apart from its requests: how busy its pools, batches and connections are, and what it has done.

The parts of the process keep plain numbers. This reads them when Prometheus asks, so that no request pays for it.

With several workers, Prometheus reaches one of them at a time. So each worker also writes its figures every second to the folder that
they share (`api/http/request_durations.py`), and the worker that answers reports the sums.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric

from api.operations.background import running

EVERY: Final = 1.0
"""Seconds between two writings to the shared folder."""

Values = Mapping[tuple[str, ...], float]
"""A value for each combination of labels; without labels, one value for `()`."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`read` returns the values of this process at this moment."""

    name: str
    what: str
    read: Callable[[], Values]
    labels: Sequence[str] = ()


class Figures:
    """`levels` rise and fall, and those of a worker that has ended no longer count. `counts` only rise, and outlive their worker."""

    def __init__(self, *, levels: Iterable[Figure], counts: Iterable[Figure]) -> None:
        self._registry = CollectorRegistry()
        self._levels = [
            (
                figure,
                Gauge(figure.name, figure.what, figure.labels, registry=self._registry, multiprocess_mode="livesum"),
            )
            for figure in levels
        ]
        self._counts = [
            (figure, Counter(figure.name, figure.what, figure.labels, registry=self._registry)) for figure in counts
        ]
        self._counted: dict[tuple[str, tuple[str, ...]], float] = {}

    def collect(self) -> Iterable[Metric]:
        """With several workers, nothing: then the figures are in the files that `request_durations` collects."""
        self._publish()
        return () if _shared() else self._registry.collect()

    @asynccontextmanager
    async def published(self) -> AsyncIterator[None]:
        """In this context the other workers can report the figures of this one, too."""
        if not _shared():
            yield
            return
        async with running(self._publish_again_and_again(), "figures"):
            yield

    async def _publish_again_and_again(self) -> None:
        while True:
            self._publish()
            await asyncio.sleep(EVERY)

    def _publish(self) -> None:
        for figure, gauge in self._levels:
            for labels, value in figure.read().items():
                (gauge.labels(*labels) if labels else gauge).set(value)
        for figure, counter in self._counts:
            for labels, value in figure.read().items():
                # The library's counter is added to, because in the shared file it goes on from where a former worker has left it.
                before = self._counted.get((figure.name, labels), 0.0)
                (counter.labels(*labels) if labels else counter).inc(value - before)
                self._counted[figure.name, labels] = value


def _shared() -> bool:
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ
