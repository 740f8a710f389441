"""From the `Authorization` header to somebody we know."""

from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.types import Scope

from application.identity import ApiKeys, SessionVerifier, UserSession
from domain.errors import Unauthenticated, UserRequired

API_KEY_PREFIX: Final = "am_live_"


class Authenticator:
    def __init__(self, sessions: SessionVerifier, api_keys: ApiKeys) -> None:
        self._sessions = sessions
        self._api_keys = api_keys

    async def user(self, scope: Scope) -> UserSession:
        """The user's session. Raises `Unauthenticated`, or `UserRequired` for a valid API key."""
        token = bearer_token(scope)
        if not token.startswith(API_KEY_PREFIX):
            return await self._sessions.verify(token)
        if await self._api_keys.find(token) is None:
            raise Unauthenticated("unknown or revoked API key")
        raise UserRequired


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


async def _user_session(request: Request) -> UserSession:
    authenticator: Authenticator = request.app.state.authenticator
    return await authenticator.user(request.scope)


CurrentUser = Annotated[UserSession, Depends(_user_session)]
"""In a route's signature: only a user's session may call."""
