"""Evidence for readers over HTTP, read from PostgreSQL in a thread. It signs nothing and makes no key."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import psycopg
from typing_extensions import override

from application.audit.evidence import EvidenceSource, MadeBundle, SignedCheckpoint
from application.evidence.bundling import make_bundle
from application.evidence.foreign_checkpoint import open_checkpoint
from domain.errors import Unavailable
from infrastructure.evidence.bundle_source import PostgresBundleSource
from infrastructure.evidence.signed_note import NoteReader, VerifierKey
from infrastructure.log.event_codec import decode_strictly

AT_ONCE: Final = 2
"""Readers at once. Each takes a connection of its own, and the others wait."""

Found = TypeVar("Found")


class PostgresUserEvidence(EvidenceSource):
    """`keys` are looked up for each answer: another process may make the key of the data directory later."""

    def __init__(self, url: str, origin: str, keys: Callable[[], Sequence[VerifierKey]]) -> None:
        self._url = url
        self._origin = origin
        self._keys = keys
        self._room = asyncio.Semaphore(AT_ONCE)

    @override
    async def checkpoint(self) -> SignedCheckpoint | None:
        return await self._read(self._checkpoint)

    @override
    async def bundle(self, organization: str, user: str) -> MadeBundle | None:
        return await self._read(lambda: self._bundle(organization, user))

    async def _read(self, read: Callable[[], Found]) -> Found:
        async with self._room:
            try:
                return await asyncio.to_thread(read)
            except psycopg.Error as error:
                raise Unavailable(f"no evidence could be read: {error}") from error

    def _checkpoint(self) -> SignedCheckpoint | None:
        keys = self._keys()
        with PostgresBundleSource.open(self._url) as source:
            kept = source.last()
        if kept is None or not keys:
            return None
        checkpoint = open_checkpoint(kept, f"the last checkpoint in {kept.place}", NoteReader(*keys), self._origin)
        return SignedCheckpoint(kept.note, checkpoint, [str(key) for key in keys])

    def _bundle(self, organization: str, user: str) -> MadeBundle | None:
        keys = self._keys()
        with PostgresBundleSource.open(self._url) as source:
            if source.last() is None or not keys:
                return None
            bundle, opened = make_bundle(source, NoteReader(*keys), self._origin, decode_strictly, organization, user)
        return MadeBundle(bundle.render(), len(opened.events))
