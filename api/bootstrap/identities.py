"""Wires the verification of session tokens, and makes tokens in development mode."""

import asyncio

from domain.errors import Unauthenticated
from infrastructure.identity.development_keys import DevelopmentKeys
from infrastructure.identity.key_set import FixedKey, RemoteKeySet, SigningKeys
from infrastructure.identity.session_tokens import ClerkSessions
from infrastructure.settings import Settings, SettingsError


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
