"""GET /metrics: how far the followers are, in the text format of Prometheus."""

from collections.abc import Callable, Iterable
from typing import Final

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from api import description
from api.answer import Answer
from api.services import Services
from application.followers import FollowerStatus

GAUGES: Final[tuple[tuple[str, str, Callable[[FollowerStatus], float]], ...]] = (
    ("position", "Position in the log of the last event that was handled.", lambda of: of.position),
    ("lag_events", "Events yet to be handled; exact up to 10,000.", lambda of: of.lag_events),
    ("lag_seconds", "How long ago the first event yet to be handled was recorded.", lambda of: of.lag_seconds),
    ("failed", "1 if an event that could not be handled has stopped it.", lambda of: of.state == "failed"),
    ("paused", "1 if an operator has paused it.", lambda of: of.paused),
    ("leading", "1 if a process runs it at this moment.", lambda of: of.leading),
)


def add(app: FastAPI, services: Services) -> None:
    @app.get("/metrics", response_model=None, **description.metrics())
    async def metrics() -> Answer:
        text = generate_latest(_Statuses(await services.followers()))
        return Answer(200, text, [(b"content-type", CONTENT_TYPE_LATEST.encode())])


class _Statuses(Collector):
    """Asked for anew each time: they stand in the database, so that every worker process tells the same."""

    def __init__(self, statuses: list[FollowerStatus]) -> None:
        self._statuses = statuses

    @override
    def collect(self) -> Iterable[GaugeMetricFamily]:
        for name, what, value in GAUGES:
            family = GaugeMetricFamily(f"preferences_follower_{name}", what, labels=["follower"])
            for status in self._statuses:
                family.add_metric([status.name], value(status))
            yield family
