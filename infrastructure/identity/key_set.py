"""The signing keys: the public key of a `kid`, from a configured PEM or from the issuer's own key set.

A token never brings its key along (RFC 8725, section 3.10). It brings only the `kid`, which picks among keys that the service already
has. See clerk.com/docs/guides/sessions/manual-jwt-verification for where they are found.
"""

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from http.client import HTTPException
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt import InvalidKeyError
from jwt.algorithms import RSAAlgorithm

from domain.errors import Unauthenticated, Unavailable
from infrastructure.identity.key_fetch import PATIENCE, fetch_over_http

MINIMUM_BITS: Final = 2048  # RFC 7518, section 3.3

# The errors of a fetch, or of reading its result. Time-outs and TLS are `OSError`, bad JSON is `ValueError`.
_FAILURES: Final = (OSError, HTTPException, ValueError, RecursionError)

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class SigningKeys(Protocol):
    async def key_for(self, kid: str, /) -> RSAPublicKey:
        """Raises `Unauthenticated` for an unknown `kid`, and `Unavailable` while the service has no keys."""
        ...

    def current(self, kid: str, /) -> RSAPublicKey | None:
        """The key that is valid at this moment, without waiting. It is the same object as long as the key is unchanged."""
        ...

    def ready(self) -> bool: ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class FixedKey:
    """One configured key for every `kid`, without a network.

    `pem`: a public key or a certificate, of which only the key counts (an operator who pins a certificate decides when it ends). Line
    breaks may be written as `\\n`, as in environment files. Raises `ValueError` if it is unusable.
    """

    def __init__(self, pem: str) -> None:
        try:
            data = pem.replace("\\n", "\n").strip().encode()
            is_certificate = b"-----BEGIN CERTIFICATE-----" in data
            key = load_pem_x509_certificate(data).public_key() if is_certificate else load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("The signing key is neither a PEM public key nor a PEM certificate.") from None
        if not isinstance(key, RSAPublicKey) or key.key_size < MINIMUM_BITS:
            raise ValueError(f"The signing key is not an RSA key of at least {MINIMUM_BITS} bits.")
        self._key = key

    async def key_for(self, _kid: str, /) -> RSAPublicKey:
        return self._key

    def current(self, _kid: str, /) -> RSAPublicKey | None:
        return self._key

    def ready(self) -> bool:
        return True

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return


