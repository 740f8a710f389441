"""Clerk's session tokens: what makes one valid, and what it then says about who calls.

Each check is here because something else signed with the same key would pass without it: Clerk signs machine, OAuth and
template tokens with the key of its session tokens. Sources: clerk.com/docs/guides/sessions/session-tokens and
clerk.com/docs/guides/sessions/manual-jwt-verification; RFC 8725 is the check-list, RFC 7519 the vocabulary.
"""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, NoReturn

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from application.identity import UserSession
from domain.errors import Unauthenticated
from infrastructure.identity.key_set import SigningKeys

LONGEST: Final = 8 * 1024  # bytes of a token; it is ASCII, so characters too
LEEWAY: Final = 5  # seconds that two clocks may be apart

# Secrets that are looked up rather than verified: our product's API key, then Clerk's API key, machine, OAuth tokens.
_OPAQUE: Final = ("am_live_", "ak_", "mt_", "m2m_", "oat_")
_SESSION, _UNSPECIFIED = "cl_B7d4PD111AAA", "cl_I7d4PD111III"
# Names end up in logs, stream keys and Postgres, which takes neither NUL nor lone surrogates.
_NAME: Final = re.compile(r"[!-~]{1,255}")
_FURTHEST: Final = 2**53  # seconds; beyond it a float no longer tells one second from the next
# What hostile text makes parsers raise. Deep nesting is RecursionError; bad UTF-8 and huge integers are ValueError.
_UNREADABLE: Final = (jwt.PyJWTError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


class ClerkSessions:
    """Verifies session tokens, and remembers the verdicts: a token lives a minute and comes back several times.

    A verdict is remembered by the digest of the whole token (never by the token, which is a secret), not beyond `exp`,
    and only for as long as the very key that proved it counts, so that a removed key ends it. Refusals are not
    remembered: anybody can make any number of them.

    `authorized_parties`: the origins whose tokens are accepted; if empty, `azp` isn't looked at. If not, a token without
    `azp` is refused: Clerk leaves it out where no browser asked for the token.
    `audiences`: the names that we go by. If empty, `aud` isn't looked at, as Clerk doesn't; a session template may add one.
    `clock`: seconds since the epoch. `remembered`: the most verdicts kept; the oldest goes first.
    """

    def __init__(
        self,
        keys: SigningKeys,
        *,
        issuer: str,
        authorized_parties: frozenset[str],
        audiences: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.time,
        remembered: int = 10_000,
    ) -> None:
        self._keys, self._clock = keys, clock
        self._issuer, self._authorized_parties, self._audiences = issuer, authorized_parties, audiences
        self._signatures = jwt.PyJWS(algorithms=["RS256"], options={"enforce_minimum_key_length": True})
        self._remembered = remembered
        # An OrderedDict, since dropping the oldest entry of a plain dict takes longer with every one dropped before.
        self._verdicts: OrderedDict[bytes, tuple[UserSession, str, RSAPublicKey]] = OrderedDict()

    def ready(self) -> bool:
        return self._keys.ready()

    async def verify(self, token: str) -> UserSession:
        remembered = self.recall(token)
        if remembered is not None:
            return remembered
        header = self._header(token)
        kid: str = header.get("kid", "")
        key = await self._keys.key_for(kid)
        session = self._session(self._claims(token, key))
        if self._clock() < session.expires_at and self._remembered > 0:
            self._verdicts[_digest(token)] = (session, kid, key)
            if len(self._verdicts) > self._remembered:
                self._verdicts.popitem(last=False)
        return session

    def recall(self, token: str) -> UserSession | None:
        """The verdict on a token that was verified before and still counts, without waiting; otherwise None."""
        if len(token) > LONGEST or not token.isascii():
            return None
        digest = _digest(token)
        verdict = self._verdicts.get(digest)
        if verdict is None:
            return None
        session, kid, key = verdict
        if self._clock() < session.expires_at and self._keys.current(kid) is key:
            return session
        del self._verdicts[digest]
        return None

    def _header(self, token: str) -> dict[str, Any]:
        """The header as sent. Nothing is proven by it; it is checked first so that misfits cost no key and no RSA."""
        if len(token) > LONGEST:
            _refuse("token too long")
        if token.startswith(_OPAQUE):
            _refuse("opaque credential, not a session token")
        try:
            # Non-ASCII fails here: the alphabet of base64url is checked, and a lone surrogate can't be encoded at all.
            header = self._signatures.get_unverified_header(token)
        except jwt.DecodeError:
            _refuse("not a JWT")
        except jwt.InvalidTokenError:  # a `kid` that is no string, a `crit` that PyJWT doesn't understand
            _refuse("header not understood")
        except _UNREADABLE:
            _refuse("not a JWT")
        if header.get("alg") != "RS256":
            _refuse("algorithm not allowed")
        if header.get("typ", "JWT") != "JWT":
            _refuse("not a session token by its type")
        if header.get("cat", _SESSION) not in (_SESSION, _UNSPECIFIED):
            _refuse("not a session token by its category")
        if "crit" in header:
            _refuse("header not understood")  # RFC 7515, section 4.1.11: PyJWT knows one extension, we know none.
        return header

    def _claims(self, token: str, key: RSAPublicKey) -> dict[str, Any]:
        # PyJWT proves the signature only. Its checks of time read the machine's clock and take "1" and true for numbers.
        try:
            payload = self._signatures.decode_complete(token, key, algorithms=["RS256"])["payload"]
        except jwt.InvalidSignatureError:
            _refuse("bad signature")
        except _UNREADABLE:
            _refuse("not a JWT")
        try:
            claims = json.loads(payload.decode("utf-8"))
        except _UNREADABLE:
            _refuse("claims are not JSON")
        if not isinstance(claims, dict):
            _refuse("claims are not an object")
        return claims

    def _session(self, claims: dict[str, Any]) -> UserSession:
        if claims.get("iss") != self._issuer:
            _refuse("wrong issuer")
        expires_at, issued_at, not_before = (_time(claims, name) for name in ("exp", "iat", "nbf"))
        now = self._clock()
        if now - LEEWAY >= expires_at:
            _refuse("expired")
        if not_before > now + LEEWAY or issued_at > now + LEEWAY:
            _refuse("not yet valid")
        if self._audiences and self._audiences.isdisjoint(_audience(claims.get("aud"))):
            _refuse("meant for another audience")
        if self._authorized_parties and _name(claims.get("azp"), "azp missing") not in self._authorized_parties:
            _refuse("azp not authorized")
        user = _name(claims.get("sub"), "sub missing or malformed")
        if not user.startswith("user_") or user == "user_":
            _refuse("subject is not a user")
        if "sts" in claims and not isinstance(claims["sts"], str):
            _refuse("sts malformed")
        if claims.get("sts") == "pending":
            _refuse("session pending")
        session = _name(claims.get("sid"), "sid missing or malformed")
        organization, role = _organization(claims)
        return UserSession(user, session, organization, role, _impersonator(claims), expires_at)


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _refuse(reason: str) -> NoReturn:
    # `from None`: what a parser says about a token may quote it.
    raise Unauthenticated(reason) from None


def _name(value: object, reason: str) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        _refuse(reason)
    return value


def _audience(value: object) -> list[str]:
    """RFC 7519, section 4.1.3: one name, or a list of names."""
    listed = value if isinstance(value, list) else [value]
    return [name for name in listed if isinstance(name, str)]


def _time(claims: dict[str, Any], name: str) -> float:
    value: Any = claims.get(name)
    # `bool` is an `int` in Python. The comparison is false for NaN, and exact for integers that no float can hold.
    if type(value) not in (int, float) or not -_FURTHEST < value < _FURTHEST:
        _refuse(f"{name} missing or malformed")
    return float(value)


def _organization(claims: dict[str, Any]) -> tuple[str | None, str | None]:
    """The active organization and the user's role in it, where this version of the claims keeps them.

    An unknown version is refused: looked for in the wrong place, an organization is not found, and the caller would
    silently act in the scope of no organization.
    """
    version = claims.get("v", 1)
    if type(version) is not int or version not in (1, 2):
        _refuse("unknown version of claims")
    if version == 1:
        organization, role = claims.get("org_id"), claims.get("org_role")
    else:
        active = claims.get("o")
        if active is None:
            return None, None
        if not isinstance(active, dict) or active.get("id") is None:
            _refuse("organization malformed")
        organization, role = active["id"], active.get("rol")
    if organization is None:
        return None, None
    organization = _name(organization, "organization malformed")
    return organization, None if role is None else _name(role, "role malformed").removeprefix("org:")


def _impersonator(claims: dict[str, Any]) -> str | None:
    if "act" not in claims:
        return None
    actor = claims["act"]
    # Whoever acts in somebody's name must be known by name, or the record of what happened would be wrong.
    return _name(actor.get("sub") if isinstance(actor, dict) else None, "act malformed")
