"""Our sampling, against the samplers of OpenTelemetry's SDK."""

import random

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, TraceIdRatioBased, _get_from_env_or_default
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from infrastructure.telemetry.sampling import Sampling

SAMPLERS = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]


def decides(sampler: Sampler, traceparent: str) -> bool:
    trace = int(traceparent[3:35], 16)
    parent = SpanContext(
        trace, int(traceparent[36:52], 16), is_remote=True, trace_flags=TraceFlags(int(traceparent[53:]))
    )
    context = set_span_in_context(NonRecordingSpan(parent), Context())
    return sampler.should_sample(context, trace, "GET").decision is Decision.RECORD_AND_SAMPLE


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.3, 1.0])
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_request_with_a_traceparent_is_taken_as_the_library_takes_it(name: str, ratio: float, monkeypatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", str(ratio))
    library, ours = _get_from_env_or_default(), Sampling.named(name, ratio)
    chance = random.Random(24)
    taken = []
    for _ in range(500):
        traceparent = f"00-{chance.getrandbits(128):032x}-{chance.getrandbits(64):016x}-0{chance.getrandbits(1)}"
        taken.append(ours.takes(traceparent))
        assert taken[-1] == decides(library, traceparent), traceparent
    # The default takes some of these, and not all.
    assert name != "parentbased_traceidratio" or len({*taken}) == 2


@pytest.mark.parametrize(
    ("name", "share"), [("always_on", 1), ("parentbased_always_off", 0), ("parentbased_traceidratio", 0.3)]
)
def test_of_the_requests_without_one_a_share_is_taken(name: str, share: float) -> None:
    sampling = Sampling.named(name, 0.3)
    taken = sum(sampling.takes(None) for _ in range(20_000))
    assert abs(taken / 20_000 - share) < 0.03


def test_the_edges_of_a_ratio_are_the_librarys() -> None:
    for ratio in (0.01, 0.5, 1.0):
        bound = TraceIdRatioBased.get_bound_for_rate(ratio)
        for low in (bound - 1, min(bound, 2**64 - 1)):
            traceparent = f"00-{1:016x}{low:016x}-{1:016x}-01"
            assert Sampling(ratio, follows_parent=False).takes(traceparent) == (low < bound)
    assert ParentBased(TraceIdRatioBased(0.01))
