"""GET /metrics: how long requests took, how far the followers are and the log is signed, and how wrong the clock is, in the text format of
Prometheus."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from api import description, request_durations
from api.answer import Answer
from api.services import Services
from application.followers import FollowerStatus
from application.signing import SigningStatus
from domain.errors import Unavailable

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
        # When the database is away, what becomes of the requests is what somebody wants to see.
        try:
            followers = _followers(await services.followers(), known=True)
        except Unavailable:
            followers = _followers([], known=False)
        try:
            signing = [*_signing(await services.signing())]
        except Unavailable:
            signing = []
        known = [*request_durations.collect(), *followers, *signing, *_clock(services)]
        text = generate_latest(_Collected(known))
        return Answer(200, text, [(b"content-type", CONTENT_TYPE_LATEST.encode())])


class _Collected(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    @override
    def collect(self) -> Iterable[Metric]:
        return self._families


def _signing(status: SigningStatus) -> Iterable[Metric]:
    """Asked of the database as well. Where no checkpoint was ever written, there is no time of the last one."""
    if status.last is not None:
        what = "When the newest checkpoint of the log was signed."
        yield GaugeMetricFamily("preferences_checkpoint_last_timestamp_seconds", what, value=status.last.timestamp())
    what = "For how long the first event behind it has waited for the next one."
    yield GaugeMetricFamily("preferences_checkpoint_lag_seconds", what, value=status.lag_seconds)


def _clock(services: Services) -> Iterable[Metric]:
    if (offset := services.clock_offset()) is not None:
        what = "Seconds by which this machine's clock is ahead of the database's; behind it where negative."
        yield GaugeMetricFamily("preferences_clock_offset_seconds", what, value=offset)


def _followers(statuses: Sequence[FollowerStatus], *, known: bool) -> Iterable[Metric]:
    """Asked for anew each time: they stand in the database, so that every worker process tells the same."""
    what = "1 if the database could say how far the followers are."
    yield GaugeMetricFamily("preferences_followers_known", what, value=known)
    for name, what, value in GAUGES:
        family = GaugeMetricFamily(f"preferences_follower_{name}", what, labels=["follower"])
        for status in statuses:
            family.add_metric([status.name], value(status))
        yield family
