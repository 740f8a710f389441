"""The settings for a read replica."""

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings


class ReadReplicaSettings(BaseSettings):
    read_database_url: str | None = Field(
        default=None,
        description="Standby of the database, as a libpq URL, for reads that are heavy and may lag. Without it, the primary takes them.",
    )
    read_lag_limit: float = Field(
        default=5,
        ge=0.5,
        le=3600,
        description="Seconds by which the standby may be behind. Beyond that, the primary is read instead.",
    )

    @field_validator("read_database_url", mode="before")
    @classmethod
    def _nothing_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("read_database_url")
    @classmethod
    def _is_postgres(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value
