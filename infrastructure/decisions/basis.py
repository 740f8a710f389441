"""Reads the basis of decisions from PostgreSQL."""

from typing import Final
from uuid import UUID

from typing_extensions import override

from application.audit.explanations import EvidenceStore
from domain import continued_log, published_catalogues
from domain.continued_log import Continuation
from domain.events import CataloguePublished, LogContinued, PreferencesEvent
from infrastructure.log.event_codec import decode
from infrastructure.postgres.database import Database
from infrastructure.postgres.sql import queries
from projections.explained_decision import At, DecisionBasis

_COMMON: Final = [published_catalogues.STREAM, continued_log.STREAM]


class PostgresEvidenceStore(EvidenceStore):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = queries("decisions")

    @override
    async def evidence(self, stream: UUID) -> DecisionBasis:
        rows = await self._database.fetch_in_time(self._queries["evidence"], [[stream, *_COMMON]], prepare=False)
        events: list[At[PreferencesEvent]] = []
        catalogues: list[At[CataloguePublished]] = []
        continuations: list[Continuation] = []
        for _, position, *stored in rows:
            if position is None:
                continue
            event = decode(*stored)
            if isinstance(event, CataloguePublished):
                catalogues.append(At(position, event))
            elif isinstance(event, LogContinued):
                continuations.append(Continuation.of(position, event))
            else:
                events.append(At(position, event))
        return DecisionBasis(rows[0][0], events, catalogues, continuations)
