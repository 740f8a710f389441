"""The settings for the server's connections."""

from pydantic import Field
from pydantic_settings import BaseSettings


class HttpSettings(BaseSettings):
    header_limit: int = Field(
        default=32 * 1024,
        ge=16 * 1024,
        le=1024 * 1024,
        description="Bytes of a request's head, before which it is refused.",
    )
    header_within: float = Field(
        default=10,
        gt=0,
        le=3600,
        description="Seconds in which the head of a request must have come, on a new connection too.",
    )
    body_within: float = Field(default=30, gt=0, le=3600, description="Seconds in which its body must have come.")
    keep_alive: float = Field(
        default=75, gt=0, le=3600, description="Seconds for which a connection is kept for the next request."
    )
    drain: float = Field(
        default=5,
        ge=0,
        le=20,
        description="Seconds for which the service serves on after SIGTERM, with `/readyz` at 503, until no proxy sends anything.",
    )
