"""Verifies a decision afterwards against the log. The log contains everything that a decision can rest on."""

from typing import NamedTuple, Protocol
from uuid import UUID

from domain.isolation import Audience
from domain.preferences import stream_id
from projections.explained_decision import DecisionBasis, ExplainedDecision, explain, moment


class EvidenceStore(Protocol):
    async def evidence(self, stream: UUID) -> DecisionBasis:
        """The user's whole stream and the catalogue's stream, both as of one moment. Raises `Unavailable`."""
        ...


class ExplainAt(NamedTuple):
    """When a decision was made, and with which catalogue.

    The time is a position of the log, or else a version of the user's stream, or else now. The default catalogue is the one
    in force at that time.
    """

    position: int | None = None
    version: int | None = None
    catalogue_version: int | None = None


class Explanations:
    def __init__(self, store: EvidenceStore) -> None:
        self._store = store

    async def explain(
        self, organization: str | None, user: str, channel: str, toggle: str, place: ExplainAt
    ) -> ExplainedDecision:
        """Raises `CannotExplain` if the log doesn't reach that far yet, or if there was nothing to decide."""
        evidence = await self._store.evidence(stream_id(organization, user))
        audience = Audience.of_user(organization, user, "the decision's evidence")
        for found in evidence.events:
            audience.clear(found.event, found.position)
        position = moment(evidence, position=place.position, version=place.version)
        return explain(evidence, channel, toggle, position, place.catalogue_version)
