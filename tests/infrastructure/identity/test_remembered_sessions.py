"""A token that was verified is recognized when it comes back, and never for longer than it would be found good again."""

import asyncio

import pytest

from domain.errors import Unavailable
from infrastructure.identity.session_tokens import LEEWAY, ClerkSessions
from tests.support.sessions import ISSUER, refusal


class CountedKey:
    """A fixed key that counts how often it is asked for, and that can be taken away."""

    def __init__(self, key) -> None:
        self.key, self.asked = key, 0

    async def key_for(self, _kid, /):
        self.asked += 1
        return self.key

    def current(self, _kid, /):
        return self.key

    def ready(self):
        return True

    async def start(self):
        return

    async def close(self):
        return


@pytest.fixture
def counted(rsa_keys):
    return CountedKey(rsa_keys.ours.public_key())


async def test_a_token_that_comes_back_is_not_verified_again(counted, clock, token):
    sessions = ClerkSessions(counted, issuer=ISSUER, authorized_parties=frozenset(), clock=clock)
    made = token()
    assert sessions.recall(made) is None
    first = await sessions.verify(made)
    assert await sessions.verify(made) is first
    assert sessions.recall(made) is first
    assert counted.asked == 1


async def test_a_verdict_is_remembered_for_the_whole_token_only(sessions, token):
    made = token()
    await sessions.verify(made)
    header, claims, _ = made.split(".")
    for similar in (f"{header}.{claims}.AAAA", f"{header}.{claims}.", made[:-4] + "AAAA"):
        assert sessions.recall(similar) is None
        assert await refusal(sessions, similar) == "bad signature"


async def test_a_verdict_is_not_remembered_beyond_exp(counted, clock, token):
    sessions = ClerkSessions(counted, issuer=ISSUER, authorized_parties=frozenset(), clock=clock)
    made = token()
    await sessions.verify(made)
    clock.advance(59.9)
    assert sessions.recall(made) is not None
    clock.advance(0.1)
    assert sessions.recall(made) is None
    # In the leeway a token is good, and is verified each time.
    await sessions.verify(made)
    await sessions.verify(made)
    assert counted.asked == 3
    assert not sessions._verdicts
    clock.advance(LEEWAY)
    assert await refusal(sessions, made) == "expired"


async def test_refusals_are_not_remembered(sessions, token, clock):
    early = token({"nbf": clock.now + 10, "exp": clock.now + 60})
    assert await refusal(sessions, early) == "not yet valid"
    assert not sessions._verdicts
    clock.advance(10)
    assert (await sessions.verify(early)).user == "user_1"


async def test_the_memory_is_bounded_and_the_oldest_goes_first(counted, clock, token):
    sessions = ClerkSessions(counted, issuer=ISSUER, authorized_parties=frozenset(), clock=clock, remembered=3)
    made = [token({"jti": str(number)}) for number in range(5)]
    for each in made:
        await sessions.verify(each)
        assert len(sessions._verdicts) <= 3
    assert [sessions.recall(each) is not None for each in made] == [False, False, True, True, True]


async def test_nothing_is_remembered_where_nothing_may_be(counted, clock, token):
    sessions = ClerkSessions(counted, issuer=ISSUER, authorized_parties=frozenset(), clock=clock, remembered=0)
    await sessions.verify(token())
    assert not sessions._verdicts


async def test_no_token_is_kept_in_memory(sessions, token):
    made = token()
    await sessions.verify(made)
    assert {type(key) for key in sessions._verdicts} == {bytes}
    assert {len(key) for key in sessions._verdicts} == {32}
    assert made not in repr(sessions._verdicts)


@pytest.mark.parametrize("text", ["", "\ud800", "ключ", "A" * 1_000_000])
def test_hostile_text_is_simply_not_remembered(text, sessions):
    assert sessions.recall(text) is None


# Rotation


async def test_a_removed_key_ends_remembered_verdicts_within_five_minutes(
    remote, key_server, clock, token, jwk, rsa_keys
):
    made = token({"exp": clock.now + 3600})
    await remote.sessions.verify(made)
    key_server.serve(jwk(rsa_keys.other, "new"))
    for _ in range(30):
        clock.advance(10)
        await remote.keys.refresh_if_due()
    assert remote.sessions.recall(made) is None
    assert await refusal(remote.sessions, made) == "unknown kid"
    renewed = token({"exp": clock.now + 60}, {"kid": "new"}, key=rsa_keys.other)
    assert (await remote.sessions.verify(renewed)).user == "user_1"


async def test_a_key_replaced_under_its_kid_ends_remembered_verdicts(remote, key_server, clock, token, jwk, rsa_keys):
    made = token({"exp": clock.now + 3600})
    await remote.sessions.verify(made)
    key_server.serve(jwk(rsa_keys.other, "ours"))
    clock.advance(121)
    await remote.keys.refresh_if_due()
    assert await refusal(remote.sessions, made) == "bad signature"


async def test_an_unchanged_key_keeps_verdicts_over_refreshes_and_outages(remote, key_server, clock, token):
    made = token({"exp": clock.now + 3600})
    session = await remote.sessions.verify(made)
    for fail in (False, True, True, True, True):
        if fail:
            key_server.fail()
        clock.advance(121)
        await remote.keys.refresh_if_due()
        assert remote.sessions.recall(made) is session
    assert key_server.requests == 6


async def test_after_a_day_without_keys_a_remembered_verdict_ends_too(remote, key_server, clock, token):
    made = token({"exp": clock.now + 90_000})
    await remote.sessions.verify(made)
    key_server.fail()
    clock.advance(24 * 60 * 60 + 1)
    assert remote.sessions.recall(made) is None
    with pytest.raises(Unavailable):
        await remote.sessions.verify(made)


async def test_many_callers_at_once_are_served_alike(remote, token):
    made = [token({"sub": f"user_{number}"}) for number in range(20)]
    found = await asyncio.gather(*(remote.sessions.verify(each) for each in made * 3))
    assert [session.user for session in found] == [f"user_{number}" for number in range(20)] * 3
