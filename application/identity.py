"""Who calls: what a credential proves once it has been verified, and the ports that verify it."""

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
"""What can be asked for here. A key of the product may have others, which mean nothing to this service."""


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
    """A key, as found by its hash. The key itself is never kept. `organization` is None for a key of the platform."""

    id: UUID
    organization: str | None
    label: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who may read what belongs to others, with the scope that was asked for. Holding one is the proof.

    `organization` is the only one that the reader may see into; a key of the platform has none, and sees into all.
    `label` names the reader in the record of reading: `user:<id>` or `api_key:<id> (<its label>)`. A user has a
    `stream`, by which an erasure finds what names them in that record, and an `impersonator` where somebody acts in their
    name. The record has both in the open.
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
    """A reader who sees into exactly one organization."""

    organization: str


def key_reader(key: ApiKey, scope: str) -> Reader:
    """Raises `MissingScope`."""
    if scope not in key.scopes:
        raise MissingScope(f"key {key.id} has no {scope}")
    label = f"api_key:{key.id} ({key.label})"
    return Reader(None, label) if key.organization is None else OrganizationReader(key.organization, label)


def session_reader(session: UserSession, scope: str, role_scopes: Mapping[str, frozenset[str]]) -> OrganizationReader:
    """`role_scopes`: what each role may do in its organization. Raises `MissingScope`."""
    if session.organization is None:
        raise MissingScope("a session without an active organization")
    if scope not in role_scopes.get(session.role or "", ()):
        raise MissingScope(f"role {session.role} has no {scope}")
    stream = stream_id(session.organization, session.user)
    return OrganizationReader(session.organization, f"user:{session.user}", stream, session.impersonator)


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
