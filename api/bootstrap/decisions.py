"""Verifies decisions afterwards."""

from api.bootstrap.operator_database import operator_database
from application.audit.explanations import ExplainAt, Explanations
from infrastructure.decisions.basis import PostgresEvidenceStore
from projections.explained_decision import ExplainedDecision


async def explain(
    url: str, organization: str | None, user: str, channel: str, toggle: str, place: ExplainAt
) -> ExplainedDecision:
    """Raises `CannotExplain`."""
    async with operator_database(url) as database:
        return await Explanations(PostgresEvidenceStore(database)).explain(organization, user, channel, toggle, place)
