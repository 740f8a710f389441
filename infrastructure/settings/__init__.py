"""The settings, from the environment, under the names that operators already use. All errors are reported at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from application.identity import AUDIT_READ, SCOPES
from infrastructure.settings.clerk import ClerkSettings, is_loopback, with_line_breaks
from infrastructure.settings.database import DatabaseSettings
from infrastructure.settings.forms import OptionalPath, OptionalText, Texts
from infrastructure.settings.http import HttpSettings
from infrastructure.settings.tracing import TracingSettings
from infrastructure.settings.unsubscribe import UnsubscribeSettings


class SettingsError(Exception):
    """Every missing or wrong setting, one sentence each."""


class Settings(ClerkSettings, DatabaseSettings, HttpSettings, TracingSettings, UnsubscribeSettings):
    """The settings of one process. Each description names the unit; docs/settings.md lists every setting."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    data_dir: Path = Field(
        default=Path("data"), description="Folder of the embedded PostgreSQL and of the development key."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on.")
    web_concurrency: int = Field(default=1, ge=1, le=64, description="Worker processes.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    followers: bool = Field(
        default=True, description="Whether `serve` runs the followers of the log too, in a process of their own."
    )
    change_rate_limit: int = Field(
        default=0, ge=0, description="Changes that one user may make in a minute, per worker. 0: no limit."
    )
    role_scopes: Annotated[Mapping[str, frozenset[str]], NoDecode] = Field(
        default={"admin": frozenset({AUDIT_READ})},
        description="What a session may read of its organization, by the user's role: `admin=audit:read,events:read;...`.",
    )
    audit_origin: str = Field(
        default="notification-preferences",
        pattern=r"^[^\s+]+$",
        description="Name of the log and of its key in checkpoints, e.g. `example.com/preferences`.",
    )
    audit_signing_key: OptionalText = Field(
        default=None,
        description="Private Ed25519 key as a PEM, which checkpoints are signed with. Without it, one is made in DATA_DIR.",
    )
    audit_former_keys: Texts = Field(
        default=(),
        description="Public keys that checkpoints were signed with before, as `audit public-key` shows them, separated by commas.",
    )
    checkpoint_interval: int = Field(
        default=60, ge=0, description="Seconds between two checkpoints of the log. 0: only when asked for."
    )
    checkpoint_file: OptionalPath = Field(
        default=None, description="File that every checkpoint is appended to; by default `checkpoints` in DATA_DIR."
    )
    sweep_within: int = Field(
        default=86_400,
        ge=0,
        description="Seconds in which the sweep checks all that is stored once. 0: no sweep.",
    )
    feed_readers: int = Field(
        default=100, ge=0, le=10_000, description="Readers that may follow the live feed at a time, per worker."
    )
    feed_heartbeat: float = Field(
        default=15,
        gt=0,
        le=3600,
        description="Seconds after which a reader of the live feed hears that there is nothing.",
    )
    feed_send_within: float = Field(
        default=20, gt=0, le=3600, description="Seconds in which a reader of the feed must take what it is sent."
    )
    nats_url: Texts = Field(
        default=(),
        description="NATS servers that `preferences relay` hands events on to, separated by commas. Without it, one is started.",
    )
    nats_stream: str = Field(
        default="notification-preferences", pattern=r"^[A-Za-z0-9_-]+$", description="Name of the JetStream stream."
    )
    nats_replicas: int = Field(
        default=1,
        ge=1,
        le=5,
        description="Servers of the NATS cluster that keep a new stream; 3 outlive the loss of one.",
    )
    nats_max_bytes: int | None = Field(
        default=None,
        gt=0,
        description="Bytes that a new stream may hold. Some accounts at NATS require such a limit.",
    )
    nats_credentials: OptionalPath = Field(
        default=None, description="File with the relay's NATS credentials (`.creds`), where NATS_URL doesn't carry any."
    )
    nats_monitoring_url: Texts = Field(
        default=(),
        description="Monitoring addresses of the NATS servers, separated by commas: only there they say whether they sync.",
    )
    postgres_enable_db_functions: str | None = Field(
        default=None,
        description="Must not be set: with it, the eventsourcing library drops the lock that keeps the log in order.",
    )

    @classmethod
    def from_environment(cls) -> "Settings":
        """Raises `SettingsError`, which names everything that is wrong."""
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError("\n".join(_sentence(fault) for fault in error.errors())) from None

    @property
    def published_checkpoints(self) -> Path:
        return self.checkpoint_file or self.data_dir / "checkpoints"

    @property
    def loopback(self) -> str:
        """The host that people of this machine enter in development mode, also for the published port of a container."""
        return self.host if is_loopback(self.host) else "127.0.0.1"

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("role_scopes", mode="before")
    @classmethod
    def _by_role(cls, value: object) -> object:
        return _role_scopes(value) if isinstance(value, str) else value

    @field_validator("nats_url")
    @classmethod
    def _nats_only(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(url.startswith(("nats://", "tls://")) for url in value):
            raise ValueError("must start with nats:// or tls://")
        return value

    @field_validator("nats_monitoring_url")
    @classmethod
    def _http_only(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(url.startswith(("http://", "https://")) for url in value):
            raise ValueError("must start with http:// or https://")
        return value

    @field_validator("audit_signing_key")
    @classmethod
    def _signs(cls, value: str | None) -> str | None:
        if value is None:
            return None
        # Imported only here and below, with the libraries of keys: most commands run without these settings.
        from infrastructure.evidence import signing_key

        pem = with_line_breaks(value)
        signing_key.parse(pem)
        return pem

    @field_validator("audit_former_keys")
    @classmethod
    def _verify(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            return ()
        from infrastructure.evidence.signed_note import VerifierKey

        return tuple(str(VerifierKey.parse(text)) for text in value)

    @field_validator("postgres_enable_db_functions")
    @classmethod
    def _unsafe(cls, value: str | None) -> str | None:
        if value is not None and value.strip().lower() not in {"", "n", "no", "f", "false", "off", "0"}:
            raise ValueError("must not be enabled: events would be lost to readers of the log")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.read_database_url and not self.database_url:
            raise ValueError("DATABASE_URL must be set, since READ_DATABASE_URL is a standby of it")
        if not self.development and not self.clerk_issuer:
            raise ValueError("CLERK_ISSUER must be set, since other CLERK_ settings are")
        if self.development and not self.development_in_container and not is_loopback(self.host):
            raise ValueError(
                f"HOST {self.host} can be reached from outside, and without CLERK_ISSUER every client can make tokens: "
                "set CLERK_ISSUER, or listen on 127.0.0.1 "
                "(in a container whose port is published on loopback only: DEVELOPMENT_IN_CONTAINER=on)"
            )
        return self


def _role_scopes(text: str) -> dict[str, frozenset[str]]:
    """`admin=audit:read,events:read;auditor=audit:read`. Raises ValueError with a phrase on what is wrong."""
    by_role: dict[str, frozenset[str]] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, _, listed = part.partition("=")
        role = name.strip().removeprefix("org:")  # Clerk writes the prefix; sessions have the role without it
        scopes = frozenset(filter(None, map(str.strip, listed.split(","))))
        if not (role and scopes):
            raise ValueError(f"must be role=scope, several scopes separated by commas and roles by semicolons: {part}")
        if role in by_role:
            raise ValueError(f"must name each role once: {role}")
        if unknown := scopes - SCOPES:
            raise ValueError(f"must be made of {', '.join(sorted(SCOPES))}: not {', '.join(sorted(unknown))}")
        by_role[role] = scopes
    return by_role


def _sentence(fault: Mapping[str, object]) -> str:
    location = fault["loc"]
    name = str(location[0]).upper() if isinstance(location, tuple) and location else ""
    message = str(fault["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{name} {message}".strip()
