"""The settings for PostgreSQL."""

from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from infrastructure.settings.forms import OptionalText


class DatabaseSettings(BaseSettings):
    database_url: OptionalText = Field(
        default=None, description="PostgreSQL to use, as a libpq URL. Without it, an embedded one is started."
    )
    database_storage: Literal["", "durable"] = Field(
        default="",
        description="`durable` where the storage below PostgreSQL keeps what it doesn't sync itself (fsync or full_page_writes off).",
    )
    database_replication: Literal["", "synchronous"] = Field(
        default="",
        description="`synchronous` where commits wait for a standby: readers then get only what standbys have.",
    )
    read_database_url: OptionalText = Field(
        default=None,
        description="Standby of the database, as a libpq URL, for reads that are heavy and may lag. Without it, the primary takes them.",
    )
    read_lag_limit: float = Field(
        default=5,
        ge=0.5,
        le=3600,
        description="Seconds by which the standby may be behind. Beyond that, the primary is read instead.",
    )

    @field_validator("database_url", "read_database_url")
    @classmethod
    def _is_postgres(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value
