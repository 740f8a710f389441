"""GET /metrics, in the text format of Prometheus.

The metrics say how long requests took, how busy the service and its processes are, whether it can serve, how far the followers, the
sweep and the signing are, and how wrong the clock is.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from api.http import request_durations
from api.http.answer import Answer
from api.operations import description, processes
from api.services import Services
from application.evidence.checkpoints import SigningStatus
from application.evidence.sweep import Subject, SweepStatus
from application.followers import FollowerStatus
from application.log import Replication
from domain.continued_log import ContinuationSummary
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
    # For each count, the library would add a series with the time of its making; with several workers it has no such series.
    # This part of prometheus-client has no types.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types

    @app.get("/metrics", response_model=None, **description.metrics())
    async def metrics() -> Answer:
        # If the database can't be reached, operators still need the metrics of the requests.
        try:
            stored = [
                *_followers(await services.followers(), known=True),
                *_continuations(await services.continuations()),
            ]
        except Unavailable:
            stored = [*_followers([], known=False)]
        with suppress(Unavailable):
            stored += [*_sweep(await services.swept()), *_signing(await services.signing())]
            stored += _replication(await services.replication())
        stored += [_readiness(await services.readiness())]
        # With several workers, this writes the figures of this process to where the next line reads those of all.
        counted = [*services.counted()]
        families = [
            *request_durations.collect(),
            *counted,
            *processes.collect(),
            *stored,
            *_clock(services),
            *_settings(services),
        ]
        text = generate_latest(_Collected(families))
        return Answer(200, text, [(b"content-type", CONTENT_TYPE_LATEST.encode())])


class _Collected(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    @override
    def collect(self) -> Iterable[Metric]:
        return self._families


def _signing(status: SigningStatus) -> Iterable[Metric]:
    """Read from the database, too. If no checkpoint was ever written, there is no metric for the time of the last one."""
    if status.last is not None:
        what = "When the newest checkpoint of the log was signed."
        yield GaugeMetricFamily("preferences_checkpoint_last_timestamp_seconds", what, value=status.last.timestamp())
    what = "For how long the oldest unsigned event has waited for the next one."
    yield GaugeMetricFamily("preferences_checkpoint_lag_seconds", what, value=status.lag_seconds)


def _readiness(findings: Mapping[str, str | None]) -> Metric:
    """The same as `/readyz`, for an alarm that doesn't depend on whether a proxy asks for that."""
    what = "1 if nothing is wrong with what the service depends on."
    family = GaugeMetricFamily("preferences_ready", what, labels=["dependency"])
    for dependency, finding in findings.items():
        family.add_metric([dependency], finding is None)
    return family


def _settings(services: Services) -> Iterable[Metric]:
    what = "Setting CHECKPOINT_INTERVAL: seconds between two checkpoints of the log; 0 if there are none without a command."
    yield GaugeMetricFamily("preferences_checkpoint_interval_seconds", what, value=services.checkpoint_interval)
    what = "Setting SWEEP_WITHIN: seconds in which the sweep goes through everything once; 0 if there is no sweep."
    yield GaugeMetricFamily("preferences_sweep_within_seconds", what, value=services.sweep_within)
    what = "Always 1. The labels say what runs here."
    family = GaugeMetricFamily("preferences_build_info", what, labels=[*services.build])
    family.add_metric([*services.build.values()], 1)
    yield family


def _replication(status: Replication | None) -> Iterable[Metric]:
    """Only where readers wait for standbys. Without enough of them it is unknown what is confirmed, and nothing new is."""
    if status is None:
        return
    what = "Synchronous standbys that are connected."
    yield GaugeMetricFamily("preferences_replication_standbys", what, value=status.standbys)
    what = "Synchronous standbys that a commit waits for."
    yield GaugeMetricFamily("preferences_replication_standbys_wanted", what, value=status.wanted)
    if status.unconfirmed_bytes is not None:
        what = "Bytes of the database's WAL that these standbys have not confirmed."
        yield GaugeMetricFamily("preferences_replication_unconfirmed_bytes", what, value=status.unconfirmed_bytes)


def _clock(services: Services) -> Iterable[Metric]:
    if (offset := services.clock_offset()) is not None:
        what = "Seconds by which this machine's clock is ahead of the database's; negative if it is behind."
        yield GaugeMetricFamily("preferences_clock_offset_seconds", what, value=offset)


def _continuations(of: ContinuationSummary) -> Iterable[Metric]:
    what = "How often the log was continued on another server: after a failover, or from a backup."
    yield GaugeMetricFamily("preferences_log_continuations", what, value=of.times)
    what = "Position at which the log was last continued; 0 if it never was."
    yield GaugeMetricFamily("preferences_log_continued_position", what, value=of.position)
    what = "Last position before that; events between both are gone."
    yield GaugeMetricFamily("preferences_log_continued_previous_end", what, value=of.previous_end)


def _followers(statuses: Sequence[FollowerStatus], *, known: bool) -> Iterable[Metric]:
    """Read from the database each time, so that every worker process reports the same."""
    what = "1 if the database could say how far the followers are."
    yield GaugeMetricFamily("preferences_followers_known", what, value=known)
    for name, what, value in GAUGES:
        family = GaugeMetricFamily(f"preferences_follower_{name}", what, labels=["follower"])
        for status in statuses:
            family.add_metric([status.name], value(status))
        yield family


def _sweep(status: SweepStatus) -> Iterable[Metric]:
    """Read from the database, too. A leg that was never completed has no metric for its last completion."""
    progress = GaugeMetricFamily(
        "preferences_sweep_progress", "How much of the leg's pass under way is done, from 0 to 1.", labels=["leg"]
    )
    events = GaugeMetricFamily(
        "preferences_sweep_events", "Events that the leg's pass under way has gone through.", labels=["leg"]
    )
    completed = GaugeMetricFamily(
        "preferences_sweep_last_completed_timestamp_seconds", "When the leg was last completed.", labels=["leg"]
    )
    for leg in status.legs:
        progress.add_metric([leg.leg], leg.progress)
        events.add_metric([leg.leg], leg.events)
        if leg.completed_at is not None:
            completed.add_metric([leg.leg], leg.completed_at.timestamp())
    findings = GaugeMetricFamily("preferences_sweep_findings", "What isn't as the log says.", labels=["kind"])
    counts = Counter(found.finding.subject for found in status.findings)
    for subject in Subject:
        findings.add_metric([subject], counts[subject])
    yield from (progress, events, completed, findings)
