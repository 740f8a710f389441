"""The settings for spans. The names are OpenTelemetry's, and as there an empty value counts as none."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]


class TracingSettings(BaseSettings):
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None,
        description="Collector that spans are sent to, e.g. `http://collector:4318`. Without it no spans are recorded.",
    )
    otel_sdk_disabled: bool = Field(default=False, description="`true`: no spans are recorded, also with a collector.")
    otel_traces_sampler: Sampler = Field(
        default="parentbased_traceidratio", description="Which requests are recorded as spans."
    )
    otel_traces_sampler_arg: float = Field(
        default=0.01, ge=0, le=1, description="The share of requests that `traceidratio` takes."
    )

    @property
    def traced(self) -> bool:
        return self.otel_exporter_otlp_endpoint is not None and not self.otel_sdk_disabled

    @field_validator(
        "otel_exporter_otlp_endpoint",
        "otel_sdk_disabled",
        "otel_traces_sampler",
        "otel_traces_sampler_arg",
        mode="before",
    )
    @classmethod
    def _empty_is_default(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str) and not value.strip():
            assert info.field_name is not None
            return cls.model_fields[info.field_name].default
        return value

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _over_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value
