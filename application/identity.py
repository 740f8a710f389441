"""Who calls: what a credential proves once it has been verified, and the ports that verify it."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class UserSession:
    """A user's session, as verified. Only a `SessionVerifier` makes one, so holding one is the proof.

    `organization` is None where the token has no active organization: a scope of its own.
    `role` is without Clerk's `org:` prefix. `impersonator` is the one who acts in the user's name, if any.
    `expires_at` is in seconds since the epoch; a verdict is never remembered beyond it.
    """

    user: str
    session: str
    organization: str | None
    role: str | None
    impersonator: str | None
    expires_at: float


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of an organization, as found by its hash. The key itself is never kept."""

    id: UUID
    organization: str
    label: str
    scopes: frozenset[str]


class SessionVerifier(Protocol):
    async def verify(self, token: str) -> UserSession:
        """Raise `Unauthenticated` (the reason is for the log) or, while no key could ever be fetched, `Unavailable`."""
        ...

    def ready(self) -> bool:
        """Whether tokens can be verified at this moment."""
        ...


class ApiKeys(Protocol):
    async def find(self, key: str) -> ApiKey | None:
        """The key that this plain text belongs to, unless it is unknown or revoked. Marks it as used."""
        ...
