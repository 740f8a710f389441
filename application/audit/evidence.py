"""Signed evidence for the readers of an organization: the last checkpoint, and the bundle of one user."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from application.audit.reads import Readings
from application.identity import OrganizationReader
from domain.checkpoint import Checkpoint
from domain.errors import NotFound
from domain.preferences import stream_id

EXPORT: Final = "user_evidence.export"


class SignedCheckpoint(NamedTuple):
    """`note` is the whole signed text. `public_keys` are those that this service trusts, in the form `name+hash+key`."""

    note: str
    checkpoint: Checkpoint
    public_keys: Sequence[str]


class MadeBundle(NamedTuple):
    """The content of a bundle's file, and how many events of the user it proves."""

    data: bytes
    events: int


class EvidenceSource(Protocol):
    """Every method raises `Unavailable` while the database can't be reached, and `Contradiction` or `ForeignCheckpoint` if the log
    isn't what was signed.
    """

    async def checkpoint(self) -> SignedCheckpoint | None:
        """The newest checkpoint; None if nothing is signed yet, or if there is no key here to check it with."""
        ...

    async def bundle(self, organization: str, user: str) -> MadeBundle | None:
        """The bundle of all events of a user up to the newest checkpoint; None as above. Signs nothing."""
        ...


class UserEvidence:
    def __init__(self, source: EvidenceSource, readings: Readings) -> None:
        self._source = source
        self._readings = readings

    async def checkpoint(self) -> SignedCheckpoint:
        """No reading is recorded, because a checkpoint says nothing about anybody. Raises `NotFound` if nothing is signed yet."""
        found = await self._source.checkpoint()
        if found is None:
            raise NotFound("nothing is signed yet")
        return found

    async def bundle(self, reader: OrganizationReader, user: str, *, request_id: str) -> bytes:
        """Raises `NotFound` if no event of the user is signed yet: a bundle would prove nothing."""
        made = await self._source.bundle(reader.organization, user)
        if made is None or not made.events:
            raise NotFound("no event of this user is signed")
        asked = {"resource_stream": str(stream_id(reader.organization, user))}
        await self._readings.record(reader, EXPORT, asked, count=made.events, request_id=request_id)
        return made.data
