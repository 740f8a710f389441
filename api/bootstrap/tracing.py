"""Records spans, if the settings name a collector."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from api.bootstrap.followers import Follower
from application.followers import StretchFollower
from infrastructure.settings import Settings
from infrastructure.telemetry.sampling import Sampling
from infrastructure.telemetry.traced_follower import TracedFollower

if TYPE_CHECKING:
    from infrastructure.telemetry.spans import Spans

log = structlog.get_logger("tracing")


@contextmanager
def recording(settings: Settings) -> Iterator["Spans | None"]:
    """The spans of this process, which are sent until the context ends. None if no spans are recorded."""
    if not settings.traced:
        yield None
        return
    try:
        # Imported only here: the libraries are an extra, and take half a second.
        from infrastructure.telemetry import collector
        from infrastructure.telemetry.spans import Spans
    except ImportError as error:
        log.warning("no spans are recorded", reason=f"{error.name} is not installed", remedy="install the extra `otel`")
        yield None
        return
    sampling = Sampling.named(settings.otel_traces_sampler, settings.otel_traces_sampler_arg)
    provider = collector.provider()
    log.info("spans are recorded", collector=settings.otel_exporter_otlp_endpoint, sampler=settings.otel_traces_sampler)
    try:
        yield Spans(provider, sampling)
    finally:
        collector.close(provider)


def traced(followers: Sequence[Follower], spans: "Spans | None") -> Sequence[Follower]:
    """The same followers. With `spans`, the batches of those that read events are recorded. What reads none can't say whose they are."""
    if spans is None:
        return followers
    return [
        follower if isinstance(follower, StretchFollower) else TracedFollower(follower, spans.follower_batch)
        for follower in followers
    ]