class RemoteKeySet:
    """The keys under a JWKS address (RFC 7517), kept fresh in the background. All times are in seconds.

    A known key is always answered from memory, so a caller waits for a fetch only if it needs one. There is one fetch at a time, and
    every caller that needs its result waits for that one. An unknown `kid` may start a fetch, but not before `cooldown` after the last
    fetch for an unknown `kid` started, whatever its result: anyone can make up a `kid`. Fetches of the background don't count there.
    Otherwise a key that appears right after one of them would be refused for that long.

    A fetch every `refresh_every` (after a failure, every `cooldown`) ensures that a removed key is refused, and a new one accepted,
    within five minutes, with or without traffic. While fetches fail, the last known keys stay valid for `usable_for`. A set without a
    single usable key counts as a failed fetch: a fault is far more likely than an issuer that signs nothing any more, and believing the
    set would lock out all users. Single unusable keys are skipped.

    `patience` is for one whole fetch.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], Awaitable[bytes]] = fetch_over_http,
        clock: Callable[[], float] = time.monotonic,
        *,
        refresh_every: float = 120,
        cooldown: float = 30,
        usable_for: float = 24 * 60 * 60,
        patience: float = PATIENCE,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("The address of the key set is not an HTTP or HTTPS address.")
        self._url, self._fetch, self._clock = url, fetch, clock
        self._refresh_every, self._cooldown, self._usable_for = refresh_every, cooldown, usable_for
        self._patience = patience
        self._keys: dict[str, RSAPublicKey] = {}
        self._attempted_at = self._fetched_at = self._looked_up_at = -math.inf
        self._fetching: asyncio.Task[None] | None = None
        self._background: asyncio.Task[None] | None = None

    async def key_for(self, kid: str, /) -> RSAPublicKey:
        key = self.current(kid)
        if key is None and kid:  # No key is kept without a name, so a fetch can't bring the one for an empty `kid`.
            await (self._look_up() if self.ready() else self._fetch_unless_recent())
            key = self.current(kid)
        if key is not None:
            return key
        if not self.ready():
            wait = self._attempted_at + self._cooldown - self._clock()
            raise Unavailable("no usable signing keys", retry_after=max(1, math.ceil(wait)))
        raise Unauthenticated("unknown kid")

    def current(self, kid: str, /) -> RSAPublicKey | None:
        return self._keys.get(kid) if self.ready() else None

    def ready(self) -> bool:
        return self._clock() - self._fetched_at <= self._usable_for

    async def start(self) -> None:
        """Make a first attempt, which is bounded and may fail. Then keep the keys fresh until `close`."""
        await self._fetch_unless_recent()
        if self._background is None:
            self._background = asyncio.create_task(self._keep_fresh())

    async def close(self) -> None:
        tasks = [task for task in (self._background, self._fetching) if task is not None]
        self._background = self._fetching = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def refresh_if_due(self) -> None:
        """Runs each time the background task wakes: fetches if the keys are old and the last attempt isn't recent."""
        if self._due_in() <= 0:
            await self._fetch_unless_recent()

    def _due_in(self) -> float:
        return max(self._fetched_at + self._refresh_every, self._attempted_at + self._cooldown) - self._clock()

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(max(0, self._due_in()))
            await self.refresh_if_due()

    async def _fetch_unless_recent(self) -> None:
        if self._idle() and self._clock() - self._attempted_at < self._cooldown:
            return
        await self._fetched()

    async def _look_up(self) -> None:
        if self._idle():
            if self._clock() - self._looked_up_at < self._cooldown:
                return
            self._looked_up_at = self._clock()
        await self._fetched()

    def _idle(self) -> bool:
        return self._fetching is None or self._fetching.done()

    async def _fetched(self) -> None:
        # `asyncio.wait` rather than `await`: a caller that gives up must not cancel the fetch for the others, and no error of the fetch
        # may end the background task.
        if self._fetching is None or self._fetching.done():
            self._attempted_at = self._clock()
            self._fetching = asyncio.create_task(self._take_keys())
        await asyncio.wait({self._fetching})

    async def _take_keys(self) -> None:
        began = self._attempted_at
        try:
            async with asyncio.timeout(self._patience):
                document = await self._fetch(self._url)
            keys = _read(document)
        except _FAILURES as error:
            log.warning("keys_unreachable", error=type(error).__name__, detail=str(error)[:200], kept=len(self._keys))
            return
        # An unchanged key stays the same object, so that verdicts made with it stay valid.
        numbers = {kid: key.public_numbers() for kid, key in self._keys.items()}
        fresh = {k: self._keys[k] if numbers.get(k) == new.public_numbers() else new for k, new in keys.items()}
        if fresh != self._keys:
            log.info("keys_changed", kids=sorted(fresh))
        self._keys, self._fetched_at = fresh, began


def _read(document: bytes) -> dict[str, RSAPublicKey]:
    """The usable keys by `kid`; if two have the same name, the first wins. Raises `ValueError` if there are none."""
    content = json.loads(document)
    listed = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise ValueError("not a key set")  # noqa: TRY004 - a fault of the document, like bad JSON
    keys: dict[str, RSAPublicKey] = {}
    for jwk in listed:
        key = _usable(jwk) if isinstance(jwk, dict) else None
        if key is not None:
            keys.setdefault(jwk["kid"], key)
    if not keys:
        raise ValueError("no usable key in the set")
    return keys


def _usable(jwk: dict[str, Any]) -> RSAPublicKey | None:
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    named = isinstance(kid, str) and kid != ""
    for_signatures = jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if not (named and for_signatures and jwk.get("kty") == "RSA" and jwk.get("alg", "RS256") == "RS256"):
        return None
    try:
        key = RSAAlgorithm.from_jwk({"kty": "RSA", "n": jwk.get("n"), "e": jwk.get("e")})
    except (InvalidKeyError, ValueError, TypeError):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= MINIMUM_BITS else None
