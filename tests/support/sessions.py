"""Who signs the session tokens of the tests, for which application, and how one is refused."""

import pytest

from domain.errors import Unauthenticated
from infrastructure.identity.session_tokens import ClerkSessions

ISSUER = "https://clerk.example.com"
APP = "https://app.example.com"


async def refusal(sessions: ClerkSessions, token: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await sessions.verify(token)
    assert refused.value.token_sent
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert sessions.recall(token) is None
    if len(token) > 10:
        assert token not in str(refused.value)
    return refused.value.reason
