"""Clerk's session tokens: what makes one valid, and what it says about the caller.

Each check is here because another token, signed with the same key, would pass without it: Clerk signs machine, OAuth and template tokens
with the key of its session tokens. Sources: clerk.com/docs/guides/sessions/session-tokens and
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

# Secrets that are looked up and not verified by signature: our API key, then Clerk's API key, machine and OAuth tokens.
_OPAQUE: Final = ("am_live_", "ak_", "mt_", "m2m_", "oat_")
_SESSION, _UNSPECIFIED = "cl_B7d4PD111AAA", "cl_I7d4PD111III"
# Names end up in logs, stream keys and PostgreSQL, which accepts neither NUL nor lone surrogates.
_NAME: Final = re.compile(r"[!-~]{1,255}")
_FURTHEST: Final = 2**53  # seconds; beyond it a float can't represent every second
# The errors that parsers raise for hostile text. Deep nesting is RecursionError; bad UTF-8 and huge integers are ValueError.
_UNREADABLE: Final = (jwt.PyJWTError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


class ClerkSessions:
    """Verifies session tokens, and remembers the verdicts: a token lives a minute and comes back several times.

    A verdict is remembered by the digest of the whole token (never by the token, which is a secret), not beyond `exp`, and only while the
    very key that proved it is valid, so that removing a key ends the verdict. Refusals are not remembered, because anyone can cause any
    number of them.

    `authorized_parties`: the origins whose tokens are accepted. If empty, `azp` is not checked. Otherwise a token without `azp` is
    refused: Clerk leaves it out if no browser asked for the token.

    `audiences`: the names of this service. If empty, `aud` is not checked, because Clerk does not check it either; a session template may
    add one.

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
        # An OrderedDict, because dropping the oldest entry of a plain dict takes longer with each one dropped before.
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
        """The verdict on a token that was verified before and is still valid, without waiting; otherwise None."""
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
        """The header as sent. It proves nothing. It is checked first, so that unsuitable tokens cost no key look-up and no RSA."""
        if len(token) > LONGEST:
            _refuse("token too long")
        if token.startswith(_OPAQUE):
            _refuse("opaque credential, not a session token")
        try:
            # Non-ASCII fails here: the alphabet of base64url is checked, and a lone surrogate can't be encoded at all.
            header = self._signatures.get_unverified_header(token)
        except jwt.DecodeError:
            _refuse("not a JWT")
        except jwt.InvalidTokenError:  # the `kid` is not a string, or PyJWT does not understand the `crit`
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
        # PyJWT only proves the signature here. Its time checks read the machine's clock, and accept "1" and true as numbers.
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
    # `from None`: a parser's error about a token may quote the token.
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
    # `bool` is an `int` in Python. The comparison is false for NaN, and exact for integers that are too large for a float.
    if type(value) not in (int, float) or not -_FURTHEST < value < _FURTHEST:
        _refuse(f"{name} missing or malformed")
    return float(value)


def _organization(claims: dict[str, Any]) -> tuple[str | None, str | None]:
    """The active organization and the user's role in it, at the place where this version of the claims has them.

    An unknown version is refused: at the wrong place no organization would be found, and the caller would silently act in the scope of no
    organization.
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
    # A person who acts in a user's name must be known by name, or the record of the change would be wrong.
    return _name(actor.get("sub") if isinstance(actor, dict) else None, "act malformed")
