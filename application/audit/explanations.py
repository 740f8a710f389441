"""Verifying a decision afterwards: against the log, which has all that it can have rested on."""

from typing import NamedTuple, Protocol
from uuid import UUID

from domain.isolation import Audience
from domain.preferences import stream_id
from projections.explained_decision import Evidence, ExplainedDecision, explain, moment


class EvidenceStore(Protocol):
    async def evidence(self, stream: UUID) -> Evidence:
        """A user's whole stream and the catalogue's, as of one moment. Raises `Unavailable`."""
        ...


class Place(NamedTuple):
    """When a decision was made: at a position of the log, or else while the user's stream stood at a version, or else now; and
    with which catalogue: by default with the one then in force."""

    position: int | None = None
    version: int | None = None
    catalogue_version: int | None = None


class Explanations:
    def __init__(self, store: EvidenceStore) -> None:
        self._store = store

    async def explain(
        self, organization: str | None, user: str, channel: str, toggle: str, place: Place
    ) -> ExplainedDecision:
        """Raises `CannotExplain` where the log hasn't got that far, or where there was nothing to decide."""
        evidence = await self._store.evidence(stream_id(organization, user))
        audience = Audience.of_user(organization, user, "the decision's evidence")
        for found in evidence.events:
            audience.clear(found.event, found.position)
        position = moment(evidence, position=place.position, version=place.version)
        return explain(evidence, channel, toggle, position, place.catalogue_version)
