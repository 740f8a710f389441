"""Explaining a decision to somebody who asks for it by its place."""

from uuid import UUID

from application.audit.explanations import EvidenceStore, Explanations, Place
from projections.explained_decision import At, Evidence
from tests.support.catalogues import catalogue, published
from tests.support.events import ADA, opened, toggled


class MemoryEvidence(EvidenceStore):
    async def evidence(self, stream: UUID) -> Evidence:
        events = [At(2, opened()), At(3, toggled(2, "news", False))] if stream == ADA else []
        return Evidence(5, events, [At(1, published(catalogue(1, news=True)))])


async def test_it_is_the_users_own_stream_in_that_organization_that_is_explained() -> None:
    explanations = Explanations(MemoryEvidence())
    ada = ("org_math", "user_ada", "email", "news")
    assert not (await explanations.explain(*ada, Place())).decision.allowed
    assert (await explanations.explain(*ada, Place(position=2))).decision.allowed
    assert (await explanations.explain(*ada, Place(version=1))).position == 2
    assert (await explanations.explain("org_chess", *ada[1:], Place())).version == 0
