"""Identifies the caller by the `Authorization` header."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request
from starlette.types import Scope

from application.identity import (
    AUDIT_READ,
    EVENTS_READ,
    ApiKey,
    ApiKeys,
    OrganizationReader,
    Reader,
    SessionVerifier,
    UserSession,
    key_reader,
    session_reader,
)
from domain.errors import MissingScope, Unauthenticated, UserRequired

API_KEY_PREFIX: Final = "am_live_"


class Authenticator:
    """`role_scopes` maps a user's role to the scopes that a session has in its organization, beyond its own preferences."""

    def __init__(self, sessions: SessionVerifier, api_keys: ApiKeys, role_scopes: Mapping[str, frozenset[str]]) -> None:
        self._sessions = sessions
        self._api_keys = api_keys
        self._role_scopes = role_scopes

    async def user(self, scope: Scope) -> UserSession:
        """The user's session. Raises `Unauthenticated`, or `UserRequired` for a valid API key."""
        token = bearer_token(scope)
        if not token.startswith(API_KEY_PREFIX):
            return await self._sessions.verify(token)
        await self._key(token)
        raise UserRequired

    async def anybody(self, scope: Scope) -> None:
        """Any user's session and any API key will do. Raises `Unauthenticated`."""
        token = bearer_token(scope)
        await (self._key(token) if token.startswith(API_KEY_PREFIX) else self._sessions.verify(token))

    async def reader(self, scope: Scope, needed: str) -> Reader:
        """The caller as a reader with the scope `needed`. Raises `Unauthenticated` or `MissingScope`."""
        token = bearer_token(scope)
        if token.startswith(API_KEY_PREFIX):
            return key_reader(await self._key(token), needed)
        return session_reader(await self._sessions.verify(token), needed, self._role_scopes)

    async def organization_reader(self, scope: Scope, needed: str) -> OrganizationReader:
        """The caller as a reader of one organization. A key of the platform has none, so it raises `MissingScope`."""
        reader = await self.reader(scope, needed)
        if not isinstance(reader, OrganizationReader):
            raise MissingScope("a key of the platform, where an organization is needed")
        return reader

    async def _key(self, token: str) -> ApiKey:
        key = await self._api_keys.find(token)
        if key is None:
            raise Unauthenticated("unknown or revoked API key")
        return key


def bearer_token(scope: Scope) -> str:
    """The token of the one `Authorization: Bearer` header (RFC 6750, section 2.1). Raises `Unauthenticated`."""
    values: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
    if not values:
        raise Unauthenticated("no credentials", token_sent=False)
    if len(values) > 1:
        raise Unauthenticated("more than one Authorization header")
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise Unauthenticated("another scheme than Bearer", token_sent=False)
    token = token.strip(b" ")
    if not token:
        raise Unauthenticated("an empty token", token_sent=False)
    if not token.isascii():
        raise Unauthenticated("a token that isn't ASCII")
    return token.decode("ascii")


def _of(request: Request) -> Authenticator:
    authenticator: Authenticator = request.app.state.authenticator
    return authenticator


async def _user_session(request: Request) -> UserSession:
    return await _of(request).user(request.scope)


SomeReader = TypeVar("SomeReader", bound=Reader)
Ask = Callable[[Authenticator, Scope, str], Awaitable[SomeReader]]


def _reader_with(needed: str, ask: Ask[SomeReader]) -> Callable[[Request], Awaitable[SomeReader]]:
    async def reader(request: Request) -> SomeReader:
        return await ask(_of(request), request.scope, needed)

    return reader


# The signature of a route has one of these types for its caller. The caller is checked before anything else in the request.

CurrentUser = Annotated[UserSession, Depends(_user_session)]
"""A user's session only."""

AuditReader = Annotated[OrganizationReader, Depends(_reader_with(AUDIT_READ, Authenticator.organization_reader))]
"""A session or an API key with `audit:read`, for its organization."""

EventsReader = Annotated[Reader, Depends(_reader_with(EVENTS_READ, Authenticator.reader))]
"""A session or an API key with `events:read`, for its organization. A key of the platform is for all organizations."""
