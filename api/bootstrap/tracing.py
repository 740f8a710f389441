"""Records spans, if the settings name a collector."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from infrastructure.settings import Settings
from infrastructure.telemetry.sampling import Sampling

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
