"""The caller's identity as a verified credential proves it, and the protocols that verify credentials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from domain.errors import MissingScope
from domain.preferences import stream_id

AUDIT_READ: Final = "audit:read"
EVENTS_READ: Final = "events:read"
PREFERENCES_READ: Final = "preferences:read"

SCOPES: Final = frozenset({AUDIT_READ, EVENTS_READ, PREFERENCES_READ})
"""The scopes that this service checks. A key of the product may have other scopes, which this service ignores."""


@dataclass(frozen=True, slots=True)
class UserSession:
    """A verified session of a user. Only a `SessionVerifier` makes one, so the object itself is the proof.

    `organization` is None if the token has no active organization; that is a scope of its own.
    `role` has no `org:` prefix, which Clerk adds. `impersonator` is the person who acts in the user's name, if any.
    `expires_at` is in seconds since the epoch; a verified session is never remembered beyond it.
    """

    user: str
    session: str
    organization: str | None
    role: str | None
    impersonator: str | None
    expires_at: float


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key, found by its hash. The key itself is never stored. `organization` is None for a key of the platform."""

    id: UUID
    organization: str | None
    label: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reader:
    """A caller who has the required scope to read data of others. The object itself is the proof.

    `organization` is the only one that the reader may see. A key of the platform has none, and sees all organizations.
    `label` names the reader in the record of reading: `user:<id>` or `api_key:<id> (<its label>)`. For a user, `stream` is the
    user's stream, by which an erasure finds the entries that name the user, and `impersonator` is the person who acts in the
    user's name, if any. The record stores both unsealed.
    """

    organization: str | None
    label: str
    stream: UUID | None = None
    impersonator: str | None = None

    @property
    def platform(self) -> bool:
        return self.organization is None


@dataclass(frozen=True, slots=True)
class OrganizationReader(Reader):
    """A reader who may see exactly one organization."""

    organization: str


def key_reader(key: ApiKey, scope: str) -> Reader:
    """Raises `MissingScope`."""
    if scope not in key.scopes:
        raise MissingScope(f"key {key.id} has no {scope}")
    label = f"api_key:{key.id} ({key.label})"
    return Reader(None, label) if key.organization is None else OrganizationReader(key.organization, label)


def session_reader(session: UserSession, scope: str, role_scopes: Mapping[str, frozenset[str]]) -> OrganizationReader:
    """`role_scopes` maps each role to its scopes in the organization. Raises `MissingScope`."""
    if session.organization is None:
        raise MissingScope("a session without an active organization")
    if scope not in role_scopes.get(session.role or "", ()):
        raise MissingScope(f"role {session.role} has no {scope}")
    stream = stream_id(session.organization, session.user)
    return OrganizationReader(session.organization, f"user:{session.user}", stream, session.impersonator)


class SessionVerifier(Protocol):
    async def verify(self, token: str) -> UserSession:
        """Raise `Unauthenticated` (its reason is only logged), or `Unavailable` as long as no key has ever been fetched."""
        ...

    def ready(self) -> bool:
        """Whether tokens can be verified now."""
        ...


class ApiKeys(Protocol):
    async def find(self, key: str) -> ApiKey | None:
        """The API key with this plain text; None if it is unknown or revoked. Marks it as used."""
        ...
