"""The settings for unsubscribe links: the address that they begin with, and the keys that seal them."""

import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from infrastructure.settings.clerk import is_loopback
from infrastructure.settings.forms import Texts
from infrastructure.unsubscribe import link_secret

LONGEST: Final = 150
"""Characters of the address. With the longest ids, the header line with the link then has the 998 characters that RFC 5322 allows."""

_form: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?").fullmatch


class UnsubscribeSettings(BaseSettings):
    public_url: str | None = Field(
        default=None,
        description="Address under which people reach this service, e.g. `https://mail.example.com`. Links in mails begin with it.",
    )
    unsubscribe_keys: Texts = Field(
        default=(),
        description="Keys that seal unsubscribe links, base64 of 32 bytes each, newest first, separated by commas.",
    )
    unsubscribe_rate_limit: int = Field(
        default=60,
        ge=0,
        description="Clicks on the unsubscribe links of one user that are recorded in a minute, per worker. 0: no limit.",
    )

    @field_validator("public_url", mode="before")
    @classmethod
    def _without_slashes(cls, value: object) -> object:
        return (value.strip().rstrip("/") or None) if isinstance(value, str) else value

    @field_validator("public_url")
    @classmethod
    def _fits_into_a_header(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not _form(value) or len(value) > LONGEST:
            raise ValueError(f"must be an address such as https://mail.example.com, of at most {LONGEST} characters")
        url = urlsplit(value)
        if url.scheme != "https" and not is_loopback(url.hostname or ""):
            raise ValueError("must start with https://, or mail providers don't offer to unsubscribe (RFC 8058)")
        return value

    @field_validator("unsubscribe_keys")
    @classmethod
    def _keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len({link_secret.parse(text) for text in value}) < len(value):
            raise ValueError("must be different from each other")
        return value
