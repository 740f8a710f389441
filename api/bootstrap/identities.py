"""Wires the verification of session tokens, and makes tokens in development mode."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from api.services import MakeSession, SignIn
from application.identity import AUDIT_READ
from domain.errors import Unauthenticated
from infrastructure.identity.development_keys import DevelopmentKeys
from infrastructure.identity.key_set import FixedKey, RemoteKeySet, SigningKeys
from infrastructure.identity.session_tokens import ClerkSessions
from infrastructure.settings import Settings, SettingsError

SESSION_HOURS: Final = 12
"""How long a token that a page of development mode gets is valid."""


def signing_keys(settings: Settings) -> SigningKeys:
    """The source of the keys that verify tokens. Raises `SettingsError` for an invalid key."""
    try:
        if settings.development:
            return FixedKey(DevelopmentKeys(settings.data_dir).public_pem)
        if settings.clerk_jwt_key is not None:
            return FixedKey(settings.clerk_jwt_key)
        return RemoteKeySet(settings.jwks_url)
    except ValueError as error:
        raise SettingsError(str(error)) from None


def session_verifier(settings: Settings, keys: SigningKeys) -> ClerkSessions:
    issuer = DevelopmentKeys.issuer if settings.development else settings.clerk_issuer
    assert issuer is not None
    return ClerkSessions(
        keys,
        issuer=issuer,
        authorized_parties=settings.clerk_authorized_parties,
        audiences=settings.clerk_audience,
    )


def development_token(
    settings: Settings, user: str, organization: str | None, role: str | None, *, lifetime: float
) -> str:
    """A session token for development mode, valid for `lifetime` seconds. Raises `SettingsError` outside of development mode."""
    if not settings.development:
        raise SettingsError("tokens are made by Clerk here: CLERK_ISSUER is set, so this is not development mode")
    try:
        token = DevelopmentKeys(settings.data_dir).mint(user, organization, role, lifetime=lifetime)
        asyncio.run(session_verifier(settings, signing_keys(settings)).verify(token))
    except ValueError as error:
        raise SettingsError(str(error)) from None
    except Unauthenticated as error:
        raise SettingsError(f"the service would refuse such a token: {error.reason}") from None
    return token


def sign_in(settings: Settings, sessions: ClerkSessions) -> SignIn:
    """How a person signs in on the pages."""
    return SignIn(
        development=_development_sessions(settings, sessions) if settings.development else None,
        publishable_key=settings.clerk_publishable_key,
        front_end=settings.clerk_front_end,
        audit_role=next((role for role, scopes in settings.role_scopes.items() if AUDIT_READ in scopes), None),
    )


def _development_sessions(settings: Settings, sessions: ClerkSessions) -> MakeSession:
    keys = DevelopmentKeys(settings.data_dir)

    async def make(user: str, organization: str | None, role: str | None) -> tuple[str, datetime]:
        token = keys.mint(user, organization, role, lifetime=SESSION_HOURS * 3600)
        try:
            session = await sessions.verify(token)
        except Unauthenticated as error:
            raise ValueError(f"the service would refuse such a token: {error.reason}") from None
        return token, datetime.fromtimestamp(session.expires_at, UTC)

    return make
