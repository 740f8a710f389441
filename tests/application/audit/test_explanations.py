"""Explaining a decision to somebody who asks for it by its place."""

from uuid import UUID

from application.audit.explanations import EvidenceStore, ExplainAt, Explanations
from projections.explained_decision import At, DecisionBasis
from tests.support.catalogues import catalogue, published
from tests.support.events import ADA, opened, toggled


class MemoryEvidence(EvidenceStore):
    async def evidence(self, stream: UUID) -> DecisionBasis:
        events = [At(2, opened()), At(3, toggled(2, "news", False))] if stream == ADA else []
        return DecisionBasis(5, events, [At(1, published(catalogue(1, news=True)))])


async def test_it_is_the_users_own_stream_in_that_organization_that_is_explained() -> None:
    explanations = Explanations(MemoryEvidence())
    ada = ("org_math", "user_ada", "email", "news")
    assert not (await explanations.explain(*ada, ExplainAt())).decision.allowed
    assert (await explanations.explain(*ada, ExplainAt(position=2))).decision.allowed
    assert (await explanations.explain(*ada, ExplainAt(version=1))).position == 2
    assert (await explanations.explain("org_chess", *ada[1:], ExplainAt())).version == 0
