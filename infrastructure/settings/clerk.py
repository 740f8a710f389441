"""The settings for session tokens: their issuer, their applications, and the pages that may call from a browser."""

import base64
import re
from functools import cached_property
from ipaddress import ip_address
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from infrastructure.settings.forms import DistinctTexts, OptionalText, listed

NO_ORIGIN: Final = "none"


class ClerkSettings(BaseSettings):
    clerk_issuer: OptionalText = Field(
        default=None, description="Issuer of the session tokens, e.g. `https://clerk.example.com`."
    )
    clerk_jwks_url: OptionalText = Field(
        default=None, description="Where its keys are; by default the issuer's `/.well-known/jwks.json`."
    )
    clerk_jwt_key: OptionalText = Field(
        default=None, description="Its public key as a PEM, instead: no network is needed."
    )
    clerk_publishable_key: OptionalText = Field(
        default=None,
        description="Publishable key of the Clerk instance that signs people in on the pages, e.g. `pk_live_…`.",
    )
    clerk_authorized_parties: DistinctTexts = Field(
        default=frozenset(),
        description="Origins that tokens may be issued for (`azp`), separated by commas; their pages may call the API. Empty: any token, no page.",
    )
    clerk_audience: DistinctTexts = Field(
        default=frozenset(),
        description="Audiences of which a token must name one (`aud`), separated by commas. Empty: `aud` isn't looked at.",
    )
    development_in_container: bool = Field(
        default=False,
        description="Whether development mode may listen beyond loopback, because it runs in a container whose port is published on the machine's loopback only.",
    )
    cors_origins: Annotated[frozenset[str] | None, NoDecode] = Field(
        default=None,
        description="Origins whose pages may call the API, separated by commas, or `none`; by default CLERK_AUTHORIZED_PARTIES.",
    )

    @property
    def development(self) -> bool:
        """Without any Clerk setting: a signing key of our own, loopback only, and tokens for any caller."""
        return not (
            self.clerk_issuer
            or self.clerk_jwks_url
            or self.clerk_jwt_key
            or self.clerk_publishable_key
            or self.clerk_authorized_parties
        )

    @cached_property
    def jwks_url(self) -> str:
        return self.clerk_jwks_url or f"{self.clerk_issuer or ''}/.well-known/jwks.json"

    @property
    def clerk_front_end(self) -> str | None:
        """The origin of the Clerk instance's own front-end, from which pages load Clerk's script."""
        return None if self.clerk_publishable_key is None else front_end(self.clerk_publishable_key)

    @property
    def page_origins(self) -> frozenset[str]:
        return self.clerk_authorized_parties if self.cors_origins is None else self.cors_origins

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _listed_unless_none(cls, value: object) -> object:
        if not isinstance(value, str) or not value.strip():
            return value or None
        return [] if value.strip().lower() == NO_ORIGIN else listed(value)

    @field_validator("clerk_authorized_parties", "cors_origins")
    @classmethod
    def _as_browsers_write_them(cls, value: frozenset[str] | None) -> frozenset[str] | None:
        return None if value is None else frozenset(map(origin, value))

    @field_validator("clerk_jwt_key")
    @classmethod
    def _usable_key(cls, value: str | None) -> str | None:
        if value is None:
            return None
        # Imported only here, with the libraries of keys: most commands run without this setting.
        from infrastructure.identity.key_set import FixedKey

        pem = with_line_breaks(value)
        FixedKey(pem)
        return pem

    @field_validator("clerk_publishable_key")
    @classmethod
    def _names_a_front_end(cls, value: str | None) -> str | None:
        if value is not None:
            front_end(value)
        return value

    @field_validator("clerk_issuer", "clerk_jwks_url")
    @classmethod
    def _encrypted(cls, value: str | None) -> str | None:
        if value is not None:
            url = urlsplit(value)
            if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname or "")):
                raise ValueError("must start with https://, or an attacker on the network could replace the keys")
        return value

    @field_validator("clerk_issuer")
    @classmethod
    def _without_slash(cls, value: str | None) -> str | None:
        """The form in which Clerk writes it in tokens. With a slash at the end, every token would be refused."""
        return value.rstrip("/") if value is not None else None


def origin(text: str) -> str:
    """An origin as browsers write it (RFC 6454): lower case, no default port, no slash. Raises ValueError for any other text."""
    url = urlsplit(text)
    if not url.scheme or not url.netloc or url.path not in ("", "/") or url.query or url.fragment or "@" in url.netloc:
        raise ValueError(f"must be origins, such as https://app.example.com: {text}")
    default = {"http": 80, "https": 443}.get(url.scheme)
    netloc = url.netloc.lower()
    return f"{url.scheme}://{netloc.removesuffix(f':{default}')}"


def front_end(publishable_key: str) -> str:
    """The origin that a publishable key names: `pk_live_` or `pk_test_`, then base64 of the host and a `$`. Raises ValueError."""
    found = re.fullmatch(r"pk_(?:live|test)_([A-Za-z0-9+/_-]+={0,2})", publishable_key)
    encoded = found[1].rstrip("=") if found else ""
    try:
        host = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_").decode("ascii")
    except ValueError:
        host = ""
    # The host becomes a part of the pages' Content-Security-Policy, so nothing but a host may be in it.
    if not re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z0-9-]+\$", host):
        raise ValueError("must be Clerk's publishable key, which begins with pk_live_ or pk_test_")
    return f"https://{host.removesuffix('$')}"


def with_line_breaks(pem: str) -> str:
    """An environment file often has a PEM on one line, with the line breaks written as \\n."""
    return pem.replace("\\n", "\n")


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
