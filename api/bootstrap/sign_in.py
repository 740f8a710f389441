"""How a person signs in on the pages."""

from datetime import UTC, datetime
from typing import Final

from api.services import MakeSession, SignIn
from application.identity import AUDIT_READ
from domain.errors import Unauthenticated
from infrastructure.identity.development_keys import DevelopmentKeys
from infrastructure.identity.session_tokens import ClerkSessions
from infrastructure.settings import Settings

SESSION_HOURS: Final = 12
"""How long a token that a page of development mode gets is valid."""


def sign_in(settings: Settings, sessions: ClerkSessions) -> SignIn:
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
