"""Verifies decisions afterwards."""

from api.bootstrap.databases import OPERATOR_PATIENCE
from application.audit.explanations import ExplainAt, Explanations
from infrastructure.decisions.basis import PostgresEvidenceStore
from infrastructure.postgres.database import Database
from projections.explained_decision import ExplainedDecision


async def explain(
    url: str, organization: str | None, user: str, channel: str, toggle: str, place: ExplainAt
) -> ExplainedDecision:
    """Raises `CannotExplain`."""
    async with Database(url, size=1, connect_within=5, patience=OPERATOR_PATIENCE) as database:
        return await Explanations(PostgresEvidenceStore(database)).explain(organization, user, channel, toggle, place)
